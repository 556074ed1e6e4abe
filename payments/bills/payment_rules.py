"""Payments decided: what a source of money does to a bill, and what taking it back does. Pure.

Settling (payments/bills/settling.py) locks the bill before and writes it after.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from core.ids import new_id
from payments.bills.rules import SETTLEABLE, BillState, BillStatus, is_late
from payments.ledger.rules import AccountKey, bank_clearing, cash_in_drawer

CASH: Final = "cash"  # a rail


class SourceKind(StrEnum):
    """What a payment comes from."""

    CREDIT = "credit"  # money that a bank reported
    CASH = "cash"  # what a person took
    TOLL = "toll"  # what a toll account was charged
    WRITE_OFF = "write_off"  # nobody pays it: two people gave it up (payments/decisions/)


class Effect(StrEnum):
    """What money does to the bill that it is for."""

    SETTLE = "settle"  # the amount is reached exactly
    PART = "part"  # short: the bill stays part-paid
    OVER = "over"  # the rest waits elsewhere
    CLOSED_BILL = "closed_bill"  # paid already, or cancelled: nothing is taken


@dataclass(frozen=True, kw_only=True, slots=True)
class MoneySource:
    """Money that is to pay a bill."""

    kind: SourceKind
    id: UUID
    amount_vnd: int
    occurred_at: datetime
    is_date_only: bool = False
    rail: str | None = None  # None: the bill's own
    by: UUID | None = None  # who says so; None: the hub's own rules
    debit: AccountKey | None = None  # where the money is now; None: it follows from the rail


@dataclass(frozen=True, kw_only=True, slots=True)
class Payment:
    """What one source pays of one bill."""

    id: UUID
    bill_id: UUID
    payee_id: UUID
    rail: str
    source_kind: str
    source_id: UUID
    amount_vnd: int
    occurred_at: datetime
    debit: AccountKey
    by: UUID | None = None
    refundable_vnd: int | None = None  # None: all of it


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """What became of a source at one bill."""

    effect: Effect
    bill: BillState  # as this left it; what comes later may move it on
    status_before: str
    is_late: bool = False
    payment: Payment | None = None  # None: the bill took nothing

    @property
    def applied_vnd(self) -> int:
        """How much the bill took."""
        return 0 if self.payment is None else self.payment.amount_vnd


@dataclass(kw_only=True, slots=True)
class SettlingPlan:
    """What is to be written of locked bills, decided as a whole."""

    bills: dict[UUID, BillState] = field(default_factory=dict)  # locked, those that changed
    payments: list[Payment] = field(default_factory=list)
    reversed: list[Payment] = field(default_factory=list)


def decide_payment(bill: BillState, amount_vnd: int) -> Effect:
    """Decide what money does to the bill that it is for.

    Money that has come is never refused. An expired bill is still settled: the payer did pay.
    """
    if bill.status not in SETTLEABLE:
        return Effect.CLOSED_BILL
    if bill.amount_vnd is None:
        return Effect.SETTLE
    missing_vnd = bill.amount_vnd - bill.paid_vnd
    if amount_vnd < missing_vnd:
        return Effect.PART
    return Effect.SETTLE if amount_vnd == missing_vnd else Effect.OVER


def apply_payment(bill: BillState, source: MoneySource, *, now: datetime) -> Applied:
    """Move a locked bill on by what a source brings, and say what it took."""
    assert source.amount_vnd > 0
    effect, before = decide_payment(bill, source.amount_vnd), bill.status
    bill.received_vnd += source.amount_vnd
    if effect is Effect.CLOSED_BILL:
        return Applied(effect=effect, bill=replace(bill), status_before=before)
    taken_vnd = source.amount_vnd
    if bill.amount_vnd is not None:
        taken_vnd = min(taken_vnd, bill.amount_vnd - bill.paid_vnd)
    assert taken_vnd > 0
    bill.paid_vnd += taken_vnd
    if effect is Effect.PART:
        bill.status = BillStatus.PART_PAID
    else:
        bill.status = BillStatus.PAID if effect is Effect.SETTLE else BillStatus.OVER_PAID
        bill.paid_at = now
    late = is_late(source.occurred_at, is_date_only=source.is_date_only, expires_at=bill.expires_at)
    bill.is_late = bill.is_late or late
    rail = source.rail or bill.rail
    payment = Payment(
        id=source.id if source.kind is SourceKind.CASH else new_id(),
        bill_id=bill.id,
        payee_id=bill.payee_id,
        rail=rail,
        source_kind=source.kind.value,
        source_id=source.id,
        amount_vnd=taken_vnd,
        occurred_at=source.occurred_at,
        debit=source.debit or debit_account(rail, bill),
        by=source.by,
    )
    return Applied(
        effect=effect, bill=replace(bill), status_before=before, is_late=late, payment=payment
    )


def take_back(bill: BillState, payments: Sequence[Payment], *, brought_vnd: int) -> None:
    """Move a locked bill back to what it is without some of its payments.

    Args:
        brought_vnd: what their source brought to this bill, with what it did not take.
    """
    taken_vnd = sum(payment.amount_vnd for payment in payments)
    assert 0 <= taken_vnd <= min(bill.paid_vnd, brought_vnd)
    bill.paid_vnd -= taken_vnd
    bill.received_vnd -= brought_vnd
    if not taken_vnd:
        return
    if bill.paid_vnd == 0:
        bill.is_late = False
    if bill.status == BillStatus.CANCELLED:  # it stays so; less of it is to be given back
        return
    bill.paid_at = None
    bill.status = BillStatus.OPEN if bill.paid_vnd == 0 else BillStatus.PART_PAID


def expire_taken_back(plan: SettlingPlan, *, now: datetime) -> None:
    """Let bills that lost a payment and that nobody watches any more be expired again."""
    for bill_id in {payment.bill_id for payment in plan.reversed}:
        bill = plan.bills[bill_id]
        if bill.status in (BillStatus.OPEN, BillStatus.PART_PAID) and bill.monitor_until <= now:
            bill.status = BillStatus.EXPIRED


def keep_if_same(bill: BillState, was: BillState) -> bool:
    """Tell whether a locked bill has again what was taken back; it was paid when it was, then."""
    if (bill.paid_vnd, bill.received_vnd) != (was.paid_vnd, was.received_vnd):
        return False
    bill.paid_at = was.paid_at
    return True


def debit_account(rail: str, bill: BillState) -> AccountKey:
    """Say where money that came by a rail is now: the debit side of docs/ledger.md's table."""
    if rail == CASH:
        return cash_in_drawer(bill.payee_id)
    return bank_clearing(bill.receiving_account_id)  # VietQR, payOS


def describe_bill(bill: BillState) -> dict[str, Any]:
    """Word a bill for the event that reports its payment."""
    return {
        "bill_id": str(bill.id),
        "reference": bill.reference,
        "bill_status": str(bill.status),
        "bill_amount_vnd": bill.amount_vnd,
        "paid_vnd": bill.paid_vnd,
        "received_vnd": bill.received_vnd,
    }
