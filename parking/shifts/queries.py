"""SQL of shifts."""

from collections.abc import Collection
from dataclasses import fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from identity.people.models import Staff
from parking.places.errors import LotNotFound
from parking.shifts.errors import ShiftNotFound
from parking.shifts.rules import ShiftFacts

FIELDS = tuple(field.name for field in fields(ShiftFacts))
COLUMNS = ", ".join(FIELDS)

FIND = text(f"SELECT {COLUMNS} FROM shifts WHERE org_id = :org_id AND id = :id")  # noqa: S608
FIND_MANY = text(
    f"SELECT {COLUMNS} FROM shifts"  # noqa: S608
    " WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))"
)
# Closing waits for whoever collects in this shift, and they for the close.
LOCK = text(
    f"SELECT {COLUMNS} FROM shifts WHERE org_id = :org_id AND id = :id FOR UPDATE"  # noqa: S608
)
SHARE_OPEN = text(
    f"SELECT {COLUMNS} FROM shifts"  # noqa: S608
    " WHERE org_id = :org_id AND staff_id = :staff_id AND closed_at IS NULL FOR SHARE"
)
SHARE = text(
    f"SELECT {COLUMNS} FROM shifts WHERE org_id = :org_id AND id = :id FOR SHARE"  # noqa: S608
)
FIND_OPEN = text(
    f"SELECT {COLUMNS} FROM shifts"  # noqa: S608
    " WHERE org_id = :org_id AND staff_id = :staff_id AND closed_at IS NULL"
)
FIND_OPEN_OF_MANY = text("""
    SELECT staff_id, id, lot_id FROM shifts
    WHERE org_id = :org_id AND staff_id = ANY(CAST(:staff_ids AS uuid[])) AND closed_at IS NULL
""")
# Of several at once the one that was opened last.
FIND_RUNNING = text("""
    SELECT id FROM shifts
    WHERE org_id = :org_id AND lot_id = :lot_id AND opened_at <= :at
      AND (closed_at IS NULL OR closed_at > :at)
    ORDER BY opened_at DESC, id DESC LIMIT 1
""")
INSERT = text("""
    INSERT INTO shifts (org_id, id, lot_id, staff_id, payee_id, opened_at, change_vnd)
    VALUES (:org_id, :id, :lot_id, :staff_id, :payee_id, :now, :change_vnd)
    ON CONFLICT DO NOTHING RETURNING id
""")
CLOSE = text("""
    UPDATE shifts SET closed_at = :now, counted_vnd = :counted_vnd, expected_vnd = :expected_vnd,
           note = :note
    WHERE org_id = :org_id AND id = :id
""")
FIND_PAYEE = text("SELECT payee_id FROM lots WHERE org_id = :org_id AND id = :lot_id")


async def find_shift(session: AsyncSession, org_id: UUID, shift_id: UUID) -> ShiftFacts | None:
    """Find a shift."""
    rows = await run(session, FIND, {"org_id": org_id, "id": shift_id})
    return _read(rows[0]) if rows else None


async def find_shifts(
    session: AsyncSession, org_id: UUID, shift_ids: Collection[UUID]
) -> dict[UUID, ShiftFacts]:
    """Find those of these shifts that there are."""
    rows = await run(session, FIND_MANY, {"org_id": org_id, "ids": list(shift_ids)})
    return {shift.id: shift for shift in map(_read, rows)}


async def find_people(
    session: AsyncSession, org_id: UUID, staff_ids: Collection[UUID]
) -> dict[UUID, Staff]:
    """Find those of these people who are of the organisation, disabled or not."""
    wanted = select(Staff).where(Staff.org_id == org_id, Staff.id.in_(staff_ids))
    return {staff.id: staff for staff in await session.scalars(wanted)}


async def get_shift(session: AsyncSession, org_id: UUID, shift_id: UUID) -> ShiftFacts:
    """Return a shift.

    Raises:
        ShiftNotFound
    """
    found = await find_shift(session, org_id, shift_id)
    if found is None:
        raise ShiftNotFound(shift_id)
    return found


