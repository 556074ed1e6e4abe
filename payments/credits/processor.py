"""The settler of one process: settles stored notices at once, and what a dead process left.

The hub wakes it after each acknowledgement; the worker's sweep wakes it for whatever is still
unhandled. Any number of settlers may run: notices are claimed with SKIP LOCKED.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog

from core.db import Database, is_database_away, is_server_silent
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts
from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind
from payments.breaks.types import NewBreak
from payments.callbacks import queries as notice_queries
from payments.callbacks.types import NoticeOutcome
from payments.credits.processing import WAIT_AT_MOST, process_notices

log = structlog.get_logger()

BATCH_MAX: Final = 500  # notices in one commit; larger ones gain little and hold locks longer
TRIES_MAX: Final = 3  # after a deadlock or a lost connection; then the sweep comes by
STUCK_AFTER: Final = 5  # attempts, then a person is told
FAILED: Final = "failed"
BACK_OFF_START: Final = timedelta(seconds=5)
BACK_OFF_MAX: Final = timedelta(minutes=10)
BACK_OFF_OLD: Final = timedelta(days=1)  # it fails a whole batch with it: seldom, after three days
# One by one, somebody's lock is waited for this long, and not so long once a few were waited for;
# then the notice rests, so that 500 of one locked bill take seconds and not an hour.
LOCK_WAIT_MS: Final = 250
LOCK_WAIT_SHORT_MS: Final = 5
LOCK_WAITS_MAX: Final = 3
LOCKED_START: Final = timedelta(seconds=2)
LOCKED_MAX: Final = timedelta(minutes=1)
# While notices keep coming, the next batch of an organisation waits this many times as long as the
# last one took: the costs of a batch are shared by more notices. A lone notice never waits.
PAUSE_TIMES: Final = 2
PAUSE_MAX_S: Final = 0.1  # well below what a vendor notices
# SQLSTATE: serialization failure, deadlock, lock not available, query cancelled by a timeout.
PASSING: Final = frozenset({"40001", "40P01", "55P03", "57014"})
PASSING_AT_ONCE: Final = frozenset({"40001", "40P01"})


class NoticeProcessor:
    """Settles each organisation's notices, a batch at a time, and organisations in turn.

    A few are settled at once; whose batch is done stands behind the others again, so that a large
    backlog of one is no wait for another's lone payment.
    """

    def __init__(
        self, database: Database, *, read_clock: Callable[[], datetime], at_once_max: int = 4
    ) -> None:
        self._sessions = database
        self._read_clock = read_clock
        self._slots = asyncio.Semaphore(at_once_max)
        self._running: dict[UUID, asyncio.Task[None]] = {}
        self._again: set[UUID] = set()
        self._asked: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._handled: Counter[UUID] = Counter()  # notices, since the start

    def wake(self, org: OrgFacts) -> None:
        """Settle what waits for this organisation, soon. Cheap, and safe to call any time."""
        if self._closing.is_set():
            return
        if org.id in self._running:
            self._again.add(org.id)
            return
        task = asyncio.create_task(self._run(org))
        self._running[org.id] = task

    async def close(self) -> None:
        """Finish the batches under way and start no more; what is left, the sweep finds."""
        self._closing.set()
        self._again.clear()
        while under_way := {*self._running.values(), *self._asked}:
            await asyncio.wait(under_way)

    async def finish(
        self, org: OrgFacts, work: Coroutine[Any, Any, None], *, deadline_s: float
    ) -> None:
        """Wait for work that somebody asked for; what is not done in time goes on without them.

        Nothing is cut off, and `close` waits for it too.

        Args:
            deadline_s: on the clock of the loop.

        Raises:
            Exception: what the work raised in time; later it is logged.
        """
        task = asyncio.create_task(work)
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)
        try:
            left_s = deadline_s - asyncio.get_running_loop().time()
            await asyncio.wait({task}, timeout=max(0.0, left_s))
        finally:
            if not task.done():
                log.warning("settlement.late", org=org.code)
                task.add_done_callback(partial(_log_late, org))
        if task.done():
            task.result()

    async def settle(self, org: OrgFacts) -> int:
        """Settle until nothing is left that can be settled now; return how many were handled."""
        before = self._handled[org.id]
        is_more = True
        while is_more and not self._closing.is_set():
            is_more = await self._settle_batch(org)
        return self._handled[org.id] - before

    async def sweep(self, orgs: Sequence[OrgFacts], *, wait_s: float) -> int:
        """Settle what waits for these organisations, in turns; return how many were handled.

        Args:
            wait_s: what takes longer goes on by itself, so that the caller can look for others.
        """
        before = self._handled.total()
        for org in orgs:
            self.wake(org)
        under_way = {self._running[org.id] for org in orgs if org.id in self._running}
        if under_way:
            await asyncio.wait(under_way, timeout=wait_s)
        return self._handled.total() - before

    async def _run(self, org: OrgFacts) -> None:
        """Settle in turns: a batch, and then whoever waits for a place is next."""
        try:
            is_more = True
            while is_more and not self._closing.is_set():
                async with self._slots:
                    started = time.monotonic()
                    is_more = await self._settle_batch(org)
                    took_s = time.monotonic() - started
                if not is_more and org.id in self._again:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(
                            self._closing.wait(), min(PAUSE_MAX_S, PAUSE_TIMES * took_s)
                        )
                    self._again.discard(org.id)
                    is_more = True
        except Exception as error:
            log.error("settlement.failed", org=org.code, error=repr(error))
        finally:
            del self._running[org.id]
            if org.id in self._again:
                self._again.discard(org.id)
                self.wake(org)

    async def _settle_batch(self, org: OrgFacts) -> bool:
        """Settle one batch; tell whether more waits. A poisonous notice fails alone.

        Every notice of a batch is handled, or put back for a while, or the batch raises: so the
        next turn finds others, and nothing that fails is tried again at once.
        """
        due_ids: list[UUID] = []
        for attempt in range(1, TRIES_MAX + 1):
            try:
                async with open_org_transaction(self._sessions, org.id) as session:
                    now = self._read_clock()
                    due = await notice_queries.lock_due_notices(
                        session, org.id, limit=BATCH_MAX, now=now
                    )
                    due_ids = [notice.id for notice in due]
                    if not due:
                        return False
                    if any(notice.attempts for notice in due):  # it may be locked still
                        await notice_queries.limit_lock_wait(session, LOCK_WAIT_MS)
                    handled = await process_notices(session, org, due, now=now)
                self._handled[org.id] += handled
                return len(due) == BATCH_MAX
            except Exception as error:
                cause = error
            is_away = is_database_away(cause)
            log.warning("settlement.waits", org=org.code, attempt=attempt, error=_name(cause))
            if is_server_silent(cause) or (is_away and attempt == TRIES_MAX):
                raise cause
            if not is_away and not _may_pass_at_once(cause):
                break
            await asyncio.sleep(0.05 * attempt)
        if not due_ids:
            raise cause
        await self._settle_singly(org, due_ids, cause)
        return len(due_ids) == BATCH_MAX

    async def _settle_singly(self, org: OrgFacts, notice_ids: list[UUID], cause: Exception) -> None:
        """Settle each by itself. What is locked is put back: it must not hold up the others.

        Raises:
            Exception: the database is away; that is no notice's own failure.
        """
        log.warning("settlement.singly", org=org.code, notices=len(notice_ids), error=_name(cause))
        locked: list[UUID] = []
        for notice_id in notice_ids:
            wait_ms = LOCK_WAIT_MS if len(locked) < LOCK_WAITS_MAX else LOCK_WAIT_SHORT_MS
            try:
                async with open_org_transaction(self._sessions, org.id) as session:
                    now = self._read_clock()
                    await notice_queries.limit_lock_wait(session, wait_ms)
                    due = await notice_queries.lock_due_notice(session, org.id, notice_id)
                    handled = 0
                    if due:
                        handled = await process_notices(session, org, due, now=now)
                self._handled[org.id] += handled
            except Exception as error:
                if is_database_away(error):
                    raise
                if _is_passing(error):
                    locked.append(notice_id)
                else:
                    await self._put_off(org, notice_id, error)
        if locked:
            await self._put_back(org, locked)

    async def _put_back(self, org: OrgFacts, notice_ids: list[UUID]) -> None:
        """Let what somebody else has locked rest for a while, longer each time."""
        log.warning("settlement.locked", org=org.code, notices=len(notice_ids))
        async with open_org_transaction(self._sessions, org.id) as session:
            due = await notice_queries.lock_notices(session, org.id, notice_ids)
            now = self._read_clock()
            outcomes = [
                NoticeOutcome(
                    notice_id=notice.id,
                    outcome=notice.outcome,  # not its own failure
                    handled_at=None,
                    next_attempt_at=now
                    + min(LOCKED_START * 2 ** min(notice.attempts, 10), LOCKED_MAX),
                )
                for notice in due
            ]
            await notice_queries.finish_notices(session, org.id, outcomes)

    async def _put_off(self, org: OrgFacts, notice_id: UUID, error: Exception) -> None:
        """Count the failure, come back later, and tell a person when it goes on."""
        log.error("notice.failed", org=org.code, notice=str(notice_id), error=repr(error))
        async with open_org_transaction(self._sessions, org.id) as session:
            now = self._read_clock()
            due = await notice_queries.lock_due_notice(session, org.id, notice_id)
            for notice in due:
                back_off = min(BACK_OFF_START * 2 ** min(notice.attempts, 10), BACK_OFF_MAX)
                wait = BACK_OFF_OLD if now - notice.received_at > WAIT_AT_MOST else back_off
                outcome = NoticeOutcome(
                    notice_id=notice_id,
                    outcome=FAILED,
                    handled_at=None,
                    next_attempt_at=now + wait,
                )
                await notice_queries.finish_notices(session, org.id, [outcome])
                # Once: a person may have closed it since.
                is_first = notice.attempts + 1 == STUCK_AFTER or notice.outcome != FAILED
                if is_first and notice.attempts + 1 >= STUCK_AFTER:
                    stuck = NewBreak(
                        kind=BreakKind.STUCK,
                        subject_id=notice_id,
                        detail=f"could not be settled: {type(error).__name__}",
                    )
                    await break_queries.insert_breaks_once(session, org.id, [stuck], now=now)


def _log_late(org: OrgFacts, task: asyncio.Task[None]) -> None:
    """Log what nobody waits for any more."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("settlement.late_failed", org=org.code, error=repr(error))


def _is_passing(error: Exception) -> bool:
    """Tell whether trying again later can help: a lock, a deadlock, a timeout."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in PASSING


def _may_pass_at_once(error: Exception) -> bool:
    """Tell whether trying again now can help: who was in the way of a deadlock is gone."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in PASSING_AT_ONCE


def _name(error: Exception) -> str:
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or type(error).__name__)
