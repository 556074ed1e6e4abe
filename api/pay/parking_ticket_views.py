"""The driver's page in words: its data class, and how a stay becomes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from api.http.i18n import Language, translate
from api.pages.posted_tariff import PostedWords, present_posted
from api.pages.tariff_lines import present_line
from api.pay.routes import Opened, PayPage, present_instant, present_page
from city.complaints.models import Complaint
from core.clock import hanoi_day
from identity.people.callers import Org
from parking.exits.rules import SessionStatus
from parking.exits.standing import may_stay_until
from parking.exits.tickets import WholeStay
from parking.plates.masking import mask_plate

# Rails of collections that are money, as the driver knows it.
IS_MONEY: Final = frozenset({"cash", "float"})


@dataclass(frozen=True, kw_only=True)
class Amount:
    """A line with its amount."""

    words: str
    amount_vnd: int


@dataclass(frozen=True, kw_only=True)
class Paid:
    """Something that was paid for the stay."""

    words: str  # "Tiền mặt", "Chuyển khoản"
    amount_vnd: int
    when: str
    number: str  # of the cash receipt, or the bill's reference
    path: str  # of the confirmation, "" where there is none


@dataclass(frozen=True, kw_only=True)
class Complained:
    """A complaint about the stay; its own link alone shows what it says."""

    category: str
    state: str  # its outcome once it has one
    due: str  # "" once it is answered


@dataclass(frozen=True, kw_only=True)
class TicketPage:
    """Everything templates/parking_ticket.html and parking_ticket_state.html may use."""

    path: str  # "/t/HKXM-…"
    is_live: bool
    lot_name: str
    lot_address: str
    licence: str  # "" where the lot has none
    seller: str
    seller_address: str
    seller_tax_code: str
    plate: str  # masked, "" where none was read
    ticket: str
    vehicle: str
    entered: str
    left: str  # "" while it is inside
    state: str  # of [state] in words/*/ticket.toml
    due_vnd: int
    lines: tuple[Amount, ...]
    paid: tuple[Paid, ...]
    paid_until: str  # ISO 8601: without paying more; "" where that is not known
    paid_until_words: str
    grace_s: int  # to leave in, while that runs out; else 0
    pay: PayPage | None  # the code that is shown
    can_open_code: bool
    bill_id: str  # the page listens to its news
    posted: PostedWords | None
    complaints: tuple[Complained, ...]


async def present_ticket(
    whole: WholeStay,
    org: Org,
    *,
    complaints: Sequence[Complaint] = (),
    path: str,
    lang: Language,
    now: datetime,
) -> TicketPage:
    """Say everything the page shows."""
    stay, lot = whole.stay, whole.lot
    bill = None if whole.standing is None else whole.standing.find_code(now=now)
    until = None if whole.standing is None else may_stay_until(whole.standing, at=now)
    grace = timedelta() if whole.standing is None else whole.standing.price.grace
    return TicketPage(
        path=path,
        is_live=org.is_live,
        lot_name=lot.name,
        lot_address=lot.address,
        licence=_present_licence(whole, lang),
        seller=whole.operator.name,
        seller_address=whole.operator.address,
        seller_tax_code=whole.operator.tax_code,
        plate="" if stay.plate is None else mask_plate(stay.plate),
        ticket=stay.ticket or "",
        vehicle=translate(lang, f"ticket.class.{stay.vehicle_class}"),
        entered=present_instant(stay.entered_at),
        left="" if stay.left_at is None else present_instant(stay.left_at),
        state=state_of(whole),
        due_vnd=whole.due_vnd,
        lines=tuple(
            Amount(words=present_line(lang, line), amount_vnd=line.amount_vnd)
            for line in whole.lines
        ),
        paid=_present_paid(whole, org, lang),
        paid_until="" if until is None else until.isoformat(),
        paid_until_words="" if until is None else present_instant(until),
        grace_s=int(grace.total_seconds()) if until is not None and until - now <= grace else 0,
        pay=None
        if bill is None
        else await present_page(
            Opened(link=f"{org.code}-{bill.public_token}", org=org, bill=bill, credits=()), now
        ),
        can_open_code=whole.due_vnd > 0 and bill is None,
        bill_id=str(stay.bill_id or ""),
        posted=None
        if whole.posted is None
        else present_posted(whole.posted, lang, timing=lot.payment_timing, on=hanoi_day(now)),
        complaints=tuple(
            Complained(
                category=translate(lang, f"complaints.category.{one.category}"),
                state=translate(lang, f"complaints.outcome.{one.outcome}")
                if one.outcome
                else translate(lang, f"complaints.status.{one.status}"),
                due="" if one.outcome else _present_day(one.due_on),
            )
            for one in complaints
        ),
    )


def state_of(whole: WholeStay) -> str:
    """Return which of the page's states a stay is in."""
    stay = whole.stay
    if whole.standing is None:
        return "not_priced"
    if stay.status == SessionStatus.VOIDED:
        return "voided"
    if whole.due_vnd:
        return "due" if stay.is_inside else "owing"
    if not stay.is_inside:
        return "left"
    if stay.waived_vnd or (stay.pass_id is not None and not whole.standing.price.amount_vnd):
        return "pass"
    return "paid" if stay.paid_vnd else "nothing_due"


def _present_paid(whole: WholeStay, org: Org, lang: Language) -> tuple[Paid, ...]:
    by_bill = [
        Paid(
            words=translate(lang, "ticket.rail.transfer"),
            amount_vnd=whole.came_vnd(bill),
            when="" if bill.paid_at is None else present_instant(bill.paid_at),
            number=bill.reference,
            path=f"/p/{org.code}-{bill.public_token}/receipt",
        )
        for bill in whole.bills
        if whole.came_vnd(bill)
    ]
    collected = [
        Paid(
            words=translate(lang, f"ticket.rail.{one.rail}"),
            amount_vnd=one.amount_vnd,
            when=present_instant(one.collected_at),
            number=one.receipt_number or "",
            path="",
        )
        for one in whole.collections
        if one.rail in IS_MONEY and one.reversed_at is None
    ]
    return (*by_bill, *collected)


def _present_licence(whole: WholeStay, lang: Language) -> str:
    lot = whole.lot
    if lot.licence_number is None:
        return ""
    words = [lot.licence_number, *filter(None, [lot.licence_issuer])]
    if lot.licence_until is not None:
        until = _present_day(lot.licence_until)
        words.append(translate(lang, "ticket.licence_until", day=until))
    return ", ".join(words)


def _present_day(day: date) -> str:
    return f"{day:%d/%m/%Y}"
