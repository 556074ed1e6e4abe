"""The public pay page: a code for any phone, what became of it, and the receipt. No login.

Whoever has the link (128 random bits) sees what the payer needs and nothing of who paid: links
are passed on. Nothing here changes anything; refunds.py takes the account that money goes back to.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response, StreamingResponse

from api.http.codes import answer_card, bill_card, render_inline
from api.http.deps import Now, TheDatabase, TheDirectory, TheLimits, TheSettings, public
from api.http.networks import network_of
from api.http.templating import language_of, templates
from api.live.streams import stream_events
from core.clock import HANOI
from core.db import Database
from core.masking import mask_tail
from core.tenancy import open_org_transaction
from core.vnd_words import spell_vnd
from identity.people.callers import Directory, Org
from payments.bills.errors import BillNotFound
from payments.bills.queries import get_bill_by_token
from payments.bills.queries_payments import sum_written_off
from payments.bills.rules import BillFacts, BillStatus, effective_status
from payments.credits.views import CreditView, list_bill_credits
from payments.outbox.wake_ups import EventFacts
from payments.refunds.queries_links import WaitingRefund, list_waiting
from payments.vietqr.banks import DeepLink, find_bank, list_deep_links, name_bank

router = APIRouter(prefix="/p", include_in_schema=False, dependencies=[public])

LINK: Final = re.compile(r"([2-9A-HJKMNP-TV-Z]{4})-([A-Za-z0-9_-]{22})")
HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow, noarchive, nosnippet",
    "Referrer-Policy": "no-referrer",  # the address is the key to the page
}
PAYABLE: Final = frozenset({"open", "part_paid"})


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The bill that a link opens, and whose it is."""

    link: str  # "HKXM-…"
    org: Org
    bill: BillFacts
    credits: Sequence[CreditView]
    refunds: Sequence[WaitingRefund] = ()  # that wait for the payer's account, or have it by a link
    written_off_vnd: int = 0  # of what the bill was paid: given up, and no money came by it

    @property
    def received_vnd(self) -> int:
        """What really came for the bill, in đồng."""
        return self.bill.received_vnd - self.written_off_vnd

    @property
    def paid_vnd(self) -> int:
        """What of that the bill owed: with what came after its rest was given up."""
        return min(self.received_vnd, self.bill.paid_vnd)

    @property
    def extra_vnd(self) -> int:
        """What is due back: beyond the amount, or all of a cancelled bill's money."""
        if self.bill.status == BillStatus.CANCELLED:
            return self.received_vnd
        return self.received_vnd - self.paid_vnd

    @property
    def refund_vnd(self) -> int:
        """What waits for an account of the payer's, in đồng."""
        return sum(one.amount_vnd for one in self.refunds if one.destination_account is None)


@dataclass(frozen=True, kw_only=True)
class PayPage:
    """Everything templates/pay.html and pay_state.html may use, already worded."""

    path: str  # "/p/HKXM-…"
    org_name: str
    is_live: bool  # False: an organisation whose money is pretend
    payee_name: str
    place: str
    purpose: str
    holder_name: str
    bank: str  # short name
    bank_name: str  # in full
    account: str
    reference: str
    state: str  # of parts.STATES, worded in [state] of api/pay/words/*/pay.toml
    is_payable: bool
    is_timed: bool
    amount_vnd: int | None  # of the bill; None: the payer decides
    code_vnd: int | None  # what the code asks for now
    received_vnd: int
    extra_vnd: int  # what came beyond the amount, or for a cancelled bill
    expires_at: str  # ISO 8601
    expires_words: str  # "14:05 · 21/11/2026"
    valid_for_s: int
    paid_words: str  # when the money came, "" before
    has_receipt: bool
    refund_vnd: int  # what waits for an account of the payer's
    has_refunds: bool  # with those whose account is entered
    code_state: str  # a CodeState; only "ready" has a code
    is_fallback: bool  # its own rail refused, and VietQR direct pays it
    code_svg: Markup  # empty unless there is a code
    apps: tuple[DeepLink, ...]  # that fill the transfer in
    other_apps: tuple[DeepLink, ...]  # that only open


