"""What a transfer is."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from payments.ledger.models import AccountCode


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountKey:
    """Names a ledger account: what kind, and whose."""

    code: AccountCode
    subject_id: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class NewTransfer:
    """An amount to be moved from the debit to the credit account."""

    debit: AccountKey
    credit: AccountKey
    amount_vnd: int
    cause_kind: str
    cause_id: UUID
    step: int
    effective_at: datetime
