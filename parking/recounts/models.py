"""Recounts of what stands inside a lot, each beside the hub's own figure at that moment."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.tenancy import OrgRow


class Recount(OrgRow):
    """One count by a person, class by class. Insert only."""

    __tablename__ = "recounts"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "lot_id"], ["lots.org_id", "lots.id"]),
        CheckConstraint("counted >= 0 AND expected >= 0", name="counts_not_negative"),
        Index("ix_recounts_lot", "org_id", "lot_id", "id"),
    )

    lot_id: Mapped[UUID]
    lines: Mapped[dict[str, Any]] = mapped_column(JSONB)  # {class: {counted, expected}}
    counted: Mapped[int]  # of all classes
    expected: Mapped[int]  # what the hub had inside at that moment
    is_random: Mapped[bool]  # at the moment that the hub had drawn for that day
    note: Mapped[str | None]
    counted_by: Mapped[UUID]
    counted_at: Mapped[datetime]
