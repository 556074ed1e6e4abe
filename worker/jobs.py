"""Jobs that the worker runs by the clock, each a use case of a domain package.

It sweeps the backlog that a dead hub process left, matches credits again whose bill has appeared,
finishes lost permissions, stores the expiry of bills, deletes rows past their retention, and checks
the invariants.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from core.db import Database, is_database_away, measure_shared_clock
from core.tenancy import open_org_transaction
from identity.organisations.queries import list_org_facts
from identity.people.hooks import Hooks
from identity.people.losses import finish_losses
from payments.bills.owners import OwnersInbox, list_kinds
from payments.bills.queries import confirm_serials, find_expired_unstored, store_expiry
from payments.bills.queries_owners import find_waiting as find_changes
from payments.callbacks.queries import find_backlog
from payments.connections.vouching import handle_permission_lost
from payments.credits.processor import NoticeProcessor
from payments.credits.queries_matches import find_waiting
from payments.credits.rematching import put_off, rematch
from payments.invariants import (
    INVARIANTS,
    VIOLATIONS_MAX,
    Violation,
    alarm_subject,
    close_alarm,
    find_alarms,
    find_violations,
    open_alarm,
)
from payments.rails.queries import find_due
from payments.rails.service import RailService
from worker.queries import delete_before

log = structlog.get_logger()

SWEEP_EVERY_S: Final = 2.0  # a crash's backlog must be swept in under 60 s
CLOCK_EVERY_S: Final = 5.0
REMATCH_EVERY_S: Final = 2.0
REMATCH_MAX: Final = 200  # credits in one round, of all organisations
EXPIRE_EVERY_S: Final = 60.0
LOSSES_EVERY_S: Final = 5.0
RETENTION_EVERY_S: Final = 600.0
INVARIANTS_EVERY_S: Final = 900.0
CHANGES_MAX: Final = 200  # organisations in one round
SERIALS_EVERY_S: Final = 600.0  # a code is confirmed once an hour
RAILS_EVERY_S: Final = 2.0  # a till waits for its code
RAILS_MAX: Final = 100  # requests in one round, of all organisations
# A bill appears seconds after money that names it (its own commit), or never.
REMATCHED_FOR: Final = timedelta(days=1)
EXPIRE_BACK: Final = timedelta(days=30)  # at the start: what ended while no worker ran
EXPIRE_OVERLAP: Final = timedelta(hours=1)  # afterwards: clocks of several processes differ
EXPIRE_MAX: Final = 1_000  # bills of one organisation in one transaction
DELETE_MAX: Final = 5_000  # rows of one table in one transaction
DELETE_ROUNDS_MAX: Final = 50  # transactions for one table in one go

# The hub has the same list (api/subscribers.py); a test holds them equal.
HOOKS: Final = Hooks(on_permission_lost=(handle_permission_lost,))

# How long rows are kept that are not evidence. Notices, credits, matches, transfers and audit rows
# are kept for ever.
RETENTION: Final = {
    "idempotency_keys": ("created_at", timedelta(days=7)),
    "events": ("recorded_at", timedelta(days=30)),
    "rejections": ("received_at", timedelta(days=30)),
    "sign_ins": ("expires_at", timedelta(days=30)),
    "jobs": ("finished_at", timedelta(days=90)),  # NULL while it waits or runs: never deleted
}


@dataclass(kw_only=True)
class JobContext:
    """Context passed to every job."""

    app_database: Database  # one organisation per transaction, as the hub
    worker_database: Database  # sees all organisations, may delete what has had its time
    processor: NoticeProcessor
    rails: RailService | None = None
    expired_until: datetime | None = None  # how far this process has expired bills


async def sweep_backlog(context: JobContext, *, now: datetime) -> int:
    """Process notices that are stored and not handled; return how many were handled so far.

    Organisations take turns, and who comes meanwhile is found by the next round.
    """
    async with context.worker_database.begin() as session:
        org_ids = await find_backlog(session, now=now)
        orgs = await list_org_facts(session, org_ids)
    handled = await context.processor.sweep(orgs, wait_s=SWEEP_EVERY_S)
    if handled:
        log.info("backlog.swept", notices=handled)
    return handled


async def rematch_waiting(context: JobContext, *, now: datetime) -> int:
    """Match credits again whose bill was not there yet; return how many are explained now.

    What stays unexplained is put off, longer each time, so that it starves no other.
    """
    async with context.worker_database.begin() as session:
        since = now - REMATCHED_FOR
        waiting = await find_waiting(session, since=since, limit=REMATCH_MAX, now=now)
        orgs = {org.id: org for org in await list_org_facts(session, {one[0] for one in waiting})}
    explained = 0
    for org_id, credit_id in waiting:
        failure: str | None = None
        try:
            async with open_org_transaction(context.app_database, org_id) as session:
                if await rematch(session, orgs[org_id], credit_id, now=now):
                    explained += 1
                    continue
        except Exception as error:  # the others are matched all the same
            if is_database_away(error):  # not this credit's failure, and the next has the same
                raise
            failure = type(error).__name__
            log.error("credit.not_rematched", credit=str(credit_id), error=repr(error))
        async with open_org_transaction(context.app_database, org_id) as session:
            await put_off(session, org_id, credit_id, error=failure, now=now)
    return explained


async def notify_owners(context: JobContext, *, now: datetime) -> int:
    """Notify owners of what a dead hub left, or what failed before; return how many changes."""
    if not (kinds := list_kinds()):
        return 0
    async with context.worker_database.begin() as session:
        org_ids = await find_changes(session, kinds=kinds, limit=CHANGES_MAX, now=now)
    inbox = OwnersInbox(context.app_database, read_clock=lambda: now)
    handled = await inbox.sweep(org_ids, wait_s=SWEEP_EVERY_S)
    await inbox.close()
    return handled


async def expire_bills(context: JobContext, *, now: datetime) -> int:
    """Store the expiry of bills past their monitoring window; return how many.

    What ended long ago is left as it is: such a bill is expired by effect all the same.
    """
    done_until = context.expired_until
    since = now - EXPIRE_BACK if done_until is None else done_until - EXPIRE_OVERLAP
    async with context.worker_database.begin() as session:
        org_ids = await find_expired_unstored(session, since=since, now=now)
    expired = 0
    is_done = True
    for org_id in org_ids:
        try:
            expired += await _expire_bills_of(context, org_id, since=since, now=now)
        except Exception as error:  # one failure does not affect the other organisations
            is_done = False
            log.error("bills.not_expired", org_id=str(org_id), error=repr(error))
    if is_done:
        context.expired_until = now
    return expired


async def purge_expired(context: JobContext, *, now: datetime) -> int:
    """Delete rows past their retention, a bounded number in a transaction; return how many."""
    deleted = 0
    for table, (column, kept_for) in RETENTION.items():
        for _ in range(DELETE_ROUNDS_MAX):  # the rest waits for the next time
            async with context.worker_database.begin() as session:
                count = await delete_before(
                    session, table, column, before=now - kept_for, limit=DELETE_MAX
                )
            deleted += count
            if count < DELETE_MAX:
                break
    return deleted


async def check_invariants(context: JobContext, *, now: datetime) -> int:
    """Check whether the books agree; return how many rows do not.

    What does not hold is an error in the log and one alarm for each organisation and invariant; an
    alarm closes when its invariant holds again. What could not be checked changes nothing.
    """
    async with context.worker_database.begin() as session:
        alarms = await find_alarms(session)
    count = 0
    for name in INVARIANTS:
        try:
            async with context.worker_database.begin() as session:
                violations = await find_violations(session, name)
            await _alarm(context, name, violations, alarms, now=now)
        except Exception as error:  # the others are checked all the same
            log.error("invariant.not_checked", invariant=name, error=repr(error))
            continue
        count += len(violations)
    return count


async def _alarm(
    context: JobContext,
    name: str,
    violations: list[Violation],
    alarms: set[tuple[UUID, UUID]],
    *,
    now: datetime,
) -> None:
    by_org: dict[UUID | None, list[Violation]] = {}
    for violation in violations:
        by_org.setdefault(violation.org_id, []).append(violation)
    for org_id, found in by_org.items():
        log.error("invariant.violated", invariant=name, rows=len(found), first=str(found[0]))
        if org_id is not None:
            async with open_org_transaction(context.app_database, org_id) as session:
                await open_alarm(session, org_id, found, now=now)
    if len(violations) == VIOLATIONS_MAX:
        return  # more organisations may be behind the last row
    for org_id, subject_id in alarms:
        if subject_id == alarm_subject(name) and org_id not in by_org:
            async with open_org_transaction(context.app_database, org_id) as session:
                await close_alarm(session, org_id, name, now=now)


async def _expire_bills_of(
    context: JobContext, org_id: UUID, *, since: datetime, now: datetime
) -> int:
    expired = 0
    while True:
        async with open_org_transaction(context.app_database, org_id) as session:
            count = await store_expiry(session, org_id, since=since, limit=EXPIRE_MAX, now=now)
        expired += count
        if count < EXPIRE_MAX:
            return expired


async def handle_losses(context: JobContext, *, now: datetime) -> int:
    """Finish lost permissions that a dead hub process left; return of how many people."""
    return await finish_losses(context.app_database, context.worker_database, HOOKS, now=now)


async def set_clock(context: JobContext, *, now: datetime) -> int:
    """Measure this process's clock against the database's: events carry its time."""
    await measure_shared_clock(context.worker_database)
    return 0


async def resume_rail_requests(context: JobContext, *, now: datetime) -> int:
    """Bring requests at payOS further: unheard ones, and those of bills that are paid or cancelled.

    Returns how many were due.
    """
    if context.rails is None:
        return 0
    async with context.worker_database.begin() as session:
        due = await find_due(session, limit=RAILS_MAX, now=now)
    results = await asyncio.gather(
        *(context.rails.resume(org_id, bill_id) for org_id, bill_id in due), return_exceptions=True
    )
    for (_, bill_id), result in zip(due, results, strict=True):
        if isinstance(result, Exception):  # the others are brought further all the same
            log.error("rail.not_resumed", bill=str(bill_id), error=repr(result))
    return len(due)


async def note_serials(context: JobContext, *, now: datetime) -> int:
    """Confirm every organisation code's serial, so that a failover skips an hour and not months."""
    async with context.worker_database.begin() as session:
        return await confirm_serials(session)


JOBS: Final[tuple[tuple[float, Callable[..., Awaitable[int]]], ...]] = (
    (CLOCK_EVERY_S, set_clock),
    (SWEEP_EVERY_S, sweep_backlog),
    (SWEEP_EVERY_S, notify_owners),
    (REMATCH_EVERY_S, rematch_waiting),
    (RAILS_EVERY_S, resume_rail_requests),
    (LOSSES_EVERY_S, handle_losses),
    (EXPIRE_EVERY_S, expire_bills),
    (RETENTION_EVERY_S, purge_expired),
    (INVARIANTS_EVERY_S, check_invariants),
    (SERIALS_EVERY_S, note_serials),
)
