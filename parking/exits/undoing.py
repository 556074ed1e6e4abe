"""Corrections at the gate: an entry or exit undone, a collection reversed, a plate typed anew.

Order of locks: occupancy, session, shift, bill (docs/adr/0013).
"""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.clock import hanoi_day
from core.errors import Busy
from core.text import check_lines
from parking.collections import queries as collection_queries
from parking.collections import service as collections
from parking.collections.errors import (
    ApprovalNeeded,
    CollectionNotFound,
    CollectionNotReversible,
)
from parking.collections.rules import CollectionFacts, CollectionRail
from parking.exits import queries, queries_joining, queries_passes, queries_undoing
from parking.exits.errors import (
    CredentialInside,
    EntryNotUndoable,
    ExitNotUndoable,
    NotInside,
)
from parking.exits.joined import lock_stay_and_kept, write_paid_for
from parking.exits.over_licence import tell_over_licence
from parking.exits.rules import (
    OWNER_KIND,
    UNDO_ENTRY_FOR,
    UNDO_EXIT_FOR,
    SessionStatus,
    StayFacts,
    is_own_typing,
)
from parking.exits.standing import (
    Standing,
    get_stay,
    lock_place_and_stay,
    lock_stay,
    read_standing_anyway,
    write_paid,
)
from parking.places.rules import PaymentTiming
from parking.sessions.errors import LotOrClassNotFound
from parking.shifts.queries import share_shift
from payments.bills import settling
from payments.bills.queries_owners import list_of_owner
from payments.breaks.queries import sum_refunds


async def undo_exit(
    session: AsyncSession, org_id: UUID, session_id: UUID, *, actor: Actor, now: datetime
) -> StayFacts:
    """Let a vehicle be inside again that was let out by mistake a moment ago. Idempotent.

    What had been in review is in review again.

    Raises:
        ParkingSessionNotFound, Busy
        ExitNotUndoable: somebody else let it out, or more than ten seconds ago.
        CredentialInside: its plate or ticket has come in again.
    """
    before = await get_stay(session, org_id, session_id)
    await queries.lock_occupancy(session, org_id, {(before.lot_id, before.vehicle_class)})
    stay = await lock_stay(session, org_id, session_id)
    if stay.is_inside:
        return stay
    if stay.status != SessionStatus.LEFT or stay.exit_by != actor.id or actor.id is None:
        raise ExitNotUndoable("Somebody else let it out.")
    assert stay.left_at is not None
    if now - stay.left_at > UNDO_EXIT_FOR:
        raise ExitNotUndoable("It left more than ten seconds ago.")
    if stay.vehicle_class != before.vehicle_class:
        raise Busy("The parking session is being changed. Try again in a second.")
    if not await queries_undoing.reopen_session(session, org_id, stay):
        raise CredentialInside
    stay_again = await get_stay(session, org_id, session_id)
    if stay_again.status == SessionStatus.INSIDE:
        await tell_over_licence(session, org_id, stay_again, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="parking_session.exit_undone",
        object_kind="parking_session",
        object_id=session_id,
        before={"reason": stay.exit_reason, "left_at": stay.left_at.isoformat()},
        now=now,
    )
    return stay_again


async def undo_entry(
    session: AsyncSession, org_id: UUID, session_id: UUID, *, actor: Actor, now: datetime
) -> StayFacts:
    """Void a stay that was begun by mistake a moment ago; the sighting stays. Idempotent.

    Raises:
        ParkingSessionNotFound
        EntryNotUndoable: somebody else let it in, or more than ten seconds ago; or it left, was
            paid, or has a code.
    """
    before = await get_stay(session, org_id, session_id)
    await queries.lock_occupancy(session, org_id, {(before.lot_id, before.vehicle_class)})
    stay = await lock_stay(session, org_id, session_id)
    if stay.entry_by != actor.id:
        raise EntryNotUndoable("Somebody else let it in.")
    if stay.status == SessionStatus.VOIDED:
        return stay
    if stay.status != SessionStatus.INSIDE or stay.settled_vnd or stay.bill_id is not None:
        raise EntryNotUndoable("It has left, was paid, or has a code to pay by.")
    if now - stay.entered_at > UNDO_ENTRY_FOR:
        raise EntryNotUndoable("It came in more than ten seconds ago.")
    if stay.vehicle_class != before.vehicle_class:
        raise Busy("The parking session is being changed. Try again in a second.")
    await queries_undoing.void_session(session, org_id, stay, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="parking_session.entry_undone",
        object_kind="parking_session",
        object_id=session_id,
        now=now,
    )
    return await get_stay(session, org_id, session_id)


