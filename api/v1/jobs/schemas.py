"""Schemas of jobs."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.http.fields import Read
from core.jobs.rules import JobStatus
from core.jobs.views import JobView


class JobProgress(Read):
    """How far the last attempt has come."""

    done: int = Field(description="Steps that are done, in the job's own unit.")
    total: int | None = Field(description="All steps, once they are known.")
    note: str
    at: datetime


class JobRead(Read):
    """Work that outlives a request."""

    id: UUID
    kind: str
    status: JobStatus = Field(description="A job that failed is not tried again by itself.")
    progress: JobProgress | None
    attempts: int = Field(description="Attempts that have begun.")
    attempts_max: int
    error_code: str | None = Field(description="Of the last attempt that failed.")
    error_detail: str | None
    next_attempt_at: datetime | None = Field(description="While it is queued: not before this.")
    is_cancel_requested: bool
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None = Field(description="Kept for 90 days from then.")

    @classmethod
    def of(cls, job: JobView) -> "JobRead":
        """Make the answer."""
        facts = job._asdict()
        facts["is_cancel_requested"] = job.cancel_requested_at is not None
        facts["next_attempt_at"] = job.due_at if job.status == JobStatus.QUEUED else None
        facts["progress"] = (
            JobProgress(
                done=job.progress_done,
                total=job.progress_total,
                note=job.progress_note or "",
                at=job.progress_at,
            )
            if job.progress_done is not None and job.progress_at is not None
            else None
        )
        return cls.model_validate(facts)


class JobPage(Read):
    """A page of jobs, newest first."""

    jobs: list[JobRead]
    next_cursor: str | None

    @classmethod
    def of(cls, found: Sequence[JobView], cursor: str | None) -> "JobPage":
        """Make the answer."""
        return cls(jobs=[JobRead.of(one) for one in found], next_cursor=cursor)
