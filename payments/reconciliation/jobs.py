"""The jobs of reconciliation: an account's open lines are matched, and again when that is due.

A job commits chunk by chunk. What it explained is no longer open, so that another attempt goes on
where a dead worker stopped.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.jobs.attempts import Handler, JobAttempt
from core.jobs.periodic import JobDatabases, PeriodicJob
from core.jobs.service import queue_job
from core.tenancy import open_org_transaction
from payments.credits.queries import list_org_codes
from payments.reconciliation import aging, matching, queries
from payments.reconciliation.types import LineKey
from payments.statements.rules import MATCH

log = structlog.get_logger()

EVERY_S: Final = 60.0
# A credit's row can become visible so long after the instant that it bears.
OVERLAP: Final = timedelta(minutes=10)
# What a credit is may change without a new credit: its bill came, or a person decided.
STALE_AFTER: Final = timedelta(hours=6)
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
    for org_id, account_id in due:
        try:
            async with open_org_transaction(databases.app, org_id) as session:
                await queue_matching_of(session, org_id, account_id)
        except Exception as error:  # the others are queued all the same
            log.error("matching.not_queued", account=str(account_id), error=repr(error))
            continue
        queued += 1
    return queued


async def queue_matching_of(session: AsyncSession, org_id: UUID, account_id: UUID) -> UUID:
    """Queue a run for one account, unless one waits already; return the job."""
    arguments = {"account_id": str(account_id)}
    return await queue_job(session, org_id, MATCH, arguments, key=str(account_id))


def make_matcher(database: Database, *, read_clock: Callable[[], datetime]) -> Handler:
    """Make the handler of `reconciliation.match`: explains what of an account is open."""

    async def match(attempt: JobAttempt) -> None:
        org_id, account_id = attempt.org_id, UUID(attempt.arguments["account_id"])
        began = read_clock()
        async with _held(database, attempt) as session:
            await matching.begin_run(session, org_id, account_id, now=began)
            codes = await list_org_codes(session, org_id)
        place, looked_at = matching.BEGIN, 0
        while True:
            async with _held(database, attempt) as session:
                done = await matching.match_credits(
                    session,
                    org_id,
                    account_id,
                    codes=codes,
                    after=place,
                    limit=matching.CHUNK_LINES,
                    now=read_clock(),
                )
            if done is None:
                break
            place, looked_at = done.last, looked_at + done.lines
            await attempt.report_progress(looked_at)
        place_out: LineKey | None = matching.BEGIN
        while place_out is not None:
            async with _held(database, attempt) as session:
                place_out = await matching.match_refund(
                    session, org_id, account_id, after=place_out, now=read_clock()
                )
        async with _held(database, attempt) as session:
            await queries.lock_account(session, org_id, account_id)
            await aging.ask(session, org_id, account_id, now=read_clock())
            await queries.set_matched(session, org_id, account_id, matched_at=began)
            await attempt.complete(session)

    return match


@asynccontextmanager
async def _held(database: Database, attempt: JobAttempt) -> AsyncIterator[AsyncSession]:
    """Open a transaction that commits only while the job is this attempt's."""
    async with open_org_transaction(database, attempt.org_id) as session:
        await attempt.hold(session)
        yield session
