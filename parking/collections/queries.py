"""SQL of collections."""

from collections.abc import Collection as Many
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.masking import mask_plates
from core.sql import InsertMany, insert_many_returning, run
from parking.collections.errors import CollectionNotFound
from parking.collections.rules import MONEY, CollectionFacts, NewCollection

FIELDS = tuple(field.name for field in fields(CollectionFacts))
COLUMNS = ", ".join(FIELDS)

FIND = text(f"SELECT {COLUMNS} FROM collections WHERE org_id = :org_id AND id = :id")  # noqa: S608
LOCK = text(
    f"SELECT {COLUMNS} FROM collections WHERE org_id = :org_id AND id = :id"  # noqa: S608
    " FOR NO KEY UPDATE"
)
LOCK_OF_CREDIT = text(
    f"SELECT {COLUMNS} FROM collections"  # noqa: S608
    " WHERE org_id = :org_id AND credit_id = :credit_id AND reversed_at IS NULL"
    " FOR NO KEY UPDATE"
)
LIST_OF_SESSION = text(
    f"SELECT {COLUMNS} FROM collections WHERE org_id = :org_id AND session_id = :session_id"  # noqa: S608
    " ORDER BY id LIMIT 200"
)
INSERT = InsertMany(
    "collections",
    {
        "id": "uuid",
        "lot_id": "uuid",
        "session_id": "uuid",
        "shift_id": "uuid",
        "rail": "text",
        "amount_vnd": "bigint",
        "receipt_number": "text",
        "reason": "text",
        "credit_id": "uuid",
        "pass_id": "uuid",
        "device_id": "uuid",
        "collected_by": "uuid",
        "collected_at": "timestamptz",
    },
    shared=("org_id", "recorded_at"),
    ending="ON CONFLICT (org_id, id) DO NOTHING RETURNING id",
)
REVERSE = text("""
    UPDATE collections SET reversed_at = :now, reversed_by = :by
    WHERE org_id = :org_id AND id = :id
""")
RAILS_OF_SESSIONS = text("""
    SELECT session_id, array_agg(DISTINCT rail) FROM collections
    WHERE org_id = :org_id AND session_id = ANY(CAST(:ids AS uuid[])) AND reversed_at IS NULL
    GROUP BY session_id
""")
# Of what was paid in money; a pass or an exemption gave none.
LOCK_MONEY = text("""
    SELECT amount_vnd FROM collections
    WHERE org_id = :org_id AND session_id = :session_id AND reversed_at IS NULL
      AND rail = ANY(CAST(:rails AS text[]))
    ORDER BY id FOR NO KEY UPDATE
""")
# The shift is locked: nothing is added to it meanwhile.
SUM_OF_SHIFT = text("""
    SELECT rail, count(*), sum(amount_vnd)::bigint FROM collections
    WHERE org_id = :org_id AND shift_id = :shift_id AND reversed_at IS NULL
    GROUP BY rail
""")
SUM_UNCLEARED = text("""
    SELECT count(*), coalesce(sum(c.amount_vnd), 0)::bigint FROM collections c
    WHERE c.org_id = :org_id AND c.shift_id = :shift_id AND c.rail = 'float'
      AND c.reversed_at IS NULL AND c.bill_id IS NOT DISTINCT FROM CAST(:bill_id AS uuid)
""")
LIST_DEPOSIT_BILLS = text("""
    SELECT DISTINCT bill_id FROM collections
    WHERE org_id = :org_id AND shift_id = :shift_id AND rail = 'float' AND bill_id IS NOT NULL
""")
SET_BILL = text("""
    UPDATE collections SET bill_id = :bill_id
    WHERE org_id = :org_id AND shift_id = :shift_id AND rail = 'float' AND reversed_at IS NULL
      AND bill_id IS NOT DISTINCT FROM CAST(:from_bill_id AS uuid)
""")


async def find_collection(
    session: AsyncSession, org_id: UUID, collection_id: UUID
) -> CollectionFacts | None:
    """Find a collection."""
    rows = await run(session, FIND, {"org_id": org_id, "id": collection_id})
    return CollectionFacts(**dict(zip(FIELDS, rows[0], strict=True))) if rows else None


async def lock_collection(
    session: AsyncSession, org_id: UUID, collection_id: UUID
) -> CollectionFacts:
    """Lock a collection.

    Raises:
        CollectionNotFound
    """
    rows = await run(session, LOCK, {"org_id": org_id, "id": collection_id})
    if not rows:
        raise CollectionNotFound(collection_id)
    return CollectionFacts(**dict(zip(FIELDS, rows[0], strict=True)))


