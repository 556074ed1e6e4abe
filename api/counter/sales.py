"""Sales of the day: why each payment is the payee's, and putting in order what is not."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.counter.credits import facts_of_sale, present_payer, status_of
from api.counter.page_context import CounterPayee, ThePayee, go, read_context, render
from api.counter.polling import POLL_PROBLEMS, PollProblem, poll_for_payee
from api.http.deps import Now, TheDatabase, TheLimits, ThePoller, Tx, requires
from api.http.i18n import translate
from api.http.templating import language_of
from core.clock import HANOI, day_bounds, hanoi_day
from core.db import Database
from core.errors import HubError, Kind
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.bills.rules import BillStatus
from payments.credits.assigning import assign_credit, confirm_for_bill
from payments.credits.corrections import mark_not_takings, mark_takings_again
from payments.credits.rules import Verdict
from payments.credits.sales import Sale, list_sales
from payments.payees.queries import get_route

router = APIRouter(prefix="/counter/sales", include_in_schema=False)

Done = Literal["", "new", "some", "taken", "moved"] | PollProblem
COUNTED = frozenset(
    {Verdict.SETTLE, Verdict.PART, Verdict.OVER, Verdict.SPLIT, Verdict.COUNTER_SALE}
)

PAID_SINCE = frozenset({BillStatus.PAID, BillStatus.OVER_PAID})
# What became of these says more than by which rule it did.
WHY_IS_VERDICT = frozenset(
    {Verdict.SPLIT, Verdict.WRONG_ACCOUNT, Verdict.SEVERAL_BILLS, Verdict.NO_BILL}
    | {Verdict.AWAITING_SYNC}
)


@dataclass(frozen=True, kw_only=True)
class SaleRow:
    """One payment of the day, already worded for a person."""

    credit_id: UUID
    time: str  # "14:05"
    payer: str
    memo: str
    status: str  # of parts.STATES
    state_word: str  # instead of that state's own word, or ""
    why: str
    amount_vnd: int
    is_counted: bool
    bill_path: str
    suggestion: str  # "" or the bill that it may be for: "Của khách này: Phở bò?"
    suggested_bill_id: UUID | None
    can_assign: bool
    can_take_out: bool
    can_put_back: bool


@dataclass(frozen=True, kw_only=True)
class SalesPage:
    """What templates/counter_sales.html may use."""

    rows: Sequence[SaleRow]
    done: Done  # what the form before this page did
    has_poll_failed: bool  # the bank was not polled, or did not answer


@router.get("", dependencies=[requires(Permission.SALES_READ)])
async def show_sales(
    request: Request, payee: ThePayee, tx: Tx, now: Now, done: Done = ""
) -> Response:
    """Show the payments of today, newest first."""
    context = await read_context(tx, payee, here="sales", now=now)
    since, until = day_bounds(hanoi_day(now))
    sales = await list_sales(tx, payee.org_id, payee.id, since=since, until=until)
    lang = language_of(request)
    page = SalesPage(
        rows=[_present_row(sale, lang, payee.suffix) for sale in sales],
        done=done,
        has_poll_failed=done in POLL_PROBLEMS,
    )
    return render(request, "counter_sales.html", context, page)


@router.post("/check", dependencies=[requires(Permission.BILLS_READ)])
async def check_account(
    payee: ThePayee, database: TheDatabase, poller: ThePoller, limits: TheLimits, now: Now
) -> Response:
    """Poll the bank, within five seconds, for payments that it has not reported.

    Raises:
        PayeeHasNoAccount: the payee cannot be paid at all.
        TooManyRequests: this payee polls too often.
    """
    limits.checks.take(str(payee.id))
    since, until = day_bounds(hanoi_day(now))
    org_id, payee_id = payee.org_id, payee.id
    async with open_org_transaction(database, org_id) as session:
        route = await get_route(session, org_id, payee_id)
        before = await list_sales(session, org_id, payee_id, since=since, until=until)
    if why := await poll_for_payee(payee, poller, route.receiving_account_id, now=now):
        return go(payee.path("/sales", done=why))
    async with open_org_transaction(database, org_id) as session:
        after = await list_sales(session, org_id, payee_id, since=since, until=until)
    known = {sale.credit_id for sale in before}  # not how many: the list is as long as it may be
    is_new = any(sale.credit_id not in known for sale in after)
    return go(payee.path("/sales", done="new" if is_new else "some"))


@router.post("/{credit_id}/assign", dependencies=[requires(Permission.SALES_SORT)])
async def assign(credit_id: UUID, payee: ThePayee, database: TheDatabase, now: Now) -> Response:
    """Take an unassigned payment of a shared account: the first payee that says so has it."""
    return await _correct(assign_credit, credit_id, payee, database, now, else_done="taken")


@router.post("/{credit_id}/confirm", dependencies=[requires(Permission.SALES_SORT)])
async def confirm(
    credit_id: UUID,
    payee: ThePayee,
    database: TheDatabase,
    now: Now,
    bill_id: Annotated[UUID, Form()],
) -> Response:
    """Say that a counter sale was a customer paying this bill: "Của khách này?"."""
    correction = partial(confirm_for_bill, bill_id=bill_id)
    then = f"/bills/{bill_id}"
    return await _correct(correction, credit_id, payee, database, now, then=then)


@router.post("/{credit_id}/not-takings", dependencies=[requires(Permission.SALES_SORT)])
async def take_out(credit_id: UUID, payee: ThePayee, database: TheDatabase, now: Now) -> Response:
    """Take family money out of the takings: "Không phải tiền hàng"."""
    correction = partial(mark_not_takings, reason="")
    return await _correct(correction, credit_id, payee, database, now)


@router.post("/{credit_id}/takings", dependencies=[requires(Permission.SALES_SORT)])
async def put_back(credit_id: UUID, payee: ThePayee, database: TheDatabase, now: Now) -> Response:
    """Undo "Không phải tiền hàng"."""
    return await _correct(mark_takings_again, credit_id, payee, database, now)


async def _correct(
    correction: Callable[..., Awaitable[None]],
    credit_id: UUID,
    payee: CounterPayee,
    database: Database,
    now: datetime,
    *,
    then: str = "/sales",
    else_done: Done = "moved",
) -> Response:
    """Put a payment in order as this payee's; when somebody was faster, show how it stands now."""
    try:
        async with open_org_transaction(database, payee.org_id) as session:
            await correction(
                session,
                payee.org_id,
                credit_id,
                payee_id=payee.id,
                actor=payee.caller.actor,
                now=now,
            )
    except HubError as error:
        if error.kind is not Kind.CONFLICT:
            raise
        return go(payee.path("/sales", done=else_done))
    return go(payee.path(then))


