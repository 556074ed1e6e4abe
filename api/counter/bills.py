"""A bill at the counter: its code, its state, cancelling it, and checking with the bank."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.counter.credits import PresentedCredit, facts_of_cash, facts_of_sale, present_credit
from api.counter.page_context import CounterPayee, ThePayee, go, read_context, render
from api.counter.polling import PollProblem, poll_for_payee
from api.counter.refunds import RefundsOfBill, read_refunds
from api.http.codes import render_inline
from api.http.deps import (
    Now,
    TheDatabase,
    TheLimits,
    ThePoller,
    TheRails,
    TheSettings,
    Tx,
    requires,
)
from api.http.templating import language_of
from core.clock import hanoi_day
from core.errors import InvalidRequest
from core.ids import new_id
from core.tenancy import open_org_transaction
from core.vnd_words import spell_vnd
from identity.people.rules import Permission
from payments.bills.cash import take_back_cash, take_rest_in_cash
from payments.bills.errors import BillNotFound, CashNotOwed, CashNotReversible
from payments.bills.queries import get_bill
from payments.bills.queries_payments import CashTaken, find_cash
from payments.bills.rules import (
    BillFacts,
    BillStatus,
    CodeState,
    RailStatus,
    check_client_id,
    effective_status,
)
from payments.credits.sales import list_of_bill
from payments.polling.service import start_deadline_s
from payments.rails.choice import read_rail_choice
from payments.rails.errors import RailNotAvailable
from payments.rails.rules import CHECK_TIMEOUT_S, LEASE
from payments.refunds.service import cancel_bill_and_propose_refund
from payments.vietqr import bill_codes
from payments.vietqr.banks import name_bank

router = APIRouter(prefix="/counter/bills", include_in_schema=False)

WAITING: Final = frozenset({BillStatus.OPEN, BillStatus.PART_PAID})
# At the provider it may still be open.
NOT_CLOSED_THERE: Final = frozenset({RailStatus.PENDING, RailStatus.UNKNOWN, RailStatus.OPEN})
Checked = Literal["", "nothing", "cash_not_owed", "cash_not_reversible"] | PollProblem


@dataclass(frozen=True, kw_only=True)
class BillPage:
    """What templates/counter_bill.html may use, already worded for a person."""

    bill_id: UUID
    state: str  # a BillStatus at this instant
    code_vnd: int  # what the code asks for
    code_state: str  # a CodeState; only "ready" has a code
    rail: str  # "vietqr", or whose order it is
    is_result_unknown: bool  # the rail was called, and its answer was lost
    is_code_late: bool  # the call should have ended by now
    code_by: str  # ISO 8601: until then the rail is being called
    code_within_s: int
    is_reported: bool  # False: nobody reports what is paid by this code
    can_try_again: bool  # it has no code, for certain: one may be requested anew
    can_replace: bool  # or another bill may take its place
    is_closed_there: bool  # cancelled or paid at its rail's provider, whatever it is here
    is_closing: bool  # cancelled here, and perhaps not yet at its rail's provider
    code_problem: str  # why its rail opened nothing, "" if it did
    code_svg: Markup  # empty unless the code is shown
    code_words: str  # always Vietnamese: it is read back to the customer
    reference: str
    bank: str
    account: str
    holder_name: str
    note: str
    pay_path: str  # the customer's own page
    pay_url: str  # the same in full, to send
    expires_at: str  # ISO 8601
    valid_for_s: int
    is_waiting: bool  # the code is shown
    is_timed: bool  # and counts down
    can_cancel: bool
    can_renew: bool
    cash_vnd: int  # above zero: the rest may be taken in cash
    cash_id: UUID  # of that payment: pressed twice, it is one
    cash_back: CashTaken | None  # that whoever looks recorded today, and may take back
    renewed_id: UUID  # of the bill that renewing will open: pressed twice, it opens one
    verdict: PresentedCredit | None  # what the last payment for it was
    checked: Checked  # what polling the bank found
    refunds: RefundsOfBill  # what is given back of it


@router.get("/{bill_id}", dependencies=[requires(Permission.BILLS_READ)])
async def show_bill(
    request: Request,
    bill_id: UUID,
    payee: ThePayee,
    tx: Tx,
    settings: TheSettings,
    now: Now,
    checked: Checked = "",
) -> Response:
    """Show a bill's code while it waits, and what became of it."""
    bill = await get_own_bill(tx, payee, bill_id)
    context = await read_context(tx, payee, here="keypad", now=now)
    credits_in = await list_of_bill(tx, payee.org_id, bill_id)
    cash = await find_cash(tx, payee.org_id, bill_id)
    facts = facts_of_sale(credits_in[-1]) if credits_in else None
    if cash is not None and (not credits_in or cash.recorded_at >= credits_in[-1].received_at):
        facts = facts_of_cash(bill, cash)
    verdict = None if facts is None else present_credit(facts, language_of(request))
    status = effective_status(bill.status, expires_at=bill.expires_at, now=now)
    # On a page without a code it says what the bill was for.
    code_vnd = (bill.code_amount_vnd if bill.is_payable else bill.amount_vnd) or 0
    # A part of the money is here: the rest may come whenever it comes.
    is_waiting = status is BillStatus.OPEN or bill.is_part_paid
    can_open = payee.caller.may(Permission.BILLS_OPEN)
    pay_path = f"/p/{payee.caller.org_code}-{bill.public_token}"
    page = BillPage(
        bill_id=bill.id,
        state=status.value,
        code_vnd=code_vnd,
        code_state=bill.code_state.value,
        rail=bill.rail,
        is_result_unknown=bill.rail_status == RailStatus.UNKNOWN,
        is_code_late=bill.code_state is CodeState.PENDING and now >= bill.created_at + LEASE,
        code_by=(bill.created_at + LEASE).isoformat(),
        code_within_s=round(LEASE.total_seconds()),
        is_reported=not is_waiting or await _is_reported(tx, bill),
        can_try_again=bill.code_state is CodeState.FAILED and can_open,
        can_replace=may_be_replaced(bill) and can_open,
        is_closed_there=bill.rail_status in (RailStatus.CANCELLED, RailStatus.CLOSED),
        is_closing=bill.status == BillStatus.CANCELLED and bill.rail_status in NOT_CLOSED_THERE,
        code_problem=bill.rail_problem or "",
        code_svg=await render_inline(bill.vietqr) if is_waiting and bill.has_code else Markup(),
        code_words=spell_vnd(code_vnd),
        reference=bill.reference,
        bank=name_bank(bill.code_bin),
        account=bill.code_account,
        holder_name=bill.holder_name,
        note=bill.purpose,
        pay_path=pay_path,
        pay_url=f"{settings.public_url.rstrip('/')}{pay_path}",
        expires_at=bill.expires_at.isoformat(),
        valid_for_s=max(1, round((bill.expires_at - bill.created_at).total_seconds())),
        is_waiting=is_waiting,
        is_timed=status is BillStatus.OPEN,
        can_cancel=status in (*WAITING, BillStatus.EXPIRED)
        and payee.caller.may(Permission.BILLS_CANCEL),
        can_renew=status is BillStatus.EXPIRED and bill.paid_vnd == 0 and can_open,
        cash_vnd=code_vnd
        if bill.is_part_paid and payee.caller.may(Permission.BILLS_TAKE_CASH)
        else 0,
        cash_id=new_id(),
        cash_back=cash if cash is not None and _may_take_back(payee, cash, now) else None,
        renewed_id=new_id(),
        verdict=verdict,
        checked=checked,
        refunds=await read_refunds(request, tx, payee, bill),
    )
    return render(request, "counter_bill.html", context, page)


