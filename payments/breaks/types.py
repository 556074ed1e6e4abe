"""Rows of breaks, as they travel between use cases and SQL."""

from dataclasses import dataclass
from uuid import UUID

from core.reasons import Reason
from payments.breaks.rules import BreakKind


@dataclass(frozen=True, kw_only=True, slots=True)
class NewBreak:
    """Something unexplained, or to be done by a person."""

    kind: BreakKind
    subject_id: UUID
    reason: Reason
    credit_id: UUID | None = None
    bill_id: UUID | None = None
    matter_id: UUID | None = None  # of a refund: what was paid for
    amount_vnd: int | None = None
