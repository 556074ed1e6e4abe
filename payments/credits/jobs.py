"""Jobs of credits: notices that a dead hub process left, and credits whose bill has appeared."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import is_database_away
from core.jobs.periodic import JobDatabases, PeriodicJob
from core.tenancy import open_org_transaction
from identity.organisations.queries import list_org_facts
from identity.organisations.rules import OrgFacts
from payments.bills.blocks_rules import SYNC_WITHIN
from payments.callbacks.queries import find_backlog
from payments.credits.processor import NoticeProcessor
from payments.credits.queries_matches import find_awaiting, find_waiting
from payments.credits.rematching import put_off, rematch, stop_waiting

log = structlog.get_logger()

SWEEP_EVERY_S: Final = 2.0  # a crash's backlog must be swept in under 60 s
REMATCH_EVERY_S: Final = 2.0
REMATCH_MAX: Final = 200  # credits in one round, of all organisations
# A bill appears seconds after money that names it (its own commit), or never.
REMATCHED_FOR: Final = timedelta(days=1)


class MatchAgain(Protocol):
    """What decides again about one credit; True if that is done."""

    async def __call__(
        self, session: AsyncSession, org: OrgFacts, credit_id: UUID, /, *, now: datetime
    ) -> bool:
        """Decide in the caller's transaction."""


def list_jobs(databases: JobDatabases, processor: NoticeProcessor) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for credits."""
    return (
        PeriodicJob("sweep_backlog", SWEEP_EVERY_S, partial(sweep_backlog, databases, processor)),
        PeriodicJob("rematch_waiting", REMATCH_EVERY_S, partial(rematch_waiting, databases)),
        PeriodicJob("match_awaiting", REMATCH_EVERY_S, partial(match_awaiting, databases)),
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
        explained += await _match_again(databases, orgs[org_id], credit_id, rematch, now=now)
    return explained


async def match_awaiting(databases: JobDatabases, *, now: datetime) -> int:
    """Match credits whose phone has sent its bill by now, and stop waiting after 72 hours.

    The process that applied the bill has matched its credit, as a rule; this finds what was stored
    at the same instant, and what a dead process left. Returns how many wait no longer.
    """
    async with databases.worker.begin() as session:
        waited_since = now - SYNC_WITHIN
        waiting = await find_awaiting(
            session, waited_since=waited_since, limit=REMATCH_MAX, now=now
        )
        orgs = {org.id: org for org in await list_org_facts(session, {one[0] for one in waiting})}
    done = 0
    for org_id, credit_id, is_over in waiting:
        act = stop_waiting if is_over else rematch
        done += await _match_again(databases, orgs[org_id], credit_id, act, now=now)
    return done


async def _match_again(
    databases: JobDatabases, org: OrgFacts, credit_id: UUID, act: MatchAgain, *, now: datetime
) -> bool:
    """Match one credit in its own transaction; one that is not explained is put off."""
    failure: str | None = None
    try:
        async with open_org_transaction(databases.app, org.id) as session:
            if await act(session, org, credit_id, now=now):
                return True
    except Exception as error:  # the others are matched all the same
        if is_database_away(error):  # not this credit's failure, and the next has the same
            raise
        failure = type(error).__name__
        log.error("credit.not_rematched", credit=str(credit_id), error=repr(error))
    async with open_org_transaction(databases.app, org.id) as session:
        await put_off(session, org.id, credit_id, error=failure, now=now)
    return False
