"""Requests and answers about payments, totals and breaks."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field, JsonValue, field_validator, model_validator

from api.http.fields import REASON_FACTS, AmountVnd, Body, Read, ReasonText
from core.masking import mask_tail
from payments.credits.reasons import MatchReason
from payments.credits.rules import MatchRule, Verdict
from payments.credits.views import CreditView

SHARES_MAX: Final = 50
SEEN_MATCH: Final = (
    "The payment's match_id as it was seen: if it has another by now, nothing changes. Money is"
    " taken from a bill that it pays only with it."
)


class CreditRead(Read):
    """Money that a bank reported, and what the hub takes it for."""

    id: UUID
    receiving_account_id: UUID
    virtual_account: str | None
    payee_id: UUID | None = Field(description="Null: nobody's yet.")
    bill_id: UUID | None
    suggested_bill_id: UUID | None = Field(
        description="The one open bill with just this amount: ask the vendor, never assume."
    )
    amount_vnd: int
    applied_vnd: int = Field(description="To the bill or as a sale; the rest waits.")
    verdict: Verdict
    rule: MatchRule
    reason: MatchReason
    reason_facts: dict[str, JsonValue] = Field(description=REASON_FACTS)
    is_late: bool
    memo: str = Field(description="As it arrived.")
    payer_name: str | None
    payer_account: str | None = Field(description="Its last four characters.")
    payer_bank: str | None
    provider: str
    bank_reference: str
    occurred_at: datetime = Field(description="By the bank's clock.")
    is_date_only: bool
    received_at: datetime = Field(description="By the hub's clock.")
    matched_at: datetime
    matched_by: UUID | None = Field(description="Null: the hub's own rules.")
    match_id: UUID = Field(description="Of this explanation: another one has another.")

    @field_validator("payer_account", mode="before")
    @classmethod
    def mask(cls, value: Any) -> Any:
        """Nobody here needs a payer's whole account number."""
        return mask_tail(value) if isinstance(value, str) and value else None


class CreditsRead(Read):
    """Payments of one bill."""

    credits: list[CreditRead]

    @classmethod
    def of(cls, found: Sequence[CreditView]) -> "CreditsRead":
        """Make the answer."""
        return cls(credits=[CreditRead.model_validate(one) for one in found])


class CreditPage(CreditsRead):
    """A page of payments, newest first."""

    next_cursor: str | None


class BillShare(Body):
    """How much of a payment pays one bill."""

    bill_id: UUID
    amount_vnd: AmountVnd


class CreditAssign(Body):
    """Whose a payment is: a payee's, or, as the management says, for several bills."""

    payee_id: UUID | None = None
    bills: Annotated[list[BillShare], Field(min_length=1, max_length=SHARES_MAX)] | None = Field(
        default=None, description="As for a break; only for who looks after the organisation."
    )
    match_id: UUID | None = Field(default=None, description=SEEN_MATCH)

    @model_validator(mode="after")
    def name_one(self) -> "CreditAssign":
        """Refuse both and neither, and a bill that is named twice."""
        if (self.payee_id is None) == (self.bills is None):
            raise ValueError("Name payee_id or bills, one of the two.")
        if self.bills and len({share.bill_id for share in self.bills}) < len(self.bills):
            raise ValueError("Name each bill once.")
        return self


class CreditConfirm(Body):
    """Which bill a payment without its memo was for."""

    bill_id: UUID
    match_id: UUID | None = Field(default=None, description=SEEN_MATCH)


class CreditNotTakings(Body):
    """Why it is no sale."""

    reason: ReasonText | None = None


class VerdictCount(Read):
    """Payments of one verdict."""

    count: int
    amount_vnd: int


class TotalsRead(Read):
    """A payee's day, from midnight to midnight in Hà Nội."""

    payee_id: UUID
    on: date
    takings_vnd: int = Field(description="What the ledger posted as takings, corrections deducted.")
    by_verdict: dict[Verdict, VerdictCount]


class BreakAssign(Body):
    """Whose a payment is: a payee's, as a sale, for a bill, or for several. One of the three."""

    payee_id: UUID | None = None
    bill_id: UUID | None = None
    bills: Annotated[list[BillShare], Field(min_length=1, max_length=SHARES_MAX)] | None = Field(
        default=None,
        description="Each bill once, all of one payee, with what of the payment it gets: no more"
        " than it needs. What they leave of it stays unassigned. The break of such a rest is about"
        " the rest alone.",
    )

    @model_validator(mode="after")
    def name_one(self) -> "BreakAssign":
        """Refuse several and none, and a bill that is named twice."""
        if [self.payee_id, self.bill_id, self.bills].count(None) != 2:
            raise ValueError("Name payee_id, bill_id or bills, one of the three.")
        if self.bills and len({share.bill_id for share in self.bills}) < len(self.bills):
            raise ValueError("Name each bill once.")
        return self
