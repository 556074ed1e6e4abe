"""Read models of jobs: what people see of them."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.jobs.errors import JobNotFound

COLUMNS = """
    id, kind, status, progress_done, progress_total, progress_note, progress_at, attempts,
    attempts_max, error_code, error_detail, due_at, cancel_requested_at, queued_at, started_at,
    finished_at
"""
GET_JOB = text(f"SELECT {COLUMNS} FROM jobs WHERE org_id = :org_id AND id = :id")  # noqa: S608 (our own names)
LIST_JOBS = text(f"""
    SELECT {COLUMNS} FROM jobs
    WHERE org_id = :org_id
      AND (CAST(:before_id AS uuid) IS NULL OR id < :before_id)
      AND (CAST(:status AS text) IS NULL OR status = :status)
      AND (CAST(:kind AS text) IS NULL OR kind = :kind)
    ORDER BY id DESC LIMIT :limit
""")  # noqa: S608 (our own names)


class JobView(NamedTuple):
    """A job and how far it has come. Its arguments are its handler's matter."""

    id: UUID
    kind: str
    status: str
    progress_done: int | None
    progress_total: int | None
    progress_note: str | None
    progress_at: datetime | None
    attempts: int
    attempts_max: int
    error_code: str | None
    error_detail: str | None
    due_at: datetime
    cancel_requested_at: datetime | None
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


async def get_job(session: AsyncSession, org_id: UUID, job_id: UUID) -> JobView:
    """Return one job.

    Raises:
        JobNotFound
    """
    row = (await session.execute(GET_JOB, {"org_id": org_id, "id": job_id})).first()
    if row is None:
        raise JobNotFound(job_id)
    return JobView(*row)


async def list_jobs(
    session: AsyncSession,
    org_id: UUID,
    *,
    status: str | None = None,
    kind: str | None = None,
    before_id: UUID | None = None,
    limit: int,
) -> list[JobView]:
    """List jobs, newest first."""
    values = {
        "org_id": org_id,
        "status": status,
        "kind": kind,
        "before_id": before_id,
        "limit": limit,
    }
    return [JobView(*row) for row in await session.execute(LIST_JOBS, values)]
