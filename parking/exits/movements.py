"""Movements of devices that were offline: exits and collections, applied in the device's order.

What happened at the gate has happened: money that was taken is recorded, a vehicle that left has
left. Where that does not fit what the hub knows, a break lets a person look; no session is opened
or paid a second time for it.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import Busy, HubError
from core.masking import mask_plates
from core.reasons import Reason
from parking.collections import queries as collection_queries
from parking.collections import service as collections
from parking.collections.rules import MONEY, CollectionRail, NewCollection
from parking.exits import queries_movements
from parking.exits.drawn_bills import DrawnBill, record_drawn_bill
from parking.exits.joined import find_stay_or_kept
from parking.exits.leaving import LeaveFacts, LeaveRequest, leave, leave_closed
from parking.exits.lost_tickets import note_lost_ticket
from parking.exits.manual_opens import keep_photo
from parking.exits.movement_types import (
    NOT_COUNTED,
    TO_CHECK,
    Applied,
    BillData,
    CollectionData,
    ExitData,
    ManualOpenData,
    MovementFacts,
    read_data,
)
from parking.exits.rules import OWNER_KIND, PURPOSE, ExitReason, SessionStatus, StayFacts
from parking.exits.standing import (
    Standing,
    Unpriced,
    lock_place_and_stay,
    lock_stay,
    read_standing_anyway,
    write_paid,
)
from parking.exits.unpriced import report_unpriced
from parking.photos.errors import PhotoNotFound, PhotoUsed
from parking.places.queries import find_lot_name
from parking.sessions.answers import make_answer
from parking.sessions.movements import CONFLICTS, make_conflict
from parking.sessions.queries import enter_vehicles
from parking.sessions.rules import EntryRequest, MovementKind, Verdict, check_entry_id
from parking.shifts import late
from parking.shifts.queries import find_people, find_shift, share_shift
from parking.shifts.reporting import works_at_gate
from parking.shifts.rules import ShiftFacts, is_shift_of
from payments.bills import settling
from payments.bills.blocks import IssuedBill
from payments.bills.errors import ReferenceNotIssued, ReferenceUsed
from payments.bills.rules import UNPAID
from payments.bills.service import cancel_bill
from payments.breaks.queries import insert_breaks_once
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak

OFFLINE: Final = "offline"


async def apply_movement(
    session: AsyncSession, org_id: UUID, movement: MovementFacts, *, now: datetime
) -> Applied | Verdict:
    """Apply one waiting movement of a device; call it in the device's order. Idempotent.

    In a savepoint of the caller's: whatever is raised here has written nothing.
    """
    if movement.entry is not None:
        return await _apply_entry(session, org_id, movement, movement.entry, now=now)
    try:
        if movement.kind == MovementKind.EXIT:
            verdict = await _apply_exit(session, org_id, movement, now=now)
        elif movement.kind == MovementKind.COLLECTION:
            verdict = await _apply_collection(session, org_id, movement, now=now)
        elif movement.kind == MovementKind.BILL:
            verdict = await _apply_bill(session, org_id, movement, now=now)
        else:
            verdict = await _apply_manual_open(session, org_id, movement, now=now)
    except msgspec.ValidationError:
        verdict = Applied.REFUSED
    if verdict in NOT_COUNTED or verdict in TO_CHECK:
        await open_break(session, org_id, movement, verdict, now=now)
    return verdict


async def open_break(
    session: AsyncSession,
    org_id: UUID,
    movement: MovementFacts,
    *verdicts: Applied,
    now: datetime,
) -> None:
    """Let a person look at a movement that could not be applied, or must be checked: once."""
    lot = await find_lot_name(session, org_id, movement.lot_id) or ""
    code = BreakReason.MOVEMENT_NOT_ACCEPTED
    if TO_CHECK.issuperset(verdicts):
        code = BreakReason.MOVEMENT_TO_CHECK
    reason = Reason(code, {"why": ", ".join(verdicts), "lot": lot})
    one = NewBreak(kind=BreakKind.PARKING_CONFLICT, subject_id=movement.id, reason=reason)
    await insert_breaks_once(session, org_id, [one], now=now)


async def _apply_entry(
    session: AsyncSession,
    org_id: UUID,
    movement: MovementFacts,
    entry: EntryRequest,
    *,
    now: datetime,
) -> Applied | Verdict:
    (row,) = await enter_vehicles(session, [entry], now=now)
    answer = make_answer(entry, row)
    if isinstance(answer, Exception):  # no longer of this lot, or of this class
        await open_break(session, org_id, movement, Applied.REFUSED, now=now)
        return Applied.REFUSED
    if answer.verdict.value in CONFLICTS:
        lot = await find_lot_name(session, org_id, movement.lot_id) or ""
        one = make_conflict(movement.id, entry, lot_name=lot)
        await insert_breaks_once(session, org_id, [one], now=now)
    return answer.verdict


async def _apply_exit(
    session: AsyncSession, org_id: UUID, movement: MovementFacts, *, now: datetime
) -> Applied:
    data = read_data(movement.data, ExitData)
    stay = await find_stay_or_kept(session, org_id, data.session_id)
    if stay is None or stay.lot_id != movement.lot_id:
        return Applied.UNKNOWN_SESSION
    actor = await _find_actor(session, org_id, movement, data.staff_id)
    request = LeaveRequest(
        session_id=stay.id,
        actor=actor,
        # It is gone, whatever is due; where nothing is, the reason says so.
        forced=ExitReason(data.forced or ExitReason.UNCONFIRMED),
        words=data.reason or OFFLINE,
        photo=None if data.photo is None else bytes.fromhex(data.photo),
        no_photo=data.no_photo_reason,
        is_approved=True,  # nobody can stop it; above the limit it is a break
        plate=data.plate,
        is_plate_confirmed=True,
        access_id=data.access_id,
        device_id=movement.device_id,
    )
    left_at = max(movement.happened_at, stay.entered_at)
    if data.is_ticket_lost:
        await _note_lost_at_exit(session, org_id, movement, stay.id, actor)
    answer = await _let_out(session, org_id, stay, request, at=left_at)
    if isinstance(answer, PhotoNotFound | PhotoUsed):  # it is gone, whatever its photo is worth
        request = replace(request, photo=None)
        answer = await _let_out(session, org_id, stay, request, at=left_at)
    if isinstance(answer, HubError):
        raise answer
    if answer.is_repeat:
        return Applied.REPEAT
    fault = await _find_fault(session, org_id, movement, actor, data)
    if fault is not None:
        return fault
    if answer.reason == ExitReason.UNCONFIRMED and await queries_movements.is_over_unconfirmed(
        session, org_id, stay.lot_id, by=data.staff_id, at=left_at
    ):
        return Applied.OVER_LIMIT
    return Applied.APPLIED


async def _let_out(
    session: AsyncSession, org_id: UUID, stay: StayFacts, request: LeaveRequest, *, at: datetime
) -> LeaveFacts | HubError:
    if _was_written_closed(stay):
        return await leave_closed(session, org_id, request)
    (answer,) = await leave(session, org_id, [request], now=at)
    return answer


async def _note_lost_at_exit(
    session: AsyncSession, org_id: UUID, movement: MovementFacts, stay_id: UUID, actor: Actor
) -> None:
    """Record the lost ticket of a vehicle that is about to leave: its price counts, too."""
    stay = await lock_place_and_stay(session, org_id, stay_id)
    if stay.is_inside or _was_written_closed(stay):
        await _note_lost_ticket(session, org_id, movement, stay, actor)


def _was_written_closed(stay: StayFacts) -> bool:
    """Whether its own batch wrote it so: it came in and left while the phone was offline."""
    return stay.status == SessionStatus.LEFT and stay.exit_by is None


async def _apply_collection(
    session: AsyncSession, org_id: UUID, movement: MovementFacts, *, now: datetime
) -> Applied:
    data = read_data(movement.data, CollectionData)
    found = await find_stay_or_kept(session, org_id, data.session_id)
    shift = await find_shift(session, org_id, data.shift_id)
    if found is None or found.lot_id != movement.lot_id:
        return Applied.UNKNOWN_SESSION
    if shift is None or (shift.lot_id, shift.staff_id) != (movement.lot_id, data.staff_id):
        return Applied.REFUSED
    if (await _find_actor(session, org_id, movement, data.staff_id)).kind != "staff":
        return Applied.REFUSED  # nobody's cash is put into the shift of who is not of this gate
    rail = CollectionRail(data.rail)
    if rail is CollectionRail.EXEMPT and data.reason is None:
        return Applied.REFUSED
    stay = await lock_stay(session, org_id, found.id)
    if stay.status == SessionStatus.VOIDED and found.status != SessionStatus.VOIDED:
        raise Busy("The parking session is being joined.")
    known = await collection_queries.find_collection(session, org_id, data.id)
    if known is not None:
        # Taken before it was joined, or after.
        of_stay = known.session_id in (data.session_id, stay.id)
        is_same = of_stay and known.amount_vnd == data.amount_vnd
        return Applied.REPEAT if is_same else Applied.REFUSED
    shift = await share_shift(session, org_id, data.shift_id)
    if stay.bill_id is not None:
        await settling.lock_bills(session, org_id, [stay.bill_id])
    at = max(movement.happened_at, stay.entered_at)
    standing = await read_standing_anyway(
        session, org_id, stay, at=at, is_ticket_lost=data.is_ticket_lost
    )
    actor = Actor(kind="staff", id=data.staff_id, name=OFFLINE)
    if data.is_ticket_lost:
        await _note_lost_ticket(session, org_id, movement, stay, actor)
    if standing.bill is not None and standing.bill.status in UNPAID:
        await cancel_bill(session, org_id, standing.bill.id, actor=actor, reason=OFFLINE, now=now)
    stay = standing.stay
    paid_until = max(at + standing.grace, stay.paid_until or at)
    await write_paid(
        session,
        org_id,
        replace(
            stay,
            paid_vnd=stay.paid_vnd + (data.amount_vnd if rail in MONEY else 0),
            waived_vnd=stay.waived_vnd + (0 if rail in MONEY else data.amount_vnd),
            paid_until=paid_until if stay.is_inside else stay.paid_until,
            arrears_vnd=max(0, stay.arrears_vnd - data.amount_vnd),
        ),
    )
    new = NewCollection(
        id=data.id,
        lot_id=stay.lot_id,
        session_id=stay.id,
        shift_id=shift.id,
        rail=rail,
        amount_vnd=data.amount_vnd,
        collected_at=at,
        collected_by=data.staff_id,
        reason=data.reason,
        device_id=movement.device_id,
    )
    await collections.record(session, org_id, [new], now=now)
    to_check = await _list_to_check(session, org_id, stay, standing, new, shift, now=now)
    if not to_check:
        return Applied.APPLIED
    await open_break(session, org_id, movement, *to_check, now=now)
    return to_check[0]


async def _list_to_check(
    session: AsyncSession,
    org_id: UUID,
    stay: StayFacts,
    standing: Standing | Unpriced,
    new: NewCollection,
    shift: ShiftFacts,
    *,
    now: datetime,
) -> list[Applied]:
    """Say what a person must look at in a collection that was recorded; post late cash."""
    to_check: list[Applied] = []
    # A device cannot know of grace: only what is beyond the price was taken twice.
    if not isinstance(standing, Standing):
        await report_unpriced(session, org_id, [stay], now=now)
    elif stay.settled_vnd + new.amount_vnd > standing.price.amount_vnd:
        to_check.append(Applied.PAID_TWICE)
    if new.rail is CollectionRail.CASH and shift.closed_at is not None:
        await late.post_late_cash(session, org_id, shift, new.id, new.amount_vnd, now=now)
        to_check.append(Applied.AFTER_CLOSE)
    if new.rail is CollectionRail.CASH and await queries_movements.is_over_offline_cash(
        session, org_id, stay.lot_id, shift.id
    ):
        to_check.append(Applied.OVER_LIMIT)
    return to_check


async def _apply_bill(
    session: AsyncSession, org_id: UUID, movement: MovementFacts, *, now: datetime
) -> Applied:
    data = read_data(movement.data, BillData)
    if check_entry_id(data.id, now=now) is not None:
        return Applied.REFUSED
    stay = await find_stay_or_kept(session, org_id, data.session_id)
    if stay is None or stay.lot_id != movement.lot_id:
        return Applied.UNKNOWN_SESSION
    actor = await _find_actor(session, org_id, movement, data.staff_id)
    assert actor.id is not None
    wanted = IssuedBill(
        id=data.id,
        reference=data.reference,
        amount_vnd=data.amount_vnd,
        purpose=PURPOSE,
        created_by=actor.id,
        owner_kind=OWNER_KIND,
        owner_id=stay.id,
    )
    try:
        drawn = await record_drawn_bill(
            session,
            org_id,
            movement.device_id,
            stay,
            wanted,
            is_ticket_lost=data.is_ticket_lost,
            at=movement.happened_at,
            now=now,
        )
    except (ReferenceNotIssued, ReferenceUsed):
        return Applied.REFERENCE_REFUSED
    if drawn is DrawnBill.REPEAT:
        return Applied.REPEAT
    if data.is_ticket_lost:
        await _note_lost_ticket(session, org_id, movement, stay, actor)
    if drawn is DrawnBill.ASKS_TOO_MUCH:
        return Applied.AMOUNT_DIFFERS
    return await _find_fault(session, org_id, movement, actor, data) or Applied.APPLIED


async def _note_lost_ticket(
    session: AsyncSession, org_id: UUID, movement: MovementFacts, stay: StayFacts, actor: Actor
) -> None:
    await note_lost_ticket(
        session,
        org_id,
        stay,
        reason=OFFLINE,
        device_id=movement.device_id,
        actor=actor,
        now=movement.happened_at,
    )


async def _apply_manual_open(
    session: AsyncSession, org_id: UUID, movement: MovementFacts, *, now: datetime
) -> Applied:
    data = read_data(movement.data, ManualOpenData)
    actor = await _find_actor(session, org_id, movement, data.staff_id)
    is_shown = data.photo is not None and await keep_photo(
        session, org_id, movement.id, bytes.fromhex(data.photo), now=now
    )
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="lane.opened_by_hand",
        object_kind="lot",
        object_id=movement.lot_id,
        after={
            "movement_id": str(movement.id),
            "access_id": str(data.access_id) if data.access_id else None,
            "opened_at": movement.happened_at.isoformat(),
            "photo": data.photo if is_shown else None,
            "no_photo": data.no_photo_reason and mask_plates(data.no_photo_reason),
        },
        reason=data.reason,
        now=now,
    )
    return await _find_fault(session, org_id, movement, actor, data) or Applied.APPLIED


async def _find_actor(
    session: AsyncSession, org_id: UUID, movement: MovementFacts, staff_id: UUID
) -> Actor:
    """Return whom a device names, if they could be named on it then; else the device itself."""
    staff = (await find_people(session, org_id, [staff_id])).get(staff_id)
    if works_at_gate(staff, movement.lot_id, at=movement.happened_at):
        return Actor(kind="staff", id=staff_id, name=OFFLINE)
    return Actor(kind="device", id=movement.device_id, name=OFFLINE)


async def _find_fault(
    session: AsyncSession,
    org_id: UUID,
    movement: MovementFacts,
    actor: Actor,
    data: ExitData | BillData | ManualOpenData,
) -> Applied | None:
    """Say why a movement is not of the person, or of the shift, that it names."""
    if actor.kind != "staff":  # a device may name nobody
        return None if data.staff_id == movement.device_id else Applied.UNKNOWN_PERSON
    if data.shift_id is None:
        return None
    shift = await find_shift(session, org_id, data.shift_id)
    is_of = is_shift_of(
        shift, staff_id=data.staff_id, lot_id=movement.lot_id, at=movement.happened_at
    )
    return None if is_of else Applied.OTHER_SHIFT
