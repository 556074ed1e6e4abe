"""Effects of a match: what it posts itself, and which events screens receive. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from payments.bills.payment_rules import Applied, Payment, describe_bill
from payments.bills.rules import BillState
from payments.credits.rules import CreditFacts, Verdict
from payments.credits.types import NewMatch
from payments.ledger.rules import (
    AccountKey,
    NewPosting,
    bank_clearing,
    not_takings,
    takings,
    unapplied,
)
from payments.outbox.rules import EventKind, NewEvent

EVENT_OF: Final = {
    Verdict.SETTLE: EventKind.BILL_PAID,
    Verdict.PART: EventKind.BILL_PART_PAID,
    Verdict.OVER: EventKind.BILL_OVER_PAID,
    Verdict.SPLIT: EventKind.BILL_PAID,
    Verdict.CLOSED_BILL: EventKind.BILL_CREDITED_AGAIN,
    Verdict.COUNTER_SALE: EventKind.COUNTER_SALE,
    Verdict.UNASSIGNED: EventKind.CREDIT_UNASSIGNED,
    Verdict.WRONG_ACCOUNT: EventKind.CREDIT_UNEXPLAINED,
    Verdict.SEVERAL_BILLS: EventKind.CREDIT_UNEXPLAINED,
    Verdict.NO_BILL: EventKind.CREDIT_UNEXPLAINED,
    Verdict.ACCOUNT_TEST: EventKind.ACCOUNT_TESTED,
}  # of any other, that it was corrected says enough (held_credits.py)


# Without a bill: all of the credit is a sale, or the vendor's own money.
TAKEN_AS_A_WHOLE: Final = frozenset({Verdict.COUNTER_SALE, Verdict.NOT_TAKINGS})


def open_vnd(match: NewMatch, credit: CreditFacts) -> int:
    """Return how much of a credit no leg and no sale takes."""
    if match.decision.verdict is Verdict.SAME_MONEY:
        return 0
    return credit.amount_vnd - match.decision.applied_vnd


def list_shares(match: NewMatch, credit: CreditFacts) -> list[tuple[AccountKey, int]]:
    """Say where what pays no bill goes, and with how many đồng; payments post what does.

    None, where it is another credit's money: the bank moved that once.
    """
    decision = match.decision
    if decision.verdict is Verdict.SAME_MONEY:
        return []
    rest_vnd = open_vnd(match, credit)
    shares: list[tuple[AccountKey, int]] = []
    if decision.verdict in TAKEN_AS_A_WHOLE:
        assert decision.payee_id is not None
        is_own_money = decision.verdict is Verdict.NOT_TAKINGS
        account = not_takings if is_own_money else takings
        shares.append((account(decision.payee_id), decision.applied_vnd))
    if rest_vnd:
        shares.append((unapplied(credit.receiving_account_id), rest_vnd))
    return shares


def list_postings(match: NewMatch, credit: CreditFacts) -> list[NewPosting]:
    """Post a first match: Dr bank clearing, Cr each share."""
    clearing = bank_clearing(credit.receiving_account_id)
    return [
        NewPosting(
            debit=clearing,
            credit=account,
            amount_vnd=amount_vnd,
            cause_kind="match",
            cause_id=match.id,
            step=step,
            effective_at=credit.occurred_at,
            item_id=credit.id,
        )
        for step, (account, amount_vnd) in enumerate(list_shares(match, credit))
    ]


def list_reversal(match: NewMatch, credit: CreditFacts) -> list[NewPosting]:
    """Undo a match: each share back to bank clearing, from where the next match takes it."""
    clearing = bank_clearing(credit.receiving_account_id)
    return [
        NewPosting(
            debit=account,
            credit=clearing,
            amount_vnd=amount_vnd,
            cause_kind="match_reversal",
            cause_id=match.id,
            step=step,
            effective_at=credit.occurred_at,
            item_id=credit.id,
        )
        for step, (account, amount_vnd) in enumerate(list_shares(match, credit))
    ]


def list_events(match: NewMatch, credit: CreditFacts) -> list[NewEvent]:
    """Word a match for the screens: all that a counter needs to show and speak it.

    One event; of a credit that is spread over several bills, one for each of them.
    """
    decision = match.decision
    if decision.verdict not in EVENT_OF:
        return []
    data: dict[str, Any] = {
        "credit_id": str(credit.id),
        "verdict": decision.verdict.value,
        "rule": decision.rule.value,
        "amount_vnd": credit.amount_vnd,
        "applied_vnd": decision.applied_vnd,
        "payer_name": credit.payer_name,
        "memo": credit.memo[:140],
        "occurred_at": credit.occurred_at.isoformat(),
        "is_late": decision.is_late,
    }
    if match.suggested_bill_id is not None:
        data["suggested_bill_id"] = str(match.suggested_bill_id)
    if not decision.legs:
        event = NewEvent(
            kind=EVENT_OF[decision.verdict],
            payee_id=decision.payee_id,
            receiving_account_id=credit.receiving_account_id,
            bill_id=decision.bill_id,
            data=data,
        )
        return [event]
    return [_to_leg_event(match, credit, leg, data) for leg in decision.legs]


def list_taken_back(
    credit: CreditFacts, bills: Iterable[BillState], payments: Sequence[Payment]
) -> list[NewEvent]:
    """Word what a correction took from bills, for whoever shows them: one event for each."""
    taken_vnd = {payment.bill_id: payment.amount_vnd for payment in payments}
    return [
        NewEvent(
            kind=EventKind.BILL_PAYMENT_TAKEN_BACK,
            payee_id=bill.payee_id,
            bill_id=bill.id,
            data={
                "credit_id": str(credit.id),
                "amount_vnd": taken_vnd.get(bill.id, 0),
                **describe_bill(bill),
            },
        )
        for bill in bills
    ]


def _to_leg_event(
    match: NewMatch, credit: CreditFacts, leg: Applied, data: dict[str, Any]
) -> NewEvent:
    about: dict[str, Any] = {}
    if match.decision.verdict is Verdict.SPLIT:  # each bill has an event with its own share
        about = {"verdict": leg.effect.value, "is_late": leg.is_late}
        about |= {"amount_vnd": leg.applied_vnd, "applied_vnd": leg.applied_vnd}
    return NewEvent(
        kind=EVENT_OF[Verdict(leg.effect.value)],
        payee_id=match.decision.payee_id,
        receiving_account_id=credit.receiving_account_id,
        bill_id=leg.bill.id,
        data=data | about | describe_bill(leg.bill),
    )
