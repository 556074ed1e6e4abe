"""Parking sessions at the way out: quote, pay, leave, and what is corrected there."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import Now, TheBillWriter, TheExitWriter, TheQuotes, TheSettings, Tx, requires
from api.http.errors import may_answer
from api.http.responses import answer_json
from api.v1.bills.routes import show
from api.v1.bills.schemas import BillRead
from api.v1.parking_sessions.schemas import (
    BillForStay,
    CollectionCreate,
    CollectionRead,
    CollectionReverse,
    ExitCreate,
    ExitRead,
    ParkingSessionRead,
    QuoteCreate,
    QuoteRead,
    VehicleCorrect,
    write_quote,
    write_stay,
)
from core.errors import InvalidRequest, Violation
from identity.people.callers import Caller
from identity.people.rules import Permission, ScopeKind
from parking.collections.errors import (
    ApprovalNeeded,
    CollectionIdTaken,
    CollectionNotFound,
    CollectionNotReversible,
)
from parking.collections.queries import find_collection
from parking.collections.rules import CollectionFacts, CollectionRail
from parking.exits.errors import (
    AmountNotDue,
    CredentialInside,
    EntryNotUndoable,
    ExitNotUndoable,
    ExitPhotoNeeded,
    LostTicketNotReported,
    NothingDue,
    NotInside,
    NotPaid,
    ParkingSessionNotFound,
    PassNotValid,
    PlateDiffers,
    PrepayNotOffered,
    UnconfirmedLimitReached,
)
from parking.exits.leaving import LeaveFacts, LeaveRequest
from parking.exits.paying import BillWanted, Taken, collect, open_bill
from parking.exits.quoting import Held, hold_to, quote_stay
from parking.exits.rules import ExitReason, StayFacts
from parking.exits.standing import get_stay
from parking.exits.undoing import correct_vehicle, reverse_collection, undo_entry, undo_exit
from parking.exits.views import find_visible_stay
from parking.photos.errors import PhotoNotFound, PhotoUsed
from parking.sessions.errors import LotOrClassNotFound
from parking.sessions.rules import check_entry_id, read_vehicle_plate
from parking.shifts.errors import NoOpenShift
from parking.tariffs.errors import (
    NoRateForVehicle,
    QuoteAmountDiffers,
    QuoteExpired,
    QuoteNotAuthentic,
    StayNotPriceable,
)
from parking.tariffs.quotes import QuoteSigner
from parking.tariffs.records_errors import LotHasNoTariff
from parking.vehicles import VehicleClass
from payments.bills.errors import BillIdTaken, ReferencesUsedUp
from payments.bills.queries import find_bills
from payments.payees.errors import PayeeHasNoAccount

router = APIRouter(prefix="/v1/parking-sessions", tags=["parking"])

Gate = Annotated[Caller, requires(Permission.PARKING_GATE)]
IS_PRICED = (ParkingSessionNotFound, LotHasNoTariff, NoRateForVehicle, StayNotPriceable)
IS_QUOTED = (*IS_PRICED, QuoteNotAuthentic, QuoteExpired, QuoteAmountDiffers, NothingDue)


@router.get("/{session_id}", responses=may_answer(ParkingSessionNotFound))
async def show_session(session_id: UUID, caller: Gate, tx: Tx, now: Now) -> ParkingSessionRead:
    """Show a parking session.

    Attendants see what is inside, what a vehicle inside left owing before, and their running shift.
    """
    return write_stay(await find_own_stay(tx, caller, session_id, now=now))


@router.patch(
    "/{session_id}",
    responses=may_answer(
        ParkingSessionNotFound, NotInside, ApprovalNeeded, CredentialInside, LotOrClassNotFound
    ),
)
async def correct(
    session_id: UUID, body: VehicleCorrect, caller: Gate, tx: Tx, now: Now
) -> ParkingSessionRead:
    """Correct a plate or class: one's own typing freely until something was paid."""
    await find_own_stay(tx, caller, session_id, now=now)
    plate = None if body.plate is None else read_vehicle_plate(body.plate, body.vehicle_class)
    stay = await correct_vehicle(
        tx,
        caller.org_id,
        session_id,
        plate=plate,
        vehicle_class=body.vehicle_class.value,
        may_override=caller.may(Permission.PARKING_OVERRIDE),
        reason=body.reason,
        actor=caller.actor,
        now=now,
    )
    return write_stay(stay)


