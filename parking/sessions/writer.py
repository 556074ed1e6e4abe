"""Writing of entries: one flush carries whatever waits, of whichever organisations.

One of these lives in each process. A lone vehicle is written alone and at once.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from core.batching import MicroBatcher
from core.db import Database
from core.errors import Busy
from core.settings import WRITE_TIMEOUT_S
from parking.sessions.answers import make_answer
from parking.sessions.queries import enter_vehicles
from parking.sessions.rules import EntryAnswer, EntryRequest

ENTRIES_A_COMMIT_MAX: Final = 500
WAITING_MAX: Final = 5_000
# Flushes at once; the entries of a lot always take the same one, so that they do not wait for
# one another's locks.
SHARDS: Final = 1
TRIES_MAX: Final = 3  # of an entry alone: its credential was taken while it was decided
# The role runs these statements and no other. Each lookup has an index; sizes that the planner
# remembers from when the tables were small must not change its mind.
PLANNING: Final = (
    "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off"
    " -c enable_mergejoin=off -c jit=off"
)

Key = tuple[Any, ...]


class EntryWriter:
    """Writes entries; commits before it answers."""

    def __init__(
        self,
        database: Database,
        *,
        read_clock: Callable[[], datetime],
        timeout_s: float = WRITE_TIMEOUT_S,
        wake: Callable[[UUID], None] = lambda org_id: None,
    ) -> None:
        """Make the process's own.

        Args:
            wake: called for each organisation for which something was committed.
        """
        self._database = database
        self._wake = wake
        self._read_clock = read_clock
        self._under_way: dict[Key, asyncio.Future[None]] = {}
        self._count = 0
        self._requests: MicroBatcher[int, EntryRequest, EntryAnswer] = MicroBatcher(
            self._write,
            items_max=ENTRIES_A_COMMIT_MAX,
            waiting_max=WAITING_MAX,
            flushes_max=SHARDS,
            timeout_s=timeout_s,
        )

    async def enter(self, request: EntryRequest) -> EntryAnswer:
        """Let one vehicle in, or say why not; committed when this returns.

        Raises:
            LotOrClassNotFound
            Busy: too many wait, or the database is away; nothing was done.
        """
        if self._count >= WAITING_MAX:
            raise Busy("Too many vehicles wait to be written. Try again in a second.")
        self._count += 1
        try:
            return await self._enter_in_turn(request)
        finally:
            self._count -= 1

    async def drain(self) -> None:
        """Wait until what was accepted is written (at shutdown)."""
        await self._requests.drain()

    async def _enter_in_turn(self, request: EntryRequest) -> EntryAnswer:
        """Write it once nothing that it has to agree with is on its way in this process.

        Within one flush no two may share an id or a credential; what other processes write is
        settled by the lock and by the unique keys.
        """
        keys = tuple(request.list_keys())
        while earlier := [self._under_way[key] for key in keys if key in self._under_way]:
            await asyncio.wait(earlier)
        done = asyncio.get_running_loop().create_future()
        self._under_way.update(dict.fromkeys(keys, done))
        try:
            return await self._requests.submit(request, key=hash(request.lot_id) % SHARDS)
        finally:
            for key in keys:
                self._under_way.pop(key, None)
            done.set_result(None)

    async def _write(
        self, _shard: int, requests: Sequence[EntryRequest]
    ) -> list[EntryAnswer | Exception]:
        tries = TRIES_MAX if len(requests) == 1 else 1
        for left in reversed(range(tries)):
            try:
                async with self._database.begin() as session:
                    rows = await enter_vehicles(session, requests, now=self._read_clock())
                break
            except IntegrityError:
                if not left:
                    raise
        for org_id in {request.org_id for request in requests}:
            self._wake(org_id)
        return [make_answer(request, row) for request, row in zip(requests, rows, strict=True)]
