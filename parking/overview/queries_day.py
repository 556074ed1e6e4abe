"""SQL of a lot's day: in and out by the hour, takings, alarms, shifts. All bounded by the lot."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from core.sql import run
from parking.overview.queries import CLOCKS_APART

COUNT_IN = text("""
    SELECT extract(hour FROM s.entered_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::int AS hour, count(*)
    FROM parking_sessions s
    WHERE s.org_id = :org_id AND s.lot_id = :lot_id AND s.id >= :first_id AND s.id < :last_id
      AND s.entered_at >= :since AND s.entered_at < :until AND s.status <> 'voided'
    GROUP BY hour
""")
COUNT_OUT = text("""
    SELECT extract(hour FROM s.left_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::int AS hour,
           count(*) FILTER (WHERE s.status <> 'voided'),
           sum(s.arrears_vnd)::bigint
    FROM parking_sessions s
    WHERE s.org_id = :org_id AND s.lot_id = :lot_id
      AND s.left_at >= :since AND s.left_at < :until
    GROUP BY hour
""")
# A stay without money on its bills has none to look for.
SUM_BILLED = text("""
    SELECT p.rail, count(DISTINCT s.id), sum(p.amount_vnd)::bigint
    FROM parking_sessions s
    JOIN bills b ON b.org_id = s.org_id AND b.owner_id = s.id AND b.owner_kind = 'parking_session'
    JOIN payments p ON p.org_id = b.org_id AND p.bill_id = b.id AND p.reversed_at IS NULL
    WHERE s.org_id = :org_id AND s.lot_id = :lot_id
      AND s.left_at >= :since AND s.left_at < :until AND s.bill_paid_vnd > 0
    GROUP BY p.rail
""")
SUM_BY_RAIL = text("""
    SELECT rail, count(*), sum(amount_vnd)::bigint FROM collections
    WHERE org_id = :org_id AND lot_id = :lot_id AND collected_at >= :since AND collected_at < :until
      AND reversed_at IS NULL
    GROUP BY rail
""")
# Watched plates are few, and each is one look at the key of `inside`.
LIST_WATCHED = text("""
    SELECT i.session_id, i.entered_at, w.reason FROM watched_plates w
    JOIN inside i ON i.org_id = w.org_id AND i.lot_id = :lot_id AND i.kind = 'plate'
        AND i.credential = w.vehicle_class || ':' || w.plate
    WHERE w.org_id = :org_id AND w.approved_at IS NOT NULL AND w.removed_at IS NULL
      AND CAST(:today AS date) BETWEEN w.from_on AND w.expires_on
    ORDER BY i.entered_at DESC LIMIT 50
""")
LIST_LONG_INSIDE = text("""
    SELECT i.session_id, min(i.entered_at) AS since FROM inside i
    WHERE i.org_id = :org_id AND i.lot_id = :lot_id AND i.entered_at < :before
    GROUP BY i.session_id ORDER BY since LIMIT 50
""")
LIST_DIFFERED = text("""
    SELECT DISTINCT s.id, s.left_at FROM parking_sessions s
    JOIN observations o ON o.org_id = s.org_id AND o.session_id = s.id
        AND o.direction = 'out' AND o.plate <> s.plate
    WHERE s.org_id = :org_id AND s.lot_id = :lot_id
      AND s.left_at >= :since AND s.left_at < :until
    ORDER BY s.left_at DESC LIMIT 50
""")
LIST_SHIFTS = text("""
    SELECT h.id, p.display_name, h.opened_at, h.closed_at, h.counted_vnd, h.expected_vnd
    FROM shifts h JOIN staff p ON p.org_id = h.org_id AND p.id = h.staff_id
    WHERE h.org_id = :org_id AND h.lot_id = :lot_id
    ORDER BY h.id DESC LIMIT 30
""")
LIST_OPEN_SHIFTS = text("""
    SELECT h.id, p.display_name, h.opened_at, h.closed_at, h.counted_vnd, h.expected_vnd
    FROM shifts h JOIN staff p ON p.org_id = h.org_id AND p.id = h.staff_id
    WHERE h.org_id = :org_id AND h.lot_id = :lot_id AND h.closed_at IS NULL
    ORDER BY h.id DESC LIMIT 100
""")
LIST_POSTER_SALES = text("""
    SELECT c.collected_at, c.amount_vnd, c.reversed_at IS NOT NULL, p.display_name, h.opened_at
    FROM collections c
    LEFT JOIN shifts h ON h.org_id = c.org_id AND h.id = c.shift_id
    LEFT JOIN staff p ON p.org_id = h.org_id AND p.id = h.staff_id
    WHERE c.org_id = :org_id AND c.lot_id = :lot_id AND c.rail = 'poster'
      AND c.collected_at >= :since
    ORDER BY c.collected_at DESC LIMIT 50
""")


async def count_in(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, since: datetime, until: datetime
) -> dict[int, int]:
    """Count entries by the hour of Hà Nội's clock."""
    values = {
        "org_id": org_id,
        "lot_id": lot_id,
        "since": since,
        "until": until,
        "first_id": first_id_at(since - CLOCKS_APART),
        "last_id": first_id_at(until + CLOCKS_APART),
    }
    return {row[0]: row[1] for row in await run(session, COUNT_IN, values)}


async def count_out(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, since: datetime, until: datetime
) -> list[tuple[int, int, int]]:
    """Return, by the hour, (hour, exits, left unpaid)."""
    values = {"org_id": org_id, "lot_id": lot_id, "since": since, "until": until}
    return [(row[0], row[1], row[2]) for row in await run(session, COUNT_OUT, values)]


async def sum_billed(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, since: datetime, until: datetime
) -> dict[str, tuple[int, int]]:
    """Return (how many, đồng) of what the bills of those who left were paid, by rail."""
    values = {"org_id": org_id, "lot_id": lot_id, "since": since, "until": until}
    return {row[0]: (row[1], row[2]) for row in await run(session, SUM_BILLED, values)}


async def sum_by_rail(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, since: datetime, until: datetime
) -> dict[str, tuple[int, int]]:
    """Return (how many, đồng) of each rail's collections."""
    values = {"org_id": org_id, "lot_id": lot_id, "since": since, "until": until}
    return {row[0]: (row[1], row[2]) for row in await run(session, SUM_BY_RAIL, values)}


async def list_watched(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, today: Any
) -> list[tuple[Any, ...]]:
    """List (session, since, reason) of watched vehicles that are inside."""
    values = {"org_id": org_id, "lot_id": lot_id, "today": today}
    return await run(session, LIST_WATCHED, values)


async def list_long_inside(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, before: datetime
) -> list[tuple[Any, ...]]:
    """List (session, since) of vehicles that came in before an instant and never left."""
    values = {"org_id": org_id, "lot_id": lot_id, "before": before}
    return await run(session, LIST_LONG_INSIDE, values)


async def list_differed(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, since: datetime, until: datetime
) -> list[tuple[Any, ...]]:
    """List (session, when) of vehicles that left under another plate than they came by."""
    values = {"org_id": org_id, "lot_id": lot_id, "since": since, "until": until}
    return await run(session, LIST_DIFFERED, values)


async def list_shifts(session: AsyncSession, org_id: UUID, lot_id: UUID) -> list[tuple[Any, ...]]:
    """List (id, whose, opened, closed, counted, expected) of a lot's last shifts."""
    return await run(session, LIST_SHIFTS, {"org_id": org_id, "lot_id": lot_id})


async def list_poster_sales(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, since: datetime
) -> list[tuple[Any, ...]]:
    """List (when, đồng, is it reversed, whose shift, opened) of what a lot's poster brought."""
    values = {"org_id": org_id, "lot_id": lot_id, "since": since}
    return await run(session, LIST_POSTER_SALES, values)


async def list_open_shifts(
    session: AsyncSession, org_id: UUID, lot_id: UUID
) -> list[tuple[Any, ...]]:
    """List (id, whose, opened, …) of the shifts that run at a lot, newest first."""
    return await run(session, LIST_OPEN_SHIFTS, {"org_id": org_id, "lot_id": lot_id})