@router.post("/{bill_id}/cancel", dependencies=[requires(Permission.BILLS_CANCEL)])
async def cancel(bill_id: UUID, payee: ThePayee, tx: Tx, now: Now) -> Response:
    """Cancel a bill that nobody paid.

    Raises:
        BillNotFound, BillNotCancellable
    """
    bill = await get_own_bill(tx, payee, bill_id)
    await cancel_bill_and_propose_refund(
        tx, payee.org_id, bill.id, actor=payee.caller.actor, reason=None, now=now
    )
    return go(payee.path(f"/bills/{bill_id}"))


@router.post("/{bill_id}/cash", dependencies=[requires(Permission.BILLS_TAKE_CASH)])
async def take_cash(
    bill_id: UUID,
    payee: ThePayee,
    tx: Tx,
    now: Now,
    cash_id: Annotated[UUID, Form()],
    amount_vnd: Annotated[int, Form(ge=1)],
) -> Response:
    """Record that the customer paid the rest in cash; sent twice, it is one payment.

    Raises:
        BillNotFound, PaymentIdTaken
        InvalidRequest: the form is older than the browser's page may be.
    """
    await get_own_bill(tx, payee, bill_id)
    if fault := check_client_id(cash_id, now=now):
        raise InvalidRequest(fault)
    try:
        await take_rest_in_cash(
            tx,
            payee.org_id,
            bill_id,
            payment_id=cash_id,
            amount_vnd=amount_vnd,
            actor=payee.caller.actor,
            now=now,
        )
    except CashNotOwed:  # money came meanwhile: nothing was written, and the page shows the bill
        return go(payee.path(f"/bills/{bill_id}", checked="cash_not_owed"))
    return go(payee.path(f"/bills/{bill_id}"))


