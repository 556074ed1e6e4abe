"""A bill at the counter: its code, how it stands, cancelling, and asking the bank about it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.counter.credits import Verdict, present_credit, told_by_sale
from api.counter.page_context import Stall, TheStall, go, read_frame, render
from api.counter.polling import SkippedEndpoint, poll_for_stall
from api.counter.routes import keypad_page
from api.http.deps import Now, TheDatabase, TheSealer, TheSettings, Tx, requires
from api.http.responses import draw_inline
from api.http.templating import language_of
from api.pages.amounts import read_amount
from core.ids import new_id
from core.settings import Settings
from core.tenancy import open_org_transaction
from core.text import tidy_line
from core.vnd_words import spell_vnd
from identity.people.rules import Permission
from payments.bills.errors import BillIdTaken, BillNotFound
from payments.bills.queries import get_bill
from payments.bills.rules import (
    BillFacts,
    BillRequest,
    BillStatus,
    effective_status,
    judge_client_id,
)
from payments.credits.sales import list_of_bill
from payments.refunds.service import cancel_bill_and_propose_refund
from payments.vietqr.banks import name_bank

router = APIRouter(prefix="/counter/bills", include_in_schema=False)

NOTE_CHARS_MAX: Final = 100
WAITING: Final = frozenset({BillStatus.OPEN, BillStatus.PART_PAID})
Checked = Literal["", "nothing"] | SkippedEndpoint


@dataclass(frozen=True, kw_only=True)
class BillPage:
    """What templates/counter_bill.html may use, already worded for a person."""

    bill_id: UUID
    state: str  # a BillStatus at this instant
    code_vnd: int  # what the code asks for
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
    renewed_id: UUID  # of the bill that renewing will open: pressed twice, it opens one
    verdict: Verdict | None  # what the last payment for it was
    checked: Checked  # what asking the bank found


@router.post("", dependencies=[requires(Permission.BILLS_OPEN)])
async def open_bill(
    request: Request,
    stall: TheStall,
    database: TheDatabase,
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
        async with open_org_transaction(database, stall.org_id) as session:
            frame = await read_frame(session, stall, here="keypad", now=now)
        page = keypad_page(typed=amount, note=purpose, is_amount_bad=True)
        return render(request, "counter.html", frame, page, status=422)
    if bill_id is not None and judge_client_id(bill_id, now=now) is not None:
        bill_id = None
    bill = await _open(request, stall, settings, amount_vnd, purpose, bill_id, now)
    return go(stall.path(f"/bills/{bill.id}"))


@router.get("/{bill_id}", dependencies=[requires(Permission.BILLS_READ)])
async def show_bill(
    request: Request,
    bill_id: UUID,
    stall: TheStall,
    tx: Tx,
    settings: TheSettings,
    now: Now,
    checked: Checked = "",
) -> Response:
    """Show a bill's code while it waits, and what became of it."""
    bill = await _get_own(tx, stall, bill_id)
    frame = await read_frame(tx, stall, here="keypad", now=now)
    credits_in = await list_of_bill(tx, stall.org_id, bill_id)
    verdict = (
        present_credit(told_by_sale(credits_in[-1]), language_of(request)) if credits_in else None
    )
    status = effective_status(bill.status, expires_at=bill.expires_at, now=now)
    # On a page without a code it says what the bill was for.
    code_vnd = (bill.code_amount_vnd if bill.is_payable else bill.amount_vnd) or 0
    # A part of the money is here: the rest may come whenever it comes.
    is_waiting = status is BillStatus.OPEN or bill.status == BillStatus.PART_PAID
    can_open = stall.caller.may(Permission.BILLS_OPEN)
    pay_path = f"/p/{stall.caller.org_code}-{bill.public_token}"
    page = BillPage(
        bill_id=bill.id,
        state=status.value,
        code_vnd=code_vnd,
        code_svg=await draw_inline(bill.vietqr) if is_waiting else Markup(),
        code_words=spell_vnd(code_vnd),
        reference=bill.reference,
        bank=name_bank(bill.bin),
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
        and stall.caller.may(Permission.BILLS_CANCEL),
        can_renew=status is BillStatus.EXPIRED and bill.paid_vnd == 0 and can_open,
        renewed_id=new_id(),
        verdict=verdict,
        checked=checked,
    )
    return render(request, "counter_bill.html", frame, page)


