"""SQL of what others read: APDS sessions and observations, and free spaces for everybody."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from core.sql import run
from parking.overview.queries import CLOCKS_APART

# In the order of ids, which is that of time: a reader goes on after the last one that it has.
LIST_SESSIONS = text("""
    SELECT s.id, s.lot_id, s.vehicle_class, s.plate, s.ticket, s.status, s.entered_at, s.left_at,
           s.pass_id, s.tariff_version_id, s.price_vnd, s.paid_vnd
    FROM parking_sessions s
    WHERE s.org_id = :org_id AND s.id > :after AND s.id < :last_id
      AND s.entered_at >= :since AND s.entered_at < :until
    ORDER BY s.id LIMIT :limit
""")
LIST_OBSERVATIONS = text("""
    SELECT o.id, o.lot_id, o.session_id, o.access_id, o.direction, o.method, o.plate, o.photo,
           o.seen_at
    FROM observations o
    WHERE o.org_id = :org_id AND o.id > :after AND o.id < :last_id
      AND o.seen_at >= :since AND o.seen_at < :until
    ORDER BY o.id LIMIT :limit
""")
LIST_FREE = text("""
    SELECT l.id, l.name, l.address, l.kind, l.latitude_e6, l.longitude_e6, o.vehicle_class,
           o.capacity, o.inside_count
    FROM lots l JOIN occupancy o ON o.org_id = l.org_id AND o.lot_id = l.id
    WHERE l.org_id = :org_id AND l.closed_at IS NULL AND l.latitude_e6 IS NOT NULL
    ORDER BY l.id, o.vehicle_class LIMIT :limit
""")


async def list_sessions(
    session: AsyncSession,
    org_id: UUID,
    *,
    since: datetime,
    until: datetime,
    after: UUID | None,
    limit: int,
) -> list[tuple[Any, ...]]:
    """List the stays that began in [since, until), oldest first, after one of them."""
    return await run(
        session, LIST_SESSIONS, _values(org_id, since, until, after=after, limit=limit)
    )


async def list_observations(
    session: AsyncSession,
    org_id: UUID,
    *,
    since: datetime,
    until: datetime,
    after: UUID | None,
    limit: int,
) -> list[tuple[Any, ...]]:
    """List sightings in [since, until), oldest first, after one of them."""
    return await run(
        session, LIST_OBSERVATIONS, _values(org_id, since, until, after=after, limit=limit)
    )


async def list_free(session: AsyncSession, org_id: UUID, *, limit: int) -> list[tuple[Any, ...]]:
    """List the classes of each open lot that has a position."""
    return await run(session, LIST_FREE, {"org_id": org_id, "limit": limit})


def _values(
    org_id: UUID, since: datetime, until: datetime, *, after: UUID | None, limit: int
) -> dict[str, Any]:
    return {
        "org_id": org_id,
        "after": after or first_id_at(since - CLOCKS_APART),
        "last_id": first_id_at(until + CLOCKS_APART),
        "since": since,
        "until": until,
        "limit": limit,
    }
