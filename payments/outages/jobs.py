"""Jobs of outages: who is to be polled about them, and which are caught up with."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from core.jobs.periodic import JobDatabases, PeriodicJob
from core.tenancy import open_org_transaction
from identity.organisations.queries import list_org_facts
from payments.outages import queries, service

REPLAYS_EVERY_S: Final = 5.0
REGULAR_EVERY_S: Final = 300.0  # a new account waits so long for its first poll
REPORTS_EVERY_S: Final = 10.0
# A token that is entered so much later serves for an outage still.
REPLAYED_FOR: Final = timedelta(days=7)


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

    An outage counts as planned once all organisations are: who dies meanwhile doubles nothing.
    """
    async with databases.worker.begin() as session:
        outages = await queries.list_unplanned(session)
        org_ids = await queries.list_org_ids(session) if outages else ()
    count = 0
    for org_id in org_ids:
        async with open_org_transaction(databases.app, org_id) as session:
            count += await service.plan_replays(session, org_id, outages)
    async with databases.worker.begin() as session:
        for outage in outages:
            await queries.mark_planned(session, outage.id)
    return count


async def plan_polls(databases: JobDatabases, every_s: int, *, now: datetime) -> int:
    """Write down new accounts: for regular polls, and for what recent outages lost of theirs."""
    async with databases.worker.begin() as session:
        recent = await queries.list_recent(session, within=REPLAYED_FOR)
        org_ids = await queries.list_org_ids(session)
    count = 0
    for org_id in org_ids:
        async with open_org_transaction(databases.app, org_id) as session:
            count += await service.plan_replays(session, org_id, recent)
            if every_s:
                count += await service.plan_regular(session, org_id, every_s=every_s)
    return count


async def report_outages(databases: JobDatabases, *, now: datetime) -> int:
    """Record which outages are caught up with; return how many."""
    async with databases.worker.begin() as session:
        found = await queries.find_caught_up(session)
        orgs = {org.id: org for org in await list_org_facts(session, {one[0] for one in found})}
    count = 0
    for org_id, outage_id in found:
        async with open_org_transaction(databases.app, org_id) as session:
            count += await service.report(
                session, org_id, outage_id, org_code=orgs[org_id].code, now=now
            )
    return count