@router.post(
    "/{session_id}/quotes",
    status_code=201,
    responses=may_answer(*IS_PRICED, LostTicketNotReported, NotInside, PrepayNotOffered),
)
async def quote(
    session_id: UUID, body: QuoteCreate, caller: Gate, tx: Tx, quotes: TheQuotes, now: Now
) -> QuoteRead:
    """Say what is due now, or ahead. The quote holds for five minutes; nothing is stored."""
    await find_own_stay(tx, caller, session_id, now=now)
    found = await quote_stay(
        tx,
        caller.org_id,
        session_id,
        quotes,
        is_ticket_lost=body.is_ticket_lost,
        stay_minutes=body.stay_minutes,
        now=now,
    )
    return write_quote(found)


@router.post(
    "/{session_id}/bills",
    status_code=201,
    response_model=BillRead,
    responses=may_answer(
        *IS_QUOTED, AmountNotDue, BillIdTaken, PayeeHasNoAccount, ReferencesUsedUp
    ),
)
async def bill(
    request: Request,
    session_id: UUID,
    body: BillForStay,
    caller: Gate,
    tx: Tx,
    quotes: TheQuotes,
    bill_writer: TheBillWriter,
    settings: TheSettings,
    now: Now,
) -> Response:
    """Open a VietQR bill for what was quoted, or answer the one that asks for it already."""
    check_own_id(body.id, now)
    await find_own_stay(tx, caller, session_id, now=now)
    held = Held(priced_at=now, is_ticket_lost=False)
    is_repeat = bool(await find_bills(tx, caller.org_id, [body.id]))
    if not is_repeat:  # of a repeat the quote may be over: what was stored decides
        held = _hold(quotes, caller, session_id, body.quote, body.amount_vnd, now)
    wanted = BillWanted(
        id=body.id,
        amount_vnd=body.amount_vnd,
        reference="" if is_repeat else await bill_writer.take_reference(caller.org),
        valid_for=timedelta(seconds=settings.bill_valid_for_s),
        monitored_for=timedelta(seconds=settings.bill_monitored_for_s),
    )
    opened = await open_bill(
        tx,
        caller.org_id,
        session_id,
        wanted,
        priced_at=held.priced_at,
        is_ticket_lost=held.is_ticket_lost,
        actor=caller.actor,
        now=now,
    )
    return answer_json(show(request, caller, opened, now), status=201)


@router.post(
    "/{session_id}/collections",
    status_code=201,
    response_model=CollectionRead,
    responses=may_answer(*IS_QUOTED, AmountNotDue, CollectionIdTaken, NoOpenShift, PassNotValid),
)
async def take(
    session_id: UUID, body: CollectionCreate, caller: Gate, tx: Tx, quotes: TheQuotes, now: Now
) -> CollectionFacts:
    """Record cash, a pass, an exemption or a payment on behalf; the open bill is cancelled."""
    check_own_id(body.id, now)
    _check_rail(body)
    await find_own_stay(tx, caller, session_id, now=now)
    held = Held(priced_at=now, is_ticket_lost=False)
    # Of a repeat the quote may be over: what was stored decides.
    is_repeat = await find_collection(tx, caller.org_id, body.id) is not None
    if body.amount_vnd is not None and body.quote is not None and not is_repeat:
        held = _hold(quotes, caller, session_id, body.quote, body.amount_vnd, now)
    return await collect(
        tx,
        caller.org_id,
        session_id,
        Taken(
            id=body.id,
            rail=CollectionRail(body.rail),
            amount_vnd=body.amount_vnd,
            reason=body.reason,
            pass_id=body.pass_id,
            device_id=caller.device_id,
        ),
        priced_at=held.priced_at,
        is_ticket_lost=held.is_ticket_lost,
        actor=caller.actor,
        now=now,
    )


@router.post(
    "/{session_id}/collections/{collection_id}/reverse",
    response_model=CollectionRead,
    responses=may_answer(
        ParkingSessionNotFound, CollectionNotFound, CollectionNotReversible, ApprovalNeeded
    ),
)
async def reverse(
    session_id: UUID,
    collection_id: UUID,
    body: CollectionReverse,
    caller: Gate,
    tx: Tx,
    now: Now,
) -> CollectionFacts:
    """Take a collection back: one's own within ten seconds, later with approval. Idempotent."""
    await find_own_stay(tx, caller, session_id, now=now)
    known = await find_collection(tx, caller.org_id, collection_id)
    if known is None or known.session_id != session_id:
        raise CollectionNotFound(collection_id)
    return await reverse_collection(
        tx,
        caller.org_id,
        collection_id,
        may_override=caller.may(Permission.PARKING_OVERRIDE),
        reason=body.reason,
        actor=caller.actor,
        now=now,
    )


