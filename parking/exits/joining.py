"""Two stays that were one vehicle, and one stay that was two.

Nothing of what was written is lost: a stay that was joined into another is voided with its plate
or ticket as it was, and its bills and collections stay its own. What they brought counts for the
kept one (`stay_links`), also where a bank takes it back later.

Order of locks: occupancy, both sessions by their ids, their bills (docs/adr/0013).
"""

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.clock import hanoi_day
from core.errors import Busy, InvalidRequest, Violation
from core.ids import first_id_at
from core.text import check_lines
from parking.exits import queries, queries_joining, queries_undoing
from parking.exits.errors import (
    CredentialInside,
    NotInside,
    ParkingSessionNotFound,
    StayIdTaken,
    StaysNotJoinable,
)
from parking.exits.queries_passes import choose_pass
from parking.exits.rules import SessionStatus, StayFacts
from parking.exits.standing import get_stay, lock_place_and_stay, read_standing_anyway, write_paid
from payments.bills import settling
from payments.bills.rules import UNPAID
from payments.bills.service import cancel_bill

JOINED: Final = "Joined with another stay"
_RANDOM_BITS: Final = (1 << 80) - 1  # of an id, below its time


async def join_stays(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    other_id: UUID,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
) -> StayFacts:
    """Let two stays of one vehicle be one, whichever is named first. Idempotent.

    The one that left goes on, else the one that came in first: its price counts from then. It
    gets the plate or ticket that it has not. The other is voided and frees its place.

    Returns:
        The stay that goes on.

    Raises:
        ParkingSessionNotFound, Busy
        StaysNotJoinable: they are one stay, of two lots or classes, or both over; or one of them
            was voided, or is to be voided and has others joined into it.
    """
    check_lines(reason=reason)
    ids = [session_id, other_id]
    if (joined := await _find_joined(session, org_id, ids)) is not None:
        return joined
    first, second = await _lock_both(session, org_id, ids)
    if (joined := await _find_joined(session, org_id, ids)) is not None:
        return joined
    kept, other = _choose_kept(first, second)
    if await queries_joining.has_joined(session, org_id, other.id):
        raise StaysNotJoinable("Another stay was joined into the one that would be voided.")
    kept, other = await _settle(session, org_id, kept, other, actor=actor, now=now)
    await _give_credentials(session, org_id, kept, other, now=now)
    await _move_paid(session, org_id, other, kept)
    await queries_joining.insert_link(
        session,
        org_id,
        kind="joined",
        kept_id=kept.id,
        other_id=other.id,
        moved_vnd=other.paid_vnd,
        waived_vnd=other.waived_vnd,
        reason=reason,
        by=actor.id,
        now=now,
    )
    facts = {
        "kept_id": str(kept.id),
        "other_id": str(other.id),
        "moved_vnd": other.paid_vnd,
        "waived_vnd": other.waived_vnd,
    }
    for one in (kept, other):
        record_change(
            session,
            org_id=org_id,
            actor=actor,
            action="parking_session.joined",
            object_kind="parking_session",
            object_id=one.id,
            after=facts,
            reason=reason,
            now=now,
        )
    return await get_stay(session, org_id, kept.id)


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
    first = _without(stay, plate=plate, ticket=ticket)
    if (plate is None and ticket is None) or (first.plate is None and first.ticket is None):
        fault = "Each of the two vehicles needs a plate or a ticket."
        raise InvalidRequest(
            fault, violations=[Violation(field="plate", code="no_credential", detail=fault)]
        )
    listed = await queries_joining.take_out(session, org_id, [stay.id])
    await queries_joining.set_vehicle(session, org_id, first)
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
    second = await _on_its_pass(session, org_id, second)
    await queries_joining.insert_parted(session, org_id, second, from_id=stay.id, now=now)
    if not await queries_joining.put_in(session, org_id, second):
        raise CredentialInside
    await _note_parted(session, org_id, first, second, reason=reason, actor=actor, now=now)
    return await get_stay(session, org_id, new_id)


