"""Facts of refunds, as they travel between use cases and SQL."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class NewRefund:
    """A refund that is requested: against a payment, or against what a credit brought too much."""

    id: UUID  # made by the client
    amount_vnd: int
    reason: str
    payment_id: UUID | None = None
    credit_id: UUID | None = None
    break_id: UUID | None = None  # the proposal that it follows

    def __post_init__(self) -> None:
        """Hold it to one source (a programmer's mistake)."""
        assert (self.payment_id is None) != (self.credit_id is None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """An account that money goes back to."""

    kind: str
    bank: str
    account: str
    name: str
    by: UUID | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PaymentFacts:
    """A payment as a refund needs it, with its bill's account and who may have an interest."""

    id: UUID
    bill_id: UUID
    rail: str
    source_kind: str
    source_id: UUID
    payee_id: UUID
    receiving_account_id: UUID
    opened_by: UUID


class PaymentLeft(NamedTuple):
    """What paid a bill, and how much of it can still be refunded."""

    id: UUID
    rail: str
    amount_vnd: int
    refundable_vnd: int
    occurred_at: datetime


class WaitingAccount(NamedTuple):
    """An account with approved refunds that wait to be instructed."""

    account_id: UUID
    bin: str
    account_number: str
    refunds: int
    amount_vnd: int


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountHolder:
    """Who holds a receiving account, and who proposed it or said so."""

    held_by: str
    changed_by: tuple[UUID | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RefundView:
    """A refund as lists show it."""

    id: UUID
    status: str
    held_by: str
    way: str
    amount_vnd: int
    reason: str
    payment_id: UUID | None
    credit_id: UUID | None
    bill_id: UUID | None
    break_id: UUID | None
    reference: str | None
    payee_id: UUID | None
    payee_name: str | None
    receiving_account_id: UUID
    destination_kind: str | None
    destination_bank: str | None
    destination_account: str | None
    destination_name: str | None
    destination_by: UUID | None
    requested_by: UUID
    requested_at: datetime
    decided_by: UUID | None
    decided_at: datetime | None
    decided_words: str | None
    is_decided_alone: bool
    reviewed_at: datetime | None
    instructed_by: UUID | None
    instructed_at: datetime | None
    file_id: UUID | None
    doubted_at: datetime | None
    ended_by: UUID | None
    ended_at: datetime | None
    ended_words: str | None
    bank_reference: str | None