@router.post("/{bill_id}/renew", dependencies=[requires(Permission.BILLS_OPEN)])
async def renew_bill(
    request: Request,
    bill_id: UUID,
    stall: TheStall,
    database: TheDatabase,
    settings: TheSettings,
    now: Now,
    renewed_id: Annotated[UUID | None, Form()] = None,
) -> Response:
    """Open the same bill again after its time; the old code's money is still recorded."""
    async with open_org_transaction(database, stall.org_id) as session:
        old = await _get_own(session, stall, bill_id)
    if old.amount_vnd is None or old.paid_vnd or now < old.expires_at:
        return go(stall.path(f"/bills/{bill_id}"))
    if renewed_id is not None and judge_client_id(renewed_id, now=now) is not None:
        renewed_id = None
    bill = await _open(request, stall, settings, old.amount_vnd, old.purpose, renewed_id, now)
    return go(stall.path(f"/bills/{bill.id}"))


@router.post("/{bill_id}/cancel", dependencies=[requires(Permission.BILLS_CANCEL)])
async def cancel(bill_id: UUID, stall: TheStall, tx: Tx, now: Now) -> Response:
    """Cancel a bill that nobody paid.

    Raises:
        BillNotFound, BillNotCancellable
    """
    bill = await _get_own(tx, stall, bill_id)
    await cancel_bill_and_propose_refund(
        tx, stall.org_id, bill.id, actor=stall.caller.actor, reason="at the counter", now=now
    )
    return go(stall.path(f"/bills/{bill_id}"))


@router.post("/{bill_id}/check", dependencies=[requires(Permission.BILLS_READ)])
async def check_bill(
    request: Request,
    bill_id: UUID,
    stall: TheStall,
    database: TheDatabase,
    sealer: TheSealer,
    now: Now,
) -> Response:
    """Ask the bank, within five seconds, whether money came for this bill.

    Raises:
        TooManyRequests: this stall asks too often.
    """
    request.app.state.limits.checks.take(str(stall.payee_id))
    async with open_org_transaction(database, stall.org_id) as session:
        before = await _get_own(session, stall, bill_id)
    account_id = before.receiving_account_id
    if why := await poll_for_stall(
        request, stall, database, sealer, account_id, bill_id=bill_id, now=now
    ):
        return go(stall.path(f"/bills/{bill_id}", checked=why))
    async with open_org_transaction(database, stall.org_id) as session:
        after = await get_bill(session, stall.org_id, bill_id)
    if after.received_vnd > before.received_vnd:  # the page itself says what came
        return go(stall.path(f"/bills/{bill_id}"))
    return go(stall.path(f"/bills/{bill_id}", checked="nothing"))


async def _open(
    request: Request,
    stall: Stall,
    settings: Settings,
    amount_vnd: int,
    purpose: str,
    bill_id: UUID | None,
    now: datetime,
) -> BillFacts:
    expires_at = now + timedelta(seconds=settings.bill_valid_for_s)
    wanted = BillRequest(
        payee_id=stall.payee_id,
        amount_vnd=amount_vnd,
        purpose=purpose,
        expires_at=expires_at,
        monitor_until=expires_at + timedelta(seconds=settings.bill_monitored_for_s),
        created_by=stall.caller.id,
        id=bill_id,
    )
    desk = request.app.state.bill_writer
    try:
        bill: BillFacts = await desk.open_bill(stall.caller.org, wanted)
    except BillIdTaken:  # the browser went back and another amount was keyed into the old form
        bill = await desk.open_bill(stall.caller.org, replace(wanted, id=None))
    return bill


async def _get_own(session: AsyncSession, stall: Stall, bill_id: UUID) -> BillFacts:
    """Return a bill of this stall; another stall's is not found."""
    bill = await get_bill(session, stall.org_id, bill_id)
    if bill.payee_id != stall.payee_id:
        raise BillNotFound(bill_id)
    return bill


def _clean(note: str) -> str:
    return tidy_line(tidy_line(note)[:NOTE_CHARS_MAX])  # a cut may part an emoji
