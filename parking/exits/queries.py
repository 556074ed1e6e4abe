"""SQL of the way out. Each statement serves one stay or a whole flush of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import InsertMany, insert_many, run, send
from parking.exits.rules import StayFacts

# What a lock on the session does not keep still: its lot's facts and its pass, read beside it.
_OF_SESSION = """
    s.id, s.lot_id, l.payee_id, l.zone, l.payment_timing, s.vehicle_class, s.plate, s.ticket,
    s.ticket_kind, s.status, s.entered_at, s.entry_by, s.entry_shift_id, s.entry_photo, s.pass_id,
    p.kind, p.valid_until, s.left_at, s.exit_by, s.exit_shift_id, s.exit_reason, s.price_vnd,
    s.paid_vnd, s.waived_vnd, s.paid_until, s.bill_id, s.bill_paid_vnd, s.arrears_vnd,
    EXISTS (SELECT FROM lost_tickets t WHERE t.org_id = s.org_id AND t.session_id = s.id)
"""
FROM_SESSION = f"""
    {_OF_SESSION}
    FROM parking_sessions s
    JOIN lots l ON l.org_id = s.org_id AND l.id = s.lot_id
    LEFT JOIN passes p ON p.org_id = s.org_id AND p.id = s.pass_id
"""
FIELDS = tuple(field.name for field in fields(StayFacts))

# One table is locked and nothing is joined (see payments/bills/queries_settling.py); what it holds
# is read by the next statement, which sees what was committed while this one waited.
LOCK_SESSIONS = text("""
    SELECT id FROM parking_sessions
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
    ORDER BY id FOR NO KEY UPDATE
""")
FIND_STAYS = text(f"""
    SELECT {FROM_SESSION}
    WHERE s.org_id = :org_id AND s.id = ANY(CAST(:ids AS uuid[]))
""")
LOCK_OCCUPANCY = text("""
    SELECT lot_id, vehicle_class FROM occupancy o
    WHERE o.org_id = :org_id AND (o.lot_id, o.vehicle_class) IN (
        SELECT * FROM unnest(CAST(:lot_ids AS uuid[]), CAST(:classes AS text[])))
    ORDER BY lot_id, vehicle_class FOR NO KEY UPDATE
""")
SET_PRICE = text("""
    UPDATE parking_sessions SET price_vnd = :price_vnd, tariff_version_id = :version_id,
           bill_id = coalesce(CAST(:bill_id AS uuid), bill_id)
    WHERE org_id = :org_id AND id = :id
""")
SET_PAID = text("""
    UPDATE parking_sessions SET paid_vnd = :paid_vnd, waived_vnd = :waived_vnd,
           bill_paid_vnd = :bill_paid_vnd, paid_until = :paid_until, arrears_vnd = :arrears_vnd
    WHERE org_id = :org_id AND id = :id
""")
LIST_ARREARS = text(f"""
    SELECT {FROM_SESSION}
    WHERE s.org_id = :org_id AND s.plate = :plate AND s.vehicle_class = :vehicle_class
      AND s.lot_id = :lot_id AND s.arrears_vnd > 0
    ORDER BY s.id LIMIT 20
""")
# By the primary key.
IS_INSIDE = text("""
    SELECT EXISTS (SELECT FROM inside
                   WHERE org_id = :org_id AND lot_id = :lot_id AND kind = 'plate'
                     AND credential = :credential)
""")
# The ids stand twice, so that no plan reads the whole table for a few of its rows.
# The sessions are locked. `inside` and occupancy are written under the occupancy's lock.
CLOSE_SESSIONS = text("""
    UPDATE parking_sessions s
    SET status = 'left', left_at = :now, exit_access_id = t.access_id, exit_device_id = t.device_id,
        exit_shift_id = t.shift_id, exit_by = t.by,
        exit_photo = coalesce(t.photo, s.exit_photo), exit_reason = t.reason,
        tariff_version_id = coalesce(t.version_id, s.tariff_version_id), price_vnd = t.price_vnd,
        paid_vnd = t.paid_vnd, bill_paid_vnd = t.bill_paid_vnd, arrears_vnd = t.arrears_vnd
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:access_ids AS uuid[]), CAST(:device_ids AS uuid[]),
        CAST(:shift_ids AS uuid[]), CAST(:bys AS uuid[]), CAST(:photos AS bytea[]),
        CAST(:reasons AS text[]), CAST(:version_ids AS uuid[]), CAST(:prices_vnd AS bigint[]),
        CAST(:paid_vnd AS bigint[]), CAST(:bill_paid_vnd AS bigint[]),
        CAST(:arrears_vnd AS bigint[]))
        AS t (id, access_id, device_id, shift_id, by, photo, reason, version_id, price_vnd,
              paid_vnd, bill_paid_vnd, arrears_vnd)
    WHERE s.org_id = :org_id AND s.id = t.id AND s.id = ANY(CAST(:ids AS uuid[]))
