"""SQL of leakage: a lot's day, its stays against their photos and their payments."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from core.sql import run
from parking.overview.queries import CLOCKS_APART

COUNT_IN = text("""
    SELECT count(*), count(*) FILTER (WHERE s.entry_photo IS NULL),
           count(s.entry_photo) - count(DISTINCT s.entry_photo)
    FROM parking_sessions s
    WHERE s.org_id = :org_id AND s.lot_id = :lot_id AND s.id >= :first_id AND s.id < :last_id
      AND s.entered_at >= :since AND s.entered_at < :until AND s.status <> 'voided'
""")
# What is still missing: neither paid since then, nor waived.
SUM_OUT = text("""
    SELECT s.exit_reason, count(*), count(*) FILTER (WHERE s.exit_photo IS NULL),
           coalesce(sum(s.price_vnd), 0)::bigint, sum(s.paid_vnd)::bigint,
           sum(s.waived_vnd)::bigint,
           count(*) FILTER (WHERE s.price_vnd > s.paid_vnd + s.waived_vnd),
           coalesce(sum(greatest(s.price_vnd - s.paid_vnd - s.waived_vnd, 0)), 0)::bigint
    FROM parking_sessions s
    WHERE s.org_id = :org_id AND s.lot_id = :lot_id
      AND s.left_at >= :since AND s.left_at < :until AND s.status = 'left'
    GROUP BY s.exit_reason ORDER BY s.exit_reason
""")
# By a command, or as a device reported that was offline: by its time, corrected.
COUNT_BY_HAND = text("""
    SELECT (
        SELECT count(*) FROM lane_commands c
        WHERE c.org_id = :org_id AND c.lot_id = :lot_id AND c.reason IS NOT NULL
          AND c.requested_at >= :since AND c.requested_at < :until)
      + (
        SELECT count(*) FROM movements m
        WHERE m.org_id = :org_id AND m.lot_id = :lot_id AND m.kind = 'manual_open'
          AND m.id >= :first_id AND m.id < :last_id
          AND m.device_at + m.offset_ms * interval '1 ms' >= :since
          AND m.device_at + m.offset_ms * interval '1 ms' < :until
          AND m.verdict IN ('applied', 'unknown_person', 'other_shift'))
""")
# By the log of changes: a sighting inside may be a plate that was read later, or a part.
COUNT_CORRECTED = text("""
    SELECT count(*) FROM parking_sessions s
    JOIN audit_log a ON a.org_id = s.org_id AND a.object_id = s.id
     AND a.action = 'parking_session.corrected'
    WHERE s.org_id = :org_id AND s.lot_id = :lot_id AND s.id >= :first_id AND s.id < :last_id
      AND s.entered_at >= :since AND s.entered_at < :until
""")
SUM_UNDONE = text("""
    SELECT count(*), coalesce(sum(c.amount_vnd), 0)::bigint FROM collections c
    WHERE c.org_id = :org_id AND c.lot_id = :lot_id AND c.rail = 'cash'
      AND c.collected_at >= :since AND c.collected_at < :until AND c.reversed_at IS NOT NULL
""")
LIST_BOOKS = text("""
    SELECT b.id FROM ticket_books b
    WHERE b.org_id = :org_id AND b.lot_id = :lot_id
      AND b.issued_at >= :since AND b.issued_at < :until
    ORDER BY b.id LIMIT 100
""")


async def read_figures(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, since: datetime, until: datetime
) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of each statement about a lot's day, by its name."""
    values = {"org_id": org_id, "lot_id": lot_id, "since": since, "until": until}
    ids = {
        "first_id": first_id_at(since - CLOCKS_APART),
        "last_id": first_id_at(until + CLOCKS_APART),
    }
    return {
        "in": await run(session, COUNT_IN, values | ids),
        "out": await run(session, SUM_OUT, values),
        "by_hand": await run(session, COUNT_BY_HAND, values | ids),
        "corrected": await run(session, COUNT_CORRECTED, values | ids),
        "undone": await run(session, SUM_UNDONE, values),
        "books": await run(session, LIST_BOOKS, values),
    }