@router.post(
    "/{session_id}/exit",
    response_model=ExitRead,
    responses=may_answer(
        *(*IS_PRICED, NotInside, NotPaid, PlateDiffers),
        *(UnconfirmedLimitReached, ExitPhotoNeeded, PhotoNotFound, PhotoUsed),
    ),
)
async def leave(
    session_id: UUID, body: ExitCreate, caller: Gate, exit_writer: TheExitWriter
) -> LeaveFacts:
    """Let a vehicle out that owes nothing, or say why it leaves all the same. Idempotent."""
    if (body.forced is None) != (body.reason is None):
        fault = "`forced` and its `reason` come together."
        raise InvalidRequest(
            fault, violations=[Violation(field="reason", code="not_whole", detail=fault)]
        )
    plate = None if body.plate is None else read_vehicle_plate(body.plate, VehicleClass.OTHER)
    request = LeaveRequest(
        session_id=session_id,
        actor=caller.actor,
        lot_ids=caller.choices(ScopeKind.LOT),
        sees_all=caller.may(Permission.PARKING_OVERRIDE),
        forced=None if body.forced is None else ExitReason(body.forced),
        words=body.reason,
        is_approved=caller.may(Permission.PARKING_OVERRIDE),
        plate=plate,
        is_plate_confirmed=body.is_plate_confirmed,
        method=body.method.value,
        read_text=body.read_text,
        read_score_bps=body.read_score_bps,
        photo=None if body.photo is None else bytes.fromhex(body.photo),
        takes_photo=True,
        no_photo=body.no_photo_reason,
        access_id=body.access_id,
        device_id=caller.device_id,
    )
    return await exit_writer.leave(caller.org_id, request)


@router.post(
    "/{session_id}/exit/undo",
    responses=may_answer(ParkingSessionNotFound, ExitNotUndoable, CredentialInside),
)
async def undo(session_id: UUID, caller: Gate, tx: Tx, now: Now) -> ParkingSessionRead:
    """Let a vehicle be inside again that one let out by mistake, within ten seconds."""
    await find_own_stay(tx, caller, session_id, now=now)
    stay = await undo_exit(tx, caller.org_id, session_id, actor=caller.actor, now=now)
    return write_stay(stay)


@router.post(
    "/{session_id}/entry/undo", responses=may_answer(ParkingSessionNotFound, EntryNotUndoable)
)
async def undo_own_entry(session_id: UUID, caller: Gate, tx: Tx, now: Now) -> ParkingSessionRead:
    """Void a stay that one began by mistake, within ten seconds."""
    stay = await get_stay(tx, caller.org_id, session_id)
    if not caller.sees(ScopeKind.LOT, stay.lot_id):
        raise ParkingSessionNotFound(session_id)
    return write_stay(await undo_entry(tx, caller.org_id, session_id, actor=caller.actor, now=now))


def check_own_id(id_: UUID, now: datetime) -> None:
    """Refuse an id of a client's own making that says another time."""
    if fault := check_entry_id(id_, now=now):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])


async def find_own_stay(
    tx: AsyncSession, caller: Caller, session_id: UUID, *, now: datetime
) -> StayFacts:
    """Return a stay that the caller may see.

    Raises:
        ParkingSessionNotFound
    """
    return await find_visible_stay(
        tx,
        caller.org_id,
        session_id,
        lot_ids=caller.choices(ScopeKind.LOT),
        by=caller.id,
        sees_all=caller.may(Permission.PARKING_OVERRIDE),
        now=now,
    )


def _check_rail(body: CollectionCreate) -> None:
    """Refuse a collection without what its rail needs."""
    by_right = body.rail in ("pass", "exempt")
    if body.rail == "pass" and body.pass_id is None:
        field, fault = "pass_id", "A pass needs its `pass_id`."
    elif body.rail == "exempt" and body.reason is None:
        field, fault = "reason", "An exemption needs its `reason`."
    elif not by_right and (body.amount_vnd is None or body.quote is None):
        field, fault = "amount_vnd", "Name the quoted amount, and its `quote`."
    else:
        return
    raise InvalidRequest(fault, violations=[Violation(field=field, code="missing", detail=fault)])


def _hold(
    quotes: QuoteSigner,
    caller: Caller,
    session_id: UUID,
    token: str,
    amount_vnd: int,
    now: datetime,
) -> Held:
    return hold_to(
        quotes,
        token,
        org_id=caller.org_id,
        session_id=session_id,
        amount_vnd=amount_vnd,
        now=now,
    )
