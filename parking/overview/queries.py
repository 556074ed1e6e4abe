"""SQL of lists of parking sessions, and of one with its evidence."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from core.sql import run
from parking.collections.rules import MONEY

# Partitions are found by ids, which the clocks of phones make: they may be hours off.
CLOCKS_APART: Final = timedelta(hours=36)
COLUMNS: Final = """
    s.id, s.lot_id, l.name, s.vehicle_class, s.plate, s.ticket, s.status, s.entered_at, s.left_at,
    s.exit_reason, s.price_vnd, s.paid_vnd, s.waived_vnd, s.arrears_vnd, s.pass_id
"""
CONDITIONS: Final = {
    "lot_id": "s.lot_id = :lot_id",
    "vehicle_class": "s.vehicle_class = :vehicle_class",
    "status": "s.status = :status",
    "plate": "s.plate = :plate",
    "tail": "s.plate LIKE '%' || CAST(:tail AS text)",
    "ticket": "s.ticket = :ticket",
    "before_id": "s.id < :before_id",
    "owing": "s.arrears_vnd > :owing",
}

FIND_STAY = text("""
    SELECT s.id, s.lot_id, l.name, s.vehicle_class, s.plate, s.ticket, s.status, s.entered_at,
           s.left_at, s.exit_reason, s.price_vnd, s.paid_vnd, s.waived_vnd, s.arrears_vnd,
           s.pass_id, s.entry_time_is, ai.name, ao.name, pi.display_name, po.display_name,
           s.entry_photo, s.exit_photo, s.bill_id, s.bill_paid_vnd, s.paid_until,
           s.tariff_version_id
    FROM parking_sessions s
    JOIN lots l ON l.org_id = s.org_id AND l.id = s.lot_id
    LEFT JOIN parking_accesses ai ON ai.org_id = s.org_id AND ai.id = s.entry_access_id
    LEFT JOIN parking_accesses ao ON ao.org_id = s.org_id AND ao.id = s.exit_access_id
    LEFT JOIN staff pi ON pi.org_id = s.org_id AND pi.id = s.entry_by
    LEFT JOIN staff po ON po.org_id = s.org_id AND po.id = s.exit_by
    WHERE s.org_id = :org_id AND s.id = :id
""")
LIST_SIGHTINGS = text("""
    SELECT o.direction, o.method, o.plate, o.read_text, o.read_score_bps, o.photo, o.seen_at,
           p.display_name
    FROM observations o LEFT JOIN staff p ON p.org_id = o.org_id AND p.id = o.seen_by
    WHERE o.org_id = :org_id AND o.session_id = :id
    ORDER BY o.seen_at, o.id LIMIT 100
""")
LIST_COLLECTIONS = text("""
    SELECT c.rail, c.amount_vnd, c.receipt_number, c.reason, c.collected_at, c.reversed_at,
           p.display_name
    FROM collections c LEFT JOIN staff p ON p.org_id = c.org_id AND p.id = c.collected_by
    WHERE c.org_id = :org_id AND c.session_id = :id
    ORDER BY c.id LIMIT 100
""")
LIST_BILLS = text("""
    SELECT b.id, b.reference, b.status, b.amount_vnd, b.paid_vnd, b.created_at FROM bills b
    WHERE b.org_id = :org_id AND b.owner_id = :id AND b.owner_kind = 'parking_session'
    ORDER BY b.id LIMIT 100
""")
# Those under review are few, whatever the history is (ix_parking_sessions_review).
_WITH_ENTRY: Final = f"""
    SELECT {COLUMNS}, s.entry_photo, p.display_name FROM parking_sessions s
    JOIN lots l ON l.org_id = s.org_id AND l.id = s.lot_id
    LEFT JOIN staff p ON p.org_id = s.org_id AND p.id = s.entry_by
"""  # noqa: S608
LIST_REVIEWS = text(f"""
    {_WITH_ENTRY}
    WHERE s.org_id = :org_id AND s.status = 'review'
      AND (CAST(:lot_id AS uuid) IS NULL OR s.lot_id = :lot_id)
      AND s.id > coalesce(CAST(:after_id AS uuid), '00000000-0000-0000-0000-000000000000')
    ORDER BY s.id LIMIT :limit
""")
# What came in shortly before and after a stay, at its lot: bounded by the lot's traffic.
LIST_NEAR = text(f"""
    (SELECT * FROM ({_WITH_ENTRY}
        WHERE s.org_id = :org_id AND s.lot_id = :lot_id AND s.id < :id AND s.id >= :first_id
          AND s.vehicle_class = :vehicle_class AND s.status IN ('inside', 'review')
        ORDER BY s.id DESC LIMIT :limit) AS before)
    UNION ALL
    (SELECT * FROM ({_WITH_ENTRY}
        WHERE s.org_id = :org_id AND s.lot_id = :lot_id AND s.id > :id AND s.id < :last_id
          AND s.vehicle_class = :vehicle_class AND s.status IN ('inside', 'review')
        ORDER BY s.id LIMIT :limit) AS after)
