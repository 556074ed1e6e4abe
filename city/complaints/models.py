"""Complaints, each with its link and its outcome."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Vnd
from core.tenancy import OrgRow


class Complaint(OrgRow):
    """What somebody complains of. Its id is made by the form that sends it."""

    __tablename__ = "complaints"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "payee_id"], ["payees.org_id", "payees.id"]),
        CheckConstraint(
            "category IN ('overcharged', 'charged_twice', 'no_receipt', 'damaged_or_lost', 'rude',"
            " 'other')",
            name="category_known",
        ),
        CheckConstraint(
            "subject_kind IN ('parking_session', 'bill', 'payment', 'receipt')",
            name="subject_kind_known",
        ),
        CheckConstraint("status IN ('open', 'answered', 'closed')", name="status_known"),
        CheckConstraint(
            "(status = 'open') = (outcome IS NULL AND resolved_at IS NULL)", name="outcome_whole"
        ),
        CheckConstraint("status <> 'answered' OR answer IS NOT NULL", name="answer_in_words"),
        CheckConstraint("refund_vnd > 0", name="refund_positive"),
        CheckConstraint("refund_due_on IS NULL OR refund_vnd IS NOT NULL", name="refund_due"),
        CheckConstraint("category <> 'other' OR words IS NOT NULL", name="other_in_words"),
        # One of a kind waits at a time: so many can be open about one thing, and no more.
        Index(
            "uq_complaints_open",
            "org_id",
            "subject_id",
            "category",
            unique=True,
            postgresql_where=text("status = 'open'"),
        ),
        Index(
            "ix_complaints_due", "org_id", "due_on", "id", postgresql_where=text("status = 'open'")
        ),
        Index(
            "ix_complaints_resolved",
            "org_id",
            "resolved_at",
            "id",
            postgresql_where=text("status <> 'open'"),
        ),
        Index("uq_complaints_token", "org_id", "public_token", unique=True),
        Index("ix_complaints_session", "org_id", "session_id"),
        Index("ix_complaints_bill", "org_id", "bill_id"),
    )

    category: Mapped[str] = mapped_column(String(20))
    subject_kind: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[UUID]
    payee_id: Mapped[UUID]  # whose takings it is about
    lot_id: Mapped[UUID | None]
    session_id: Mapped[UUID | None]  # the parking session behind the subject
    bill_id: Mapped[UUID | None]  # the bill behind the subject
    taken_vnd: Mapped[Vnd | None]  # what was taken, as the complainant says
    words: Mapped[str | None] = mapped_column(String(1_000))
    contact: Mapped[str | None] = mapped_column(String(100))  # a phone number or an address
    photo: Mapped[bytes | None] = mapped_column(LargeBinary)  # SHA-256
    language: Mapped[str] = mapped_column(String(2))  # of the form: the answer's, if it can be
    public_token: Mapped[str] = mapped_column(String(22))  # 128 random bits: opens its page
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)  # what was sent under this id
    status: Mapped[str] = mapped_column(String(10))
    received_at: Mapped[datetime]
    due_on: Mapped[date]  # the last day in Hà Nội for an answer
    outcome: Mapped[str | None] = mapped_column(String(20))
    answer: Mapped[str | None] = mapped_column(String(1_000))  # for the complainant to read
    refund_vnd: Mapped[Vnd | None]  # what is proposed to be given back
    refund_due_on: Mapped[date | None]  # the last day in Hà Nội to do so
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[UUID | None]
