"""Requests and answers about toll accounts."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, SecretStr

from api.http.fields import Body, Line, NameText, Read, ReasonText
from payments.rails.toll.rules import TollFacts

Secret = Annotated[
    SecretStr, Field(min_length=16, max_length=256, description="The key that signs requests.")
]


class TollContractCreate(Body):
    """A contract with an operator that speaks docs/toll.md."""

    name: NameText
    url: Annotated[str, Field(max_length=200, examples=["http://127.0.0.1:8300"])]
    client_id: Annotated[Line, Field(min_length=1, max_length=80, pattern="^[\\x21-\\x7e]+$")]
    secret: Secret


class TollContractSecret(Body):
    """Another key."""

    secret: Secret


class TollContractRead(Read):
    """A contract, without its key."""

    id: UUID
    name: str
    url: str
    client_id: str
    created_at: datetime
    revoked_at: datetime | None


class TollContractList(Read):
    """The newest contracts first; one is in force."""

    contracts: list[TollContractRead]


class TollRefund(Body):
    """Why it is given back."""

    reason: ReasonText


class TollChargeRead(Read):
    """A charge to a toll account as it stands now."""

    id: UUID
    bill_id: UUID
    account_kind: str
    account: str = Field(description="Masked.")
    amount_vnd: int
    kept_vnd: int = Field(description="What its bill was paid by it.")
    refunded_vnd: int
    status: Literal["pending", "unknown", "charged", "declined"]
    problem: str | None = Field(
        description="Of `declined`: not_enough_money, account_locked, account_unknown,"
        " keys_refused, not_arrived, refused."
    )
    refund_status: Literal["pending", "refunded", "refused"] | None
    charged_at: datetime | None


def describe_toll(toll: TollFacts) -> dict[str, Any]:
    """Return a charge as the API shows it."""
    return {
        "id": toll.id,
        "bill_id": toll.bill_id,
        "account_kind": toll.account_kind,
        "account": toll.account_label,
        "amount_vnd": toll.amount_vnd,
        "kept_vnd": toll.kept_vnd,
        "refunded_vnd": toll.refunded_vnd,
        "status": toll.status,
        "problem": toll.problem,
        "refund_status": toll.refund_status,
        "charged_at": toll.charged_at,
    }
