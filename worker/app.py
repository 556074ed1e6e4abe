"""The worker: the same use cases as the hub's, started by the clock.

It settles what a dead hub process left, judges credits again whose bill has appeared, tidies bills
that nobody watches any more, deletes what has outlived its retention, and asks whether the books
agree.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from core.clock import read_clock
from core.db import Database, is_database_away, measure_shared_clock, open_database, open_engine
from core.logging import set_up_logging
from core.settings import Settings
from core.tenancy import open_org_transaction
from identity.organisations.queries import list_org_facts
from payments.bills.owners import OwnersInbox, list_kinds
from payments.bills.queries import find_expired_unstored, store_expiry
from payments.bills.queries_owners import find_waiting as find_changes
from payments.callbacks.queries import find_backlog
from payments.credits.corrections import put_off, rematch
from payments.credits.processor import NoticeProcessor
from payments.credits.queries import find_waiting
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

log = structlog.get_logger()

SWEEP_EVERY_S: Final = 2.0  # a crash's backlog must be swept in under 60 s
CLOCK_EVERY_S: Final = 5.0
REMATCH_EVERY_S: Final = 2.0
CHANGES_MAX: Final = 200  # organisations in one round
JUDGE_MAX: Final = 200  # credits in one round, of all organisations
EXPIRE_EVERY_S: Final = 60.0
RETENTION_EVERY_S: Final = 600.0
INVARIANTS_EVERY_S: Final = 900.0
FAILED_PAUSE_S: Final = 5.0
# A bill appears seconds after money that names it (its own commit), or never.
JUDGED_FOR: Final = timedelta(days=1)
TIDY_BACK: Final = timedelta(days=30)  # at the start: what ended while no worker ran
TIDY_OVERLAP: Final = timedelta(hours=1)  # afterwards: clocks of several processes differ
TIDY_MAX: Final = 1_000  # bills of one organisation in one transaction
DELETE_MAX: Final = 5_000  # rows of one table in one transaction
DELETE_ROUNDS_MAX: Final = 50  # transactions for one table in one go

# How long rows are kept that are not evidence. Notices, credits, matches, transfers and audit rows
# are kept for ever.
RETENTION: Final = {
    "idempotency_keys": ("created_at", timedelta(days=7)),
    "events": ("recorded_at", timedelta(days=30)),
    "rejections": ("received_at", timedelta(days=30)),
    "sign_ins": ("expires_at", timedelta(days=30)),
}


@dataclass(kw_only=True)
class JobContext:
    """What the worker's duties work with."""

    app_database: Database  # one organisation per transaction, as the hub
    worker_database: Database  # sees all organisations, may delete what has had its time
    settler: NoticeProcessor
    tidied_until: datetime | None = None  # how far this process has tidied bills


async def sweep_backlog(context: JobContext, *, now: datetime) -> int:
    """Settle notices that are stored and not handled; return how many were handled so far.

    Organisations take turns, and who comes meanwhile is found by the next round.
    """
    async with context.worker_database.begin() as session:
        org_ids = await find_backlog(session, now=now)
        orgs = await list_org_facts(session, org_ids)
    handled = await context.settler.sweep(orgs, wait_s=SWEEP_EVERY_S)
    if handled:
        log.info("backlog.swept", notices=handled)
    return handled


async def tell_owners(context: JobContext, *, now: datetime) -> int:
    """Let owners hear of what a dead hub left, or what failed before; return how many changes."""
    if not (kinds := list_kinds()):
        return 0
    async with context.worker_database.begin() as session:
        org_ids = await find_changes(session, kinds=kinds, limit=CHANGES_MAX, now=now)
    inbox = OwnersInbox(context.app_database, read_clock=lambda: now)
    handled = await inbox.sweep(org_ids, wait_s=SWEEP_EVERY_S)
    await inbox.close()
    return handled


async def rematch_waiting(context: JobContext, *, now: datetime) -> int:
    """Judge credits again whose bill was not there yet; return how many are explained now.

    What stays unexplained rests, longer each time, so that it starves nobody.
    """
    async with context.worker_database.begin() as session:
        since = now - JUDGED_FOR
        waiting = await find_waiting(session, since=since, limit=JUDGE_MAX, now=now)
        orgs = {org.id: org for org in await list_org_facts(session, {one[0] for one in waiting})}
    explained = 0
    for org_id, credit_id in waiting:
        why = "no bill fits"
        try:
            async with open_org_transaction(context.app_database, org_id) as session:
                if await rematch(session, orgs[org_id], credit_id, now=now):
                    explained += 1
                    continue
        except Exception as error:  # the others are judged all the same
            if is_database_away(error):  # not this credit's failure, and the next has the same
                raise
            why = type(error).__name__
            log.error("credit.not_judged", credit=str(credit_id), error=repr(error))
        async with open_org_transaction(context.app_database, org_id) as session:
            await put_off(session, org_id, credit_id, why=why, now=now)
    return explained