@dataclass(frozen=True, kw_only=True)
class ReceiptLine:
    """One transfer that came for the bill."""

    amount_vnd: int
    when: str
    bank_reference: str  # only its end
    is_applied: bool  # False: it is beyond what was owed


@dataclass(frozen=True, kw_only=True)
class ConfirmationPage:
    """Everything templates/pay_confirmation.html may use, already worded."""

    path: str
    org_name: str
    is_live: bool
    payee_name: str
    place: str
    purpose: str
    reference: str
    bank: str
    account: str  # only its end
    holder_name: str
    state: str
    amount_vnd: int | None
    paid_vnd: int
    paid_words: str  # in Vietnamese words, whatever the page's language
    extra_vnd: int
    refund_vnd: int
    has_refunds: bool
    lines: tuple[ReceiptLine, ...]
    printed_at: str


async def open_link(
    request: Request,
    link: str,
    directory: TheDirectory,
    database: TheDatabase,
    limits: TheLimits,
    settings: TheSettings,
) -> Opened:
    """Return what a link opens; a wrong one gets the same answer whatever is wrong with it.

    Raises:
        BillNotFound, TooManyRequests
    """
    network = network_of(request)
    limits.pay_views.take(network)
    try:
        return await _open(
            link, directory, database, by_link_vnd_max=settings.refund_link_vnd_per_day
        )
    except BillNotFound:
        limits.pay_misses.take(network)
        raise


async def _open(
    link: str, directory: Directory, database: Database, *, by_link_vnd_max: int
) -> Opened:
    parts = LINK.fullmatch(link)
    org = await directory.find_org(parts[1]) if parts else None
    if parts is None or org is None:
        raise BillNotFound("…")
    async with open_org_transaction(database, org.id) as session:
        bill = await get_bill_by_token(session, org.id, parts[2])
        if not bill.received_vnd:
            return Opened(link=link, org=org, bill=bill, credits=())
        return Opened(
            link=link,
            org=org,
            bill=bill,
            credits=await list_bill_credits(session, org.id, bill.id),
            refunds=await list_waiting(session, org.id, bill.id, vnd_max=by_link_vnd_max),
            written_off_vnd=await sum_written_off(session, org.id, [bill.id]),
        )


TheOpened = Annotated[Opened, Depends(open_link)]


@router.get("/{link}")
async def show_pay_page(request: Request, opened: TheOpened, now: Now) -> Response:
    """Show whom to pay, how much, the code, and what became of it."""
    page = await present_page(opened, now)
    return private(templates.TemplateResponse(request, "pay.html", {"page": page}))


@router.get("/{link}/state")
async def show_state(request: Request, opened: TheOpened, now: Now) -> Response:
    """Draw what changes on the page, for pay.js to put in its place."""
    page = await present_page(opened, now)
    return private(templates.TemplateResponse(request, "pay_state.html", {"page": page}))


@router.get("/{link}/events")
async def stream_bill(
    request: Request,
    opened: TheOpened,
    last_event_id: Annotated[str | None, Query(max_length=64)] = None,
) -> StreamingResponse:
    """Say that something happened to this bill, and not what: the page asks for its state."""
    bill_id = opened.bill.id

    def shape(event: EventFacts) -> str | None:
        return "{}" if event.bill_id == bill_id else None

    return await stream_events(
        request,
        org_id=opened.org.id,
        bill_id=bill_id,
        last_event_id=last_event_id,
        shape=shape,
    )


@router.get("/{link}/card.png")
async def save_card(request: Request, opened: TheOpened) -> Response:
    """Give the framed code as a picture to keep: for phones that cannot scan their own screen."""
    card = bill_card(opened.bill, language=language_of(request))
    name = f"phopay-{opened.bill.reference}.png"
    return private(await answer_card(request, card, save_as=name))


@router.get("/{link}/receipt")
async def show_receipt(request: Request, opened: TheOpened, now: Now) -> Response:
    """Show what was paid, to print or keep; before any money came there is none."""
    if not opened.bill.received_vnd:
        return private(RedirectResponse(f"/p/{opened.link}", 303))
    page = present_confirmation(opened, now)
    return private(templates.TemplateResponse(request, "pay_confirmation.html", asdict(page)))


