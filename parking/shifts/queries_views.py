"""SQL of the hand-over report. The sessions of a shift lie between its open and its close."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from core.sql import run

COUNT_ENTERED = text("""
    SELECT count(*), count(*) FILTER (WHERE is_photo_missing) FROM parking_sessions
    WHERE org_id = :org_id AND lot_id = :lot_id AND id >= :floor AND entry_shift_id = :shift_id
      AND status <> 'voided'
""")
SUM_LEFT = text("""
    SELECT exit_reason, count(*), coalesce(sum(price_vnd), 0)::bigint,
           coalesce(sum(greatest(price_vnd - paid_vnd - waived_vnd, 0)), 0)::bigint
    FROM parking_sessions
    WHERE org_id = :org_id AND lot_id = :lot_id AND left_at >= :since AND exit_shift_id = :shift_id
    GROUP BY exit_reason
""")
# With the bills of what was joined into a stay: they paid for it. The rest of a short bill that
# somebody took in cash is not in this shift's bag.
SUM_BILLED = text("""
    SELECT p.rail, count(DISTINCT s.id), sum(p.amount_vnd)::bigint
    FROM parking_sessions s
    CROSS JOIN LATERAL (
        SELECT s.id
        UNION ALL
        SELECT k.other_id FROM stay_links k
        WHERE k.org_id = s.org_id AND k.kept_id = s.id AND k.kind = 'joined') AS own (id)
    JOIN bills b ON b.org_id = s.org_id AND b.owner_id = own.id
     AND b.owner_kind = 'parking_session'
    JOIN payments p ON p.org_id = b.org_id AND p.bill_id = b.id AND p.reversed_at IS NULL
    WHERE s.org_id = :org_id AND s.lot_id = :lot_id AND s.left_at >= :since
      AND s.exit_shift_id = :shift_id AND s.paid_vnd > 0 AND p.rail <> 'cash'
    GROUP BY p.rail
""")
# A vehicle that was let out by hand counts once, though its barrier was opened by a command, too.
COUNT_OPENED_BY_HAND = text("""
    SELECT h.id,
        (SELECT count(*) FROM parking_sessions s
         WHERE s.org_id = h.org_id AND s.exit_shift_id = h.id AND s.exit_reason = 'manual')
      + (SELECT count(*) FROM lane_commands c
         WHERE c.org_id = h.org_id AND c.lot_id = h.lot_id AND c.reason IS NOT NULL
           AND c.requested_by = h.staff_id AND c.requested_at >= h.opened_at
           AND c.requested_at < coalesce(h.closed_at, 'infinity')
           AND NOT EXISTS (
               SELECT FROM parking_sessions s
               WHERE s.org_id = c.org_id AND s.id = c.session_id
                 AND s.exit_shift_id = h.id AND s.exit_reason = 'manual'))
      + (SELECT count(*) FROM movements m
         WHERE m.org_id = h.org_id AND m.lot_id = h.lot_id AND m.kind = 'manual_open'
           AND m.id >= :floor AND m.verdict = 'applied'
           AND lower(m.body #>> '{data,shift_id}') = h.id::text)
    FROM shifts h
    WHERE h.org_id = :org_id AND h.id = ANY(CAST(:shift_ids AS uuid[]))
""")
SUM_INSIDE = text("""
    SELECT vehicle_class, inside_count FROM occupancy
    WHERE org_id = :org_id AND lot_id = :lot_id ORDER BY vehicle_class
""")
SUM_REVERSED = text("""
    SELECT count(*), coalesce(sum(amount_vnd), 0)::bigint FROM collections
    WHERE org_id = :org_id AND shift_id = :shift_id AND reversed_at IS NOT NULL
""")
SUM_DEPOSITED = text("""
    SELECT coalesce(sum(c.amount_vnd), 0)::bigint
    FROM collections c JOIN bills b ON b.org_id = c.org_id AND b.id = c.bill_id
    WHERE c.org_id = :org_id AND c.shift_id = :shift_id AND c.reversed_at IS NULL
      AND b.status IN ('paid', 'over_paid')
""")


async def count_entered(
    session: AsyncSession, org_id: UUID, lot_id: UUID, shift_id: UUID, *, since: datetime
) -> tuple[int, int]:
    """Count who came in during a shift, by ids made since then, and who lack a required photo."""
    values = {"org_id": org_id, "lot_id": lot_id, "shift_id": shift_id}
    rows = await run(session, COUNT_ENTERED, values | {"floor": first_id_at(since)})
    return int(rows[0][0]), int(rows[0][1])


async def sum_left(
    session: AsyncSession, org_id: UUID, lot_id: UUID, shift_id: UUID, *, since: datetime
) -> dict[str, tuple[int, int, int]]:
    """Return (count, price, owed) in đồng of who left in a shift, by the reason."""
    values = {"org_id": org_id, "lot_id": lot_id, "shift_id": shift_id, "since": since}
    rows = await run(session, SUM_LEFT, values)
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


async def sum_billed(
    session: AsyncSession, org_id: UUID, lot_id: UUID, shift_id: UUID, *, since: datetime
) -> dict[str, tuple[int, int]]:
    """Return (how many, đồng) of what the bills of who left in a shift were paid, by rail."""
    values = {"org_id": org_id, "lot_id": lot_id, "shift_id": shift_id, "since": since}
    return {row[0]: (row[1], row[2]) for row in await run(session, SUM_BILLED, values)}


async def count_opened_by_hand(
    session: AsyncSession, org_id: UUID, shift_ids: Collection[UUID], *, since: datetime
) -> dict[UUID, int]:
    """Return how many barriers were opened by hand in each shift.

    Args:
        since: what devices reported under older ids is not looked at.
    """
    values = {"org_id": org_id, "shift_ids": list(shift_ids), "floor": first_id_at(since)}
    return {row[0]: row[1] for row in await run(session, COUNT_OPENED_BY_HAND, values)}


async def list_inside(session: AsyncSession, org_id: UUID, lot_id: UUID) -> dict[str, int]:
    """Return how many of each class are inside a lot."""
    rows = await run(session, SUM_INSIDE, {"org_id": org_id, "lot_id": lot_id})
    return {row[0]: row[1] for row in rows}


async def sum_reversed(session: AsyncSession, org_id: UUID, shift_id: UUID) -> tuple[int, int]:
    """Return (count, đồng) of what was reversed in a shift."""
    ((count, amount_vnd),) = await run(
        session, SUM_REVERSED, {"org_id": org_id, "shift_id": shift_id}
    )
    return count, amount_vnd


async def sum_deposited(session: AsyncSession, org_id: UUID, shift_id: UUID) -> int:
    """Return how much of what a shift paid on behalf its deposit bills have cleared, in đồng."""
    rows = await run(session, SUM_DEPOSITED, {"org_id": org_id, "shift_id": shift_id})
    return int(rows[0][0])
