"""A bill at the counter: its code, its state, cancelling it, and checking with the bank."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.counter.credits import PresentedCredit, facts_of_cash, facts_of_sale, present_credit
from api.counter.page_context import CounterPayee, ThePayee, go, read_context, render
from api.counter.polling import PollProblem, poll_for_payee
from api.counter.routes import keypad_page
from api.http.codes import render_inline
from api.http.deps import (
    Now,
    TheBillWriter,
    TheDatabase,
    TheLimits,
    ThePoller,
    TheRails,
    TheSettings,
    Tx,
    requires,
)
from api.http.templating import language_of
from api.pages.amounts import read_amount
from core.errors import InvalidRequest
from core.ids import new_id
from core.settings import Settings
from core.tenancy import open_org_transaction
from core.text import tidy_line
from core.vnd_words import spell_vnd
from identity.people.rules import Permission
from payments.bills.cash import take_rest_in_cash
from payments.bills.errors import BillIdTaken, BillNotFound, CashNotOwed
from payments.bills.queries import get_bill
from payments.bills.queries_payments import find_cash
from payments.bills.rules import (
    BillFacts,
    BillRequest,
    BillStatus,
    check_client_id,
    effective_status,
)
from payments.bills.writer import BillWriter
from payments.credits.sales import list_of_bill
from payments.refunds.service import cancel_bill_and_propose_refund
from payments.vietqr.banks import name_bank

router = APIRouter(prefix="/counter/bills", include_in_schema=False)

NOTE_CHARS_MAX: Final = 100
WAITING: Final = frozenset({BillStatus.OPEN, BillStatus.PART_PAID})
Checked = Literal["", "nothing", "cash_not_owed"] | PollProblem


@dataclass(frozen=True, kw_only=True)
class BillPage:
    """What templates/counter_bill.html may use, already worded for a person."""

    bill_id: UUID
    state: str  # a BillStatus at this instant
    code_vnd: int  # what the code asks for
    code_state: str  # a CodeState; only "ready" has a code
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
    renewed_id: UUID  # of the bill that renewing will open: pressed twice, it opens one
    verdict: PresentedCredit | None  # what the last payment for it was
    checked: Checked  # what polling the bank found


@router.post("", dependencies=[requires(Permission.BILLS_OPEN)])
async def open_bill(
    request: Request,
    payee: ThePayee,
    database: TheDatabase,
    writer: TheBillWriter,
    settings: TheSettings,
    now: Now,
    amount: Annotated[str, Form(max_length=40)] = "",
    quick: Annotated[str, Form(max_length=40)] = "",
    plain: Annotated[str, Form(max_length=1)] = "",
    note: Annotated[str, Form(max_length=1_000)] = "",
    bill_id: Annotated[UUID | None, Form()] = None,
) -> Response:
    """Open a bill of the keyed amount and show its code. The same form sent twice opens one."""
    amount_vnd = read_amount(quick or amount, is_plain=plain == "1")
    purpose = _clean(note)
    if amount_vnd is None:
        async with open_org_transaction(database, payee.org_id) as session:
            context = await read_context(session, payee, here="keypad", now=now)
        page = keypad_page(typed=amount, note=purpose, is_amount_bad=True)
        return render(request, "counter.html", context, page, status=422)
    if bill_id is not None and check_client_id(bill_id, now=now) is not None:
        bill_id = None
    bill = await _open(writer, payee, settings, amount_vnd, purpose, bill_id, now)
    return go(payee.path(f"/bills/{bill.id}"))


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
    bill = await _get_own(tx, payee, bill_id)
    context = await read_context(tx, payee, here="keypad", now=now)
    credits_in = await list_of_bill(tx, payee.org_id, bill_id)
    cash = await find_cash(tx, payee.org_id, bill_id)
    facts = facts_of_sale(credits_in[-1]) if credits_in else None
    if cash is not None and (not credits_in or cash[2] >= credits_in[-1].received_at):
        facts = facts_of_cash(bill, *cash)
    verdict = None if facts is None else present_credit(facts, language_of(request))
    status = effective_status(bill.status, expires_at=bill.expires_at, now=now)
    # On a page without a code it says what the bill was for.
    code_vnd = (bill.code_amount_vnd if bill.is_payable else bill.amount_vnd) or 0
    # A part of the money is here: the rest may come whenever it comes.
    is_waiting = status is BillStatus.OPEN or bill.status == BillStatus.PART_PAID
    can_open = payee.caller.may(Permission.BILLS_OPEN)
    pay_path = f"/p/{payee.caller.org_code}-{bill.public_token}"
    page = BillPage(
        bill_id=bill.id,
        state=status.value,
        code_vnd=code_vnd,
        code_state=bill.code_state.value,
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
        if bill.status == BillStatus.PART_PAID and payee.caller.may(Permission.BILLS_TAKE_CASH)
        else 0,
        cash_id=new_id(),
        renewed_id=new_id(),
        verdict=verdict,
        checked=checked,
    )
    return render(request, "counter_bill.html", context, page)


@router.post("/{bill_id}/renew", dependencies=[requires(Permission.BILLS_OPEN)])
async def renew_bill(
    bill_id: UUID,
    payee: ThePayee,
    database: TheDatabase,
    writer: TheBillWriter,
    settings: TheSettings,
    now: Now,
    renewed_id: Annotated[UUID | None, Form()] = None,
) -> Response:
    """Open the same bill again after its time; the old code's money is still recorded."""
    async with open_org_transaction(database, payee.org_id) as session:
        old = await _get_own(session, payee, bill_id)
    if old.amount_vnd is None or old.paid_vnd or now < old.expires_at:
        return go(payee.path(f"/bills/{bill_id}"))
    if renewed_id is not None and check_client_id(renewed_id, now=now) is not None:
        renewed_id = None
    bill = await _open(writer, payee, settings, old.amount_vnd, old.purpose, renewed_id, now)
    return go(payee.path(f"/bills/{bill.id}"))


