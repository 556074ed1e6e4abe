"""Requests and answers about refunds."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, SecretStr, model_validator

from api.http.fields import AmountVnd, Body, Line, NameText, Read, ReasonText
from core.masking import mask_tail
from payments.payees.rules import HOLDER_CHARS_MAX, HeldBy
from payments.refunds.models import RefundFile
from payments.refunds.rules import (
    REFERENCE_CHARS_MAX,
    DestinationKind,
    RefundStatus,
    Way,
    hash_destination,
)
from payments.refunds.types import RefundView

BankReference = Annotated[
    Line, Field(min_length=1, max_length=REFERENCE_CHARS_MAX, examples=["FT26330000123"])
]


class RefundCreate(Body):
    """A refund against a payment, or against what a credit brought too much."""

    id: UUID = Field(description="Made by you, a UUIDv7: the same again answers the first.")
    payment_id: UUID | None = Field(
        default=None, description="Of `GET /v1/bills/{bill_id}/payments`."
    )
    credit_id: UUID | None = Field(
        default=None, description="That came again or too much; instead of a payment."
    )
    break_id: UUID | None = Field(
        default=None,
        description="The proposal it follows (`refund_due`, `refund_agreed`); what is due of the"
        " same money is found without it.",
    )
    amount_vnd: AmountVnd
    reason: ReasonText

    @model_validator(mode="after")
    def _name_one(self) -> Self:
        if (self.payment_id is None) == (self.credit_id is None):
            raise ValueError("name a payment or a credit, and not both")
        return self


class RefundDestination(Body):
    """An account that the payer named."""

    bin: Annotated[str, Field(pattern=r"^[0-9]{6}$", examples=["970436"])]
    account_number: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{4,19}$", examples=["0123456789"])]
    name: Annotated[NameText, Field(min_length=2, max_length=HOLDER_CHARS_MAX)]
    name_again: Annotated[NameText, Field(description="Typed a second time.")]


class RefundApprove(Body):
    """Agreement of a second person."""

    words: ReasonText | None = None
    destination_hash: str | None = Field(
        default=None,
        max_length=64,
        description="Of the refund as you read it: another account meanwhile answers 409."
        " Cash has none.",
    )
    password: SecretStr | None = Field(
        default=None,
        max_length=1_000,
        description="One's own again: only where nobody else is in the organisation.",
    )


class RefundWords(Body):
    """Why."""

    reason: ReasonText


class RefundReturned(Body):
    """The payer has the money."""

    bank_reference: BankReference | None = Field(
        default=None, description="Of the transfer back; cash has none."
    )


class RefundRead(Read):
    """A refund as it stands now."""

    id: UUID
    status: RefundStatus
    held_by: HeldBy = Field(description="Who holds the account, and gives the money back.")
    way: Way
    amount_vnd: int
    reason: str
    payment_id: UUID | None
    credit_id: UUID | None
    bill_id: UUID | None
    reference: str | None = Field(description="Of the bill.")
    break_id: UUID | None
    payee_id: UUID | None
    payee_name: str | None
    receiving_account_id: UUID
    destination_kind: DestinationKind | None = Field(
        description="`payer`: the account that paid; `entered`: typed by somebody, not proven."
    )
    destination_bank: str | None
    destination_account: str | None = Field(
        description="Whole for who approves or instructs, else its tail."
    )
    destination_name: str | None
    destination_hash: str | None = Field(
        description="To be sent with the approval; null for who sees the tail only."
    )
    requested_by: UUID
    requested_at: datetime
    decided_by: UUID | None
    decided_at: datetime | None
    decided_words: str | None
    is_decided_alone: bool
    reviewed_at: datetime | None
    instructed_by: UUID | None
    instructed_at: datetime | None
    file_id: UUID | None = Field(description="The payment file that it is in.")
    doubted_at: datetime | None
    ended_by: UUID | None
    ended_at: datetime | None
    ended_words: str | None
    bank_reference: str | None

    @classmethod
    def of(cls, refund: RefundView, *, sees_whole: bool) -> "RefundRead":
        """Make the answer for who may or may not see the payer's whole account."""
        facts = asdict(refund)
        facts["destination_hash"] = None
        if refund.destination_account is not None:
            if sees_whole:
                facts["destination_hash"] = hash_destination(
                    refund.destination_bank, refund.destination_account, refund.destination_name
                )
            else:
                facts["destination_account"] = mask_tail(refund.destination_account)
        return cls(**facts)


class RefundPage(Read):
    """A page of refunds."""

    refunds: list[RefundRead]
    next_cursor: str | None

    @classmethod
    def of(
        cls, found: Sequence[RefundView], cursor: str | None, *, sees_whole: bool
    ) -> "RefundPage":
        """Make the answer."""
        read = [RefundRead.of(one, sees_whole=sees_whole) for one in found]
        return cls(refunds=read, next_cursor=cursor)


class PaymentRead(Read):
    """What paid a bill, and how much of it can still be refunded."""

    id: UUID
    rail: str
    amount_vnd: int
    refundable_vnd: int
    occurred_at: datetime


class PaymentList(Read):
    """The payments of a bill that count, the oldest first (at most 50)."""

    payments: list[PaymentRead]


class RefundFileCreate(Body):
    """A payment file of what is approved of one account."""

    id: UUID = Field(description="Made by you, a UUIDv7: the same again answers the first.")
    receiving_account_id: UUID
    layout: Annotated[str, Field(max_length=40, examples=["plain"])] = "plain"


class RefundFileRead(Read):
    """A payment file, without its bytes."""

    id: UUID
    layout: str
    receiving_account_id: UUID
    refunds: int
    amount_vnd: int
    sha256: str = Field(description="Of the file, in hexadecimal digits.")
    created_by: UUID
    created_at: datetime

    @classmethod
    def of(cls, made: RefundFile) -> "RefundFileRead":
        """Make the answer."""
        return cls(
            id=made.id,
            layout=made.layout,
            receiving_account_id=made.receiving_account_id,
            refunds=made.refunds,
            amount_vnd=made.amount_vnd,
            sha256=made.content_hash.hex(),
            created_by=made.created_by,
            created_at=made.created_at,
        )


class RefundFilePage(Read):
    """A page of payment files, newest first, and the layouts that there are."""

    files: list[RefundFileRead]
    layouts: list[str]
    next_cursor: str | None
