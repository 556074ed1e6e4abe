"""Events that someone outside may want to receive. Pure."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID


class EventKind(StrEnum):
    """Public names: screens and, later, webhooks depend on them."""

    BILL_PAID = "bill.paid"
    BILL_PART_PAID = "bill.part_paid"
    BILL_OVER_PAID = "bill.over_paid"
    BILL_CREDITED_AGAIN = "bill.credited_again"  # paid already, or cancelled
    BILL_CANCELLED = "bill.cancelled"
    BILL_CASH_TAKEN_BACK = "bill.cash_taken_back"  # recorded by mistake: it is owed again
    BILL_PAYMENT_TAKEN_BACK = "bill.payment_taken_back"  # corrected: it is owed again
    BILL_WRITTEN_OFF = "bill.written_off"  # its rest was given up by two people: it is paid
    BILL_CODE_CHANGED = "bill.code_changed"  # its rail has answered, or could not be reached
    REFUND_CHANGED = "refund.changed"  # requested, or taken a step further
    SETTLEMENT_SENT = "settlement.sent"  # a statement of a payee's period, approved and handed out
    COUNTER_SALE = "counter_sale.received"
    CREDIT_UNASSIGNED = "credit.unassigned"  # a shared account: whose is it?
    CREDIT_UNEXPLAINED = "credit.unexplained"
    CREDIT_CORRECTED = "credit.corrected"
    PARKING_SESSION_PAID = "parking.session_paid"  # nothing is due any more: it may leave
    PARKING_LEFT = "parking.left"
    PARKING_DEPOSIT_PAID = "parking.deposit_paid"  # what a shift paid on behalf of drivers
    PARKING_PLATE_DIFFERED = "parking.plate_differed"  # another plate goes out than came in
    PARKING_ENTERED = "parking.entered"
    PARKING_WATCHED = "parking.watched"  # a plate of the watch list came in
    PARKING_OVER_LICENCE = "parking.over_licence"  # more are inside than the licence allows
    PARKING_PASS_PAID = "parking.pass_paid"  # noqa: S105 (no password)
    # Its payment was taken back, or refunded.
    PARKING_PASS_OWED_AGAIN = "parking.pass_owed_again"  # noqa: S105 (no password)
    PARKING_PASS_ENDING = "parking.pass_ending"  # noqa: S105 (no password); within a week
    ACCOUNT_TESTED = "account.tested"
    ACCOUNT_CHANGED = "account.changed"
    DAY_CLOSED = "day.closed"  # of the books: never opened again
    WEBHOOK_TEST = "webhook.test"  # somebody tries an endpoint out


@dataclass(frozen=True, kw_only=True, slots=True)
class NewEvent:
    """One event to be written with the change it reports."""

    kind: EventKind
    payee_id: UUID | None = None
    receiving_account_id: UUID | None = None
    bill_id: UUID | None = None
    data: dict[str, Any] = field(default_factory=dict)
