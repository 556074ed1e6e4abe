"""The settler of one process: settles stored notices at once, and what a dead process left.

The hub wakes it after each acknowledgement; the worker's sweep wakes it for whatever is still
unhandled. Any number of settlers may run: notices are claimed with SKIP LOCKED.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from core.db import Sessions, open_org_transaction
from payments.callbacks import queries_breaks, queries_notices
from payments.callbacks.models import BreakKind
from payments.callbacks.records import NewBreak, NoticeOutcome
from payments.callbacks.settlement import WAIT_AT_MOST, settle_notices
from payments.payees.rules import OrgFacts

log = structlog.get_logger()

BATCH_MAX: Final = 500  # notices in one commit; larger ones gain little and hold locks longer
TRIES_MAX: Final = 3  # for locks and deadlocks; then one by one, and then the sweep comes by
STUCK_AFTER: Final = 5  # attempts, then a person is told
FAILED: Final = "failed"
BACK_OFF_START: Final = timedelta(seconds=5)
BACK_OFF_MAX: Final = timedelta(minutes=10)
BACK_OFF_OLD: Final = timedelta(days=1)  # it fails a whole batch with it: seldom, after three days
# While notices keep coming, the next batch of an organisation waits this many times as long as the
# last one took: the costs of a batch are shared by more notices. A lone notice never waits.
PAUSE_TIMES: Final = 2
PAUSE_MAX_S: Final = 0.1  # well below what a vendor notices
# SQLSTATE: serialization failure, deadlock, lock not available, query cancelled by a timeout.
PASSING: Final = frozenset({"40001", "40P01", "55P03", "57014"})


class Settler:
    """Settles each organisation's notices, one batch at a time per organisation."""

    def __init__(
        self, sessions: Sessions, *, read_clock: Callable[[], datetime], at_once_max: int = 4
    ) -> None:
        self._sessions = sessions
        self._read_clock = read_clock
        self._slots = asyncio.Semaphore(at_once_max)
        self._running: dict[UUID, asyncio.Task[None]] = {}
        self._again: set[UUID] = set()
        self._asked: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

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
        handled = 0
        while not self._closing.is_set():
            claimed, settled = await self._settle_batch(org)
            handled += settled
            if claimed < BATCH_MAX:
                break
        return handled

    async def _run(self, org: OrgFacts) -> None:
        try:
            async with self._slots:
                started = time.monotonic()
                await self.settle(org)
                took_s = time.monotonic() - started
            if org.id in self._again:
                with suppress(TimeoutError):
                    await asyncio.wait_for(
                        self._closing.wait(), min(PAUSE_MAX_S, PAUSE_TIMES * took_s)
                    )
        except Exception as error:
            log.error("settlement.failed", org=org.code, error=repr(error))
        finally:
            del self._running[org.id]
            if org.id in self._again:
                self._again.discard(org.id)
                self.wake(org)

    async def _settle_batch(self, org: OrgFacts) -> tuple[int, int]:
        """Settle one batch; return (claimed, handled). A poisonous notice fails alone."""
        claimed_ids: list[UUID] = []
        for attempt in range(1, TRIES_MAX + 1):
            try:
                async with open_org_transaction(self._sessions, org.id) as session:
                    now = self._read_clock()
                    claimed = await queries_notices.claim_notices(
                        session, org.id, limit=BATCH_MAX, now=now
                    )
                    claimed_ids = [notice.id for notice in claimed]
                    if not claimed:
                        return 0, 0
                    return len(claimed), await settle_notices(session, org, claimed, now=now)
            except SQLAlchemyError as error:
                if not _is_passing(error):
                    return await self._settle_singly(org, claimed_ids, error)
                log.warning("settlement.waits", org=org.code, attempt=attempt, error=_name(error))
                if attempt == TRIES_MAX and claimed_ids:
                    # One bill that somebody keeps locked must not hold up everybody else's.
                    return await self._settle_singly(org, claimed_ids, error)
                await asyncio.sleep(0.05 * attempt)
            except Exception as error:
                return await self._settle_singly(org, claimed_ids, error)
        return 0, 0

    async def _settle_singly(
        self, org: OrgFacts, notice_ids: list[UUID], cause: Exception
    ) -> tuple[int, int]:
        if not notice_ids:
            raise cause
        log.warning("settlement.singly", org=org.code, notices=len(notice_ids), error=repr(cause))
        handled = waits = 0
        for notice_id in notice_ids:
            try:
                async with open_org_transaction(self._sessions, org.id) as session:
                    now = self._read_clock()
                    claimed = await queries_notices.claim_notice(session, org.id, notice_id)
                    if claimed:
                        handled += await settle_notices(session, org, claimed, now=now)
            except Exception as error:
                if not _is_passing(error):
                    await self._put_off(org, notice_id, error)
                elif (waits := waits + 1) == TRIES_MAX:
                    break  # each waits for the lock timeout: the sweep comes by for the rest
        return len(notice_ids), handled

    async def _put_off(self, org: OrgFacts, notice_id: UUID, error: Exception) -> None:
        """Count the failure, come back later, and tell a person when it goes on."""
        log.error("notice.failed", org=org.code, notice=str(notice_id), error=repr(error))
        async with open_org_transaction(self._sessions, org.id) as session:
            now = self._read_clock()
            claimed = await queries_notices.claim_notice(session, org.id, notice_id)
            for notice in claimed:
                back_off = min(BACK_OFF_START * 2 ** min(notice.attempts, 10), BACK_OFF_MAX)
                wait = BACK_OFF_OLD if now - notice.received_at > WAIT_AT_MOST else back_off
                outcome = NoticeOutcome(
                    notice_id=notice_id,
                    outcome=FAILED,
                    handled_at=None,
                    next_attempt_at=now + wait,
                )
                await queries_notices.finish_notices(session, org.id, [outcome])
                # Once: a person may have closed it since.
                is_first = notice.attempts + 1 == STUCK_AFTER or notice.outcome != FAILED
                if is_first and notice.attempts + 1 >= STUCK_AFTER:
                    stuck = NewBreak(
                        kind=BreakKind.STUCK,
                        subject_id=notice_id,
                        detail=f"could not be settled: {type(error).__name__}",
                    )
                    await queries_breaks.insert_breaks_once(session, org.id, [stuck], now=now)


def _log_late(org: OrgFacts, task: asyncio.Task[None]) -> None:
    """Log what nobody waits for any more."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("settlement.late_failed", org=org.code, error=repr(error))


def _is_passing(error: Exception) -> bool:
    """Tell whether trying again can help: a lock, a deadlock, a timeout."""
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in PASSING


def _name(error: Exception) -> str:
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or type(error).__name__)