def state_of(opened: Opened, now: datetime) -> str:
    """Return which of the page's states a bill is in."""
    bill = opened.bill
    if bill.is_part_paid:
        return "part_paid"  # the rest may come whenever it comes
    match effective_status(bill.status, expires_at=bill.expires_at, now=now):
        case BillStatus.PAID if (
            bill.amount_vnd is not None and opened.received_vnd > bill.amount_vnd
        ):
            return "repeated"
        case BillStatus.PAID:
            return "late" if bill.is_late else "paid"
        case status:
            return status.value


async def present_page(opened: Opened, now: datetime) -> PayPage:
    """Say everything the page shows."""
    bill = opened.bill
    bank = find_bank(bill.code_bin)
    state = state_of(opened, now)
    code_vnd = bill.code_amount_vnd if bill.is_payable else bill.amount_vnd
    links = list_deep_links(
        bin=bill.code_bin,
        account=bill.code_account,
        amount_vnd=code_vnd,
        purpose=bill.reference,
        name=bill.holder_name,
        # No return address: it would hand the page's key to whoever runs the redirect.
    )
    return PayPage(
        path=f"/p/{opened.link}",
        org_name=opened.org.name,
        is_live=opened.org.is_live,
        payee_name=bill.payee_name,
        place=bill.place,
        purpose=bill.purpose,
        holder_name=bill.holder_name,
        bank=name_bank(bill.code_bin),
        bank_name="" if bank is None else bank.name,
        account=bill.code_account,
        reference=bill.reference,
        state=state,
        is_payable=state in PAYABLE,
        is_timed=state == "open",
        amount_vnd=bill.amount_vnd,
        code_vnd=code_vnd,
        received_vnd=opened.received_vnd,
        extra_vnd=opened.extra_vnd,
        expires_at=bill.expires_at.isoformat(),
        expires_words=present_instant(bill.expires_at),
        valid_for_s=max(1, round((bill.expires_at - bill.created_at).total_seconds())),
        paid_words=present_instant(opened.credits[-1].occurred_at) if opened.credits else "",
        has_receipt=bill.received_vnd > 0,
        refund_vnd=opened.refund_vnd,
        has_refunds=bool(opened.refunds),
        code_state=bill.code_state.value,
        is_fallback=bool(bill.falls_back),
        code_svg=await render_inline(bill.vietqr)
        if state in PAYABLE and bill.has_code
        else Markup(),
        apps=tuple(link for link in links if link.is_prefilled),
        other_apps=tuple(link for link in links if not link.is_prefilled),
    )


def present_confirmation(opened: Opened, now: datetime) -> ConfirmationPage:
    """Say everything the receipt shows; numbers that name accounts only by their end."""
    bill = opened.bill
    return ConfirmationPage(
        path=f"/p/{opened.link}",
        org_name=opened.org.name,
        is_live=opened.org.is_live,
        payee_name=bill.payee_name,
        place=bill.place,
        purpose=bill.purpose,
        reference=bill.reference,
        bank=name_bank(bill.code_bin),
        account=mask_tail(bill.code_account),
        holder_name=bill.holder_name,
        state=state_of(opened, now),
        amount_vnd=bill.amount_vnd,
        paid_vnd=opened.paid_vnd,
        paid_words=spell_vnd(opened.paid_vnd),
        extra_vnd=opened.extra_vnd,
        refund_vnd=opened.refund_vnd,
        has_refunds=bool(opened.refunds),
        lines=tuple(
            ReceiptLine(
                amount_vnd=credit.amount_vnd,
                when=present_instant(credit.occurred_at, is_date_only=credit.is_date_only),
                bank_reference=mask_tail(credit.bank_reference),
                is_applied=credit.applied_vnd > 0 or not opened.extra_vnd,
            )
            for credit in opened.credits
        ),
        printed_at=present_instant(now),
    )


def present_instant(instant: datetime, *, is_date_only: bool = False) -> str:
    """Say an instant as people here read it: "14:05 · 21/11/2026"."""
    at = instant.astimezone(HANOI)
    return f"{at:%d/%m/%Y}" if is_date_only else f"{at:%H:%M} · {at:%d/%m/%Y}"


def private(response: Response) -> Response:
    """Mark an answer as nobody's to keep or to find; its address is the key to it."""
    response.headers.update(HEADERS)
    return response
