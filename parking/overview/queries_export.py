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
           s.pass_id, s.tariff_version_id, s.price_vnd, s.paid_vnd, s.waived_vnd
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
# Of a tariff the latest version that has begun is in force (parking/tariffs/views.py).
LIST_RATES = text("""
    SELECT v.id, v.version, t.name, v.tariff_id, v.valid_from, v.legal_basis, v.document,
           CASE WHEN v.withdrawn_at IS NOT NULL THEN 'withdrawn'
                WHEN v.valid_from > :now THEN 'ahead'
                WHEN EXISTS (
                    SELECT FROM tariff_versions w
                    WHERE w.org_id = v.org_id AND w.tariff_id = v.tariff_id
                      AND w.withdrawn_at IS NULL AND w.valid_from <= :now
                      AND (w.valid_from, w.version) > (v.valid_from, v.version)) THEN 'past'
                ELSE 'in_force' END
    FROM tariff_versions v JOIN tariffs t ON (t.org_id, t.id) = (v.org_id, v.tariff_id)
    WHERE v.org_id = :org_id AND v.id > :after
    ORDER BY v.id LIMIT :limit
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
        session, LIST_SESSIONS, range_values(org_id, since, until, after=after, limit=limit)
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
        session, LIST_OBSERVATIONS, range_values(org_id, since, until, after=after, limit=limit)
    )


async def list_rates(
    session: AsyncSession, org_id: UUID, *, after: UUID | None, limit: int, now: datetime
) -> list[tuple[Any, ...]]:
    """List versions of tariffs with their standing, oldest first, after one of them."""
    values = {"org_id": org_id, "after": after or UUID(int=0), "limit": limit, "now": now}
    return await run(session, LIST_RATES, values)


async def list_free(session: AsyncSession, org_id: UUID, *, limit: int) -> list[tuple[Any, ...]]:
    """List the classes of each open lot that has a position."""
    return await run(session, LIST_FREE, {"org_id": org_id, "limit": limit})


def range_values(
    org_id: UUID, since: datetime, until: datetime, *, after: UUID | None, limit: int
) -> dict[str, Any]:
    """Return the values of a list of what lies in [since, until), after one of it."""
    # Whatever cursor comes, only the partitions of the range are read.
    first_id = first_id_at(since - CLOCKS_APART)
    return {
        "org_id": org_id,
        "after": first_id if after is None else max(after, first_id),
        "last_id": first_id_at(until + CLOCKS_APART),
        "since": since,
        "until": until,
        "limit": limit,
    }
