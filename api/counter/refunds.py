"""Money given back at the counter: requested for a bill, and said to be returned by its owner."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.counter.page_context import CounterPayee, ThePayee, go
from api.http.deps import Now, Tx, requires
from api.http.i18n import translate
from api.http.templating import language_of
from api.pages.amounts import read_amount
from core.errors import InvalidRequest
from core.ids import new_id
from core.text import tidy_line
from identity.people.rules import Permission, ScopeKind
from payments.bills.errors import BillNotFound
from payments.bills.queries import get_bill
from payments.bills.rules import BillFacts, check_client_id
from payments.payees.rules import HeldBy
from payments.refunds import queries
from payments.refunds.errors import PaymentNotFound, RefundNotFound
from payments.refunds.requesting import request_refund
from payments.refunds.rules import (
    REFERENCE_CHARS_MAX,
    REFUNDABLE,
    WORDS_MAX,
    RefundStatus,
    Step,
    Way,
)
from payments.refunds.steps import StepTaken, acts_for, take_step
from payments.refunds.types import NewRefund, PaymentLeft, RefundView
from payments.vietqr.banks import find_bank

router = APIRouter(prefix="/counter/bills/{bill_id}/refunds", include_in_schema=False)

OF_BILL_MAX = 20


@dataclass(frozen=True, kw_only=True)
class CounterRefund:
    """A refund of a bill, already worded."""

    id: UUID
    amount_vnd: int
    word: str
    can_return: bool  # by who looks: they hold the account
    destination: str  # for who returns it; "" where none is known
    can_cancel: bool
    is_cash: bool


@dataclass(frozen=True, kw_only=True)
class ToRefund:
    """A payment that something can be given back of."""

    refund_id: UUID  # of the next request of it: pressed twice, it is one
    payment: PaymentLeft


@dataclass(frozen=True, kw_only=True)
class RefundsOfBill:
    """What templates/counter_refunds.html may use, already worded."""

    refunds: tuple[CounterRefund, ...] = ()
    payments: tuple[ToRefund, ...] = ()


async def read_refunds(
    request: Request, tx: AsyncSession, payee: CounterPayee, bill: BillFacts
) -> RefundsOfBill:
    """Read what is given back of a bill, and what still can be, for who looks at it."""
    if bill.status not in REFUNDABLE and not bill.paid_vnd:
        return RefundsOfBill()
    found = await queries.list_refunds(tx, payee.org_id, bill_id=bill.id, limit=OF_BILL_MAX)
    left: list[PaymentLeft] = []
    if bill.status in REFUNDABLE and payee.caller.may(Permission.REFUNDS_REQUEST):
        paid = await queries.list_payments_of_bill(tx, payee.org_id, bill.id)
        left = [one for one in paid if one.refundable_vnd]
    return RefundsOfBill(
        refunds=tuple(_present(request, payee, one) for one in found),
        payments=tuple(ToRefund(refund_id=new_id(), payment=one) for one in left),
    )


@router.post("", dependencies=[requires(Permission.REFUNDS_REQUEST)])
async def create(
    bill_id: UUID,
    payee: ThePayee,
    tx: Tx,
    now: Now,
    refund_id: Annotated[UUID, Form()],
    payment_id: Annotated[UUID, Form()],
    amount: Annotated[str, Form(max_length=40)],
    reason: Annotated[str, Form(max_length=2_000)],
) -> Response:
    """Request a refund of a payment of this bill; sent twice, it is one.

    Raises:
        BillNotFound, PaymentNotFound, RefundTooHigh, RefundNotPossible, RefundIdTaken
        InvalidRequest: the amount or the reason is missing, or the form is too old.
    """
    await _check_own(tx, payee, bill_id)
    if (await queries.get_payment(tx, payee.org_id, payment_id)).bill_id != bill_id:
        raise PaymentNotFound(payment_id)
    amount_vnd, said = read_amount(amount), tidy_line(reason)[:WORDS_MAX]
    if not amount_vnd or not said:
        raise InvalidRequest("Enter the amount to give back, and why.")
    if fault := check_client_id(refund_id, now=now):
        raise InvalidRequest(fault)
    new = NewRefund(id=refund_id, payment_id=payment_id, amount_vnd=amount_vnd, reason=said)
    await request_refund(tx, payee.org_id, new, actor=payee.caller.actor, now=now)
    return go(payee.path(f"/bills/{bill_id}"))


@router.post("/{refund_id}/returned", dependencies=[requires(Permission.REFUNDS_INSTRUCT)])
async def confirm(
    bill_id: UUID,
    refund_id: UUID,
    payee: ThePayee,
    tx: Tx,
    now: Now,
    bank_reference: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Say "đã trả lại khách", with the bank's reference of the transfer.

    Raises:
        BillNotFound, RefundNotFound, RefundNotYours, RefundReferenceNeeded, RefundStepNotPossible
    """
    await _check_own(tx, payee, bill_id, refund_id)
    taken = StepTaken(
        step=Step.CONFIRM,
        bank_reference=tidy_line(bank_reference)[:REFERENCE_CHARS_MAX] or None,
        acts_for=acts_for(payee.caller),
    )
    await take_step(tx, payee.org_id, refund_id, taken, actor=payee.caller.actor, now=now)
    return go(payee.path(f"/bills/{bill_id}"))


