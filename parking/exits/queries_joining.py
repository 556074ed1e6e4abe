"""SQL of joining and parting stays, under the locks of occupancy and sessions."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.masking import mask_plates
from core.sql import run
from parking.exits.queries import DELETE_INSIDE
from parking.exits.queries_undoing import insert_inside
from parking.exits.rules import StayFacts, list_credentials

FIND_KEPT = text("""
    SELECT kept_id FROM stay_links
    WHERE org_id = :org_id AND other_id = :id AND kind = 'joined'
""")
HAS_JOINED = text("""
    SELECT EXISTS (
        SELECT FROM stay_links WHERE org_id = :org_id AND kept_id = :id AND kind = 'joined')
""")
# One that was joined has none joined into it: the kept one knows them all.
LIST_ONE_VEHICLE = text("""
    WITH kept AS (
        SELECT coalesce((
            SELECT kept_id FROM stay_links
            WHERE org_id = :org_id AND other_id = :id AND kind = 'joined'), :id) AS id)
    SELECT id FROM kept
    UNION ALL
    SELECT k.other_id FROM stay_links k JOIN kept ON k.kept_id = kept.id
    WHERE k.org_id = :org_id AND k.kind = 'joined'
""")
FIND_PARTED = text("""
    SELECT kept_id FROM stay_links
    WHERE org_id = :org_id AND other_id = :id AND kind = 'parted'
""")
INSERT_LINK = text("""
    INSERT INTO stay_links
        (org_id, id, kind, kept_id, other_id, moved_vnd, waived_vnd, reason, linked_by, linked_at)
    VALUES (:org_id, :id, :kind, :kept_id, :other_id, :moved_vnd, :waived_vnd, :reason, :by, :now)
""")
LIST_LINKS = text("""
    SELECT kind, kept_id, other_id, moved_vnd, reason, linked_at FROM stay_links
    WHERE org_id = :org_id AND (kept_id = :id OR other_id = :id)
    ORDER BY id LIMIT 50
""")
IS_LISTED_AMONG = text("""
    SELECT DISTINCT session_id FROM inside
    WHERE org_id = :org_id AND session_id = ANY(CAST(:ids AS uuid[]))
""")
VOID = text("""
    UPDATE parking_sessions SET status = 'voided', left_at = :now
    WHERE org_id = :org_id AND id = :id
""")
SET_VEHICLE = text("""
    UPDATE parking_sessions
    SET plate = CAST(:plate AS text), ticket = CAST(:ticket AS text),
        ticket_kind = CAST(:ticket_kind AS text), pass_id = CAST(:pass_id AS uuid),
        status = :status, checked_at = :now
    WHERE org_id = :org_id AND id = :id
""")
# The second vehicle came in as the first one did: its times, people and photo are the same.
INSERT_PARTED = text("""
    INSERT INTO parking_sessions (
        org_id, id, lot_id, vehicle_class, plate, ticket, ticket_kind, ticket_key, status,
        entered_at, entry_time_is, entry_access_id, entry_device_id, entry_shift_id, entry_by,
        entry_photo, request_hash, pass_id, checked_at)
    SELECT org_id, :new_id, lot_id, vehicle_class, CAST(:plate AS text), CAST(:ticket AS text),
           CAST(:ticket_kind AS text), :ticket_key, 'inside', entered_at, entry_time_is,
           entry_access_id, entry_device_id, entry_shift_id, entry_by, entry_photo, '',
           CAST(:pass_id AS uuid), :now
    FROM parking_sessions WHERE org_id = :org_id AND id = :id
""")
COUNT_IN = text("""
    UPDATE occupancy SET inside_count = inside_count + 1
    WHERE org_id = :org_id AND lot_id = :lot_id AND vehicle_class = :vehicle_class
