"""Photos of openings by hand that a phone reported: sent before the movement, or after it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from parking.exits.errors import MovementNotFound
from parking.exits.queries_movements import has_photo_of_opening, is_manual_open
from parking.photos.errors import PhotoNotFound, PhotoUsed
from parking.photos.queries import find_hashes, use_fresh_photos


async def attach_photo(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    movement_id: UUID,
    photo: bytes,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Let an uploaded photo be the evidence of an opening by hand at a lot; audited. Idempotent.

    Raises:
        MovementNotFound, PhotoNotFound
        PhotoUsed: it is the evidence of something else, or was taken at a way in.
    """
    if not await is_manual_open(session, org_id, lot_id, movement_id):
        raise MovementNotFound(movement_id)
    if not await find_hashes(session, org_id, [photo]):
        raise PhotoNotFound
    if not await keep_photo(session, org_id, movement_id, photo, now=now):
        raise PhotoUsed
    if await has_photo_of_opening(session, org_id, movement_id, photo.hex()):
        return  # of two at once, the second waited for the first's use of the photo
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="lane.opening_photographed",
        object_kind="movement",
        object_id=movement_id,
        after={"photo": photo.hex()},
        now=now,
    )


async def keep_photo(
    session: AsyncSession, org_id: UUID, movement_id: UUID, photo: bytes, *, now: datetime
) -> bool:
    """Let a photo be the evidence of an opening; False: it is not kept here, or not fresh."""
    if not await find_hashes(session, org_id, [photo]):
        return False
    use = (photo, movement_id)
    return bool(await use_fresh_photos(session, org_id, [use], subject_kind="manual_open", now=now))
