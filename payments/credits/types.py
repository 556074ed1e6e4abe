"""Rows that travel between the processing of notices and its SQL."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from payments.credits.rules import Decision


class ListedAccount(NamedTuple):
    """An account that an endpoint may speak for."""

    endpoint_id: UUID
    receiving_account_id: UUID
    number: str  # upper case
    is_sandbox: bool
    status: str
    approved_at: datetime | None


class TradingLink(NamedTuple):
    """A payee whose codes name an account, named it, or are to name it."""

    receiving_account_id: UUID
    payee_id: UUID
    virtual_account: str | None  # upper case
    status: str
    test_reference: str
    was_in_force: bool
    is_payee_closed: bool
    owner_kind: str | None = None  # who is notified of sales on its static code
    owner_id: UUID | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NewCredit:
    """A bank transaction on a known account, to be stored once."""

    id: UUID
    receiving_account_id: UUID
    direction: str
    bank_reference: str  # upper case, "" without one
    provider: str
    provider_transaction_id: str
    provider_order_id: str | None
    notice_id: UUID
    virtual_account: str | None
    memo: str
    amount_vnd: int
    payer_name: str | None
    payer_account: str | None
    payer_bank: str | None
    is_date_only: bool
    occurred_at: datetime
    received_at: datetime
    admitted_from: UUID | None = None


class StoredCredit(NamedTuple):
    """Facts of a stored transaction that a repeat is compared with."""

    id: UUID
    receiving_account_id: UUID
    direction: str
    bank_reference: str
    provider: str
    provider_transaction_id: str
    amount_vnd: int
    memo: str
    occurred_at: datetime
    is_date_only: bool
    provider_order_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class NewSighting:
    """A known credit that was reported again: by another provider, or with other facts."""

    id: UUID
    credit_id: UUID
    notice_id: UUID
    provider: str
    provider_transaction_id: str
    fingerprint: bytes
    is_contradiction: bool
    differences: dict[str, Any]  # {name: [was, is]}
    amount_vnd: int  # as it was reported now


@dataclass(frozen=True, kw_only=True, slots=True)
class NewMatch:
    """What a credit was found to be."""

    id: UUID
    credit_id: UUID
    decision: Decision
    named: str | None
    suggested_bill_id: UUID | None = None
    matched_by: UUID | None = None
