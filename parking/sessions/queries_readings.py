"""SQL of readings: what a reader of plates made of the photos at the way in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from core.sql import run
from parking.sessions.rules import ID_AGE_MAX

# A photo whose entry has not come may be of a way out, and there are many of these: they take no
# place of those that can be read. A look at 2,000 takes some 20 ms.
LIST_UNREAD = text("""
    SELECT p.org_id, p.hash FROM (
        SELECT org_id, hash, stored_at FROM photos
        WHERE is_unread AND stored_at > :since ORDER BY stored_at DESC LIMIT 2000) AS p
    WHERE p.stored_at < :until OR EXISTS (
        SELECT FROM observations o
        WHERE o.org_id = p.org_id AND o.photo = p.hash AND o.direction = 'in'
          AND o.candidates IS NULL AND o.session_id IS NOT NULL)
    ORDER BY p.stored_at DESC LIMIT :limit
""")
FIND_ENTRIES = text("""
    SELECT o.id, o.lot_id, o.session_id, o.access_id, o.device_id, o.seen_by FROM observations o
    WHERE o.org_id = :org_id AND o.photo = :photo AND o.direction = 'in'
      AND o.candidates IS NULL AND o.session_id IS NOT NULL
    ORDER BY o.id LIMIT 5
""")
# A sighting of its own, whose id follows from the entry's: read twice, it is written once.
INSERT_READING = text("""
    INSERT INTO observations (
        org_id, id, lot_id, session_id, access_id, direction, method, read_text, read_score_bps,
        candidates, photo, device_id, seen_by, seen_at)
    VALUES (:org_id, :id, :lot_id, :session_id, :access_id, 'in', 'anpr', :read_text,
            :read_score_bps, :candidates, :photo, :device_id, :seen_by, :now)
    ON CONFLICT DO NOTHING
""").bindparams(bindparam("candidates", type_=JSON))
FIND_READING = text("""
    SELECT o.candidates FROM observations o
    WHERE o.org_id = :org_id AND o.session_id = :session_id AND o.candidates IS NOT NULL
    ORDER BY o.id LIMIT 1
""")
# Right: what was read best is the plate that a person has accepted, whether typed or confirmed.
COUNT_READINGS = text("""
    SELECT count(*) FILTER (WHERE best = plate),
           count(*) FILTER (WHERE best <> plate),
           count(*) FILTER (WHERE best IS NULL),
           count(*) FILTER (WHERE best IS NOT NULL AND plate IS NULL)
    FROM (
        SELECT o.candidates -> 0 ->> 'plate' AS best, s.plate FROM observations o
        JOIN parking_sessions s ON s.org_id = o.org_id AND s.id = o.session_id
        WHERE o.org_id = :org_id AND o.lot_id = :lot_id AND o.candidates IS NOT NULL
          AND o.seen_at >= :since AND o.id >= :first_id AND s.id >= :first_id
          AND s.status <> 'voided') AS reading
""")


async def list_unread(
    session: AsyncSession, *, since: datetime, until: datetime, limit: int
) -> Sequence[tuple[UUID, bytes]]:
    """List (organisation, hash) of a gate's pictures that nobody read, newest first.

    As role worker. Those of an entry, and those stored before `until`, which no entry will name.
    """
    values = {"since": since, "until": until, "limit": limit}
    return [(row[0], bytes(row[1])) for row in await run(session, LIST_UNREAD, values)]


async def find_entries(
    session: AsyncSession, org_id: UUID, photo: bytes
) -> Sequence[tuple[UUID, UUID, UUID, UUID | None, UUID | None, UUID]]:
    """Find (id, lot, stay, lane, device, seen by) of entries that name a photo."""
    return await run(session, FIND_ENTRIES, {"org_id": org_id, "photo": photo})


async def insert_reading_once(session: AsyncSession, **facts: Any) -> None:
    """Keep what was read for one entry."""
    await session.execute(INSERT_READING, facts)


async def find_reading(session: AsyncSession, org_id: UUID, session_id: UUID) -> list[Any]:
    """Return the candidates of a stay's photo, the best first; none: not read, or nothing in it."""
    rows = await run(session, FIND_READING, {"org_id": org_id, "session_id": session_id})
    return list(rows[0][0]) if rows else []


async def count_readings(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, since: datetime
) -> tuple[int, int, int, int]:
    """Count a lot's readings: (right, corrected, nothing read, not confirmed)."""
    first_id = first_id_at(since - ID_AGE_MAX)  # older months are not looked at
    values = {"org_id": org_id, "lot_id": lot_id, "since": since, "first_id": first_id}
    ((right, corrected, not_read, waiting),) = await run(session, COUNT_READINGS, values)
    return right, corrected, not_read, waiting