async def reverse_collection(
    session: AsyncSession,
    org_id: UUID,
    collection_id: UUID,
    *,
    may_override: bool,
    reason: str | None,
    actor: Actor,
    now: datetime,
) -> CollectionFacts:
    """Reverse what was collected for a stay; the stay owes it again. Idempotent.

    One's own, within ten seconds; later it takes somebody who may override, and a reason.

    Raises:
        CollectionNotFound, ApprovalNeeded, Busy
        CollectionNotReversible: its shift is closed, or the shift's deposit has paid it; or so
            much is to be given back of what the stay was paid.
    """
    check_lines(reason=reason)
    known = await collection_queries.find_collection(session, org_id, collection_id)
    if known is None or known.session_id is None:
        raise CollectionNotFound(collection_id)
    kept = None
    if known.rail == CollectionRail.PASS:  # what is inside names it
        stay = await lock_place_and_stay(session, org_id, known.session_id)
    else:
        stay, kept = await lock_stay_and_kept(session, org_id, known.session_id)
    is_closed = False
    if known.shift_id is not None:
        is_closed = (await share_shift(session, org_id, known.shift_id)).closed_at is not None
    known = await collection_queries.lock_collection(session, org_id, collection_id)
    if known.reversed_at is not None:
        return known
    collections.check_reversible(
        known,
        is_shift_closed=is_closed,
        may_override=may_override,
        reason=reason,
        by=actor.id,
        now=now,
    )
    if stay.bill_id is not None:
        await settling.lock_bills(session, org_id, [stay.bill_id])
    await collections.reverse(session, org_id, known, by=actor.id, now=now)
    if known.rail == CollectionRail.PASS:
        if stay.status != SessionStatus.VOIDED:  # it counts for nothing that was joined
            await _take_pass_back(session, org_id, stay, known, now=now)
    else:
        await _take_money_back(session, org_id, stay, kept, known, by=actor.id, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="collection.reversed",
        object_kind="collection",
        object_id=collection_id,
        before={"rail": known.rail, "amount_vnd": known.amount_vnd},
        reason=reason,
        now=now,
    )
    return await collection_queries.lock_collection(session, org_id, collection_id)


async def _take_money_back(
    session: AsyncSession,
    org_id: UUID,
    stay: StayFacts,
    kept: StayFacts | None,
    known: CollectionFacts,
    *,
    by: UUID | None,
    now: datetime,
) -> None:
    """Let a locked stay owe again what was paid or waived, or the one that it was joined into."""
    stay = (await read_standing_anyway(session, org_id, stay, at=now)).stay
    if known.rail == CollectionRail.EXEMPT:
        stay = replace(stay, waived_vnd=stay.waived_vnd - known.amount_vnd)
    else:
        stay = replace(stay, paid_vnd=stay.paid_vnd - known.amount_vnd)
    paid_vnd = stay.paid_vnd + (0 if kept is None else kept.paid_vnd)
    if paid_vnd < await _sum_refunds(session, org_id, stay.id):
        raise CollectionNotReversible("It is on the list of what is to be given back.")
    arrears_vnd = stay.arrears_vnd
    if not stay.is_inside:
        arrears_vnd = max(arrears_vnd, (stay.price_vnd or 0) - stay.settled_vnd)
    stay = replace(stay, paid_until=None, arrears_vnd=arrears_vnd)
    await write_paid_for(session, org_id, stay, kept, by=by, now=now)


async def _sum_refunds(session: AsyncSession, org_id: UUID, session_id: UUID) -> int:
    """Return what is to be given back of a locked stay, of what is joined with it, and of bills."""
    stay_ids = await queries_joining.list_one_vehicle(session, org_id, session_id)
    bills = [
        one for id_ in stay_ids for one in await list_of_owner(session, org_id, OWNER_KIND, id_)
    ]
    return await sum_refunds(session, org_id, [*stay_ids, *(bill.id for bill in bills)])