async def expire_bills(context: JobContext, *, now: datetime) -> int:
    """Store the expiry of bills past their monitoring window; return how many.

    What ended long ago is not looked at again: such a bill is expired by effect all the same.
    """
    done_until = context.tidied_until
    since = now - TIDY_BACK if done_until is None else done_until - TIDY_OVERLAP
    async with context.worker_database.begin() as session:
        org_ids = await find_expired_unstored(session, since=since, now=now)
    tidied = 0
    is_done = True
    for org_id in org_ids:
        try:
            tidied += await _tidy(context, org_id, since=since, now=now)
        except Exception as error:  # one organisation's trouble is not the next one's
            is_done = False
            log.error("bills.not_tidied", org_id=str(org_id), error=repr(error))
    if is_done:
        context.tidied_until = now
    return tidied


async def purge_expired(context: JobContext, *, now: datetime) -> int:
    """Delete rows past their retention, a bounded number in a transaction; return how many."""
    deleted = 0
    for table, (column, kept_for) in RETENTION.items():
        # A row that is changed meanwhile lies elsewhere and is left for the next round.
        statement = text(
            f"DELETE FROM {table} WHERE ctid = ANY(ARRAY("  # noqa: S608 (our own names)
            f"SELECT ctid FROM {table} WHERE {column} < :before LIMIT :limit))"
        )
        values = {"before": now - kept_for, "limit": DELETE_MAX}
        for _ in range(DELETE_ROUNDS_MAX):  # the rest waits for the next time
            async with context.worker_database.begin() as session:
                count = (await session.execute(statement, values)).rowcount  # type: ignore[attr-defined]
            deleted += count
            if count < DELETE_MAX:
                break
    return deleted


async def check_invariants(context: JobContext, *, now: datetime) -> int:
    """Ask whether the books agree; return how many rows do not.

    What does not hold is an error in the log and one alarm for each organisation and invariant; an
    alarm closes when its invariant holds again. What could not be asked says nothing either way.
    """
    async with context.worker_database.begin() as session:
        alarms = await find_alarms(session)
    count = 0
    for name in INVARIANTS:
        try:
            async with context.worker_database.begin() as session:
                violations = await find_violations(session, name)
            await _alarm(context, name, violations, alarms, now=now)
        except Exception as error:  # the others are asked all the same
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


async def _tidy(context: JobContext, org_id: UUID, *, since: datetime, now: datetime) -> int:
    tidied = 0
    while True:
        async with open_org_transaction(context.app_database, org_id) as session:
            count = await store_expiry(session, org_id, since=since, limit=TIDY_MAX, now=now)
        tidied += count
        if count < TIDY_MAX:
            return tidied


async def set_clock(context: JobContext, *, now: datetime) -> int:
    """Measure this process's clock against the database's: events are told in its time."""
    await measure_shared_clock(context.worker_database)
    return 0


JOBS: Final[tuple[tuple[float, Callable[..., Awaitable[int]]], ...]] = (
    (CLOCK_EVERY_S, set_clock),
    (SWEEP_EVERY_S, sweep_backlog),
    (SWEEP_EVERY_S, tell_owners),
    (REMATCH_EVERY_S, rematch_waiting),
    (EXPIRE_EVERY_S, expire_bills),
    (RETENTION_EVERY_S, purge_expired),
    (INVARIANTS_EVERY_S, check_invariants),
)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Do every duty by its clock until told to stop; finish what is under way."""
    app_engine = open_engine(settings.app_database_url.get_secret_value(), settings, pool_size=4)
    worker_engine = open_engine(
        settings.worker_database_url.get_secret_value(), settings, pool_size=4
    )
    app_database = open_database(app_engine)
    settler = NoticeProcessor(app_database, read_clock=read_clock)
    context = JobContext(
        app_database=app_database, worker_database=open_database(worker_engine), settler=settler
    )
    with suppress(SQLAlchemyError, OSError):  # the database is away: measured once it is back
        await set_clock(context, now=read_clock())
    log.info("worker.started")
    try:
        async with asyncio.TaskGroup() as group:
            for every_s, duty in JOBS:
                group.create_task(_repeat(context, duty, every_s, stop))
    finally:
        await settler.close()
        await app_engine.dispose()
        await worker_engine.dispose()
    log.info("worker.stopped")


async def _repeat(
    context: JobContext, duty: Callable[..., Awaitable[int]], every_s: float, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        pause_s = every_s
        try:
            await duty(context, now=read_clock())
        except Exception as error:
            log.error("duty.failed", duty=duty.__name__, error=repr(error))
            pause_s = max(every_s, FAILED_PAUSE_S)
        try:
            await asyncio.wait_for(stop.wait(), timeout=pause_s)
        except TimeoutError:
            continue


def main() -> None:
    """Run the worker until SIGTERM or Ctrl-C."""
    settings = Settings()  # type: ignore[call-arg]  # from the environment
    set_up_logging(process_name="worker", log_format=settings.log_format)

    async def run_until_signal() -> None:
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        await run(settings, stop)

    asyncio.run(run_until_signal())
