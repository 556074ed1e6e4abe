"""The job of toll accounts: charges that are not decided, and refunds that are not confirmed."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from core.jobs.periodic import JobDatabases, PeriodicJob
from payments.rails.toll.queries import find_due
from payments.rails.toll.service import TollService

log = structlog.get_logger()

EVERY_S: Final = 2.0  # a vehicle may wait for it
AT_ONCE_MAX: Final = 100  # charges in one round, of all organisations


def list_jobs(databases: JobDatabases, tolls: TollService) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for toll accounts."""
    return (PeriodicJob("resume_tolls", EVERY_S, partial(resume_tolls, databases, tolls)),)


async def resume_tolls(databases: JobDatabases, tolls: TollService, *, now: datetime) -> int:
    """Look up what was not answered; return how many charges were due."""
    async with databases.worker.begin() as session:
        due = await find_due(session, limit=AT_ONCE_MAX)
    results = await asyncio.gather(
        *(tolls.resume(org_id, id_) for org_id, id_ in due), return_exceptions=True
    )
    for (_, id_), result in zip(due, results, strict=True):
        if isinstance(result, Exception):  # the others are brought further all the same
            log.error("toll.not_resumed", toll=str(id_), error=repr(result))
    return len(due)
