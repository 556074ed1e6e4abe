"""What a stall took today, why each payment is its own, and putting in order what is not."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.counter.credits import present_payer, status_of, told_by_sale
from api.counter.page_context import Stall, TheStall, go, read_frame, render
from api.counter.polling import IN_VAIN, SkippedEndpoint, poll_for_stall
from api.http.deps import Now, TheDatabase, TheSealer, Tx, requires
from api.http.i18n import translate
from api.http.templating import language_of
from core.clock import HANOI, day_bounds, hanoi_day
from core.db import Database
from core.errors import HubError, Kind
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.credits.corrections import (
    assign_credit,
    confirm_for_bill,
    mark_not_takings,
    mark_takings_again,
)
from payments.credits.rules import Verdict
from payments.credits.sales import Sale, list_sales
from payments.payees.errors import PayeeHasNoAccount
from payments.payees.queries import find_routes

router = APIRouter(prefix="/counter/sales", include_in_schema=False)

Told = Literal["", "new", "some", "taken", "moved"] | SkippedEndpoint
COUNTED = frozenset({Verdict.SETTLE, Verdict.PART, Verdict.OVER, Verdict.COUNTER_SALE})


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
    asks: str  # "" or the bill that it may be for: "Của khách này: Phở bò?"
    asks_bill_id: UUID | None
    can_assign: bool
    can_take_out: bool
    can_put_back: bool


@dataclass(frozen=True, kw_only=True)
class SalesPage:
    """What templates/counter_sales.html may use."""

    rows: Sequence[SaleRow]
    told: Told  # what the form before this page did
    is_in_vain: bool  # the bank was not asked, or said nothing


@router.get("", dependencies=[requires(Permission.SALES_READ)])
async def show_sales(
    request: Request, stall: TheStall, tx: Tx, now: Now, told: Told = ""
) -> Response:
    """Show the payments of today, newest first."""
    frame = await read_frame(tx, stall, here="sales", now=now)
    since, until = day_bounds(hanoi_day(now))
    sales = await list_sales(tx, stall.org_id, stall.payee_id, since=since, until=until)
    lang = language_of(request)
    page = SalesPage(
        rows=[_word_row(sale, lang, stall.suffix) for sale in sales],
        told=told,
        is_in_vain=told in IN_VAIN,
    )
    return render(request, "counter_sales.html", frame, page)


@router.post("/check", dependencies=[requires(Permission.BILLS_READ)])
async def check_account(
    request: Request, stall: TheStall, database: TheDatabase, sealer: TheSealer, now: Now
) -> Response:
    """Ask the bank, within five seconds, for payments that it has not told of.

    Raises:
        PayeeHasNoAccount: the stall cannot be paid at all.
        TooManyRequests: this stall asks too often.
    """
    request.app.state.limits.checks.take(str(stall.payee_id))
    since, until = day_bounds(hanoi_day(now))
    org_id, payee_id = stall.org_id, stall.payee_id
    async with open_org_transaction(database, org_id) as session:
        routes = await find_routes(session, org_id, [payee_id])
        before = await list_sales(session, org_id, payee_id, since=since, until=until)
    if payee_id not in routes:
        raise PayeeHasNoAccount(payee_id)
    account_id = routes[payee_id].receiving_account_id
    if why := await poll_for_stall(request, stall, database, sealer, account_id, now=now):
        return go(stall.path("/sales", told=why))
    async with open_org_transaction(database, org_id) as session:
        after = await list_sales(session, org_id, payee_id, since=since, until=until)
    return go(stall.path("/sales", told="new" if len(after) > len(before) else "some"))


@router.post("/{credit_id}/assign", dependencies=[requires(Permission.SALES_SORT)])
async def assign(credit_id: UUID, stall: TheStall, database: TheDatabase, now: Now) -> Response:
    """Take an unassigned payment of a shared account: the first stall that says so has it."""
    return await _correct(assign_credit, credit_id, stall, database, now, else_told="taken")


@router.post("/{credit_id}/confirm", dependencies=[requires(Permission.SALES_SORT)])
async def confirm(
    credit_id: UUID,
    stall: TheStall,
    database: TheDatabase,
    now: Now,
    bill_id: Annotated[UUID, Form()],
) -> Response:
    """Say that a counter sale was a customer paying this bill: "Của khách này?"."""
    correction = partial(confirm_for_bill, bill_id=bill_id)
    then = f"/bills/{bill_id}"
    return await _correct(correction, credit_id, stall, database, now, then=then)


@router.post("/{credit_id}/not-takings", dependencies=[requires(Permission.SALES_SORT)])
async def take_out(credit_id: UUID, stall: TheStall, database: TheDatabase, now: Now) -> Response:
    """Take family money out of the takings: "Không phải tiền hàng"."""
    correction = partial(mark_not_takings, reason="")
    return await _correct(correction, credit_id, stall, database, now)


@router.post("/{credit_id}/takings", dependencies=[requires(Permission.SALES_SORT)])
async def put_back(credit_id: UUID, stall: TheStall, database: TheDatabase, now: Now) -> Response:
    """Undo "Không phải tiền hàng"."""
    return await _correct(mark_takings_again, credit_id, stall, database, now)


async def _correct(
    correction: Callable[..., Awaitable[None]],
    credit_id: UUID,
    stall: Stall,
    database: Database,
    now: datetime,
    *,
    then: str = "/sales",
    else_told: Told = "moved",
) -> Response:
    """Put a payment in order as this stall's; when somebody was faster, show how it stands now."""
    try:
        async with open_org_transaction(database, stall.org_id) as session:
            await correction(
                session,
                stall.org_id,
                credit_id,
                payee_id=stall.payee_id,
                actor=stall.caller.actor,
                now=now,
            )
    except HubError as error:
        if error.kind is not Kind.CONFLICT:
            raise
        return go(stall.path("/sales", told=else_told))
    return go(stall.path(then))


