"""The runner of jobs in a worker process: takes, renews, ends, and gives back what it cannot end.

It polls. A job is wanted within seconds, and a NOTIFY for each would cost every committing
transaction of the hub more than it spares here.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.ids import new_id
from core.jobs import queries, rules
from core.jobs.attempts import Handler, JobAttempt, Stopped
from core.jobs.errors import LeaseLost
from core.jobs.rules import JobStatus

log = structlog.get_logger()

RECORD_TRIES: Final = 3  # afterwards the lease ends by itself and the job is run again
FAILED_PAUSE_S: Final = 5.0
LET_GO_S: Final = 2.0  # what was cancelled gets this to roll back


@dataclass(frozen=True, kw_only=True)
class RunnerLimits:
    """How much a worker runs at once and how long it may go silent."""

    slots: int = 4
    # A dead worker's job waits this long. Renewed three times as often, so that a slow database
    # or two lost renewals do not cost a healthy worker its job.
    lease_for: timedelta = timedelta(seconds=30)
    poll_every: timedelta = timedelta(seconds=1)
    # With LET_GO_S within the 10 s that a supervisor waits; what takes longer is given back.
    grace: timedelta = timedelta(seconds=5)


class JobRunner:
    """Runs jobs of the kinds that have a handler; others are left to newer workers.

    Args:
        database: of the worker's role, which sees the jobs of all organisations.
        handlers: one for each kind.
        name: this process, as people see it.
    """

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        *,
        name: str,
        limits: RunnerLimits | None = None,
    ) -> None:
        self._database = database
        self._handlers = dict(handlers)
        self._name = name
        self._limits = limits or RunnerLimits()
        self._running: dict[asyncio.Task[None], JobAttempt] = {}
        self._working: dict[JobAttempt, asyncio.Future[None]] = {}
        self._turns: dict[UUID, int] = {}
        self._turn = 0
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look for jobs now and not at the next poll."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Run jobs until `stop` is set; then let them end, or give them back."""
        forward = asyncio.create_task(self._wake_at(stop))
        try:
            while not stop.is_set():
                self._wake.clear()
                pause_s = self._limits.poll_every.total_seconds()
                try:
                    await self._take_due(stop)
                except Exception as error:
                    log.error("jobs.not_taken", error=repr(error))
                    pause_s = max(pause_s, FAILED_PAUSE_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._wake.wait()
        finally:
            forward.cancel()
            await self._let_end()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def _take_due(self, stop: asyncio.Event) -> None:
        """Fill the free slots, one organisation after the other."""
        async with self._database.begin() as session:
            ended = await queries.end_abandoned(session)
        for one in ended:
            log.error("job.ended", job=str(one.id), kind=one.kind, status=one.status, by="sweep")
        while len(self._running) < self._limits.slots and not stop.is_set():
            taken_at_s = time.monotonic()
            attempt = await self._take_one()
            if attempt is None:
                return
            task = asyncio.create_task(self._run_one(attempt, taken_at_s))
            self._running[task] = attempt
            task.add_done_callback(self._on_ended)

    async def _take_one(self) -> JobAttempt | None:
        own = Counter(attempt.org_id for attempt in self._running.values())
        token = new_id()
        async with self._database.begin() as session:
            due = await queries.list_due_orgs(session)
            self._turns = {
                one.org_id: self._turns[one.org_id] for one in due if one.org_id in self._turns
            }
            own_max = max(1, self._limits.slots - 1)
            for org_id in rules.order_turns(due, turns=self._turns, own=own, own_max=own_max):
                lease = await queries.lease_next(
                    session,
                    org_id,
                    kinds=self._handlers,
                    token=token,
                    leased_by=self._name,
                    lease_for=self._limits.lease_for,
                )
                if lease is not None:
                    break
            else:
                return None
        self._turn += 1
        self._turns[lease.org_id] = self._turn
        return JobAttempt(self._database, lease, token)

    def _on_ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("job.not_recorded", error=repr(task.exception()))
        self.wake()

    async def _run_one(self, attempt: JobAttempt, taken_at_s: float) -> None:
        working = asyncio.ensure_future(self._handlers[attempt.lease.kind](attempt))
        self._working[attempt] = working
        renewing = asyncio.create_task(self._renew(attempt, working, taken_at_s))
        try:
            await asyncio.wait({working})
            if attempt.stopped is Stopped.LEASE_LOST:
                log.warning("job.lease_lost", job=str(attempt.id), kind=attempt.lease.kind)
            else:
                await self._record(attempt, working)
        finally:
            renewing.cancel()
            del self._working[attempt]

    async def _renew(
        self, attempt: JobAttempt, working: asyncio.Future[None], taken_at_s: float
    ) -> None:
        """Renew the lease as long as the handler works; stop the handler when that fails."""
        lease_for = self._limits.lease_for
        pause_s = lease_for.total_seconds() / 3
        held_until_s = taken_at_s + lease_for.total_seconds()
        while True:
            await asyncio.sleep(pause_s)
            renewed_at_s = time.monotonic()
            try:
                async with asyncio.timeout(pause_s), self._database.begin() as session:
                    is_cancelled = await queries.renew_lease(
                        session, attempt.lease, attempt.token, lease_for=lease_for
                    )
            except Exception as error:
                log.warning("job.lease_not_renewed", job=str(attempt.id), error=repr(error))
                if time.monotonic() + pause_s < held_until_s:
                    continue
                is_cancelled = None  # by the next try another worker may have it
            else:
                held_until_s = renewed_at_s + lease_for.total_seconds()
            if is_cancelled is None:
                self._stop(attempt, working, Stopped.LEASE_LOST)
            elif is_cancelled:
                self._stop(attempt, working, Stopped.CANCELLED)

    def _stop(self, attempt: JobAttempt, working: asyncio.Future[None], why: Stopped) -> None:
        if not working.done() and attempt.stopped is None:
            attempt.stopped = why
            working.cancel()

    async def _record(self, attempt: JobAttempt, working: asyncio.Future[None]) -> None:
        """Write how an attempt ended."""
        for tries_left in reversed(range(RECORD_TRIES)):
            try:
                async with self._database.begin() as session:
                    is_ours = await self._write_end(session, attempt, working)
                break
            except Exception:
                if not tries_left:
                    raise
                await asyncio.sleep(self._limits.poll_every.total_seconds())
        if not is_ours and not attempt.is_completed:
            log.warning("job.lease_lost", job=str(attempt.id), kind=attempt.lease.kind)

    async def _write_end(
        self, session: AsyncSession, attempt: JobAttempt, working: asyncio.Future[None]
    ) -> bool:
        lease, token = attempt.lease, attempt.token
        error = asyncio.CancelledError() if working.cancelled() else working.exception()
        if error is None:
            return await queries.finish_job(
                session, lease, token, status=JobStatus.DONE, error=None
            )
        if isinstance(error, LeaseLost):
            return False
        if attempt.stopped is Stopped.CANCELLED:
            return await queries.finish_job(
                session, lease, token, status=JobStatus.CANCELLED, error=None
            )
        if attempt.stopped is Stopped.WORKER_STOPS:  # that was not the job's fault
            return await queries.put_back(
                session, lease, token, pause=timedelta(), is_counted=False, error=None
            )
        problem = rules.describe_error(error)
        facts = {"job": str(lease.id), "kind": lease.kind, "attempt": lease.attempts}
        if lease.attempts < lease.attempts_max and rules.is_worth_repeating(error):
            log.warning("job.attempt_failed", **facts, error=problem[1], exc_info=error)
            pause = rules.pause_after(lease.attempts)
            return await queries.put_back(
                session, lease, token, pause=pause, is_counted=True, error=problem
            )
        log.error("job.failed", **facts, error=problem[1], exc_info=error)
        return await queries.finish_job(
            session, lease, token, status=JobStatus.FAILED, error=problem
        )

    async def _let_end(self) -> None:
        """Give handlers their time to end, then give back what has not."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=self._limits.grace.total_seconds())
        for attempt, working in list(self._working.items()):
            self._stop(attempt, working, Stopped.WORKER_STOPS)
        if self._running:
            await asyncio.wait(set(self._running), timeout=LET_GO_S)
