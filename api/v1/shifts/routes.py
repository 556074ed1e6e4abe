"""Shifts: open, hand-over report, close with a blind count, and the deposit of the float."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import Now, TheBillWriter, TheSettings, Tx, requires
from api.http.errors import may_answer
from api.http.responses import answer_json
from api.v1.bills.routes import show
from api.v1.bills.schemas import BillRead
from api.v1.shifts.schemas import (
    DepositCreate,
    ShiftClose,
    ShiftCreate,
    ShiftRead,
    write_report,
)
from core.errors import Forbidden, InvalidRequest, Violation
from identity.people.callers import Caller
from identity.people.errors import ScopeNeeded
from identity.people.rules import Permission, ScopeKind
from parking.places.errors import LotNotFound
from parking.sessions.rules import check_entry_id
from parking.shifts import service
from parking.shifts.deposits import DepositWanted, open_deposit
from parking.shifts.errors import (
    NoOpenShift,
    NothingToDeposit,
    ShiftAlreadyOpen,
    ShiftClosed,
    ShiftIdTaken,
    ShiftNotFound,
)
from parking.shifts.queries import find_open_shift, get_shift
from parking.shifts.rules import ShiftFacts
from parking.shifts.views import read_report
from payments.bills.errors import BillIdTaken, ReferencesUsedUp
from payments.payees.errors import PayeeHasNoAccount

router = APIRouter(prefix="/v1/shifts", tags=["parking"])

Gate = Annotated[Caller, requires(Permission.PARKING_GATE)]


@router.post(
    "",
    status_code=201,
    responses=may_answer(LotNotFound, ShiftIdTaken, ShiftAlreadyOpen, Forbidden, ScopeNeeded),
)
async def open_shift(body: ShiftCreate, caller: Gate, tx: Tx, now: Now) -> ShiftRead:
    """Open one's own shift at a lot. A person has one at a time."""
    _check_id(body.id, now)
    _check_person(caller)
    caller.narrow(ScopeKind.LOT, body.lot_id)
    shift = await service.open_shift(
        tx,
        caller.org_id,
        body.id,
        lot_id=body.lot_id,
        staff_id=caller.id,
        change_vnd=body.change_vnd,
        actor=caller.actor,
        now=now,
    )
    return write_report(await read_report(tx, caller.org_id, shift.id))


@router.get("/open", responses=may_answer(NoOpenShift))
async def show_open_shift(caller: Gate, tx: Tx) -> ShiftRead:
    """Show one's own open shift."""
    shift = await find_open_shift(tx, caller.org_id, caller.id)
    if shift is None or not caller.sees(ScopeKind.LOT, shift.lot_id):
        raise NoOpenShift
    return write_report(await read_report(tx, caller.org_id, shift.id))


@router.get("/{shift_id}", responses=may_answer(ShiftNotFound))
async def show_shift(shift_id: UUID, caller: Gate, tx: Tx) -> ShiftRead:
    """Show a shift with its hand-over report; attendants see their own."""
    await find_own_shift(tx, caller, shift_id)
    return write_report(await read_report(tx, caller.org_id, shift_id))


@router.post("/{shift_id}/close", responses=may_answer(ShiftNotFound, ShiftClosed))
async def close_shift(
    shift_id: UUID, body: ShiftClose, caller: Gate, tx: Tx, now: Now
) -> ShiftRead:
    """Close a shift with what was counted; the same count again answers the same."""
    await find_own_shift(tx, caller, shift_id)
    await service.close_shift(
        tx,
        caller.org_id,
        shift_id,
        counted_vnd=body.counted_vnd,
        note=body.note,
        actor=caller.actor,
        now=now,
    )
    return write_report(await read_report(tx, caller.org_id, shift_id))


@router.post(
    "/{shift_id}/deposits",
    status_code=201,
    response_model=BillRead,
    responses=may_answer(
        ShiftNotFound, NothingToDeposit, BillIdTaken, PayeeHasNoAccount, ReferencesUsedUp
    ),
)
async def deposit(
    request: Request,
    shift_id: UUID,
    body: DepositCreate,
    caller: Gate,
    tx: Tx,
    bill_writer: TheBillWriter,
    settings: TheSettings,
    now: Now,
) -> Response:
    """Open one bill for all that the shift paid on behalf of drivers."""
    _check_id(body.id, now)
    await find_own_shift(tx, caller, shift_id)
    wanted = DepositWanted(
        id=body.id,
        reference=await bill_writer.take_reference(caller.org),
        valid_for=timedelta(seconds=settings.bill_valid_for_s),
        monitored_for=timedelta(seconds=settings.bill_monitored_for_s),
    )
    bill = await open_deposit(tx, caller.org_id, shift_id, wanted, actor=caller.actor, now=now)
    return answer_json(show(request, caller, bill, now), status=201)


async def find_own_shift(tx: AsyncSession, caller: Caller, shift_id: UUID) -> ShiftFacts:
    """Return a shift of the caller's own, or any of their lots for who manages parking.

    Raises:
        ShiftNotFound
    """
    shift = await get_shift(tx, caller.org_id, shift_id)
    is_own = shift.staff_id == caller.id or caller.may(Permission.PARKING_MANAGE)
    if not is_own or not caller.sees(ScopeKind.LOT, shift.lot_id):
        raise ShiftNotFound(shift_id)
    return shift


def _check_person(caller: Caller) -> None:
    """Refuse who has no shifts here: machines, phones on which nobody is named, and who acts for
    another organisation than their own."""
    if caller.kind == "api_key" or caller.id == caller.device_id:
        raise Forbidden("A shift belongs to a person. Sign in, or enter your PIN on the phone.")
    if caller.org_id != caller.home.id:
        raise Forbidden("You act for another organisation: its shifts are of its own people.")


def _check_id(id_: UUID, now: datetime) -> None:
    if fault := check_entry_id(id_, now=now):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])
