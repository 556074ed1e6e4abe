"""Steps of the tests of jobs: queueing, looking, and handlers whose effects are rows."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.audit import SYSTEM
from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.jobs.attempts import Handler
from core.jobs.runner import JobRunner, RunnerLimits
from core.jobs.service import cancel_job, queue_job
from core.jobs.views import JobView, get_job
from core.tenancy import open_org_transaction

ORG, OTHER_ORG = UUID(int=0xA), UUID(int=0xB)
ENDS_WITHIN_S = 30.0
QUICK = RunnerLimits(
    lease_for=timedelta(seconds=2), poll_every=timedelta(seconds=0.05), grace=timedelta(seconds=1)
)


async def queued(
    database: Database,
    kind: str = "write",
    arguments: Mapping[str, Any] | None = None,
    *,
    org_id: UUID = ORG,
    **more: Any,
) -> UUID:
    """Queue a job in a transaction of its own."""
    async with open_org_transaction(database, org_id) as session:
        return await queue_job(session, org_id, kind, arguments or {}, **more)


async def see(database: Database, job_id: UUID, *, org_id: UUID = ORG) -> JobView:
    """Look at a job as the hub does."""
    async with open_org_transaction(database, org_id) as session:
        return await get_job(session, org_id, job_id)


async def see_when(
    database: Database,
    job_id: UUID,
    is_so: Callable[[JobView], bool],
    *,
    org_id: UUID = ORG,
    within_s: float = ENDS_WITHIN_S,
) -> JobView:
    """Wait until a job looks as it should."""
    end = time.monotonic() + within_s
    while not is_so(job := await see(database, job_id, org_id=org_id)):
        assert time.monotonic() < end, job
        await asyncio.sleep(0.02)
    return job


async def ended(database: Database, job_id: UUID, *, org_id: UUID = ORG) -> JobView:
    """Wait until a job has ended."""
    return await see_when(database, job_id, lambda job: job.finished_at is not None, org_id=org_id)


async def cancel(database: Database, job_id: UUID, *, org_id: UUID = ORG) -> str:
    """Cancel a job."""
    async with open_org_transaction(database, org_id) as session:
        return await cancel_job(session, org_id, job_id, actor=SYSTEM, now=read_clock())


async def write_effect(session: Any, org_id: UUID, job_id: UUID, word: str = "effect") -> None:
    """Leave one row that shows that a job did something; doing it twice leaves two."""
    await session.execute(
        text("""
            INSERT INTO audit_log (org_id, id, actor_kind, actor_name, action, object_kind,
                object_id, request_id, recorded_at)
            VALUES (:org_id, :id, 'system', 'test', :word, 'job', :job_id, '', now())
        """),
        {"org_id": org_id, "id": new_id(), "job_id": job_id, "word": word},
    )


async def count_effects(
    database: Database, job_id: UUID, *, org_id: UUID = ORG, word: str = "effect"
) -> int:
    """Count the rows that write_effect left."""
    async with open_org_transaction(database, org_id) as session:
        query = text("SELECT count(*) FROM audit_log WHERE object_id = :id AND action = :word")
        return int(await session.scalar(query, {"id": job_id, "word": word}) or 0)


@asynccontextmanager
async def running(
    database: Database,
    handlers: Mapping[str, Handler],
    *,
    name: str = "worker",
    limits: RunnerLimits = QUICK,
) -> Any:
    """Run a worker's runner for the length of a with block."""
    stop = asyncio.Event()
    runner = JobRunner(database, handlers, name=name, limits=limits)
    task = asyncio.create_task(runner.run(stop))
    try:
        yield runner
    finally:
        stop.set()
        await task