def _word_row(sale: Sale, lang: str, suffix: str) -> SaleRow:
    told = told_by_sale(sale)
    state_word = {
        Verdict.NOT_TAKINGS: "counter.sales.not_takings_state",
        Verdict.UNASSIGNED: "counter.sales.not_mine_yet",
    }.get(told.judged)
    is_waiting_for_owner = told.judged is Verdict.UNASSIGNED
    asks_bill_id = sale.suggested_bill_id if told.judged is Verdict.COUNTER_SALE else None
    what = sale.suggested_purpose or sale.suggested_reference or ""
    why = f"counter.sales.rule.{sale.rule}"
    if told.judged in (Verdict.WRONG_ACCOUNT, Verdict.SEVERAL_BILLS, Verdict.NO_BILL):
        why = f"counter.verdict.word.{told.judged.value}"
    return SaleRow(
        credit_id=sale.credit_id,
        time=f"{sale.received_at.astimezone(HANOI):%H:%M}",
        payer=present_payer(told, lang).rpartition(" · ")[0],
        memo=sale.memo,
        status="unknown" if told.judged is Verdict.NOT_TAKINGS else status_of(told),
        state_word=translate(lang, state_word) if state_word else "",
        why=translate(lang, why, reference=sale.reference or ""),
        amount_vnd=sale.amount_vnd,
        is_counted=told.judged in COUNTED,
        bill_path=f"/counter/bills/{sale.bill_id}{suffix}" if sale.bill_id else "",
        asks=translate(lang, "counter.sales.confirm", what=what) if asks_bill_id else "",
        asks_bill_id=asks_bill_id,
        can_assign=is_waiting_for_owner,
        can_take_out=told.judged is Verdict.COUNTER_SALE,
        can_put_back=told.judged is Verdict.NOT_TAKINGS,
    )
