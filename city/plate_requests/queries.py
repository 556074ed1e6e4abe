"""SQL of a person's request: what is held about a plate, and erasing it."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run, send

LIST_OF_PLATE = text("""
    SELECT s.id, l.name, s.vehicle_class, s.entered_at, s.left_at, s.status, s.arrears_vnd,
           s.price_vnd, s.paid_vnd, s.entry_photo, s.exit_photo
    FROM parking_sessions s JOIN lots l ON l.org_id = s.org_id AND l.id = s.lot_id
    WHERE s.org_id = :org_id AND s.plate = :plate
      AND (CAST(:vehicle_class AS text) IS NULL OR s.vehicle_class = :vehicle_class)
    ORDER BY s.id DESC LIMIT :limit
""")
COUNT_ELSEWHERE = text("""
    SELECT (SELECT count(*) FROM pass_plates v WHERE v.org_id = :org_id AND v.plate = :plate),
           (SELECT count(*) FROM watched_plates w
            WHERE w.org_id = :org_id AND w.plate = :plate AND w.removed_at IS NULL)
""")
LIST_PHOTOS = text("""
    SELECT entry_photo FROM parking_sessions
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[])) AND entry_photo IS NOT NULL
    UNION
    SELECT exit_photo FROM parking_sessions
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[])) AND exit_photo IS NOT NULL
    UNION
    SELECT photo FROM observations
    WHERE org_id = :org_id AND session_id = ANY(CAST(:ids AS uuid[])) AND photo IS NOT NULL
""")
# A stay keeps its times, its price and what was paid.
ERASE_SESSIONS = text("""
    UPDATE parking_sessions
    SET plate = NULL, ticket = coalesce(ticket, 'erased'),
        ticket_kind = coalesce(ticket_kind, 'ticket'), entry_photo = NULL, exit_photo = NULL
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
""")
ERASE_SIGHTINGS = text("""
    UPDATE observations
    SET plate = NULL, read_text = NULL, photo = NULL, candidates = NULL
    WHERE org_id = :org_id AND session_id = ANY(CAST(:ids AS uuid[]))
""")
LOCK_ENDED = text("""
    SELECT id FROM parking_sessions
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
      AND status IN ('left', 'voided') AND arrears_vnd = 0 AND left_at < :before
    ORDER BY id FOR NO KEY UPDATE
""")


async def list_of_plate(
    session: AsyncSession, org_id: UUID, plate: str, vehicle_class: str | None, *, limit: int
) -> list[tuple[Any, ...]]:
    """List the stays of a plate, newest first."""
    values = {"org_id": org_id, "plate": plate, "vehicle_class": vehicle_class, "limit": limit}
    return await run(session, LIST_OF_PLATE, values)


async def count_elsewhere(session: AsyncSession, org_id: UUID, plate: str) -> tuple[int, int]:
    """Count the passes and the watch list entries of a plate."""
    ((passes, watched),) = await run(session, COUNT_ELSEWHERE, {"org_id": org_id, "plate": plate})
    return passes, watched


async def lock_ended(
    session: AsyncSession, org_id: UUID, ids: Collection[UUID], *, before: datetime
) -> list[UUID]:
    """Lock those of some stays that ended before an instant and owe nothing."""
    values = {"org_id": org_id, "ids": list(ids), "before": before}
    return [row[0] for row in await run(session, LOCK_ENDED, values)]


async def list_photos(session: AsyncSession, org_id: UUID, ids: Collection[UUID]) -> list[bytes]:
    """List the photos of some stays."""
    rows = await run(session, LIST_PHOTOS, {"org_id": org_id, "ids": list(ids)})
    return [bytes(row[0]) for row in rows]


async def erase(session: AsyncSession, org_id: UUID, ids: Collection[UUID]) -> None:
    """Take plates and photos off some stays, which are locked, and off their sightings."""
    values = {"org_id": org_id, "ids": list(ids)}
    await send(session, ERASE_SIGHTINGS, values)
    await send(session, ERASE_SESSIONS, values)
