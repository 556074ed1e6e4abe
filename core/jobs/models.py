"""Jobs, with their leases and their progress."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, SmallInteger, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.tenancy import OrgRow


class Job(OrgRow):
    """One piece of work. All its instants are the database's: workers' clocks may differ."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="status_known"
        ),
        CheckConstraint(
            "(finished_at IS NULL) = (status IN ('queued', 'running'))", name="finished"
        ),
        CheckConstraint("(lease_token IS NOT NULL) OR status <> 'running'", name="leased"),
        CheckConstraint("attempts_max BETWEEN 1 AND 100", name="attempts_bounded"),
        CheckConstraint("attempts BETWEEN 0 AND attempts_max", name="attempts_in_range"),
        # One job for one matter while it has not begun. What has begun may have read too early.
        Index(
            "uq_jobs_key",
            "org_id",
            "kind",
            "key",
            unique=True,
            postgresql_where=text("key IS NOT NULL AND started_at IS NULL AND finished_at IS NULL"),
        ),
        Index("ix_jobs_due", "org_id", "due_at", postgresql_where=text("finished_at IS NULL")),
        Index("ix_jobs_running", "org_id", "due_at", postgresql_where=text("status = 'running'")),
        Index("ix_jobs_finished", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    )

    kind: Mapped[str] = mapped_column(String(64))
    key: Mapped[str | None] = mapped_column(String(200))
    arguments: Mapped[dict[str, Any]] = mapped_column(JSONB)
    status: Mapped[str]
    attempts: Mapped[int] = mapped_column(SmallInteger)  # begun, the running one too
    attempts_max: Mapped[int] = mapped_column(SmallInteger)
    # When a worker may take it: while it runs, the end of the lease.
    due_at: Mapped[datetime]
    lease_token: Mapped[UUID | None]  # of this attempt; who has another one has lost the job
    leased_by: Mapped[str | None]  # the worker, for people
    progress_done: Mapped[int | None] = mapped_column(BigInteger)
    progress_total: Mapped[int | None] = mapped_column(BigInteger)
    progress_note: Mapped[str | None]
    progress_at: Mapped[datetime | None]
    error_code: Mapped[str | None]  # of the last attempt that failed
    error_detail: Mapped[str | None]
    cancel_requested_at: Mapped[datetime | None]
    queued_at: Mapped[datetime]
    started_at: Mapped[datetime | None]  # the first attempt
    finished_at: Mapped[datetime | None]