@router.post("/{bill_id}/cash-back", dependencies=[requires(Permission.BILLS_TAKE_CASH)])
async def give_cash_back(
    bill_id: UUID,
    payee: ThePayee,
    database: TheDatabase,
    rails: TheRails,
    now: Now,
    payment_id: Annotated[UUID, Form()],
) -> Response:
    """Take back cash that was recorded by mistake: the bill owes it again, and has a code for it.

    Raises:
        BillNotFound, CashNotFound
    """
    try:
        async with open_org_transaction(database, payee.org_id) as session:
            await get_own_bill(session, payee, bill_id)
            await take_back_cash(
                session,
                payee.org_id,
                bill_id,
                payment_id=payment_id,
                actor=payee.caller.actor,
                now=now,
            )
    except CashNotReversible:  # nothing was written
        return go(payee.path(f"/bills/{bill_id}", checked="cash_not_reversible"))
    with suppress(RailNotAvailable):  # its rail's code was cancelled when cash had paid the bill
        await rails.request_again(payee.org_id, bill_id, wait_s=0)
    return go(payee.path(f"/bills/{bill_id}"))


@router.post("/{bill_id}/check", dependencies=[requires(Permission.BILLS_READ)])
async def check_bill(
    bill_id: UUID,
    payee: ThePayee,
    database: TheDatabase,
    poller: ThePoller,
    rails: TheRails,
    limits: TheLimits,
    now: Now,
) -> Response:
    """Poll the bank, within five seconds: whether money came for this bill.

    Raises:
        TooManyRequests: this payee polls too often.
    """
    limits.checks.take(str(payee.id))
    async with open_org_transaction(database, payee.org_id) as session:
        before = await get_own_bill(session, payee, bill_id)
    deadline_s = start_deadline_s()
    # Its request, where one is due; what that takes longer, the worker finishes.
    await rails.resume(payee.org_id, bill_id, within_s=CHECK_TIMEOUT_S)
    if why := await poll_for_payee(
        payee,
        poller,
        before.receiving_account_id,
        bill_id=bill_id,
        deadline_s=deadline_s,
        now=now,
    ):
        return go(payee.path(f"/bills/{bill_id}", checked=why))
    async with open_org_transaction(database, payee.org_id) as session:
        after = await get_bill(session, payee.org_id, bill_id)
    if after.received_vnd > before.received_vnd:  # the page itself says what came
        return go(payee.path(f"/bills/{bill_id}"))
    return go(payee.path(f"/bills/{bill_id}", checked="nothing"))


async def get_own_bill(session: AsyncSession, payee: CounterPayee, bill_id: UUID) -> BillFacts:
    """Return a bill of this payee; another payee's is not found."""
    bill = await get_bill(session, payee.org_id, bill_id)
    if bill.payee_id != payee.id:
        raise BillNotFound(bill_id)
    return bill


def may_be_replaced(bill: BillFacts) -> bool:
    """Whether another bill may take a bill's place: it has no code, and nothing came for it."""
    return bill.code_state is CodeState.FAILED and not bill.received_vnd


async def _is_reported(session: AsyncSession, bill: BillFacts) -> bool:
    """Whether somebody reports what is paid by the bill's code, as the connections are now."""
    if bill.rail != bill_codes.NAME:
        return True
    return (await read_rail_choice(session, bill.org_id, bill.payee_id)).is_direct_reported


def _may_take_back(payee: CounterPayee, cash: CashTaken, now: datetime) -> bool:
    return (
        cash.recorded_by == payee.caller.actor.id
        and hanoi_day(cash.recorded_at) == hanoi_day(now)
        and payee.caller.may(Permission.BILLS_TAKE_CASH)
    )
