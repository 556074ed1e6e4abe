"""Jobs of credits: notices that a dead hub process left, and credits whose bill has appeared."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from core.db import is_database_away
from core.jobs.periodic import JobDatabases, PeriodicJob
from core.tenancy import open_org_transaction
from identity.organisations.queries import list_org_facts
from payments.callbacks.queries import find_backlog
from payments.credits.processor import NoticeProcessor
from payments.credits.queries_matches import find_waiting
from payments.credits.rematching import put_off, rematch

log = structlog.get_logger()

SWEEP_EVERY_S: Final = 2.0  # a crash's backlog must be swept in under 60 s
REMATCH_EVERY_S: Final = 2.0
REMATCH_MAX: Final = 200  # credits in one round, of all organisations
# A bill appears seconds after money that names it (its own commit), or never.
REMATCHED_FOR: Final = timedelta(days=1)


def list_jobs(databases: JobDatabases, processor: NoticeProcessor) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for credits."""
    return (
        PeriodicJob("sweep_backlog", SWEEP_EVERY_S, partial(sweep_backlog, databases, processor)),
        PeriodicJob("rematch_waiting", REMATCH_EVERY_S, partial(rematch_waiting, databases)),
    )


async def sweep_backlog(
    databases: JobDatabases, processor: NoticeProcessor, *, now: datetime
) -> int:
    """Process notices that are stored and not handled; return how many were handled so far.

    Organisations take turns, and who comes meanwhile is found by the next round.
    """
    async with databases.worker.begin() as session:
        org_ids = await find_backlog(session, now=now)
        orgs = await list_org_facts(session, org_ids)
    handled = await processor.sweep(orgs, wait_s=SWEEP_EVERY_S)
    if handled:
        log.info("backlog.swept", notices=handled)
    return handled


async def rematch_waiting(databases: JobDatabases, *, now: datetime) -> int:
    """Match credits again whose bill was not there yet; return how many are explained now.

    What stays unexplained is put off, longer each time, so that it starves no other.
    """
    async with databases.worker.begin() as session:
        since = now - REMATCHED_FOR
        waiting = await find_waiting(session, since=since, limit=REMATCH_MAX, now=now)
        orgs = {org.id: org for org in await list_org_facts(session, {one[0] for one in waiting})}
    explained = 0
    for org_id, credit_id in waiting:
        failure: str | None = None
        try:
            async with open_org_transaction(databases.app, org_id) as session:
                if await rematch(session, orgs[org_id], credit_id, now=now):
                    explained += 1
                    continue
        except Exception as error:  # the others are matched all the same
            if is_database_away(error):  # not this credit's failure, and the next has the same
                raise
            failure = type(error).__name__
            log.error("credit.not_rematched", credit=str(credit_id), error=repr(error))
        async with open_org_transaction(databases.app, org_id) as session:
            await put_off(session, org_id, credit_id, error=failure, now=now)
    return explained
