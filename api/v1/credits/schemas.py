"""Requests and answers about payments, totals and breaks."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from api.http.fields import Body, Read, ReasonText
from core.masking import mask_tail
from payments.credits.rules import MatchRule, Verdict
from payments.credits.views import CreditView


class CreditRead(Read):
    """Money that a bank told of, and what the hub takes it for."""

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
    reason: str
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


class CreditAssign(Body):
    """Whose an unassigned payment is."""

    payee_id: UUID


class CreditConfirm(Body):
    """Which bill a payment without its memo was for."""

    bill_id: UUID


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
    """Whose a payment is: a payee's, as a sale, or for a bill. One of the two."""

    payee_id: UUID | None = None
    bill_id: UUID | None = None

    @model_validator(mode="after")
    def name_one(self) -> "BreakAssign":
        """Refuse both and neither."""
        if (self.payee_id is None) == (self.bill_id is None):
            raise ValueError("Name payee_id or bill_id, one of the two.")
        return self
