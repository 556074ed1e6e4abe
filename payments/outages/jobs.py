"""Jobs of outages: who is to be polled about them, and which are caught up with."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.jobs.periodic import JobDatabases, PeriodicJob
from core.tenancy import open_org_transaction
from identity.organisations.queries import list_org_facts
from payments.outages import queries, service
from payments.polling.rules import REPLAYED_FOR

REPLAYS_EVERY_S: Final = 5.0
REGULAR_EVERY_S: Final = 300.0  # a new account waits so long for its first poll
REPORTS_EVERY_S: Final = 10.0

log = structlog.get_logger()


def list_jobs(databases: JobDatabases, *, poll_every_s: int) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for outages and for regular polls.

    Args:
        poll_every_s: the interval of regular polls; 0: none.
    """
    return (
        PeriodicJob("plan_replays", REPLAYS_EVERY_S, partial(plan_replays, databases)),
        PeriodicJob("plan_polls", REGULAR_EVERY_S, partial(plan_polls, databases, poll_every_s)),
        PeriodicJob("report_outages", REPORTS_EVERY_S, partial(report_outages, databases)),
    )


async def plan_replays(databases: JobDatabases, *, now: datetime) -> int:
    """Write down what is to be polled about new outages; return how many windows.

    An outage counts as planned once all organisations are: who dies meanwhile doubles nothing. One
    that fails hinders no other, and is tried again by plan_polls.
    """
    async with databases.worker.begin() as session:
        outages = await queries.list_unplanned(session)
        org_ids = await queries.list_org_ids(session) if outages else ()

    async def plan(session: AsyncSession, org_id: UUID) -> int:
        return await service.plan_replays(session, org_id, outages)

    count = await _plan_each(databases, org_ids, plan)
    async with databases.worker.begin() as session:
        for outage in outages:
            await queries.mark_planned(session, outage.id)
    return count


async def plan_polls(databases: JobDatabases, every_s: int, *, now: datetime) -> int:
    """Write down new accounts: for regular polls, and for what recent outages lost of theirs."""
    async with databases.worker.begin() as session:
        recent = await queries.list_recent(session, within=REPLAYED_FOR)
        org_ids = await queries.list_org_ids(session)

    async def plan(session: AsyncSession, org_id: UUID) -> int:
        count = await service.plan_replays(session, org_id, recent)
        if every_s:
            count += await service.plan_regular(session, org_id, every_s=every_s)
        return count

    return await _plan_each(databases, org_ids, plan)


async def _plan_each(
    databases: JobDatabases,
    org_ids: Sequence[UUID],
    plan: Callable[[AsyncSession, UUID], Awaitable[int]],
) -> int:
    """Plan for each organisation by itself; return how many windows were written."""
    count = 0
    for org_id in org_ids:
        try:
            async with open_org_transaction(databases.app, org_id) as session:
                count += await plan(session, org_id)
        except Exception as error:  # the others are planned all the same; this one the next time
            log.error("polling.not_planned", org_id=str(org_id), error=repr(error))
    return count


async def report_outages(databases: JobDatabases, *, now: datetime) -> int:
    """Record which outages are caught up with; return how many."""
    async with databases.worker.begin() as session:
        found = await queries.find_caught_up(session)
        orgs = {org.id: org for org in await list_org_facts(session, {one[0] for one in found})}
    count = 0
    for org_id, outage_id in found:
        try:
            async with open_org_transaction(databases.app, org_id) as session:
                count += await service.report(
                    session, org_id, outage_id, org_code=orgs[org_id].code, now=now
                )
        except Exception as error:  # the others report all the same; this one the next time
            log.error("outage.not_reported", org_id=str(org_id), error=repr(error))
    async with databases.worker.begin() as session:
        await queries.close_outages(session, replayed_for=REPLAYED_FOR)
    return count
