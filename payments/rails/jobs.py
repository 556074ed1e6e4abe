"""The job of rails: requests at a provider whose answer is unknown, or whose bill has ended."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from core.jobs.periodic import JobDatabases, PeriodicJob
from payments.rails.queries import find_due
from payments.rails.service import RailService

log = structlog.get_logger()

RAILS_EVERY_S: Final = 2.0  # a till waits for its code
RAILS_MAX: Final = 100  # requests in one round, of all organisations


def list_jobs(databases: JobDatabases, rails: RailService) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for rails."""
    return (
        PeriodicJob("resume_requests", RAILS_EVERY_S, partial(resume_requests, databases, rails)),
    )


async def resume_requests(databases: JobDatabases, rails: RailService, *, now: datetime) -> int:
    """Resume requests at payOS: unanswered ones, and those of paid or cancelled bills.

    Returns how many were due.
    """
    async with databases.worker.begin() as session:
        due = await find_due(session, limit=RAILS_MAX)
    results = await asyncio.gather(
        *(rails.resume(org_id, bill_id) for org_id, bill_id in due), return_exceptions=True
    )
    for (_, bill_id), result in zip(due, results, strict=True):
        if isinstance(result, Exception):  # the others are brought further all the same
            log.error("rail.not_resumed", bill=str(bill_id), error=repr(result))
    return len(due)
