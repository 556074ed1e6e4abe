"""Lost tickets: who said so of a vehicle, with a photo of what proves that it is theirs.

Whoever holds no ticket shows papers: their photo is the evidence of this one act. Where the camera
is broken, somebody who may override says why there is none. The price of a lost ticket is quoted
only for a stay whose ticket was reported lost.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.ids import new_id
from core.text import check_lines
from parking.collections.errors import ApprovalNeeded
from parking.exits import queries, queries_lost_tickets
from parking.exits.errors import LostTicketNotReported, NotInside
from parking.exits.queries_lost_tickets import LostTicketFacts
from parking.exits.rules import StayFacts
from parking.exits.standing import lock_stay
from parking.photos.errors import PhotoNotFound, PhotoUsed
from parking.photos.queries import find_hashes, use_fresh_photos

SUBJECT_KIND = "lost_ticket"  # of the photo: one act, one photo


@dataclass(frozen=True, kw_only=True, slots=True)
class LostTicket:
    """What a person says of a ticket that is lost."""

    photo: bytes | None = None  # of what proves that the vehicle is theirs
    reason: str | None = None  # why there is no photo
    device_id: UUID | None = None


async def report_lost_ticket(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    told: LostTicket,
    *,
    may_override: bool,
    actor: Actor,
    now: datetime,
) -> LostTicketFacts:
    """Record that a stay's ticket is lost. The first photo stays; the same again answers the same.

    A photo that was taken without network comes after its report, also once the vehicle has left.

    Raises:
        ParkingSessionNotFound, NotInside, PhotoNotFound, PhotoUsed
        ApprovalNeeded: no photo, and no reason of somebody who may do without.
    """
    check_lines(reason=told.reason)
    stay = await lock_stay(session, org_id, session_id)
    known = await queries_lost_tickets.find_lost_ticket(session, org_id, session_id)
    if known is not None and (told.photo is None or known.photo is not None):
        if told.photo is not None and known.photo != told.photo:
            raise PhotoUsed
        return known
    if known is None and not stay.is_inside:
        raise NotInside(stay.status)
    if told.photo is None and not (may_override and told.reason):
        raise ApprovalNeeded("A lost ticket takes a photo, or a reason and the right to override.")
    if told.photo is not None:
        await _keep_photo(session, org_id, stay, told, actor, now=now)
    return await _write(session, org_id, stay, told, actor=actor, now=now)


async def note_lost_ticket(
    session: AsyncSession,
    org_id: UUID,
    stay: StayFacts,
    *,
    reason: str,
    device_id: UUID,
    actor: Actor,
    now: datetime,
) -> None:
    """Record of a locked stay that a phone without network took the price of a lost ticket.

    Its photo follows, or a person sees that there is none.
    """
    if await queries_lost_tickets.find_lost_ticket(session, org_id, stay.id) is None:
        told = LostTicket(reason=reason, device_id=device_id)
        await _write(session, org_id, stay, told, actor=actor, now=now)


async def check_reported(session: AsyncSession, org_id: UUID, session_id: UUID) -> None:
    """Hold a quote for a lost ticket to its report.

    Raises:
        LostTicketNotReported
    """
    if await queries_lost_tickets.find_lost_ticket(session, org_id, session_id) is None:
        raise LostTicketNotReported


async def _keep_photo(
    session: AsyncSession,
    org_id: UUID,
    stay: StayFacts,
    told: LostTicket,
    actor: Actor,
    *,
    now: datetime,
) -> None:
    assert told.photo is not None
    if not await find_hashes(session, org_id, [told.photo]):
        raise PhotoNotFound
    use = (told.photo, stay.id)
    if not await use_fresh_photos(session, org_id, [use], subject_kind=SUBJECT_KIND, now=now):
        raise PhotoUsed
    # A sighting names it, so that a request to erase a vehicle's photos finds it.
    sighting = (
        *(new_id(), stay.lot_id, stay.id, None, "visual", None, None, None),
        *(told.photo, told.device_id, actor.id),
    )
    await queries.insert_sightings(session, org_id, [sighting], direction="inside", now=now)


async def _write(
    session: AsyncSession,
    org_id: UUID,
    stay: StayFacts,
    told: LostTicket,
    *,
    actor: Actor,
    now: datetime,
) -> LostTicketFacts:
    assert actor.id is not None
    facts = await queries_lost_tickets.keep_lost_ticket(
        session,
        org_id,
        stay.id,
        photo=told.photo,
        reason=told.reason,
        device_id=told.device_id,
        reported_by=actor.id,
        now=now,
    )
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="parking_session.ticket_lost",
        object_kind="parking_session",
        object_id=stay.id,
        after={"photo": None if told.photo is None else told.photo.hex()},
        reason=told.reason,
        now=now,
    )
    return facts
