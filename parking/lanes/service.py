"""Opening of lanes: a command is written, fetched once in five seconds, and answered."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.text import check_lines
from parking.lanes import queries
from parking.lanes.errors import (
    LaneAnswered,
    LaneBusy,
    LaneCommandIdTaken,
    LaneCommandNotFound,
    LaneNotServed,
    LaneReasonNeeded,
)
from parking.lanes.rules import (
    COMMAND_VALID_FOR,
    LaneCommandFacts,
    LaneResult,
    OpenWanted,
    needs_words,
)
from parking.photos.errors import PhotoNotFound, PhotoUsed
from parking.photos.queries import find_hashes, use_fresh_photos
from parking.places.errors import AccessNotFound


async def open_lane(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    access_id: UUID,
    wanted: OpenWanted,
    *,
    actor: Actor,
    now: datetime,
) -> LaneCommandFacts:
    """Write the command that opens a barrier. The same id again answers how it stands.

    Raises:
        AccessNotFound, LaneNotServed, LaneBusy, LaneCommandIdTaken, PhotoNotFound, PhotoUsed
        LaneReasonNeeded: no vehicle was let through just now, and there is no reason or photo.
    """
    assert actor.id is not None
    check_lines(reason=wanted.reason)
    lane = await queries.lock_access(session, org_id, lot_id, access_id)
    if lane is None:
        raise AccessNotFound(access_id)
    known = await queries.find_command(session, org_id, wanted.id)
    if known is not None:
        if (known.access_id, known.session_id) != (access_id, wanted.session_id):
            raise LaneCommandIdTaken(wanted.id)
        return known
    direction, is_served = lane
    if not is_served:
        raise LaneNotServed
    if await queries.is_under_way(session, org_id, access_id):
        raise LaneBusy
    passing = None
    if wanted.session_id is not None:
        passing = await queries.lock_passing(session, org_id, lot_id, wanted.session_id)
    has_words = wanted.reason is not None and wanted.photo is not None
    if needs_words(passing, direction, now=now) and not has_words:
        raise LaneReasonNeeded
    if wanted.photo is not None and not await find_hashes(session, org_id, [wanted.photo]):
        raise PhotoNotFound
    if wanted.photo is not None:
        use = (wanted.photo, wanted.id)
        used = await use_fresh_photos(session, org_id, [use], subject_kind="lane_command", now=now)
        if not used:
            raise PhotoUsed
    await queries.insert_command(
        session,
        org_id,
        wanted,
        lot_id=lot_id,
        access_id=access_id,
        by=actor.id,
        valid_for=COMMAND_VALID_FOR,
    )
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="lane.opening" if not has_words else "lane.opening_by_hand",
        object_kind="parking_access",
        object_id=access_id,
        after={
            "command_id": str(wanted.id),
            "session_id": str(wanted.session_id) if wanted.session_id else None,
            "photo": wanted.photo.hex() if wanted.photo else None,
        },
        reason=wanted.reason,
        now=now,
    )
    written = await queries.find_command(session, org_id, wanted.id)
    assert written is not None
    return written


async def fetch(
    session: AsyncSession, org_id: UUID, lot_id: UUID, access_id: UUID, *, by: UUID
) -> LaneCommandFacts | None:
    """Give a controller the command of its lane, once; None: there is none in time."""
    command_id = await queries.fetch_command(session, org_id, lot_id, access_id, by=by)
    return None if command_id is None else await queries.find_command(session, org_id, command_id)


async def answer(
    session: AsyncSession,
    org_id: UUID,
    access_id: UUID,
    command_id: UUID,
    result: LaneResult,
    *,
    actor: Actor,
    now: datetime,
) -> LaneCommandFacts:
    """Write what became of a barrier. The same answer twice is the first; late ones count.

    Raises:
        LaneCommandNotFound, LaneAnswered
    """
    assert actor.id is not None
    is_first = await queries.answer_command(
        session, org_id, access_id, command_id, result, by=actor.id
    )
    found = await queries.find_command(session, org_id, command_id)
    if found is None or found.access_id != access_id or found.fetched_by != actor.id:
        raise LaneCommandNotFound(command_id)
    if found.result != result:
        raise LaneAnswered(found.result or "")
    if is_first:
        record_change(
            session,
            org_id=org_id,
            actor=actor,
            action=f"lane.{result.value}",
            object_kind="parking_access",
            object_id=access_id,
            after={"command_id": str(command_id)},
            now=now,
        )
    return found