@router.post("/{bill_id}/cancel", dependencies=[requires(Permission.BILLS_CANCEL)])
async def cancel(bill_id: UUID, payee: ThePayee, tx: Tx, now: Now) -> Response:
    """Cancel a bill that nobody paid.

    Raises:
        BillNotFound, BillNotCancellable
    """
    bill = await _get_own(tx, payee, bill_id)
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
    await _get_own(tx, payee, bill_id)
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
        before = await _get_own(session, payee, bill_id)
    await rails.resume(payee.org_id, bill_id)  # its request, where one is due
    account_id = before.receiving_account_id
    if why := await poll_for_payee(payee, poller, account_id, bill_id=bill_id, now=now):
        return go(payee.path(f"/bills/{bill_id}", checked=why))
    async with open_org_transaction(database, payee.org_id) as session:
        after = await get_bill(session, payee.org_id, bill_id)
    if after.received_vnd > before.received_vnd:  # the page itself says what came
        return go(payee.path(f"/bills/{bill_id}"))
    return go(payee.path(f"/bills/{bill_id}", checked="nothing"))


async def _open(
    writer: BillWriter,
    payee: CounterPayee,
    settings: Settings,
    amount_vnd: int,
    purpose: str,
    bill_id: UUID | None,
    now: datetime,
) -> BillFacts:
    expires_at = now + timedelta(seconds=settings.bill_valid_for_s)
    wanted = BillRequest(
        payee_id=payee.id,
        amount_vnd=amount_vnd,
        purpose=purpose,
        expires_at=expires_at,
        monitor_until=expires_at + timedelta(seconds=settings.bill_monitored_for_s),
        created_by=payee.caller.id,
        id=bill_id,
    )
    try:
        return await writer.open_bill(payee.caller.org, wanted)
    except BillIdTaken:  # the browser went back and another amount was keyed into the old form
        return await writer.open_bill(payee.caller.org, replace(wanted, id=None))


async def _get_own(session: AsyncSession, payee: CounterPayee, bill_id: UUID) -> BillFacts:
    """Return a bill of this payee; another payee's is not found."""
    bill = await get_bill(session, payee.org_id, bill_id)
    if bill.payee_id != payee.id:
        raise BillNotFound(bill_id)
    return bill


def _clean(note: str) -> str:
    return tidy_line(tidy_line(note)[:NOTE_CHARS_MAX])  # a cut may part an emoji
