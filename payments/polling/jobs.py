"""The job that polls by the clock, a page of each connection whose turn it is."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from core.jobs.periodic import JobDatabases, PeriodicJob
from identity.organisations.queries import list_org_facts
from payments.polling.queries import list_due
from payments.polling.scheduled import ScheduledPoller

log = structlog.get_logger()

EVERY_S: Final = 1.0
# SePay allows 2 or 3 requests a second from one address, whosever token it is.
OF_A_PROVIDER: Final = 2
AT_ONCE_MAX: Final = 20


def list_jobs(databases: JobDatabases, poller: ScheduledPoller) -> tuple[PeriodicJob, ...]:
    """List what the worker runs to poll."""
    return (PeriodicJob("poll_due", EVERY_S, partial(poll_due, databases, poller)),)


async def poll_due(databases: JobDatabases, poller: ScheduledPoller, *, now: datetime) -> int:
    """Read a page at each connection whose turn it is; return how many transactions were new."""
    async with databases.worker.begin() as session:
        due = await list_due(
            session, every_s=poller.every_s, of_a_provider=OF_A_PROVIDER, limit=AT_ONCE_MAX
        )
        orgs = {org.id: org for org in await list_org_facts(session, {one.org_id for one in due})}
    results = await asyncio.gather(
        *(poller.poll_page(orgs[one.org_id], one) for one in due), return_exceptions=True
    )
    count = 0
    for one, result in zip(due, results, strict=True):
        if isinstance(result, BaseException):  # its turn falls free by itself
            log.error("polling.not_done", endpoint=str(one.endpoint_id), error=repr(result))
        else:
            count += result
    return count
