"""Payments in the words of the counter: colour, word, next step, and what is spoken.

The same words serve the live event, the bill's own page and the list of the day. Pure.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from api.http.i18n import translate
from core.clock import HANOI
from core.money import format_vnd
from payments.bills.queries_payments import CashTaken
from payments.bills.rules import BillFacts, BillStatus
from payments.credits.rules import MatchRule, Verdict
from payments.credits.sales import Sale

PAYER_CHARS_MAX: Final = 60
# What its share of a spread payment did to a bill.
EFFECT_OF_SHARE: Final = {BillStatus.PART_PAID: Verdict.PART, BillStatus.PAID: Verdict.SETTLE}
# A person put this in order: everyone sees it, no voice speaks the same money again.
SAID_BY_HAND: Final = frozenset({MatchRule.ASSIGNED, MatchRule.CONFIRMED, MatchRule.NOT_TAKINGS})


@dataclass(frozen=True, kw_only=True)
class CreditFacts:
    """What is known of one payment, from an event or from the tables."""

    credit_id: UUID
    verdict: Verdict
    rule: MatchRule
    amount_vnd: int
    payer_name: str | None
    occurred_at: datetime
    is_late: bool
    bill_id: UUID | None = None
    reference: str | None = None
    bill_status: str | None = None
    bill_amount_vnd: int | None = None
    paid_vnd: int = 0
    received_vnd: int = 0
    suggested_bill_id: UUID | None = None
    is_cash: bool = False  # a person took it; `credit_id` is the payment's


@dataclass(frozen=True, kw_only=True)
class PresentedCredit:
    """What templates/counter_verdict.html may use, already worded for a person."""

    credit_id: UUID
    bill_id: UUID | None
    status: str  # of parts.STATES: colour and sign
    word: str  # "Đã nhận"
    shown_vnd: int
    who: str  # "NGUYEN VAN A · 14:05"
    lines: tuple[str, ...]  # "Còn thiếu 5.000 ₫"
    next_step: str
    missing_vnd: int  # above zero: a code for the rest is shown
    suggested_bill_id: UUID | None  # asks "Của khách này?"
    is_anyones: bool  # asks "Tiền của tôi"
    say: str | None  # the speaker's kind; None is silent
    say_vnd: int


def facts_of_event(data: dict[str, Any]) -> CreditFacts:
    """Read the data of an event that reports money (payments/credits/effects.py)."""
    is_cash = data.get("is_cash", False)
    return CreditFacts(
        credit_id=UUID(data["payment_id"] if is_cash else data["credit_id"]),
        verdict=Verdict(data["verdict"]),
        rule=MatchRule.CONFIRMED if is_cash else MatchRule(data["rule"]),
        is_cash=is_cash,
        amount_vnd=data["amount_vnd"],
        payer_name=data["payer_name"],
        occurred_at=datetime.fromisoformat(data["occurred_at"]),
        is_late=data["is_late"],
        bill_id=UUID(data["bill_id"]) if "bill_id" in data else None,
        reference=data.get("reference"),
        bill_status=data.get("bill_status"),
        bill_amount_vnd=data.get("bill_amount_vnd"),
        paid_vnd=data.get("paid_vnd", 0),
        received_vnd=data.get("received_vnd", 0),
        suggested_bill_id=UUID(data["suggested_bill_id"]) if "suggested_bill_id" in data else None,
    )


def facts_of_sale(sale: Sale) -> CreditFacts:
    """Read a row of the day's list, or of one bill: then of a spread payment its share."""
    verdict, amount_vnd = Verdict(sale.verdict), sale.amount_vnd
    if verdict is Verdict.SPLIT and sale.bill_status in EFFECT_OF_SHARE:
        verdict, amount_vnd = EFFECT_OF_SHARE[BillStatus(sale.bill_status)], sale.applied_vnd
    return CreditFacts(
        credit_id=sale.credit_id,
        verdict=verdict,
        rule=MatchRule(sale.rule),
        amount_vnd=amount_vnd,
        payer_name=sale.payer_name,
        occurred_at=sale.occurred_at,
        is_late=sale.is_late,
        bill_id=sale.bill_id,
        reference=sale.reference,
        bill_status=sale.bill_status,
        bill_amount_vnd=sale.bill_amount_vnd,
        paid_vnd=sale.bill_paid_vnd or 0,
        received_vnd=sale.bill_received_vnd or 0,
        suggested_bill_id=sale.suggested_bill_id,
    )