async def lock_of_credit(
    session: AsyncSession, org_id: UUID, credit_id: UUID
) -> CollectionFacts | None:
    """Lock what was collected by a credit on a poster, unless it was reversed."""
    rows = await run(session, LOCK_OF_CREDIT, {"org_id": org_id, "credit_id": credit_id})
    return CollectionFacts(**dict(zip(FIELDS, rows[0], strict=True))) if rows else None


async def list_of_session(
    session: AsyncSession, org_id: UUID, session_id: UUID
) -> list[CollectionFacts]:
    """List what was collected for a session, reversed ones too, oldest first (at most 200)."""
    rows = await run(session, LIST_OF_SESSION, {"org_id": org_id, "session_id": session_id})
    return [CollectionFacts(**dict(zip(FIELDS, row, strict=True))) for row in rows]


async def insert_collections_once(
    session: AsyncSession,
    org_id: UUID,
    collections: Sequence[tuple[NewCollection, str | None]],
    *,
    now: datetime,
) -> set[UUID]:
    """Store collections, each with its receipt's number; return the ids that this call stored."""
    rows = [
        (
            one.id,
            one.lot_id,
            one.session_id,
            one.shift_id,
            one.rail.value,
            one.amount_vnd,
            receipt_number,
            None if one.reason is None else mask_plates(one.reason),
            one.credit_id,
            one.pass_id,
            one.device_id,
            one.collected_by,
            one.collected_at,
        )
        for one, receipt_number in collections
    ]
    stored = await insert_many_returning(session, INSERT, rows, org_id=org_id, recorded_at=now)
    return {row[0] for row in stored}


async def mark_reversed(
    session: AsyncSession, org_id: UUID, collection_id: UUID, *, by: UUID | None, now: datetime
) -> None:
    """Write that a locked collection was reversed."""
    values = {"org_id": org_id, "id": collection_id, "by": by, "now": now}
    await run(session, REVERSE, values)


async def rails_of_sessions(
    session: AsyncSession, org_id: UUID, session_ids: Many[UUID]
) -> dict[UUID, frozenset[str]]:
    """Return the rails of what was collected for each session; those without are left out."""
    rows = await run(session, RAILS_OF_SESSIONS, {"org_id": org_id, "ids": list(session_ids)})
    return {row[0]: frozenset(row[1]) for row in rows}


async def lock_money_of_session(session: AsyncSession, org_id: UUID, session_id: UUID) -> int:
    """Lock what a driver gave for a stay without a bill, and return its sum in đồng."""
    values = {"org_id": org_id, "session_id": session_id, "rails": [one.value for one in MONEY]}
    return sum(row[0] for row in await run(session, LOCK_MONEY, values))


async def sum_of_shift(
    session: AsyncSession, org_id: UUID, shift_id: UUID
) -> dict[str, tuple[int, int]]:
    """Return (count, đồng) of a shift's collections for each rail."""
    rows = await run(session, SUM_OF_SHIFT, {"org_id": org_id, "shift_id": shift_id})
    return {rail: (count, amount_vnd) for rail, count, amount_vnd in rows}


async def sum_float(
    session: AsyncSession, org_id: UUID, shift_id: UUID, *, bill_id: UUID | None
) -> tuple[int, int]:
    """Return (count, đồng) of what a shift paid on behalf, by its deposit bill; None: without."""
    values = {"org_id": org_id, "shift_id": shift_id, "bill_id": bill_id}
    ((count, amount_vnd),) = await run(session, SUM_UNCLEARED, values)
    return count, amount_vnd


async def list_deposit_bills(session: AsyncSession, org_id: UUID, shift_id: UUID) -> list[UUID]:
    """List the deposit bills that a shift's tickets name."""
    rows = await run(session, LIST_DEPOSIT_BILLS, {"org_id": org_id, "shift_id": shift_id})
    return [row[0] for row in rows]


async def set_deposit_bill(
    session: AsyncSession,
    org_id: UUID,
    shift_id: UUID,
    *,
    bill_id: UUID | None,
    from_bill_id: UUID | None,
) -> None:
    """Let the deposit bill of what a shift paid on behalf be another one."""
    values = {
        "org_id": org_id,
        "shift_id": shift_id,
        "bill_id": bill_id,
        "from_bill_id": from_bill_id,
    }
    await run(session, SET_BILL, values)
