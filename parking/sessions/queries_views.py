"""SQL of who is inside a lot, for screens and searches."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

LIST_NEWEST = text("""
    SELECT session_id FROM inside WHERE org_id = :org_id AND lot_id = :lot_id
    GROUP BY session_id ORDER BY session_id DESC LIMIT :limit
""")

FIND_BY_CREDENTIAL = text("""
    SELECT DISTINCT session_id FROM inside
    WHERE org_id = :org_id AND lot_id = :lot_id
      AND kind = ANY('{plate,ticket,token,tag}'::text[])
      AND credential = ANY(CAST(:credentials AS text[]))
""")

FIND_BY_TAIL = text("""
    SELECT session_id, credential FROM inside
    WHERE org_id = :org_id AND lot_id = :lot_id AND tail = :tail AND kind = 'plate'
    ORDER BY entered_at DESC LIMIT 200
""")

LIST_PLATES = text("""
    SELECT session_id, credential FROM inside
    WHERE org_id = :org_id AND lot_id = :lot_id AND kind = 'plate'
    LIMIT :limit
""")

LIST_STAYS = text("""
    SELECT s.id, s.vehicle_class, s.plate, s.ticket, s.entered_at, s.entry_photo, s.pass_id,
           p.valid_until, s.paid_vnd + s.waived_vnd, s.paid_until,
           EXISTS (SELECT FROM lost_tickets t WHERE t.org_id = s.org_id AND t.session_id = s.id)
    FROM parking_sessions s
    LEFT JOIN passes p ON p.org_id = s.org_id AND p.id = s.pass_id
    WHERE s.org_id = :org_id AND s.id = ANY(CAST(:ids AS uuid[]))
""")

FIND_TICKET_KEY = text("""
    SELECT ticket_key FROM parking_sessions WHERE org_id = :org_id AND id = :id
""")


async def list_newest(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, limit: int
) -> list[UUID]:
    """List the stays that began last."""
    values = {"org_id": org_id, "lot_id": lot_id, "limit": limit}
    return [row[0] for row in await session.execute(LIST_NEWEST, values)]


async def find_by_credential(
    session: AsyncSession, org_id: UUID, lot_id: UUID, credentials: Sequence[str]
) -> list[UUID]:
    """Find who has one of these credentials, of whatever kind."""
    values = {"org_id": org_id, "lot_id": lot_id, "credentials": list(credentials)}
    return [row[0] for row in await session.execute(FIND_BY_CREDENTIAL, values)]


async def find_by_tail(
    session: AsyncSession, org_id: UUID, lot_id: UUID, tail: str
) -> list[tuple[UUID, str]]:
    """Find (session, credential) of the plates whose last digits are these."""
    values = {"org_id": org_id, "lot_id": lot_id, "tail": tail}
    return [(row[0], row[1]) for row in await session.execute(FIND_BY_TAIL, values)]


async def list_plates(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, limit: int
) -> list[tuple[UUID, str]]:
    """List (session, credential) of every plate inside."""
    values = {"org_id": org_id, "lot_id": lot_id, "limit": limit}
    return [(row[0], row[1]) for row in await session.execute(LIST_PLATES, values)]


async def list_stays(
    session: AsyncSession, org_id: UUID, ids: Sequence[UUID]
) -> list[tuple[Any, ...]]:
    """List what a screen shows of these stays.

    That is (id, class, plate, ticket, entered at, photo, pass, its last day, đồng settled, grace
    until, is the ticket lost).
    """
    rows = await session.execute(LIST_STAYS, {"org_id": org_id, "ids": list(ids)})
    return [tuple(row) for row in rows]


async def find_ticket_key(session: AsyncSession, org_id: UUID, session_id: UUID) -> UUID | None:
    """Return the random key that opens a stay's page to its driver."""
    rows = await session.execute(FIND_TICKET_KEY, {"org_id": org_id, "id": session_id})
    key: UUID | None = rows.scalar_one_or_none()
    return key
