"""One stay that was two vehicles: the second one gets a stay of its own.

Order of locks: occupancy, then the session (docs/adr/0013).
"""

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import InvalidRequest, Violation
from core.ids import first_id_at
from core.masking import mask_plates
from core.text import check_lines
from parking.exits import queries, queries_joining, queries_undoing
from parking.exits.errors import (
    CredentialInside,
    NotInside,
    StayIdTaken,
)
from parking.exits.joined import on_its_pass
from parking.exits.over_licence import tell_over_licence
from parking.exits.rules import SessionStatus, StayFacts
from parking.exits.standing import get_stay, lock_place_and_stay

_RANDOM_BITS: Final = (1 << 80) - 1  # of an id, below its time


async def part_stay(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    request_id: UUID,
    *,
    plate: str | None,
    ticket: str | None,
    ticket_kind: str | None,
    reason: str,
    actor: Actor,
    now: datetime,
) -> StayFacts:
    """Let the second vehicle of a stay have a stay of its own. The same id again answers alike.

    It came in when the first one did, is inside, and is known by the plate or ticket given here:
    the stay's own, which it takes along, or one that was not seen before. What was paid stays with
    the first one.

    Args:
        ticket_kind: of a ticket that was not seen before.
        request_id: made by the client; the new stay's id has the time of the entry, and its rest.
        plate: compact.

    Returns:
        The new stay.

    Raises:
        ParkingSessionNotFound, NotInside, Busy
        InvalidRequest: one of the two would have neither plate nor ticket.
        CredentialInside: that plate or ticket is inside already, by another stay.
        StayIdTaken: the id parted another vehicle.
    """
    check_lines(reason=reason)
    reason = mask_plates(reason)
    stay = await lock_place_and_stay(session, org_id, session_id)
    new_id = UUID(int=first_id_at(stay.entered_at).int | request_id.int & _RANDOM_BITS)
    known = (await queries.find_stays(session, org_id, [new_id])).get(new_id)
    if known is not None:
        parted_from = await queries_joining.find_parted_from(session, org_id, new_id)
        if parted_from != session_id or (known.plate, known.ticket) != (plate, ticket):
            raise StayIdTaken
        return known
    if stay.status == SessionStatus.VOIDED:
        raise NotInside(stay.status)
    if ticket is not None and ticket == stay.ticket:
        ticket_kind = stay.ticket_kind  # a token that changes hands is a token still
    first = _without(stay, plate=plate, ticket=ticket)
    if (plate is None and ticket is None) or (first.plate is None and first.ticket is None):
        fault = "Each of the two vehicles needs a plate or a ticket."
        raise InvalidRequest(
            fault, violations=[Violation(field="plate", code="no_credential", detail=fault)]
        )
    listed = await queries_joining.take_out(session, org_id, [stay.id])
    await queries_joining.set_vehicle(session, org_id, first, now=now)
    if listed and not await queries_joining.put_in(session, org_id, first):
        raise CredentialInside
    second = replace(
        stay,
        id=new_id,
        status=SessionStatus.INSIDE.value,
        plate=plate,
        ticket=ticket,
        ticket_kind=ticket_kind if ticket is not None else None,
    )
    second = await on_its_pass(session, org_id, second)
    await queries_joining.insert_parted(session, org_id, second, from_id=stay.id, now=now)
    if not await queries_joining.put_in(session, org_id, second):
        raise CredentialInside
    await tell_over_licence(session, org_id, second, now=now)
    await _note_parted(session, org_id, first, second, reason=reason, actor=actor, now=now)
    return await get_stay(session, org_id, new_id)


def _without(stay: StayFacts, *, plate: str | None, ticket: str | None) -> StayFacts:
    """Return a stay without the plate and ticket that a second vehicle takes along."""
    if plate is not None and plate == stay.plate:
        is_inside = stay.is_inside
        stay = replace(
            stay,
            plate=None,
            pass_id=None if is_inside else stay.pass_id,
            pass_kind=None if is_inside else stay.pass_kind,
        )
    if ticket is not None and ticket == stay.ticket:
        stay = replace(stay, ticket=None, ticket_kind=None)
    return stay


async def _note_parted(
    session: AsyncSession,
    org_id: UUID,
    first: StayFacts,
    second: StayFacts,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
) -> None:
    assert actor.id is not None
    await queries_joining.insert_link(
        session,
        org_id,
        kind="parted",
        kept_id=first.id,
        other_id=second.id,
        moved_vnd=0,
        waived_vnd=0,
        reason=reason,
        by=actor.id,
        now=now,
    )
    sightings = [
        queries_undoing.write_sighting(one, by=actor.id, plate=one.plate) for one in (first, second)
    ]
    await queries.insert_sightings(session, org_id, sightings, direction="inside", now=now)
    for one in (first, second):
        record_change(
            session,
            org_id=org_id,
            actor=actor,
            action="parking_session.parted",
            object_kind="parking_session",
            object_id=one.id,
            after={"kept_id": str(first.id), "other_id": str(second.id)},
            reason=reason,
            now=now,
        )
