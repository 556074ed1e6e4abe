"""Requests and answers about statement lines and what explains them."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import Field, JsonValue

from api.http.fields import REASON_FACTS, Body, Read, ReasonText
from api.http.i18n import LANGUAGES
from api.pages.reasons import present_reason
from payments.bills.rules import BillStatus
from payments.providers.types import Direction
from payments.reconciliation.reasons import ProofReason
from payments.reconciliation.rules import BY_WORD, ProofRule
from payments.reconciliation.views import LineEvidence
from payments.statements.rules import Explanation

CREDITS_MAX: Final = 100

ByWord = Literal[
    Explanation.REFUND_BACK,
    Explanation.BANK_CHARGE,
    Explanation.INTEREST,
    Explanation.OWN_TRANSFER,
    Explanation.NOT_THE_HUBS,
]
assert set(ByWord.__args__) == BY_WORD  # type: ignore[attr-defined]


class LineStatus(StrEnum):
    """Whether something explains a line."""

    OPEN = "open"
    EXPLAINED = "explained"


class LineRead(Read):
    """Money that moved, as the bank's statement says, and what it is."""

    id: UUID
    receiving_account_id: UUID
    statement_id: UUID
    line_no: int
    booked_on: date
    transacted_at: datetime | None
    direction: Direction
    amount_vnd: int
    open_vnd: int = Field(description="What nothing explains: all of it, or nothing.")
    bank_reference: str
    memo: str
    counterparty_account: str | None
    counterparty_name: str | None
    counterparty_bank: str | None
    is_reversal: bool
    explanation: Explanation | None = Field(description="null: it is open.")
    listed_at: datetime | None = Field(description="When it came to the list of unmatched items.")


class LinePage(Read):
    """Lines of an account, the newest booking first."""

    lines: list[LineRead]
    next_cursor: str | None


class NextBest(Read):
    """The strongest other payment that was found for a line."""

    credit_id: UUID
    rule: ProofRule
    score_bps: int


class ProvedCredit(Read):
    """The payment that a line is."""

    id: UUID
    memo: str
    bank_reference: str
    occurred_at: datetime
    payer_name: str | None


class ProvedBill(Read):
    """The bill that the payment is for."""

    id: UUID
    reference: str
    status: BillStatus
    amount_vnd: int | None


class ProofRead(Read):
    """What explains a line, or did."""

    id: UUID
    explanation: Explanation
    amount_vnd: int
    rule: ProofRule
    score_bps: int | None = Field(description="How strong the evidence is; null: by hand.")
    reason: ProofReason
    reason_facts: dict[str, JsonValue] = Field(description=REASON_FACTS)
    because: dict[str, str] = Field(description="The reason as a sentence, by language.")
    credit: ProvedCredit | None
    bill: ProvedBill | None
    refund_id: UUID | None
    next_best: NextBest | None
    proved_by: UUID | None = Field(description="null: the hub's own rules.")
    proved_at: datetime
    reversed_by: UUID | None
    reversed_at: datetime | None = Field(description="Set: it explains the line no more.")


class SuggestedCredit(Read):
    """A payment of the same amount near its day: only for a person to look at."""

    id: UUID
    amount_vnd: int
    occurred_at: datetime
    bank_reference: str
    memo: str
    payer_name: str | None


class LineEvidenceRead(Read):
    """A line beside what explains it, and what it might be while it is open."""

    line: LineRead
    proofs: list[ProofRead]
    suggestions: list[SuggestedCredit]


class LineLink(Body):
    """Which payments a line is, each whole, and why."""

    credit_ids: Annotated[list[UUID], Field(min_length=1, max_length=CREDITS_MAX)]
    reason: ReasonText


class LineExplain(Body):
    """What a line is that is none of our payments and refunds, and why."""

    explanation: ByWord
    reason: ReasonText


class LineUnlink(Body):
    """Why a line is opened again."""

    reason: ReasonText


def present_evidence(found: LineEvidence) -> LineEvidenceRead:
    """Make the answer."""
    return LineEvidenceRead(
        line=LineRead.model_validate(dict(found.line)),
        proofs=[_present_proof(one) for one in found.proofs],
        suggestions=[SuggestedCredit.model_validate(dict(one)) for one in found.suggestions],
    )


def _present_proof(row: Mapping[str, Any]) -> ProofRead:
    credit = bill = None
    if row["credit_id"] is not None:
        credit = ProvedCredit(
            id=row["credit_id"],
            memo=row["credit_memo"],
            bank_reference=row["credit_bank_reference"],
            occurred_at=row["credit_occurred_at"],
            payer_name=row["credit_payer_name"],
        )
    if row["bill_id"] is not None:
        bill = ProvedBill(
            id=row["bill_id"],
            reference=row["bill_reference"],
            status=row["bill_status"],
            amount_vnd=row["bill_amount_vnd"],
        )
    because = {lang: present_reason(lang, row["reason"], row["reason_facts"]) for lang in LANGUAGES}
    names = ProofRead.model_fields.keys() & row.keys()
    return ProofRead.model_validate(
        {**{name: row[name] for name in names}, "because": because, "credit": credit, "bill": bill}
    )