async def lock_shift(session: AsyncSession, org_id: UUID, shift_id: UUID) -> ShiftFacts:
    """Lock a shift for its close.

    Raises:
        ShiftNotFound
    """
    rows = await run(session, LOCK, {"org_id": org_id, "id": shift_id})
    if not rows:
        raise ShiftNotFound(shift_id)
    return _read(rows[0])


async def share_open_shift(
    session: AsyncSession, org_id: UUID, staff_id: UUID
) -> ShiftFacts | None:
    """Keep a person's open shift from being closed until the transaction ends, if there is one."""
    rows = await run(session, SHARE_OPEN, {"org_id": org_id, "staff_id": staff_id})
    return _read(rows[0]) if rows else None


async def share_shift(session: AsyncSession, org_id: UUID, shift_id: UUID) -> ShiftFacts:
    """Keep a shift as it is until the transaction ends, open or closed.

    Raises:
        ShiftNotFound
    """
    rows = await run(session, SHARE, {"org_id": org_id, "id": shift_id})
    if not rows:
        raise ShiftNotFound(shift_id)
    return _read(rows[0])


async def find_open_shift(session: AsyncSession, org_id: UUID, staff_id: UUID) -> ShiftFacts | None:
    """Find a person's open shift."""
    rows = await run(session, FIND_OPEN, {"org_id": org_id, "staff_id": staff_id})
    return _read(rows[0]) if rows else None


async def find_shift_at(
    session: AsyncSession, org_id: UUID, lot_id: UUID, staff_id: UUID
) -> UUID | None:
    """Find a person's open shift at a lot, for the token of the phone that they use there."""
    shift = await find_open_shift(session, org_id, staff_id)
    return shift.id if shift is not None and shift.lot_id == lot_id else None


async def find_open_shifts(
    session: AsyncSession, org_id: UUID, staff_ids: Collection[UUID]
) -> dict[UUID, tuple[UUID, UUID]]:
    """Return (shift, lot) of each person who has an open one."""
    values = {"org_id": org_id, "staff_ids": list(staff_ids)}
    rows = await run(session, FIND_OPEN_OF_MANY, values)
    return {staff_id: (shift_id, lot_id) for staff_id, shift_id, lot_id in rows}


async def find_running_shift(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, at: datetime
) -> UUID | None:
    """Find the shift that ran at a lot at an instant; of several, the one that was opened last."""
    rows = await run(session, FIND_RUNNING, {"org_id": org_id, "lot_id": lot_id, "at": at})
    return rows[0][0] if rows else None


async def insert_shift_once(
    session: AsyncSession,
    org_id: UUID,
    shift_id: UUID,
    *,
    lot_id: UUID,
    staff_id: UUID,
    payee_id: UUID,
    change_vnd: int,
    now: datetime,
) -> bool:
    """Open a shift, unless its id is taken or the person has one; tell whether this call did."""
    values = {
        "org_id": org_id,
        "id": shift_id,
        "lot_id": lot_id,
        "staff_id": staff_id,
        "payee_id": payee_id,
        "change_vnd": change_vnd,
        "now": now,
    }
    return bool(await run(session, INSERT, values))


async def close_shift(
    session: AsyncSession,
    org_id: UUID,
    shift_id: UUID,
    *,
    counted_vnd: int,
    expected_vnd: int,
    note: str | None,
    now: datetime,
) -> None:
    """Write the close of a locked shift."""
    values = {
        "org_id": org_id,
        "id": shift_id,
        "counted_vnd": counted_vnd,
        "expected_vnd": expected_vnd,
        "note": note,
        "now": now,
    }
    await run(session, CLOSE, values)


async def get_payee_of_lot(session: AsyncSession, org_id: UUID, lot_id: UUID) -> UUID:
    """Return whose money a lot takes.

    Raises:
        LotNotFound
    """
    rows = await run(session, FIND_PAYEE, {"org_id": org_id, "lot_id": lot_id})
    if not rows:
        raise LotNotFound(lot_id)
    payee_id: UUID = rows[0][0]
    return payee_id


def _read(row: tuple[object, ...]) -> ShiftFacts:
    return ShiftFacts(**dict(zip(FIELDS, row, strict=True)))  # type: ignore[arg-type]
