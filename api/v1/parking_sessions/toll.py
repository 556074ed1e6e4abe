"""Charges of a stay to the driver's toll account."""

from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import (
    Now,
    TheBillWriter,
    TheDatabase,
    TheQuotes,
    TheSettings,
    TheTolls,
    Tx,
    read_clock,
)
from api.http.errors import may_answer
from api.http.fields import AmountVnd, Body, Line
from api.v1.bills.routes import show
from api.v1.bills.schemas import BillRead
from api.v1.parking_sessions.routes import IS_QUOTED, Gate, find_own_stay
from api.v1.parking_sessions.schemas import OwnId, QuoteToken
from api.v1.toll.schemas import TollChargeRead, describe_toll
from core.errors import InvalidRequest, Violation
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.callers import Caller
from parking.exits.errors import AmountNotDue, ParkingSessionNotFound
from parking.exits.paying import BillWanted
from parking.exits.quoting import Held, hold_to
from parking.exits.toll import TAG_CHARS_MAX, TollWanted, next_step, write_toll
from parking.sessions.rules import check_entry_id
from payments.bills.errors import BillNotFound, ReferencesUsedUp
from payments.bills.queries import get_bill
from payments.payees.errors import PayeeHasNoAccount
from payments.rails.toll.errors import (
    TollChargeNotFound,
    TollIdTaken,
    TollNotAvailable,
    TollUnderWay,
)
from payments.rails.toll.queries import find_request
from payments.rails.toll.rules import AccountKind

router = APIRouter(prefix="/v1/parking-sessions", tags=["parking"])


class TollChargeCreate(Body):
    """A charge of what is due to a toll account."""

    id: OwnId
    amount_vnd: AmountVnd = Field(description="What was quoted; another amount is refused.")
    quote: QuoteToken
    account_kind: Literal["plate", "tag"] = "plate"
    tag: Annotated[Line, Field(min_length=1, max_length=TAG_CHARS_MAX)] | None = Field(
        default=None, description="The tag's number, of `tag`; a plate is the vehicle's own."
    )


class StayTollRead(TollChargeRead):
    """What became of the charge within three seconds, and what to do now."""

    next_step: Literal["leave", "other_payment"]
    bill: BillRead = Field(description="Its code pays the same amount, if the charge does not.")


@router.post(
    "/{session_id}/toll-charges",
    status_code=201,
    responses=may_answer(
        BillNotFound,
        *IS_QUOTED,
        AmountNotDue,
        PayeeHasNoAccount,
        ReferencesUsedUp,
        TollIdTaken,
        TollNotAvailable,
        TollUnderWay,
    ),
)
async def charge_toll(
    request: Request,
    session_id: UUID,
    body: TollChargeCreate,
    caller: Gate,
    database: TheDatabase,
    tolls: TheTolls,
    quotes: TheQuotes,
    bill_writer: TheBillWriter,
    settings: TheSettings,
    now: Now,
) -> StayTollRead:
    """Charge the driver's toll account. Answers within three seconds, decided or not.

    A repeat sends nothing: it answers how the charge stands now.
    """
    if fault := check_entry_id(body.id, now=now):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])
    kind = AccountKind(body.account_kind)
    if (kind is AccountKind.TAG) != (body.tag is not None):
        fault = "`tag` comes with the account kind `tag`."
        violation = Violation(field="tag", code="not_whole", detail=fault)
        raise InvalidRequest(fault, violations=[violation])
    async with open_org_transaction(database, caller.org_id) as tx:
        await find_own_stay(tx, caller, session_id, now=now)
        is_repeat = await find_request(tx, caller.org_id, body.id) is not None
    held = Held(priced_at=now, is_ticket_lost=False)
    if not is_repeat:  # of a repeat the quote may be over: what was stored decides
        held = hold_to(
            quotes,
            body.quote,
            org_id=caller.org_id,
            session_id=session_id,
            amount_vnd=body.amount_vnd,
            now=now,
        )
    wanted = BillWanted(
        id=new_id(),
        amount_vnd=body.amount_vnd,
        reference="" if is_repeat else await bill_writer.take_reference(caller.org),
        valid_for=timedelta(seconds=settings.bill_valid_for_s),
        monitored_for=timedelta(seconds=settings.bill_monitored_for_s),
    )
    async with open_org_transaction(database, caller.org_id) as tx:
        account = await write_toll(
            tx,
            caller.org_id,
            session_id,
            TollWanted(id=body.id, kind=kind, tag=body.tag),
            wanted,
            priced_at=held.priced_at,
            is_ticket_lost=held.is_ticket_lost,
            actor=caller.actor,
            now=now,
        )
    if account is not None:
        await tolls.charge(caller.org_id, body.id, account=account)
    async with open_org_transaction(database, caller.org_id) as tx:
        return await _show(request, tx, caller, body.id)


@router.get(
    "/{session_id}/toll-charges/{charge_id}",
    responses=may_answer(BillNotFound, ParkingSessionNotFound, TollChargeNotFound),
)
async def show_toll(
    request: Request, session_id: UUID, charge_id: UUID, caller: Gate, tx: Tx, now: Now
) -> StayTollRead:
    """Say how a charge stands now: an undecided one is looked up every few seconds."""
    await find_own_stay(tx, caller, session_id, now=now)
    found = await find_request(tx, caller.org_id, charge_id)
    if found is None or found.owner_id != session_id:
        raise TollChargeNotFound(charge_id)
    return await _show(request, tx, caller, charge_id)


async def _show(
    request: Request, tx: AsyncSession, caller: Caller, charge_id: UUID
) -> StayTollRead:
    toll = await find_request(tx, caller.org_id, charge_id)
    assert toll is not None
    bill = await get_bill(tx, caller.org_id, toll.bill_id)
    return StayTollRead(
        **describe_toll(toll),
        next_step=next_step(toll).value,
        bill=BillRead.model_validate(show(request, caller, bill, await read_clock())),
    )
