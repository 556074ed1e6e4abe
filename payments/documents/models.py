"""Series of numbered documents, and the documents."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.tenancy import OrgRow


class DocumentSeries(OrgRow):
    """Where numbers come from, without gaps: the row is locked until the document is committed."""

    __tablename__ = "document_series"
    __table_args__ = (
        UniqueConstraint("org_id", "kind", "scope_id", "year"),
        UniqueConstraint("org_id", "prefix"),
        CheckConstraint("last_number >= 0", name="last_number_not_negative"),
    )

    kind: Mapped[str]  # "cash_receipt"
    scope_id: Mapped[UUID]  # what it is a series of: a lot, a payee
    year: Mapped[int]  # in Hà Nội
    prefix: Mapped[str]  # before the number, such as "PT26-A7"
    last_number: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[datetime]


class Document(OrgRow):
    """A numbered document as it was given to somebody. Cancelled, never edited or deleted."""

    __tablename__ = "documents"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "series_id"], ["document_series.org_id", "document_series.id"]
        ),
        UniqueConstraint("org_id", "series_id", "number"),
        CheckConstraint("number >= 1", name="number_positive"),
        Index("ix_documents_subject", "org_id", "subject_id"),
    )

    series_id: Mapped[UUID]
    number: Mapped[int]
    subject_kind: Mapped[str]  # "collection"
    subject_id: Mapped[UUID]
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)  # what it says, for good
    issued_at: Mapped[datetime]
    cancelled_at: Mapped[datetime | None]
