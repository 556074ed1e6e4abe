"""Breaks: what is not explained, typed, owned and aged."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Index,
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
    held_at: Mapped[datetime | None]  # its money is on its way: only the end of that closes it
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[UUID | None]
    resolution: Mapped[str | None]  # in a person's words, or what explained it
    decision: Mapped[str | None]  # what its money was decided to be; words never stand for one
