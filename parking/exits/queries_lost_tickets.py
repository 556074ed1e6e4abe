"""SQL of tickets that were reported lost."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run

FIND = text("""
    SELECT session_id, photo, reason, reported_by, reported_at FROM lost_tickets
    WHERE org_id = :org_id AND session_id = :session_id
""")
# A photo comes after its report, where there was no network.
KEEP = text("""
    INSERT INTO lost_tickets
        (org_id, session_id, photo, reason, device_id, reported_by, reported_at)
    VALUES (:org_id, :session_id, CAST(:photo AS bytea), CAST(:reason AS text),
            CAST(:device_id AS uuid), :reported_by, :now)
    ON CONFLICT (org_id, session_id) DO UPDATE
    SET photo = coalesce(lost_tickets.photo, excluded.photo)
    RETURNING session_id, photo, reason, reported_by, reported_at
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class LostTicketFacts:
    """A ticket that was reported lost."""

    session_id: UUID
    photo: bytes | None  # of what proves that the vehicle is theirs
    reason: str | None  # why there was none at first
    reported_by: UUID
    reported_at: datetime


async def find_lost_ticket(
    session: AsyncSession, org_id: UUID, session_id: UUID
) -> LostTicketFacts | None:
    """Find the report that a stay's ticket is lost."""
    rows = await run(session, FIND, {"org_id": org_id, "session_id": session_id})
    return _read(rows[0]) if rows else None


async def keep_lost_ticket(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    *,
    photo: bytes | None,
    reason: str | None,
    device_id: UUID | None,
    reported_by: UUID,
    now: datetime,
) -> LostTicketFacts:
    """Write a report, or add the photo to one that has none."""
    values = {
        "org_id": org_id,
        "session_id": session_id,
        "photo": photo,
        "reason": reason,
        "device_id": device_id,
        "reported_by": reported_by,
        "now": now,
    }
    return _read((await run(session, KEEP, values))[0])


def _read(row: tuple[Any, ...]) -> LostTicketFacts:
    session_id, photo, reason, reported_by, reported_at = row
    return LostTicketFacts(
        session_id=session_id,
        photo=None if photo is None else bytes(photo),
        reason=reason,
        reported_by=reported_by,
        reported_at=reported_at,
    )
