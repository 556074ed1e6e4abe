"""SQL of stays under review: nobody saw the vehicle leave, and it has been inside for too long."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from parking.exits.queries import FIELDS, FROM_SESSION
from parking.exits.rules import StayFacts

_IS_STALE = """
    s.status = 'inside'
    AND greatest(s.entered_at, s.checked_at) < :now - make_interval(hours => l.stale_after_h)
"""
# What is inside is a short table, whatever the history is.
FIND_STALE = text(f"""
    SELECT DISTINCT s.org_id, s.id
    FROM inside i
    JOIN lots l ON l.org_id = i.org_id AND l.id = i.lot_id
    JOIN parking_sessions s ON s.org_id = i.org_id AND s.id = i.session_id
    WHERE i.entered_at < :now - make_interval(hours => l.stale_after_h) AND {_IS_STALE}
    ORDER BY s.org_id, s.id LIMIT :limit
""")  # noqa: S608
# The sessions are locked. Their credentials stay inside, and so does their place in the occupancy.
PUT_UNDER_REVIEW = text(f"""
    UPDATE parking_sessions s SET status = 'review'
    FROM lots l
    WHERE s.org_id = :org_id AND s.id = ANY(CAST(:ids AS uuid[]))
      AND l.org_id = s.org_id AND l.id = s.lot_id AND {_IS_STALE}
    RETURNING s.id
""")  # noqa: S608
LIST_UNDER_REVIEW = text(f"""
    SELECT {FROM_SESSION}
    WHERE s.org_id = :org_id AND s.status = 'review'
      AND (CAST(:lot_id AS uuid) IS NULL OR s.lot_id = :lot_id)
      AND s.id > coalesce(CAST(:after_id AS uuid), '00000000-0000-0000-0000-000000000000')
    ORDER BY s.id LIMIT :limit
""")
IS_LISTED = text("""
    SELECT EXISTS (SELECT FROM inside WHERE org_id = :org_id AND session_id = :id)
""")
FIND_INSIDE_AGAIN = text("""
    UPDATE parking_sessions SET status = 'inside', checked_at = :now
    WHERE org_id = :org_id AND id = :id
""")


async def find_stale(session: AsyncSession, *, limit: int, now: datetime) -> dict[UUID, list[UUID]]:
    """Find stays that are inside for longer than their lots allow (worker: of all organisations).

    Returns:
        Organisation → its stays.
    """
    found: dict[UUID, list[UUID]] = {}
    for org_id, session_id in await run(session, FIND_STALE, {"limit": limit, "now": now}):
        found.setdefault(org_id, []).append(session_id)
    return found


async def put_under_review(
    session: AsyncSession, org_id: UUID, session_ids: Sequence[UUID], *, now: datetime
) -> list[UUID]:
    """Put those of some locked stays under review that are still stale; return them."""
    values = {"org_id": org_id, "ids": list(session_ids), "now": now}
    return [row[0] for row in await run(session, PUT_UNDER_REVIEW, values)]


async def list_under_review(
    session: AsyncSession, org_id: UUID, lot_id: UUID | None, *, after_id: UUID | None, limit: int
) -> list[StayFacts]:
    """List the stays of a lot, or of all lots, that a person is to decide about, oldest first."""
    values = {"org_id": org_id, "lot_id": lot_id, "after_id": after_id, "limit": limit}
    rows = await run(session, LIST_UNDER_REVIEW, values)
    return [StayFacts(**dict(zip(FIELDS, row, strict=True))) for row in rows]


async def is_listed(session: AsyncSession, org_id: UUID, session_id: UUID) -> bool:
    """Tell whether a stay's credentials are inside. Its occupancy is locked."""
    rows = await run(session, IS_LISTED, {"org_id": org_id, "id": session_id})
    return bool(rows[0][0])


async def mark_found_inside(
    session: AsyncSession, org_id: UUID, session_id: UUID, *, now: datetime
) -> None:
    """Write that a person found a locked stay's vehicle inside."""
    await run(session, FIND_INSIDE_AGAIN, {"org_id": org_id, "id": session_id, "now": now})
