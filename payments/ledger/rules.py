"""What a transfer is, and what follows from a list of them."""

from collections import defaultdict
from collections.abc import Iterable
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


def net_by_account(transfers: Iterable[NewTransfer]) -> dict[AccountKey, int]:
    """Sum credits minus debits per account; the sums over all accounts are zero by construction."""
    net_vnd: dict[AccountKey, int] = defaultdict(int)
    for transfer in transfers:
        net_vnd[transfer.debit] -= transfer.amount_vnd
        net_vnd[transfer.credit] += transfer.amount_vnd
    return dict(net_vnd)
