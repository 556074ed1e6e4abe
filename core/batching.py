"""Gathering: many callers wait, one statement writes for all of them, one commit carries them.

A flush starts as soon as the previous one for the same key ends, so nobody waits for a timer:
alone, a caller is written alone; under load, the commits are shared.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, Generic, TypeVar

import structlog

from core.database_connections import answered_within
from core.db import has_timed_out, is_database_away, is_server_silent
from core.errors import Busy, HubError
from core.settings import WRITE_TIMEOUT_S

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Answer = TypeVar("Answer")

log = structlog.get_logger()

WAITS_MAX: Final = 3  # items of one failed flush that may each wait for a lock or a timeout


class MicroBatcher(Generic[Key, Item, Answer]):
    """Collects items per key (the tenant) and writes each key's waiting items in one flush.

    Args:
        flush: writes the items of one key in one transaction and commits it; answers one answer or
            one exception per item, in order. When it raises, each item is tried again alone,
            so that one bad item cannot fail its batch; unless the database is away or full, which
            nobody's item causes: then everyone gets Busy at once. When the server said nothing
            at all, so is everyone who waits for another flush, of whatever key.
        items_max: most items in one flush.
        waiting_max: most items waiting or being written; above it `submit` answers Busy.
        flushes_max: most flushes at once, of different keys.
        timeout_s: what the database has for one flush; then its connection is thrown away.
    """

    def __init__(
        self,
        flush: Callable[[Key, Sequence[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        items_max: int,
        waiting_max: int,
        flushes_max: int,
        timeout_s: float = WRITE_TIMEOUT_S,
    ) -> None:
        self._flush = flush
        self._items_max = items_max
        self._waiting_max = waiting_max
        self._flushes_max = flushes_max
        self._timeout_s = timeout_s
        self._waiting: dict[Key, deque[tuple[Item, asyncio.Future[Answer]]]] = {}
        self._waiting_count = 0
        self._idle_keys: deque[Key] = deque()  # keys with waiting items and no flush under way
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, item: Item, *, key: Key) -> Answer:
        """Wait until the item is committed and return its answer.

        Raises:
            Busy: too many items wait; nothing was done.
            Exception: whatever the flush answered for this item.
        """
        if self._waiting_count >= self._waiting_max:
            raise Busy("Too many requests wait to be written. Try again in a second.")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if key in self._waiting:
            self._waiting[key].append((item, future))
        else:
            self._waiting[key] = deque([(item, future)])
            self._idle_keys.append(key)
        self._waiting_count += 1
        self._start_flushes()
        return await future

    async def drain(self) -> None:
        """Wait until everything that was submitted is answered (at shutdown)."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _start_flushes(self) -> None:
        while self._idle_keys and len(self._tasks) < self._flushes_max:
            task = asyncio.create_task(self._run(self._idle_keys.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._start_flushes()

    async def _run(self, key: Key) -> None:
        waiting = self._waiting[key]
        batch = [waiting.popleft() for _ in range(min(len(waiting), self._items_max))]
        try:
            if batch:  # else everyone was refused meanwhile
                await self._answer(key, batch)
        finally:
            self._waiting_count -= len(batch)
            if self._waiting[key]:
                self._idle_keys.append(key)
            else:
                del self._waiting[key]

    async def _answer(self, key: Key, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            with answered_within(self._timeout_s):
                answers = await self._flush(key, [item for item, _ in batch])
            assert len(answers) == len(batch)
        except Exception as error:
            if is_database_away(error) or isinstance(error, Busy):
                log.warning("batch.refused", items=len(batch), error=type(error).__name__)
                answers = [_busy(error)] * len(batch)
                if is_server_silent(error):
                    self._refuse_waiting(error)
            elif len(batch) == 1:
                answers = [error]
            else:
                if not isinstance(error, HubError):
                    log.warning("batch.flush_failed", items=len(batch), error=repr(error))
                await self._answer_singly(key, batch)
                return
        for (_, future), answer in zip(batch, answers, strict=True):
            _resolve(future, answer)

    def _refuse_waiting(self, error: Exception) -> None:
        """Notify everyone who waits, instead of letting each find out for themselves."""
        for waiting in self._waiting.values():
            self._waiting_count -= len(waiting)
            while waiting:
                _resolve(waiting.popleft()[1], _busy(error))

    async def _answer_singly(
        self, key: Key, batch: list[tuple[Item, asyncio.Future[Answer]]]
    ) -> None:
        waits = 0
        for i, single in enumerate(batch):
            await self._answer(key, [single])
            error = None if single[1].cancelled() else single[1].exception()
            waits += isinstance(error, Busy) or has_timed_out(error)
            if waits == WAITS_MAX:  # each waits for a timeout: the rest need not
                for _, future in batch[i + 1 :]:
                    _resolve(future, _busy(error))
                return


def _busy(cause: BaseException | None) -> Busy:
    busy = Busy("The database is busy or away. Try again in a second.")
    busy.__cause__ = cause
    return busy


def _resolve(future: asyncio.Future[Answer], answer: Answer | Exception) -> None:
    if future.done():  # the caller went away
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