def facts_of_cash(bill: BillFacts, cash: CashTaken) -> CreditFacts:
    """Read the cash that paid the rest of a bill."""
    return CreditFacts(
        credit_id=cash.payment_id,
        verdict=Verdict.SETTLE,
        rule=MatchRule.CONFIRMED,
        amount_vnd=cash.amount_vnd,
        payer_name=None,
        occurred_at=cash.recorded_at,
        is_late=False,
        bill_id=bill.id,
        reference=bill.reference,
        bill_status=bill.status,
        bill_amount_vnd=bill.amount_vnd,
        paid_vnd=bill.paid_vnd,
        received_vnd=bill.received_vnd,
        is_cash=True,
    )


def present_credit(facts: CreditFacts, lang: str) -> PresentedCredit:
    """Say what a payment is and what to do next, in one language."""
    status = status_of(facts)
    bill_vnd = facts.bill_amount_vnd or 0
    missing_vnd = bill_vnd - facts.paid_vnd if status == "part_paid" else 0
    extra_vnd = facts.received_vnd - bill_vnd if status == "over_paid" else facts.amount_vnd
    shown_vnd = {"part_paid": facts.paid_vnd, "over_paid": facts.received_vnd}.get(
        status, facts.amount_vnd
    )
    lines = []
    if status == "part_paid":
        lines.append(_say(lang, "missing", amount=format_vnd(missing_vnd)))
    elif status in ("over_paid", "repeated", "cancelled"):
        lines.append(_say(lang, f"extra.{status}", amount=format_vnd(extra_vnd)))
    elif facts.verdict is Verdict.SETTLE and bill_vnd > facts.amount_vnd:
        lines.append(_say(lang, "complete", amount=format_vnd(bill_vnd)))
    is_silent = facts.rule in SAID_BY_HAND or facts.verdict is Verdict.NOT_TAKINGS
    say = None if is_silent else _spoken(facts, status)
    return PresentedCredit(
        credit_id=facts.credit_id,
        bill_id=facts.bill_id,
        status=status,
        word=_say(lang, f"word.{_word_of(facts, status)}"),
        shown_vnd=shown_vnd,
        who=present_payer(facts, lang),
        lines=tuple(lines),
        next_step=_say(lang, f"next.{_word_of(facts, status)}"),
        missing_vnd=missing_vnd,
        suggested_bill_id=facts.suggested_bill_id if status == "counter_sale" else None,
        is_anyones=facts.verdict is Verdict.UNASSIGNED,
        say=say,
        say_vnd=shown_vnd,
    )


def status_of(facts: CreditFacts) -> str:
    """Return which of the screens' states a payment is."""
    match facts.verdict:
        case Verdict.PART:
            return "part_paid"
        case Verdict.OVER:
            return "over_paid"
        case Verdict.SETTLE:
            return "late" if facts.is_late else "paid"
        case Verdict.SPLIT:  # in the list of the day; of one bill it is that bill's share
            return "paid"
        case Verdict.CLOSED_BILL:
            return "cancelled" if facts.bill_status == BillStatus.CANCELLED else "repeated"
        case Verdict.COUNTER_SALE | Verdict.NOT_TAKINGS:
            return "counter_sale"
        case _:
            return "unknown"


def present_payer(facts: CreditFacts, lang: str) -> str:
    """Say who paid and when: "NGUYEN VAN A · 14:05"."""
    unnamed = _say(lang, "cash" if facts.is_cash else "no_name")
    name = (facts.payer_name or "").strip()[:PAYER_CHARS_MAX] or unnamed
    return f"{name} · {facts.occurred_at.astimezone(HANOI):%H:%M}"


def _word_of(facts: CreditFacts, status: str) -> str:
    return facts.verdict.value if status == "unknown" else status


def _spoken(facts: CreditFacts, status: str) -> str | None:
    if facts.verdict is Verdict.UNASSIGNED:
        return "counter_sale"  # every payee of the account receives it
    kinds = {"part_paid": "short", "over_paid": "over", "unknown": None}
    return kinds.get(status, status)


def _say(lang: str, key: str, **values: object) -> str:
    return translate(lang, f"counter.verdict.{key}", **values)