""")


async def find_kept(session: AsyncSession, org_id: UUID, session_id: UUID) -> UUID | None:
    """Find the stay that one was joined into."""
    rows = await run(session, FIND_KEPT, {"org_id": org_id, "id": session_id})
    return rows[0][0] if rows else None


async def list_one_vehicle(session: AsyncSession, org_id: UUID, session_id: UUID) -> list[UUID]:
    """List a stay and all that are joined with it, the kept one first."""
    rows = await run(session, LIST_ONE_VEHICLE, {"org_id": org_id, "id": session_id})
    return [row[0] for row in rows]


async def find_parted_from(session: AsyncSession, org_id: UUID, session_id: UUID) -> UUID | None:
    """Find the stay that one was parted from."""
    rows = await run(session, FIND_PARTED, {"org_id": org_id, "id": session_id})
    return rows[0][0] if rows else None


async def has_joined(session: AsyncSession, org_id: UUID, session_id: UUID) -> bool:
    """Tell whether other stays were joined into one."""
    rows = await run(session, HAS_JOINED, {"org_id": org_id, "id": session_id})
    return bool(rows[0][0])


async def insert_link(
    session: AsyncSession,
    org_id: UUID,
    *,
    kind: str,
    kept_id: UUID,
    other_id: UUID,
    moved_vnd: int,
    waived_vnd: int,
    reason: str | None,
    by: UUID | None,
    now: datetime,
) -> None:
    """Write what two locked stays are to each other."""
    values = {
        "org_id": org_id,
        "id": new_id(),
        "kind": kind,
        "kept_id": kept_id,
        "other_id": other_id,
        "moved_vnd": moved_vnd,
        "waived_vnd": waived_vnd,
        "reason": None if reason is None else mask_plates(reason),
        "by": by,
        "now": now,
    }
    await run(session, INSERT_LINK, values)


async def list_links(
    session: AsyncSession, org_id: UUID, session_id: UUID
) -> list[tuple[str, UUID, UUID, int, str | None, datetime]]:
    """List (kind, kept, other, moved, reason, when) of a stay's links, oldest first."""
    rows = await run(session, LIST_LINKS, {"org_id": org_id, "id": session_id})
    return [(row[0], row[1], row[2], row[3], row[4], row[5]) for row in rows]


async def take_out(session: AsyncSession, org_id: UUID, session_ids: Sequence[UUID]) -> set[UUID]:
    """Take what stays are known by out of what is inside, with their places; say which had one."""
    of_stays = {"org_id": org_id, "ids": list(session_ids)}
    listed = {row[0] for row in await run(session, IS_LISTED_AMONG, of_stays)}
    await run(session, DELETE_INSIDE, of_stays)
    return listed


async def put_in(session: AsyncSession, org_id: UUID, stay: StayFacts) -> bool:
    """Let a locked stay be inside by all that it is known by; False where one of them is taken."""
    if not await insert_inside(session, org_id, stay, list_credentials(stay)):
        return False
    values = {"org_id": org_id, "lot_id": stay.lot_id, "vehicle_class": stay.vehicle_class}
    await run(session, COUNT_IN, values)
    return True


async def void(session: AsyncSession, org_id: UUID, session_id: UUID, *, now: datetime) -> None:
    """Write that a locked stay was none of its own; it was taken out before."""
    await run(session, VOID, {"org_id": org_id, "id": session_id, "now": now})


async def set_vehicle(
    session: AsyncSession, org_id: UUID, stay: StayFacts, *, now: datetime
) -> None:
    """Write what a locked stay is known by, its pass and its status: a person has looked."""
    values = {
        "org_id": org_id,
        "id": stay.id,
        "plate": stay.plate,
        "ticket": stay.ticket,
        "ticket_kind": stay.ticket_kind,
        "pass_id": stay.pass_id,
        "status": stay.status,
        "now": now,
    }
    await run(session, SET_VEHICLE, values)


async def insert_parted(
    session: AsyncSession, org_id: UUID, stay: StayFacts, *, from_id: UUID, now: datetime
) -> None:
    """Store the stay of a second vehicle that came in with a locked one."""
    values = {
        "org_id": org_id,
        "id": from_id,
        "new_id": stay.id,
        "plate": stay.plate,
        "ticket": stay.ticket,
        "ticket_kind": stay.ticket_kind,
        "ticket_key": uuid4(),
        "pass_id": stay.pass_id,
        "now": now,
    }
    await run(session, INSERT_PARTED, values)
