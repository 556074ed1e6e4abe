"""One attempt of a job, as its handler sees it."""

import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.jobs import queries
from core.jobs.errors import LeaseLost
from core.jobs.queries import Lease
from core.jobs.rules import NOTE_CHARS_MAX

PROGRESS_EVERY_S: Final = 1.0  # a handler may report each row; people look once a second


class Stopped(StrEnum):
    """Why an attempt was ended from outside."""

    LEASE_LOST = "lease_lost"
    CANCELLED = "cancelled"
    WORKER_STOPS = "worker_stops"


class JobAttempt:
    """What a handler works with. It runs at least once, so its effects are idempotent by `id`.

    A handler opens its own transactions, short ones, and begins or ends each with `hold`: then a
    worker that was thought dead, and wakes up, commits nothing beside the one that took over. What
    computes for long runs in a thread, since a lease is renewed by the event loop.
    """

    def __init__(self, database: Database, lease: Lease, token: UUID) -> None:
        self.lease = lease
        self.token = token
        self.stopped: Stopped | None = None
        self.is_completed = False
        self._database = database
        self._reported_at_s: float | None = None

    @property
    def org_id(self) -> UUID:
        """The organisation whose job it is."""
        return self.lease.org_id

    @property
    def id(self) -> UUID:
        """The job: the same in each of its attempts."""
        return self.lease.id

    @property
    def arguments(self) -> dict[str, Any]:
        """What it was queued with."""
        return self.lease.arguments

    @property
    def number(self) -> int:
        """Which attempt it is, from 1."""
        return self.lease.attempts

    async def hold(self, session: AsyncSession) -> None:
        """Make sure that nobody takes the job over before the running transaction has ended.

        Raises:
            LeaseLost: somebody has; let it through, and the transaction is rolled back.
        """
        if not await queries.hold_lease(session, self.lease, self.token):
            raise LeaseLost

    async def complete(self, session: AsyncSession) -> None:
        """Mark the job as done in the running transaction, with its effect: both or neither.

        Raises:
            LeaseLost: as `hold`.
        """
        if not await queries.complete_job(session, self.lease, self.token):
            raise LeaseLost
        self.is_completed = True

    async def report_progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Let people see how far it has come, at once and whatever the handler's transactions do.

        Written at most once a second, and always when `done` reaches `total`.

        Raises:
            LeaseLost: the job is another worker's now.
        """
        now_s = time.monotonic()
        is_early = (
            self._reported_at_s is not None and now_s - self._reported_at_s < PROGRESS_EVERY_S
        )
        if is_early and done != total:
            return
        async with self._database.begin() as session:
            is_ours = await queries.write_progress(
                session,
                self.lease,
                self.token,
                done=done,
                total=total,
                note=note[:NOTE_CHARS_MAX],
            )
        if not is_ours:
            raise LeaseLost
        self._reported_at_s = now_s


Handler = Callable[[JobAttempt], Awaitable[None]]