async def _take_pass_back(
    session: AsyncSession,
    org_id: UUID,
    stay: StayFacts,
    known: CollectionFacts,
    *,
    now: datetime,
) -> None:
    """Let a locked stay cost what it does without the pass; one that is over owes it."""
    if stay.pass_id == known.pass_id:
        await queries_passes.set_pass(session, org_id, stay.id, pass_id=None)
        stay = replace(stay, pass_id=None, pass_kind=None, pass_until=None)
    standing = await read_standing_anyway(session, org_id, stay, at=now)
    stay = replace(standing.stay, paid_until=None)
    if not stay.is_inside:
        # What no tariff prices any more costs what it did when the pass was shown.
        price_vnd, version_id = known.amount_vnd, None
        if isinstance(standing, Standing):
            price_vnd, version_id = standing.price.amount_vnd, standing.price.version_id
        await queries.set_price(
            session, org_id, stay.id, price_vnd=price_vnd, version_id=version_id
        )
        arrears_vnd = max(stay.arrears_vnd, price_vnd - stay.settled_vnd)
        stay = replace(stay, price_vnd=price_vnd, arrears_vnd=arrears_vnd)
    await write_paid(session, org_id, stay)


async def correct_vehicle(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    *,
    plate: str | None,
    vehicle_class: str,
    may_override: bool,
    reason: str | None,
    actor: Actor,
    now: datetime,
) -> StayFacts:
    """Correct the plate or class of a vehicle that is inside; what was seen before stays written.

    Who typed it corrects it freely until something was paid; after that it takes approval.

    Args:
        plate: compact; None: it has none that can be read.

    Raises:
        ParkingSessionNotFound, NotInside, ApprovalNeeded, Busy
        LotOrClassNotFound: the lot takes no vehicles of that class.
        CredentialInside: that vehicle is inside already.
    """
    check_lines(reason=reason)
    assert actor.id is not None
    before = await get_stay(session, org_id, session_id)
    places = {(before.lot_id, before.vehicle_class), (before.lot_id, vehicle_class)}
    if await queries.lock_occupancy(session, org_id, places) != places:
        raise LotOrClassNotFound(vehicle_class)
    stay = await lock_stay(session, org_id, session_id)
    if (stay.plate, stay.vehicle_class) == (plate, vehicle_class):
        return stay
    if not stay.is_inside or (plate is None and stay.ticket is None):
        raise NotInside(stay.status)
    if stay.vehicle_class != before.vehicle_class:
        raise Busy("The parking session is being changed. Try again in a second.")
    if not is_own_typing(stay, actor.id) and not (may_override and reason):
        raise ApprovalNeeded("Somebody else typed it, or something was paid.")
    is_changed = await queries_undoing.change_vehicle(
        session,
        org_id,
        stay,
        plate=plate,
        vehicle_class=vehicle_class,
        entered_on=hanoi_day(stay.entered_at),
    )
    if not is_changed:
        raise CredentialInside
    if vehicle_class != stay.vehicle_class:
        moved = replace(stay, vehicle_class=vehicle_class)
        await tell_over_licence(session, org_id, moved, now=now)
    await queries.insert_sightings(
        session,
        org_id,
        [queries_undoing.write_sighting(stay, by=actor.id, plate=plate)],
        direction="inside",
        now=now,
    )
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="parking_session.corrected",
        object_kind="parking_session",
        object_id=session_id,
        before={"vehicle_class": stay.vehicle_class},
        after={"vehicle_class": vehicle_class, "is_plate_changed": stay.plate != plate},
        reason=reason,
        now=now,
    )
    return await _requote(session, org_id, stay, now=now)


async def _requote(
    session: AsyncSession, org_id: UUID, before: StayFacts, *, now: datetime
) -> StayFacts:
    """Return a corrected stay. It costs no longer what it was quoted as another vehicle."""
    stay = await get_stay(session, org_id, before.id)
    is_same = (stay.vehicle_class, stay.pass_id) == (before.vehicle_class, before.pass_id)
    if is_same or stay.price_vnd is None or stay.payment_timing != PaymentTiming.PREPAY:
        return stay
    standing = await read_standing_anyway(session, org_id, stay, at=now)
    if not isinstance(standing, Standing):
        return stay
    price_vnd, version_id = standing.price.amount_vnd, standing.price.version_id
    await queries.set_price(session, org_id, stay.id, price_vnd=price_vnd, version_id=version_id)
    return replace(stay, price_vnd=price_vnd)