async def find_stay_or_kept(
    session: AsyncSession, org_id: UUID, session_id: UUID
) -> StayFacts | None:
    """Find a stay, or the one that it was joined into; None: there is none."""
    stay = (await queries.find_stays(session, org_id, [session_id])).get(session_id)
    if stay is None or stay.status != SessionStatus.VOIDED:
        return stay
    kept_id = await queries_joining.find_kept(session, org_id, session_id)
    return stay if kept_id is None else await get_stay(session, org_id, kept_id)


async def lock_stay_and_kept(
    session: AsyncSession, org_id: UUID, session_id: UUID
) -> tuple[StayFacts, StayFacts | None]:
    """Lock a stay, and with it the one that it was joined into, if it was.

    Raises:
        ParkingSessionNotFound
        Busy: it was joined at this moment.
    """
    kept_id = await queries_joining.find_kept(session, org_id, session_id)
    ids = [session_id] if kept_id is None else [session_id, kept_id]
    await queries.lock_sessions(session, org_id, ids)
    stays = await queries.find_stays(session, org_id, ids)
    if session_id not in stays:
        raise ParkingSessionNotFound(session_id)
    stay = stays[session_id]
    is_new = kept_id is None and stay.status == SessionStatus.VOIDED
    if is_new and await queries_joining.find_kept(session, org_id, session_id) is not None:
        raise Busy("The parking session is being joined. Try again in a second.")
    return stay, None if kept_id is None else stays.get(kept_id)


async def write_paid_for(
    session: AsyncSession,
    org_id: UUID,
    stay: StayFacts,
    kept: StayFacts | None,
    *,
    by: UUID | None,
    now: datetime,
) -> StayFacts:
    """Write what a locked stay was paid; of one that was joined, it counts for the kept one.

    Returns:
        The stay that the money counts for.
    """
    if kept is None:
        await write_paid(session, org_id, stay)
        return stay
    kept = await _move_paid(session, org_id, stay, kept)
    if stay.paid_vnd or stay.waived_vnd:
        await queries_joining.insert_link(
            session,
            org_id,
            kind="settled",
            kept_id=kept.id,
            other_id=stay.id,
            moved_vnd=stay.paid_vnd,
            waived_vnd=stay.waived_vnd,
            reason=None,
            by=by,
            now=now,
        )
    return kept


async def _lock_both(
    session: AsyncSession, org_id: UUID, ids: list[UUID]
) -> tuple[StayFacts, StayFacts]:
    before = await queries.find_stays(session, org_id, ids)
    for one in ids:
        if one not in before:
            raise ParkingSessionNotFound(one)
    places = {(one.lot_id, one.vehicle_class) for one in before.values()}
    if len(before) != 2 or len(places) != 1:
        raise StaysNotJoinable("They are not two stays of one lot and one class of vehicle.")
    await queries.lock_occupancy(session, org_id, places)
    await queries.lock_sessions(session, org_id, ids)
    stays = await queries.find_stays(session, org_id, ids)
    if {(one.lot_id, one.vehicle_class) for one in stays.values()} != places:
        raise Busy("The parking session is being changed. Try again in a second.")
    return stays[ids[0]], stays[ids[1]]


def _choose_kept(first: StayFacts, second: StayFacts) -> tuple[StayFacts, StayFacts]:
    if SessionStatus.VOIDED in (first.status, second.status):
        raise StaysNotJoinable("One of them was voided.")
    if not first.is_inside and not second.is_inside:
        raise StaysNotJoinable("Both of them are over.")
    by_order = sorted((first, second), key=lambda one: (one.is_inside, one.entered_at, one.id))
    return by_order[0], by_order[1]


async def _find_joined(session: AsyncSession, org_id: UUID, ids: list[UUID]) -> StayFacts | None:
    for one, kept_id in (ids, ids[::-1]):
        if await queries_joining.find_kept(session, org_id, one) == kept_id:
            return await get_stay(session, org_id, kept_id)
    return None


