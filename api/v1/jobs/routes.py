"""Jobs: how far long work has come, and what of it failed."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http.deps import Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.jobs.schemas import JobPage, JobRead
from core.jobs.errors import JobNotFound
from core.jobs.rules import KIND_CHARS_MAX, JobStatus
from core.jobs.views import get_job, list_jobs
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

Reader = Annotated[Caller, requires(Permission.JOBS_READ)]
JobKind = Annotated[str | None, Query(max_length=KIND_CHARS_MAX, pattern=r"^[a-z][a-z_.]*$")]


@router.get("", responses=may_answer(BadCursor))
async def list_jobs_page(
    caller: Reader,
    tx: Tx,
    status: JobStatus | None = None,
    kind: JobKind = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> JobPage:
    """List jobs, newest first."""
    found = await list_jobs(
        tx,
        caller.org_id,
        status=None if status is None else status.value,
        kind=kind,
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    return JobPage.of(found[:limit], next_cursor(found, limit))


@router.get("/{job_id}", responses=may_answer(JobNotFound))
async def read_job(job_id: UUID, caller: Reader, tx: Tx) -> JobRead:
    """Read one job, while it runs too."""
    return JobRead.of(await get_job(tx, caller.org_id, job_id))
