"""Barriers opened by hand on a lot's day, each with its reason, its person and its photos."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds
from parking.overview import queries_openings
from parking.photos.queries import find_hashes

SHOWN: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedByHand:
    """One opening, by a command with a reason or as a device reported it."""

    opened_at: datetime
    reason: str  # "" where it was erased
    by: str  # the person, or the device where the person is unknown
    session_id: UUID | None
    photos: tuple[bytes, ...]  # that are still kept


async def list_opened_by_hand(
    session: AsyncSession, org_id: UUID, lot_id: UUID, day: date
) -> list[OpenedByHand]:
    """List the openings by hand of a lot's day, newest first (at most SHOWN)."""
    since, until = day_bounds(day)
    rows = await queries_openings.list_opened_by_hand(
        session, org_id, lot_id, since=since, until=until, limit=SHOWN
    )
    rows = sorted(rows, key=lambda row: row[0], reverse=True)[:SHOWN]
    kept = set(await find_hashes(session, org_id, {one for row in rows for one in row[4] if one}))
    return [
        OpenedByHand(
            opened_at=row[0],
            reason=row[1] or "",
            by=row[2] or "",
            session_id=row[3],
            photos=tuple(one for one in map(bytes, filter(None, row[4])) if one in kept),
        )
        for row in rows
    ]