async def _settle(
    session: AsyncSession,
    org_id: UUID,
    kept: StayFacts,
    other: StayFacts,
    *,
    actor: Actor,
    now: datetime,
) -> tuple[StayFacts, StayFacts]:
    """Return locked stays as their bills say; open ones, for other amounts, are cancelled."""
    bill_ids = [one.bill_id for one in (kept, other) if one.bill_id is not None]
    if bill_ids:
        await settling.lock_bills(session, org_id, bill_ids)
    standings = [await read_standing_anyway(session, org_id, one, at=now) for one in (kept, other)]
    for standing in standings:
        if standing.bill is not None and standing.bill.status in UNPAID:
            await cancel_bill(
                session, org_id, standing.bill.id, actor=actor, reason=JOINED, now=now
            )
    return standings[0].stay, standings[1].stay


async def _give_credentials(
    session: AsyncSession, org_id: UUID, kept: StayFacts, other: StayFacts, *, now: datetime
) -> None:
    """Void a stay, and let the kept one be known by what it had not."""
    listed = await queries_joining.take_out(session, org_id, [kept.id, other.id])
    await queries_joining.void(session, org_id, other.id, now=now)
    gets_plate = kept.plate is None and other.plate is not None
    if gets_plate:
        kept = replace(kept, plate=other.plate)
    if kept.ticket is None:
        kept = replace(kept, ticket=other.ticket, ticket_kind=other.ticket_kind)
    if kept.is_inside and SessionStatus.INSIDE in (kept.status, other.status):
        kept = replace(kept, status=SessionStatus.INSIDE.value)
    if gets_plate and kept.is_inside:
        kept = await _on_its_pass(session, org_id, kept)
    await queries_joining.set_vehicle(session, org_id, kept)
    if kept.is_inside and listed and not await queries_joining.put_in(session, org_id, kept):
        raise CredentialInside


async def _on_its_pass(session: AsyncSession, org_id: UUID, stay: StayFacts) -> StayFacts:
    """Return a stay on the pass of its plate, if that has one that was valid when it came in."""
    pass_id, is_monthly = await choose_pass(
        session,
        org_id,
        stay,
        plate=stay.plate,
        vehicle_class=stay.vehicle_class,
        entered_on=hanoi_day(stay.entered_at),
    )
    kind = None if pass_id is None else "monthly" if is_monthly else "exempt"
    return replace(stay, pass_id=pass_id, pass_kind=kind)


async def _move_paid(
    session: AsyncSession, org_id: UUID, stay: StayFacts, kept: StayFacts
) -> StayFacts:
    """Let what a locked stay was paid count for the kept one, which is locked too."""
    settled_vnd, paid_until = stay.settled_vnd, kept.paid_until
    if settled_vnd < 0:  # taken back: it owes again at once
        paid_until = None
    elif stay.paid_until is not None and kept.is_inside:
        paid_until = max(stay.paid_until, paid_until or stay.paid_until)
    kept = replace(
        kept,
        paid_vnd=kept.paid_vnd + stay.paid_vnd,
        waived_vnd=kept.waived_vnd + stay.waived_vnd,
        paid_until=paid_until,
    )
    if not kept.is_inside and settled_vnd > 0:
        kept = replace(kept, arrears_vnd=max(0, kept.arrears_vnd - settled_vnd))
    elif not kept.is_inside and settled_vnd < 0:
        owed_vnd = (kept.price_vnd or 0) - kept.settled_vnd
        kept = replace(kept, arrears_vnd=max(kept.arrears_vnd, owed_vnd))
    emptied = replace(stay, paid_vnd=0, waived_vnd=0, paid_until=None, arrears_vnd=0)
    await write_paid(session, org_id, emptied)
    await write_paid(session, org_id, kept)
    return kept


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
