"""The notice processor of one process: new notices at once, and what a dead process left.

The hub wakes it with each notice that it stored, and it looks from there on: how long that takes
does not depend on what was settled before. Seconds later it looks at all that is due; the worker's
sweep wakes it for that, too. Any number may run: notices are locked with SKIP LOCKED.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog

from core.db import Database, is_database_away, is_server_silent
from core.delayed_calls import DelayedCalls
from core.reasons import Reason
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts
from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.callbacks import queries as notice_queries
from payments.callbacks.metrics import NOTICES_PROCESSED
from payments.callbacks.rules import NoticeOutcome, Setback, is_newly_stuck, next_attempt
from payments.callbacks.types import DueNotice, NoticeResult
from payments.credits.processing import process_notices

log = structlog.get_logger()

BATCH_MAX: Final = 500  # notices in one commit; larger ones gain little and hold locks longer
TRIES_MAX: Final = 3  # after a deadlock or a lost connection; then a full look comes by
# After a wake-up: what another process had locked and did not settle may lie before it.
FULL_LOOK_AFTER_S: Final = 5.0
# One by one, each waits this long for another transaction's lock, and a shorter time once a few
# have waited; then it is put back: 500 notices of one locked bill take seconds and not an hour.
LOCK_WAIT_MS: Final = 250
LOCK_WAIT_SHORT_MS: Final = 5
LOCK_WAITS_MAX: Final = 3
# While notices keep coming, the next batch of an organisation waits this many times as long as the
# last one took: the costs of a batch are shared by more notices. A lone notice never waits.
PAUSE_TIMES: Final = 2
PAUSE_MAX_S: Final = 0.1  # well below what a vendor notices
# SQLSTATE: serialization failure, deadlock, lock not available, query cancelled by a timeout.
TRANSIENT: Final = frozenset({"40001", "40P01", "55P03", "57014"})
RETRYABLE_AT_ONCE: Final = frozenset({"40001", "40P01"})


class NoticeProcessor:
    """Processes each organisation's notices, a batch at a time, and organisations in turn.

    A few run at once; after its batch an organisation queues behind the others, so that a large
    backlog of one does not delay another's single payment. Its full look runs beside its wake-ups,
    and so delays no payment either.
    """

    def __init__(
        self,
        database: Database,
        *,
        read_clock: Callable[[], datetime],
        at_once_max: int = 4,
        full_look_after_s: float = FULL_LOOK_AFTER_S,
    ) -> None:
        self._database = database
        self._read_clock = read_clock
        self._slots = asyncio.Semaphore(at_once_max)
        # By (organisation, whether it is a full look).
        self._running: dict[tuple[UUID, bool], asyncio.Task[None]] = {}
        self._again: dict[tuple[UUID, bool], UUID | None] = {}  # and from which id on
        self._full_looks: DelayedCalls[UUID] = DelayedCalls(after_s=full_look_after_s)
        self._requested: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._handled: Counter[UUID] = Counter()  # notices, since the start

    def wake(self, org: OrgFacts, since: UUID | None = None) -> None:
        """Process what this organisation has waiting, soon. Cheap, and safe to call any time.

        Args:
            since: the notice that was stored; new ones from it on are processed, and all others
                by a full look some seconds later. None: a full look now.
        """
        if self._closing.is_set():
            return
        if since is not None:
            self._plan_full_look(org)
        look = org.id, since is None
        if look in self._running:
            self._again[look] = _lowest(since, self._again.get(look))
            return
        self._running[look] = asyncio.create_task(self._run(org, since))

    async def close(self) -> None:
        """Finish the batches under way and start nothing new; what is left, the sweep finds."""
        self._closing.set()
        self._full_looks.cancel()
        self._again.clear()
        while under_way := {*self._running.values(), *self._requested}:
            await asyncio.wait(under_way)

    async def finish(
        self, org: OrgFacts, work: Coroutine[Any, Any, None], *, deadline_s: float
    ) -> None:
        """Wait for work that a caller requested; what is late goes on without them.

        Nothing is cut off, and `close` waits for it too.

        Args:
            deadline_s: on the clock of the loop.

        Raises:
            Exception: what the work raised in time; later it is logged.
        """
        task = asyncio.create_task(work)
        self._requested.add(task)
        task.add_done_callback(self._requested.discard)
        try:
            left_s = deadline_s - asyncio.get_running_loop().time()
            await asyncio.wait({task}, timeout=max(0.0, left_s))
        finally:
            if not task.done():
                log.warning("processing.late", org=org.code)
                task.add_done_callback(partial(_log_late, org))
        if task.done():
            task.result()

    async def process(self, org: OrgFacts) -> int:
        """Process until nothing is due any more; return how many were handled."""
        before = self._handled[org.id]
        is_more = True
        while is_more and not self._closing.is_set():
            is_more = await self._process_batch(org, since=None)
        return self._handled[org.id] - before

    async def sweep(self, orgs: Sequence[OrgFacts], *, wait_s: float) -> int:
        """Process what these organisations have waiting, in turn; return how many were handled.

        Args:
            wait_s: what takes longer goes on by itself, so that the caller can look for others.
        """
        before = self._handled.total()
        for org in orgs:
            self.wake(org)
        looks = [(org.id, True) for org in orgs]
        under_way = {self._running[look] for look in looks if look in self._running}
        if under_way:
            await asyncio.wait(under_way, timeout=wait_s)
        return self._handled.total() - before

    def _count(self, org: OrgFacts, handled: int) -> None:
        self._handled[org.id] += handled
        NOTICES_PROCESSED.inc(handled)

    def _plan_full_look(self, org: OrgFacts) -> None:
        self._full_looks.plan(org.id, partial(self.wake, org))

    async def _run(self, org: OrgFacts, since: UUID | None) -> None:
        """Process in turn: a batch, then whoever waits for a slot."""
        look = org.id, since is None
        try:
            is_more = True
            while is_more and not self._closing.is_set():
                async with self._slots:
                    started = time.monotonic()
                    is_more = await self._process_batch(org, since=since)
                    took_s = time.monotonic() - started
                if not is_more and look in self._again:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(min(PAUSE_MAX_S, PAUSE_TIMES * took_s)):
                            await self._closing.wait()
                if look in self._again:
                    again = self._again.pop(look)
                    since = _lowest(since, again) if is_more else again
                    is_more = True
        except Exception as error:
            log.error("processing.failed", org=org.code, error=repr(error))
            if not self._closing.is_set():
                self._plan_full_look(org)
        finally:
            del self._running[look]
            if look in self._again:
                self.wake(org, self._again.pop(look))

    async def _process_batch(self, org: OrgFacts, *, since: UUID | None) -> bool:
        """Process one batch; return whether more may wait. A poison message fails alone.

        Every notice of a batch is handled, or put back for a while, or the batch raises: so the
        next turn finds others, and nothing that fails is tried again at once.
        """
        due_ids: list[UUID] = []
        for attempt in range(1, TRIES_MAX + 1):
            try:
                async with open_org_transaction(self._database, org.id) as session:
                    now = self._read_clock()
                    due = await notice_queries.lock_due_notices(
                        session, org.id, limit=BATCH_MAX, now=now, since=since
                    )
                    due_ids = [notice.id for notice in due]
                    if not due:
                        return False
                    if any(notice.attempts for notice in due):  # it may be locked still
                        await notice_queries.limit_lock_wait(session, LOCK_WAIT_MS)
                    handled = await process_notices(session, org, due, now=now)
                self._count(org, handled)
                return len(due) == BATCH_MAX
            except Exception as error:
                cause = error
            is_away = is_database_away(cause)
            log.warning("processing.retried", org=org.code, attempt=attempt, error=_name(cause))
            if is_server_silent(cause) or (is_away and attempt == TRIES_MAX):
                raise cause
            if not is_away and not _is_retryable_at_once(cause):
                break
            await asyncio.sleep(0.05 * attempt)
        if not due_ids:
            raise cause
        await self._process_one_by_one(org, due_ids, cause)
        return len(due_ids) == BATCH_MAX

    async def _process_one_by_one(
        self, org: OrgFacts, notice_ids: list[UUID], cause: Exception
    ) -> None:
        """Process each by itself. What is locked is put back: it must not hold up the others.

        Raises:
            Exception: the database is away, which is no notice's own failure.
        """
        log.warning(
            "processing.one_by_one", org=org.code, notices=len(notice_ids), error=_name(cause)
        )
        locked: list[UUID] = []
        for notice_id in notice_ids:
            wait_ms = LOCK_WAIT_MS if len(locked) < LOCK_WAITS_MAX else LOCK_WAIT_SHORT_MS
            try:
                async with open_org_transaction(self._database, org.id) as session:
                    now = self._read_clock()
                    await notice_queries.limit_lock_wait(session, wait_ms)
                    due = await notice_queries.lock_due_notice(session, org.id, notice_id)
                    handled = 0
                    if due:
                        handled = await process_notices(session, org, due, now=now)
                self._count(org, handled)
            except Exception as error:
                if is_database_away(error):
                    raise
                if _is_transient(error):
                    locked.append(notice_id)
                else:
                    await self._note_failure(org, notice_id, error)
        if locked:
            await self._put_back(org, locked)

    async def _put_back(self, org: OrgFacts, notice_ids: list[UUID]) -> None:
        """Retry notices later that another transaction holds up; it is not their own failure."""
        log.warning("notices.locked", org=org.code, notices=len(notice_ids))
        async with open_org_transaction(self._database, org.id) as session:
            due = await notice_queries.lock_notices(session, org.id, notice_ids)
            now = self._read_clock()
            results = [_put_off(one, Setback.LOCKED, one.outcome, now) for one in due]
            await notice_queries.finish_notices(session, org.id, results)

    async def _note_failure(self, org: OrgFacts, notice_id: UUID, error: Exception) -> None:
        """Count the failure and retry later; open a break when it goes on."""
        log.error("notice.failed", org=org.code, notice=str(notice_id), error=repr(error))
        async with open_org_transaction(self._database, org.id) as session:
            now = self._read_clock()
            for notice in await notice_queries.lock_due_notice(session, org.id, notice_id):
                result = _put_off(notice, Setback.FAILED, NoticeOutcome.FAILED, now)
                await notice_queries.finish_notices(session, org.id, [result])
                if is_newly_stuck(notice.outcome, attempts=notice.attempts):
                    stuck = NewBreak(
                        kind=BreakKind.STUCK,
                        subject_id=notice_id,
                        reason=Reason(BreakReason.NOTICE_FAILED, {"error": type(error).__name__}),
                    )
                    await break_queries.insert_breaks_once(session, org.id, [stuck], now=now)


def _lowest(*ids: UUID | None) -> UUID | None:
    """Return from which id on a look covers all of these; None: there are none."""
    return min((one for one in ids if one is not None), default=None)


def _put_off(
    notice: DueNotice, setback: Setback, outcome: NoticeOutcome | None, now: datetime
) -> NoticeResult:
    return NoticeResult(
        notice_id=notice.id,
        outcome=outcome,
        handled_at=None,
        next_attempt_at=next_attempt(
            setback, attempts=notice.attempts, received_at=notice.received_at, now=now
        ),
    )


def _log_late(org: OrgFacts, task: asyncio.Task[None]) -> None:
    """Log the failure of work that no caller waits for any more."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("processing.late_failed", org=org.code, error=repr(error))


def _is_transient(error: Exception) -> bool:
    """Decide whether a later retry can help: a lock, a deadlock, a timeout."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in TRANSIENT


def _is_retryable_at_once(error: Exception) -> bool:
    """Decide whether a retry now can help: the other side of a deadlock is gone."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in RETRYABLE_AT_ONCE


def _name(error: Exception) -> str:
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or type(error).__name__)