def _present_row(sale: Sale, lang: str, suffix: str) -> SaleRow:
    facts = facts_of_sale(sale)
    state_word = {
        Verdict.NOT_TAKINGS: "counter.sales.not_takings_state",
        Verdict.UNASSIGNED: "counter.sales.not_mine_yet",
    }.get(facts.verdict)
    status = "unknown" if facts.verdict is Verdict.NOT_TAKINGS else status_of(facts)
    if facts.verdict is Verdict.PART and facts.bill_status in PAID_SINCE:
        status, state_word = "paid", "counter.sales.paid_since"
    is_waiting_for_owner = facts.verdict is Verdict.UNASSIGNED
    suggested_bill_id = sale.suggested_bill_id if facts.verdict is Verdict.COUNTER_SALE else None
    what = sale.suggested_purpose or sale.suggested_reference or ""
    why = f"counter.sales.rule.{sale.rule}"
    if facts.verdict in WHY_IS_VERDICT:
        why = f"counter.verdict.word.{facts.verdict.value}"
    return SaleRow(
        credit_id=sale.credit_id,
        time=f"{sale.received_at.astimezone(HANOI):%H:%M}",
        payer=present_payer(facts, lang).rpartition(" · ")[0],
        memo=sale.memo,
        status=status,
        state_word=translate(lang, state_word) if state_word else "",
        why=translate(lang, why, reference=sale.reference or ""),
        amount_vnd=sale.amount_vnd,
        is_counted=facts.verdict in COUNTED,
        bill_path=f"/counter/bills/{sale.bill_id}{suffix}" if sale.bill_id else "",
        suggestion=translate(lang, "counter.sales.confirm", what=what) if suggested_bill_id else "",
        suggested_bill_id=suggested_bill_id,
        can_assign=is_waiting_for_owner,
        can_take_out=facts.verdict is Verdict.COUNTER_SALE,
        can_put_back=facts.verdict is Verdict.NOT_TAKINGS,
    )
