"""SQL of tickets and of what is known about one stay."""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run

OPENS = text("""
    SELECT EXISTS (
        SELECT FROM parking_sessions
        WHERE org_id = :org_id AND id = :id AND ticket_key = :key)
""")
LIST_SIGHTINGS = text("""
    SELECT o.direction, o.seen_at, o.method, o.plate, o.photo, o.seen_by FROM observations o
    WHERE o.org_id = :org_id AND o.session_id = :session_id ORDER BY o.seen_at, o.id LIMIT 50
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """How a vehicle was seen."""

    direction: str
    seen_at: datetime
    method: str
    plate: str | None
    photo: bytes | None
    seen_by: UUID


async def opens(session: AsyncSession, org_id: UUID, session_id: UUID, key: UUID) -> bool:
    """Whether a key is that of a stay's ticket."""
    values = {"org_id": org_id, "id": session_id, "key": key}
    return bool((await run(session, OPENS, values))[0][0])


async def list_sightings(session: AsyncSession, org_id: UUID, session_id: UUID) -> list[Sighting]:
    """List how the vehicle of a stay was seen, in that order (at most 50)."""
    values = {"org_id": org_id, "session_id": session_id}
    names = tuple(field.name for field in fields(Sighting))
    rows = await run(session, LIST_SIGHTINGS, values)
    return [Sighting(**dict(zip(names, row, strict=True))) for row in rows]
