"""Rows of proofs, as they travel between use cases and SQL."""

from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from core.reasons import Reason
from payments.reconciliation.rules import ProofRule
from payments.statements.rules import Explanation


class LineKey(NamedTuple):
    """A place among an account's lines, which are worked through in this order."""

    booked_on: date
    id: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class LineFacts:
    """A line, as far as its proofs and postings need it."""

    id: UUID
    receiving_account_id: UUID
    booked_on: date
    direction: str
    amount_vnd: int
    open_vnd: int
    explanation: Explanation | None
    bank_reference: str
    memo: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NewProof:
    """What explains a line from now on."""

    id: UUID
    line_id: UUID
    booked_on: date
    direction: str
    explanation: Explanation
    amount_vnd: int
    rule: ProofRule
    reason: Reason
    credit_id: UUID | None = None
    refund_id: UUID | None = None
    next_best: dict[str, Any] | None = None
    proved_by: UUID | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProofInForce:
    """A proof that is to be taken back, with what of its line the postings need."""

    id: UUID
    line_id: UUID
    booked_on: date
    direction: str
    explanation: Explanation
    amount_vnd: int
    credit_id: UUID | None
    refund_id: UUID | None


class DueRefund(NamedTuple):
    """A refund whose transfer back no line has shown yet."""

    id: UUID
    status: str
    amount_vnd: int
    bank_reference: str | None