@router.post("/{refund_id}/cancel", dependencies=[requires(Permission.REFUNDS_REQUEST)])
async def cancel(bill_id: UUID, refund_id: UUID, payee: ThePayee, tx: Tx, now: Now) -> Response:
    """Take a request back, or decline it as the holder of the account.

    Raises:
        BillNotFound, RefundNotFound, RefundNotYours, RefundStepNotPossible
    """
    await _check_own(tx, payee, bill_id, refund_id)
    taken = StepTaken(
        step=Step.CANCEL,
        may_decline=payee.caller.may(Permission.REFUNDS_INSTRUCT),
        acts_for=acts_for(payee.caller),
    )
    await take_step(tx, payee.org_id, refund_id, taken, actor=payee.caller.actor, now=now)
    return go(payee.path(f"/bills/{bill_id}"))


def _present(request: Request, payee: CounterPayee, one: RefundView) -> CounterRefund:
    is_waiting = one.status == RefundStatus.REQUESTED
    is_holder = one.held_by == HeldBy.PAYEE and acts_for(payee.caller) in (None, HeldBy.PAYEE)
    word = f"waits_{one.held_by}" if is_waiting else one.status
    can_return = is_waiting and is_holder and payee.caller.may(Permission.REFUNDS_INSTRUCT)
    return CounterRefund(
        id=one.id,
        amount_vnd=one.amount_vnd,
        word=translate(language_of(request), f"counter_refunds.{word}"),
        can_return=can_return,
        destination=_present_destination(one) if can_return else "",
        can_cancel=is_waiting and payee.caller.id == one.requested_by,
        is_cash=one.way == Way.CASH,
    )


def _present_destination(one: RefundView) -> str:
    if one.destination_bank is None:
        return ""
    known = find_bank(one.destination_bank)
    bank = one.destination_bank if known is None else known.short_name
    return f"{bank} · {one.destination_account} · {one.destination_name}"


async def _check_own(
    tx: AsyncSession, payee: CounterPayee, bill_id: UUID, refund_id: UUID | None = None
) -> None:
    """Hold a form to this payee's bill and to a refund of it.

    Raises:
        BillNotFound, RefundNotFound
    """
    bill = await get_bill(tx, payee.org_id, bill_id)
    if bill.payee_id != payee.id or not payee.caller.sees(ScopeKind.PAYEE, bill.payee_id):
        raise BillNotFound(bill_id)
    if refund_id is not None:
        refund = await queries.get_refund(tx, payee.org_id, refund_id)
        if refund.bill_id != bill_id:
            raise RefundNotFound(refund_id)
