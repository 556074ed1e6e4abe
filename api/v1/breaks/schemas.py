"""Schemas of breaks."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import Field, JsonValue

from api.http.fields import REASON_FACTS, Body, Read, ReasonText
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.views import BreakView
from payments.credits.reasons import MatchReason


class BreakRead(Read):
    """Something unexplained, or to be done by a person."""

    id: UUID
    kind: BreakKind
    subject_id: UUID = Field(description="The payment, message or bill that it is about.")
    credit_id: UUID | None
    bill_id: UUID | None
    owner_id: UUID | None
    amount_vnd: int | None
    reason: BreakReason | MatchReason = Field(
        description="Why it was opened: by itself, or by the match of its payment."
    )
    reason_facts: dict[str, JsonValue] = Field(description=REASON_FACTS)
    opened_at: datetime
    held_at: datetime | None = Field(
        description="Since when its money is on its way; until that is certain no words close it."
    )
    closed_at: datetime | None
    closed_by: UUID | None
    resolution: str | None


class BreakPage(Read):
    """A page of breaks, newest first."""

    breaks: list[BreakRead]
    next_cursor: str | None

    @classmethod
    def of(cls, found: Sequence[BreakView], cursor: str | None) -> "BreakPage":
        """Make the answer."""
        return cls(breaks=[BreakRead.model_validate(one) for one in found], next_cursor=cursor)


class BreakClose(Body):
    """How it was resolved."""

    resolution: ReasonText
