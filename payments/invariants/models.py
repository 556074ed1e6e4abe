"""Runs of the checks of the books: no organisation's rows, and nothing of theirs in them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base


class InvariantRun(Base):
    """One run of one check. What it found of whom is on that organisation's list and in the log."""

    __tablename__ = "invariant_runs"
    __table_args__ = (
        CheckConstraint("status IN ('ok', 'violated', 'not_checked')", name="status_known"),
        CheckConstraint(
            "(violations IS NULL) = (status = 'not_checked')"
            " AND (error IS NOT NULL) = (status = 'not_checked')"
            " AND (violations > 0) = (status = 'violated')",
            name="result_whole",
        ),
        Index("ix_invariant_runs_started", "started_at"),  # retention goes by it
    )

    name: Mapped[str] = mapped_column(String(60), primary_key=True)  # of checks.CHECKS
    started_at: Mapped[datetime] = mapped_column(primary_key=True)
    took_ms: Mapped[int]
    status: Mapped[str]  # CheckStatus
    violations: Mapped[int | None]  # rows found, counted to VIOLATIONS_MAX
    error: Mapped[str | None] = mapped_column(String(100))  # why it could not be checked: a code