""")
# One under review may be inside no more: only what was inside has a place in the occupancy.
DELETE_INSIDE = text("""
    WITH gone AS (
        DELETE FROM inside WHERE org_id = :org_id AND session_id = ANY(CAST(:ids AS uuid[]))
        RETURNING lot_id, vehicle_class, session_id),
    counted AS (
        SELECT lot_id, vehicle_class, count(DISTINCT session_id) AS count FROM gone
        GROUP BY lot_id, vehicle_class)
    UPDATE occupancy o SET inside_count = o.inside_count - c.count
    FROM counted c
    WHERE o.org_id = :org_id AND o.lot_id = c.lot_id AND o.vehicle_class = c.vehicle_class
""")

INSERT_SIGHTINGS = InsertMany(
    "observations",
    {
        "id": "uuid",
        "lot_id": "uuid",
        "session_id": "uuid",
        "access_id": "uuid",
        "method": "text",
        "plate": "text",
        "read_text": "text",
        "read_score_bps": "smallint",
        "photo": "bytea",
        "device_id": "uuid",
        "seen_by": "uuid",
    },
    shared=("org_id", "direction", "seen_at"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosedStay:
    """What is written of a stay that is over."""

    stay: StayFacts
    access_id: UUID | None
    device_id: UUID | None
    shift_id: UUID | None
    by: UUID
    photo: bytes | None
    reason: str
    version_id: UUID | None
    price_vnd: int | None
    paid_vnd: int
    bill_paid_vnd: int
    arrears_vnd: int
    is_priced: bool = True  # else the price is as it was quoted last, or unknown


async def lock_sessions(session: AsyncSession, org_id: UUID, ids: Collection[UUID]) -> None:
    """Lock parking sessions in the order of their ids."""
    await run(session, LOCK_SESSIONS, {"org_id": org_id, "ids": list(ids)})


async def find_stays(
    session: AsyncSession, org_id: UUID, ids: Collection[UUID]
) -> dict[UUID, StayFacts]:
    """Find stays by id, without a lock."""
    rows = await run(session, FIND_STAYS, {"org_id": org_id, "ids": list(ids)})
    return {row[0]: StayFacts(**dict(zip(FIELDS, row, strict=True))) for row in rows}


async def lock_occupancy(
    session: AsyncSession, org_id: UUID, places: Collection[tuple[UUID, str]]
) -> set[tuple[UUID, str]]:
    """Lock the occupancy of (lot, class), in that order; return those that there are."""
    values = {
        "org_id": org_id,
        "lot_ids": [lot_id for lot_id, _ in places],
        "classes": [vehicle_class for _, vehicle_class in places],
    }
    return {(row[0], row[1]) for row in await run(session, LOCK_OCCUPANCY, values)}


async def set_price(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    *,
    price_vnd: int,
    version_id: UUID | None,
    bill_id: UUID | None = None,
) -> None:
    """Write what a stay was quoted, and the bill that asks for it."""
    values = {
        "org_id": org_id,
        "id": session_id,
        "price_vnd": price_vnd,
        "version_id": version_id,
        "bill_id": bill_id,
    }
    await run(session, SET_PRICE, values)


async def set_paid(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    *,
    paid_vnd: int,
    waived_vnd: int,
    bill_paid_vnd: int,
    paid_until: datetime | None,
    arrears_vnd: int,
) -> None:
    """Write what was paid for a locked stay."""
    values = {
        "org_id": org_id,
        "id": session_id,
        "paid_vnd": paid_vnd,
        "waived_vnd": waived_vnd,
        "bill_paid_vnd": bill_paid_vnd,
        "paid_until": paid_until,
        "arrears_vnd": arrears_vnd,
    }
    await run(session, SET_PAID, values)


async def list_arrears(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, plate: str, vehicle_class: str
) -> list[StayFacts]:
    """List the stays at a lot that a vehicle left without paying, oldest first (at most 20)."""
    values = {"org_id": org_id, "lot_id": lot_id, "plate": plate, "vehicle_class": vehicle_class}
    rows = await run(session, LIST_ARREARS, values)
    return [StayFacts(**dict(zip(FIELDS, row, strict=True))) for row in rows]


async def is_vehicle_inside(session: AsyncSession, org_id: UUID, stay: StayFacts) -> bool:
    """Tell whether the vehicle of a stay is inside at its lot, on this stay or a later one."""
    if stay.plate is None:
        return False
    credential = f"{stay.vehicle_class}:{stay.plate}"
    values = {"org_id": org_id, "lot_id": stay.lot_id, "credential": credential}
    return bool((await run(session, IS_INSIDE, values))[0][0])


async def write_ends(
    session: AsyncSession, org_id: UUID, closed: Sequence[ClosedStay], *, now: datetime
) -> None:
    """Write the ends of locked stays. Nothing is read: it may travel with other statements."""
    ids = [one.stay.id for one in closed]
    await send(
        session,
        CLOSE_SESSIONS,
        {
            "org_id": org_id,
            "now": now,
            "ids": ids,
            "access_ids": [one.access_id for one in closed],
            "device_ids": [one.device_id for one in closed],
            "shift_ids": [one.shift_id for one in closed],
            "bys": [one.by for one in closed],
            "photos": [one.photo for one in closed],
            "reasons": [one.reason for one in closed],
            "version_ids": [one.version_id for one in closed],
            "prices_vnd": [one.price_vnd for one in closed],
            "paid_vnd": [one.paid_vnd for one in closed],
            "bill_paid_vnd": [one.bill_paid_vnd for one in closed],
            "arrears_vnd": [one.arrears_vnd for one in closed],
        },
    )


async def close_sessions(
    session: AsyncSession, org_id: UUID, closed: Sequence[ClosedStay], *, now: datetime
) -> None:
    """Write the ends of locked stays that were not over. As write_ends, it reads nothing."""
    await write_ends(session, org_id, closed, now=now)
    ids = [one.stay.id for one in closed]
    await send(session, DELETE_INSIDE, {"org_id": org_id, "ids": ids})


async def insert_sightings(
    session: AsyncSession,
    org_id: UUID,
    rows: Sequence[tuple[object, ...]],
    *,
    direction: str,
    now: datetime,
) -> None:
    """Write how vehicles were seen. Nothing is read: it may travel with other statements."""
    await insert_many(
        session, INSERT_SIGHTINGS, rows, org_id=org_id, direction=direction, seen_at=now
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class PassFacts:
    """A pass that somebody shows at the way out."""

    lot_id: UUID | None
    vehicle_class: str
    kind: str
    valid_from: date
    valid_until: date
    in_force_at: datetime | None
    revoked_at: datetime | None
    has_plate: bool


FIND_PASS = text("""
    SELECT p.lot_id, p.vehicle_class, p.kind, p.valid_from, p.valid_until, p.in_force_at,
           p.revoked_at,
           EXISTS (SELECT FROM pass_plates x WHERE x.org_id = p.org_id AND x.pass_id = p.id
                   AND x.vehicle_class = :vehicle_class AND x.plate = :plate)
    FROM passes p WHERE p.org_id = :org_id AND p.id = :id
""")


async def find_pass(
    session: AsyncSession, org_id: UUID, pass_id: UUID, *, plate: str | None, vehicle_class: str
) -> PassFacts | None:
    """Find a pass, and whether a vehicle is one of its own."""
    values = {"org_id": org_id, "id": pass_id, "plate": plate, "vehicle_class": vehicle_class}
    rows = await run(session, FIND_PASS, values)
    names = tuple(field.name for field in fields(PassFacts))
    return PassFacts(**dict(zip(names, rows[0], strict=True))) if rows else None
