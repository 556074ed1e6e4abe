"""Breaks: what is not explained, typed, owned and aged."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Vnd
from core.tenancy import OrgRow


class Break(OrgRow):
    """Something unexplained: typed, aged, and closed by a person or by what explains it."""

    __tablename__ = "breaks"
    __table_args__ = (
        Index(
            "uq_breaks_open",
            "org_id",
            "kind",
            "subject_id",
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index("ix_breaks_open", "org_id", "opened_at", postgresql_where=text("closed_at IS NULL")),
        # Lists are in the order of ids; what is open is short beside a history.
        Index("ix_breaks_open_id", "org_id", "id", postgresql_where=text("closed_at IS NULL")),
        Index(
            "ix_breaks_deadline",
            "org_id",
            "deadline_at",
            postgresql_where=text("closed_at IS NULL AND deadline_at IS NOT NULL"),
        ),
        Index("ix_breaks_kind", "org_id", "kind", "id"),
        Index("ix_breaks_opened", "org_id", "opened_at"),
        Index(
            "ix_breaks_owner",
            "org_id",
            "owner_id",
            "id",
            postgresql_where=text("owner_id IS NOT NULL"),
        ),
        CheckConstraint(
            "outcome IN ('explained', 'received', 'void', 'decided')", name="outcome_known"
        ),
        Index(
            "ix_breaks_matter",
            "org_id",
            "matter_id",
            postgresql_where=text("matter_id IS NOT NULL"),
        ),
    )

    kind: Mapped[str]
    subject_id: Mapped[UUID]  # the credit, notice or bill that it is about
    credit_id: Mapped[UUID | None]
    bill_id: Mapped[UUID | None]
    owner_id: Mapped[UUID | None]  # who takes care of it
    # Of a refund: what was paid for, a stay or a bill. Together no more than was paid for it.
    matter_id: Mapped[UUID | None]
    amount_vnd: Mapped[Vnd | None]
    reason: Mapped[str]  # BreakReason, or the reason of the match that opened it
    reason_facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    opened_at: Mapped[datetime]
    # Until when somebody should have seen to it; None: a release without deadlines opened it.
    deadline_at: Mapped[datetime | None]
    held_at: Mapped[datetime | None]  # its money is on its way: only the end of that closes it
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[UUID | None]
    resolution: Mapped[str | None]  # in a person's words, or what explained it
    decision: Mapped[str | None]  # what its money was decided to be; words never stand for one
    outcome: Mapped[str | None]  # Outcome; None: it closed by itself


class BreakNote(OrgRow):
    """What somebody wrote beside a break. Never changed, and its plates are masked."""

    __tablename__ = "break_notes"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "break_id"], ["breaks.org_id", "breaks.id"], name="fk_break_notes_break"
        ),
        Index("ix_break_notes_break", "org_id", "break_id", "id"),
    )

    break_id: Mapped[UUID]
    words: Mapped[str]
    written_by: Mapped[UUID]
    written_at: Mapped[datetime]


class BreakFile(OrgRow):
    """A file beside a break, with its bytes: a backup has it with the row that names it."""

    __tablename__ = "break_files"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "break_id"], ["breaks.org_id", "breaks.id"], name="fk_break_files_break"
        ),
        CheckConstraint("file_no BETWEEN 1 AND 10", name="ten_files"),
        CheckConstraint("octet_length(content) BETWEEN 1 AND 5242880", name="content_bounded"),
        CheckConstraint(
            "content_type IN ('application/pdf', 'image/png', 'image/jpeg')", name="type_known"
        ),
        CheckConstraint("octet_length(content_hash) = 32", name="hash_whole"),
        UniqueConstraint("org_id", "break_id", "file_no", name="uq_break_files_no"),
        UniqueConstraint("org_id", "break_id", "content_hash", name="uq_break_files_content"),
    )

    break_id: Mapped[UUID]
    file_no: Mapped[int] = mapped_column(SmallInteger)  # 1 to 10
    file_name: Mapped[str] = mapped_column(String(120))  # for people
    content_type: Mapped[str]  # by its first bytes
    content_bytes: Mapped[int] = mapped_column(Integer)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)  # SHA-256
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    added_by: Mapped[UUID]
    added_at: Mapped[datetime]
