"""Requests and answers about complaints."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from api.http.fields import AmountVnd, Body, Line, Read
from city.complaints.models import Complaint
from city.complaints.refunds import ComplaintRefund
from city.complaints.rules import (
    ANSWER_CHARS_MAX,
    Category,
    ComplaintStatus,
    Outcome,
    RefundState,
    SubjectKind,
)


class ComplaintRead(Read):
    """A complaint, and what became of it."""

    id: UUID
    category: Category
    subject_kind: SubjectKind
    subject_id: UUID = Field(description="What it is about, of that kind.")
    payee_id: UUID
    lot_id: UUID | None
    session_id: UUID | None = Field(description="The parking session behind it.")
    bill_id: UUID | None = Field(description="The bill behind it.")
    taken_vnd: int | None = Field(description="What was taken, as the complainant says.")
    words: str | None
    contact: str | None
    language: str
    status: ComplaintStatus
    received_at: datetime
    due_on: date = Field(description="The last day in Hà Nội for an answer.")
    outcome: Outcome | None
    answer: str | None
    refund_vnd: int | None
    refund_due_on: date | None = Field(description="The last day in Hà Nội to give it back.")
    refund_status: RefundState | None = Field(
        description="`waiting`: nobody requested it yet; `under_way`; `returned`; `closed`:"
        " somebody noted how it was given back otherwise. Null without a refund."
    )
    refund_returned_vnd: int | None = Field(description="How much of it was given back.")
    resolved_at: datetime | None
    resolved_by: UUID | None

    @classmethod
    def of(cls, complaint: Complaint, refunds: Mapping[UUID, ComplaintRefund]) -> Self:
        """Present a complaint with what became of its refund."""
        refund = refunds.get(complaint.id)
        facts = {
            name: getattr(complaint, name)
            for name in cls.model_fields
            if name not in ("refund_status", "refund_returned_vnd")
        }
        return cls(
            **facts,
            refund_status=None if refund is None else refund.state,
            refund_returned_vnd=None if refund is None else refund.returned_vnd,
        )


class ComplaintPage(Read):
    """A page of complaints."""

    complaints: list[ComplaintRead]
    next_cursor: str | None


class ComplaintResolve(Body):
    """What became of it."""

    outcome: Outcome
    answer: Annotated[
        Line,
        Field(
            min_length=1,
            max_length=ANSWER_CHARS_MAX,
            description="For the complainant to read.",
            examples=["Nhân viên đã thu thừa 15.000 ₫; bãi xe trả lại bạn."],
        ),
    ]
    refund_vnd: AmountVnd | None = Field(
        default=None, description="What is to be given back; with an upheld complaint only."
    )
