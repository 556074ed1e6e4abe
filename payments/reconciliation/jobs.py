"""The jobs of reconciliation: an account's open lines are matched, and again when that is due.

A job commits chunk by chunk. What it explained is no longer open, so that another attempt goes on
where a dead worker stopped.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import hanoi_day
from core.db import Database
from core.jobs.attempts import Handler, JobAttempt
from core.jobs.periodic import JobDatabases, PeriodicJob
from core.jobs.service import queue_job
from core.tenancy import open_org_transaction
from payments.credits.queries import list_org_codes
from payments.reconciliation import aging, matching, queries
from payments.reconciliation.aging import OVERLAP
from payments.reconciliation.rules import BOOKED_AFTER, BOOKED_BEFORE
from payments.reconciliation.types import LineKey
from payments.statements.rules import MATCH

log = structlog.get_logger()

EVERY_S: Final = 60.0
# What a credit is may change without a new credit: its bill came, or a person decided.
STALE_AFTER: Final = timedelta(hours=6)
RECENT: Final = "recent"  # lines that may be what was reported since the last run
ACCOUNTS_MAX: Final = 500  # queued in one round, of all organisations


def list_jobs(databases: JobDatabases) -> tuple[PeriodicJob, ...]:
    """List what the worker runs by the clock."""
    return (PeriodicJob("queue_matching", EVERY_S, partial(queue_matching, databases)),)


async def queue_matching(databases: JobDatabases, *, now: datetime) -> int:
    """Queue a run for each account with open lines and new credits; return how many."""
    async with databases.worker.begin() as session:
        due = await queries.find_due_accounts(
            session, stale_before=now - STALE_AFTER, overlap=OVERLAP, limit=ACCOUNTS_MAX
        )
    queued = 0
    for org_id, account_id, is_whole in due:
        try:
            async with open_org_transaction(databases.app, org_id) as session:
                await queue_matching_of(session, org_id, account_id, is_whole=is_whole)
        except Exception as error:  # the others are queued all the same
            log.error("matching.not_queued", account=str(account_id), error=repr(error))
            continue
        queued += 1
    return queued


async def queue_matching_of(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, is_whole: bool = True
) -> UUID:
    """Queue a run for one account, unless such a one waits already; return the job.

    Args:
        is_whole: of all open lines; else of those that may be what was reported since the last run.
    """
    if is_whole:
        arguments, key = {"account_id": str(account_id)}, str(account_id)
    else:
        arguments = {"account_id": str(account_id), "lines": RECENT}
        key = f"{account_id} {RECENT}"
    return await queue_job(session, org_id, MATCH, arguments, key=key)


def make_matcher(database: Database, *, read_clock: Callable[[], datetime]) -> Handler:
    """Make the handler of `reconciliation.match`: explains what of an account is open."""

    async def match(attempt: JobAttempt) -> None:
        org_id, account_id = attempt.org_id, UUID(attempt.arguments["account_id"])
        is_whole = attempt.arguments.get("lines") != RECENT
        began = read_clock()
        async with _held(database, attempt) as session:
            await matching.begin_run(session, org_id, account_id, now=began)
            codes = await list_org_codes(session, org_id)
            place, until_on = matching.BEGIN, date.max
            if not is_whole:
                place, until_on = await _find_span(session, org_id, account_id)
        looked_at = 0
        while True:
            async with _held(database, attempt) as session:
                done = await matching.match_credits(
                    session,
                    org_id,
                    account_id,
                    codes=codes,
                    after=place,
                    until_on=until_on,
                    limit=matching.CHUNK_LINES,
                    now=read_clock(),
                )
            if done is None:
                break
            place, looked_at = done.last, looked_at + done.lines
            await attempt.report_progress(looked_at)
        await _match_refunds(database, attempt, account_id, read_clock=read_clock)
        async with _held(database, attempt) as session:
            await queries.lock_account(session, org_id, account_id)
            await aging.ask(session, org_id, account_id, now=read_clock())
            await queries.set_matched(
                session, org_id, account_id, matched_at=began, is_whole=is_whole
            )
            await attempt.complete(session)

    return match


async def _find_span(session: AsyncSession, org_id: UUID, account_id: UUID) -> tuple[LineKey, date]:
    """Return after which place, and up to which day, lines may be what was reported lately."""
    span = await queries.find_new_span(session, org_id, account_id, overlap=OVERLAP)
    if span is None:
        return matching.BEGIN, matching.BEGIN.booked_on  # nothing was
    first, last = hanoi_day(span[0]) - BOOKED_BEFORE, hanoi_day(span[1]) + BOOKED_AFTER
    return LineKey(first, matching.BEGIN.id), last


async def _match_refunds(
    database: Database, attempt: JobAttempt, account_id: UUID, *, read_clock: Callable[[], datetime]
) -> None:
    """Explain lines of money out, each in a transaction of its own: a refund may refuse."""
    org_id, place = attempt.org_id, matching.BEGIN
    while True:
        async with open_org_transaction(database, org_id) as session:
            found, last = await matching.find_refund_lines(
                session, org_id, account_id, after=place, limit=matching.CHUNK_LINES
            )
        for named in found:
            async with _held(database, attempt) as session:
                await matching.match_refund(session, org_id, account_id, named, now=read_clock())
        if last is None:
            return
        place = last


@asynccontextmanager
async def _held(database: Database, attempt: JobAttempt) -> AsyncIterator[AsyncSession]:
    """Open a transaction that commits only while the job is this attempt's."""
    async with open_org_transaction(database, attempt.org_id) as session:
        await attempt.hold(session)
        yield session