""")  # noqa: S608

# What paid for a stay that was joined into another paid for the kept one.
SUM_RAILS = text("""
    WITH own AS (
        SELECT t.id AS kept_id, t.id FROM unnest(CAST(:ids AS uuid[])) AS t (id)
        WHERE NOT EXISTS (
            SELECT FROM stay_links k
            WHERE k.org_id = :org_id AND k.other_id = t.id AND k.kind = 'joined')
        UNION ALL
        SELECT k.kept_id, k.other_id FROM stay_links k
        WHERE k.org_id = :org_id AND k.kept_id = ANY(CAST(:ids AS uuid[])) AND k.kind = 'joined')
    SELECT own.kept_id, p.rail, sum(p.amount_vnd)::bigint
    FROM own
    JOIN bills b ON b.org_id = :org_id AND b.owner_id = own.id
     AND b.owner_kind = 'parking_session'
    JOIN payments p ON p.org_id = b.org_id AND p.bill_id = b.id AND p.reversed_at IS NULL
    GROUP BY own.kept_id, p.rail
    UNION ALL
    SELECT own.kept_id, c.rail, sum(c.amount_vnd)::bigint
    FROM own
    JOIN collections c ON c.org_id = :org_id AND c.session_id = own.id
    WHERE c.reversed_at IS NULL AND c.rail = ANY(CAST(:money AS text[]))
    GROUP BY own.kept_id, c.rail
""")


@cache
def select_stays(names: frozenset[str]) -> TextClause:
    """Return the list's statement with some of its conditions: each has a plan of its own."""
    conditions = "".join(f" AND {CONDITIONS[name]}" for name in sorted(names))
    return text(f"""
        SELECT {COLUMNS} FROM parking_sessions s
        JOIN lots l ON l.org_id = s.org_id AND l.id = s.lot_id
        WHERE s.org_id = :org_id AND s.id >= :first_id AND s.id < :last_id
          AND s.entered_at >= :since AND s.entered_at < :until{conditions}
        ORDER BY s.id DESC LIMIT :limit
    """)  # noqa: S608


async def list_stays(
    session: AsyncSession,
    org_id: UUID,
    *,
    since: datetime,
    until: datetime,
    filters: Mapping[str, Any],
    limit: int,
) -> list[tuple[Any, ...]]:
    """List stays that began in [since, until), newest first; every filter given must hold.

    Args:
        filters: names of CONDITIONS with their values.
    """
    values = {
        **filters,
        "org_id": org_id,
        "first_id": first_id_at(since - CLOCKS_APART),
        "last_id": first_id_at(until + CLOCKS_APART),
        "since": since,
        "until": until,
        "limit": limit,
    }
    return await run(session, select_stays(frozenset(filters)), values)


async def find_stay(session: AsyncSession, org_id: UUID, id_: UUID) -> tuple[Any, ...] | None:
    """Find a stay with the names of who and what it names."""
    rows = await run(session, FIND_STAY, {"org_id": org_id, "id": id_})
    return rows[0] if rows else None


async def list_sightings(session: AsyncSession, org_id: UUID, id_: UUID) -> list[tuple[Any, ...]]:
    """List the sightings of a stay, oldest first."""
    return await run(session, LIST_SIGHTINGS, {"org_id": org_id, "id": id_})


async def list_collections(session: AsyncSession, org_id: UUID, id_: UUID) -> list[tuple[Any, ...]]:
    """List what was collected for a stay, reversed ones too, oldest first."""
    return await run(session, LIST_COLLECTIONS, {"org_id": org_id, "id": id_})


async def list_bills(session: AsyncSession, org_id: UUID, id_: UUID) -> list[tuple[Any, ...]]:
    """List the bills of a stay, oldest first."""
    return await run(session, LIST_BILLS, {"org_id": org_id, "id": id_})


async def list_reviews(
    session: AsyncSession,
    org_id: UUID,
    *,
    lot_id: UUID | None,
    after_id: UUID | None,
    limit: int,
) -> list[tuple[Any, ...]]:
    """List stays under review with their entry's photo and person, oldest first."""
    values = {"org_id": org_id, "lot_id": lot_id, "after_id": after_id, "limit": limit}
    return await run(session, LIST_REVIEWS, values)


async def list_near(
    session: AsyncSession,
    org_id: UUID,
    *,
    id_: UUID,
    lot_id: UUID,
    vehicle_class: str,
    entered_at: datetime,
    within: timedelta,
    limit: int,
) -> list[tuple[Any, ...]]:
    """List who came in shortly before and after a stay and is inside still, nearest ids first."""
    values = {
        "org_id": org_id,
        "id": id_,
        "lot_id": lot_id,
        "vehicle_class": vehicle_class,
        "first_id": first_id_at(entered_at - within),
        "last_id": first_id_at(entered_at + within),
        "limit": limit,
    }
    return await run(session, LIST_NEAR, values)


async def sum_rails(
    session: AsyncSession, org_id: UUID, ids: Collection[UUID]
) -> dict[UUID, dict[str, int]]:
    """Return what was paid in money for each stay by each rail, in đồng: {stay: {rail: đồng}}."""
    values = {"org_id": org_id, "ids": list(ids), "money": [one.value for one in MONEY]}
    found: dict[UUID, dict[str, int]] = {}
    for session_id, rail, amount_vnd in await run(session, SUM_RAILS, values):
        of_stay = found.setdefault(session_id, {})
        of_stay[rail] = of_stay.get(rail, 0) + amount_vnd
    return found
