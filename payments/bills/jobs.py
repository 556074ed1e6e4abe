"""Jobs of bills: their expiry, their owners, and the serials of their references."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from core.jobs.periodic import JobDatabases, PeriodicJob
from core.tenancy import open_org_transaction
from payments.bills.owners import BillOwner, OwnersInbox
from payments.bills.queries_expiry import find_expired_unstored, store_expiry
from payments.bills.queries_owners import find_waiting
from payments.bills.queries_serials import confirm_serials

log = structlog.get_logger()

OWNERS_EVERY_S: Final = 2.0
CHANGES_MAX: Final = 200  # organisations in one round
EXPIRE_EVERY_S: Final = 60.0
EXPIRE_BACK: Final = timedelta(days=30)  # at the start: what ended while no worker ran
EXPIRE_OVERLAP: Final = timedelta(hours=1)  # afterwards: clocks of several processes differ
EXPIRE_MAX: Final = 1_000  # bills of one organisation in one transaction
SERIALS_EVERY_S: Final = 600.0  # a code is confirmed once an hour


@dataclass(kw_only=True)
class ExpiryProgress:
    """How far a worker has stored the expiry of bills."""

    done_until: datetime | None = None


def list_jobs(databases: JobDatabases, owners: Mapping[str, BillOwner]) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for bills."""
    return (
        PeriodicJob("notify_owners", OWNERS_EVERY_S, partial(notify_owners, databases, owners)),
        PeriodicJob(
            "expire_bills", EXPIRE_EVERY_S, partial(expire_bills, databases, ExpiryProgress())
        ),
        PeriodicJob("confirm_codes", SERIALS_EVERY_S, partial(confirm_codes, databases)),
    )


async def notify_owners(
    databases: JobDatabases, owners: Mapping[str, BillOwner], *, now: datetime
) -> int:
    """Notify owners of what a dead hub left, or what failed before; return how many changes."""
    if not owners:
        return 0
    async with databases.worker.begin() as session:
        org_ids = await find_waiting(session, kinds=owners.keys(), limit=CHANGES_MAX, now=now)
    inbox = OwnersInbox(databases.app, owners, read_clock=lambda: now)
    handled = await inbox.sweep(org_ids, wait_s=OWNERS_EVERY_S)
    await inbox.close()
    return handled


async def expire_bills(databases: JobDatabases, progress: ExpiryProgress, *, now: datetime) -> int:
    """Store the expiry of bills past their monitoring window; return how many.

    What ended long ago is left as it is: such a bill is expired by effect all the same.
    """
    done_until = progress.done_until
    since = now - EXPIRE_BACK if done_until is None else done_until - EXPIRE_OVERLAP
    async with databases.worker.begin() as session:
        org_ids = await find_expired_unstored(session, since=since, now=now)
    expired = 0
    is_done = True
    for org_id in org_ids:
        try:
            expired += await _expire_bills_of(databases, org_id, since=since, now=now)
        except Exception as error:  # one failure does not affect the other organisations
            is_done = False
            log.error("bills.not_expired", org_id=str(org_id), error=repr(error))
    if is_done:
        progress.done_until = now
    return expired


async def confirm_codes(databases: JobDatabases, *, now: datetime) -> int:
    """Confirm every organisation code's serial, so that a failover skips an hour and not months."""
    async with databases.worker.begin() as session:
        return await confirm_serials(session)


async def _expire_bills_of(
    databases: JobDatabases, org_id: UUID, *, since: datetime, now: datetime
) -> int:
    expired = 0
    while True:
        async with open_org_transaction(databases.app, org_id) as session:
            count = await store_expiry(session, org_id, since=since, limit=EXPIRE_MAX, now=now)
        expired += count
        if count < EXPIRE_MAX:
            return expired
