"""Waiting at lanes: controllers for a command, attendants for its answer. One per process.

Who writes in this process wakes who waits in it; what another process wrote is found by one short
look for all lanes that are waited for. Nobody holds a transaction while they wait.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final
from uuid import UUID

import structlog

from core.db import Database
from core.errors import Busy
from core.tenancy import open_org_transaction
from identity.devices.errors import DeviceRevoked
from parking.lanes import queries, service
from parking.lanes.rules import WAITERS_A_LANE_MAX, WAITERS_MAX, LaneCommandFacts, LaneState

LOOKS_EVERY_S: Final = 0.25

log = structlog.get_logger()


class LaneWaiters:
    """Held requests of one process, bounded."""

    def __init__(self, database: Database, gate_database: Database) -> None:
        self._database = database
        self._gate_database = gate_database
        self._controllers: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)  # by lane
        self._attendants: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)  # by command
        self._devices: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)  # by phone
        self._ended: set[asyncio.Event] = set()  # whose device was revoked
        self._count = 0
        self._is_closing = False

    def wake_lane(self, access_id: UUID) -> None:
        """A command was committed: wake the controllers of its lane."""
        for event in self._controllers.get(access_id, ()):
            event.set()

    def wake_command(self, command_id: UUID) -> None:
        """An answer was committed: wake the attendants who wait for it."""
        for event in self._attendants.get(command_id, ()):
            event.set()

    def end_device(self, _org_id: UUID, device_id: UUID) -> None:
        """A device was revoked: what it waits for here is refused now."""
        for event in self._devices.get(device_id, ()):
            self._ended.add(event)
            event.set()

    async def fetch(
        self,
        org_id: UUID,
        lot_id: UUID,
        access_id: UUID,
        *,
        by: UUID,
        wait_s: float,
        is_gone: Callable[[], Awaitable[bool]],
    ) -> LaneCommandFacts | None:
        """Give a controller the next command of its lane; None: none came in time.

        Args:
            is_gone: whether the controller has hung up: a command that it gets then is lost.

        Raises:
            Busy: too many wait here already.
        """
        end = time.monotonic() + wait_s
        with self._held(self._controllers, access_id) as event:
            while True:
                event.clear()
                if await is_gone():
                    return None
                async with open_org_transaction(self._database, org_id) as session:
                    found = await service.fetch(session, org_id, lot_id, access_id, by=by)
                rest_s = end - time.monotonic()
                if found is not None or rest_s <= 0 or self._is_closing:
                    return found
                with suppress(TimeoutError):
                    async with asyncio.timeout(rest_s):
                        await event.wait()

    async def wait_for_answer(
        self, org_id: UUID, command_id: UUID, *, wait_s: float, device_id: UUID | None = None
    ) -> LaneCommandFacts:
        """Return a command once it is answered or over, or as it stands after the wait.

        Args:
            device_id: of the phone that asks; once it is revoked it is told nothing.

        Raises:
            Busy: too many wait here already.
            DeviceRevoked: while it waited.
        """
        end = time.monotonic() + wait_s
        with self._held(self._attendants, command_id) as event, self._of(device_id, event):
            while True:
                event.clear()
                if event in self._ended:
                    raise DeviceRevoked
                async with open_org_transaction(self._database, org_id) as session:
                    found = await queries.find_command(session, org_id, command_id)
                assert found is not None
                rest_s = end - time.monotonic()
                if found.state is not LaneState.WAITING or rest_s <= 0 or self._is_closing:
                    return found
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(rest_s, LOOKS_EVERY_S)):
                        await event.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look for commands of other processes until the end; then let everybody go."""
        task = asyncio.create_task(self._keep_looking(), name="lane-commands")
        try:
            yield
        finally:
            self.close()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def close(self) -> None:
        """Let everybody go who waits."""
        self._is_closing = True
        for events in (*self._controllers.values(), *self._attendants.values()):
            for event in events:
                event.set()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOKS_EVERY_S)
            if not self._controllers:
                continue
            try:
                async with self._gate_database.begin() as session:
                    waiting = await queries.list_waiting(session, self._controllers.keys())
            except Exception as error:  # a later look finds them, while they are in time
                log.warning("lane_commands.not_read", error=type(error).__name__)
                continue
            for _, access_id in waiting:
                self.wake_lane(access_id)

    @contextmanager
    def _of(self, device_id: UUID | None, event: asyncio.Event) -> Iterator[None]:
        """Let a held request end with its device."""
        if device_id is None:
            yield
            return
        self._devices[device_id].add(event)
        try:
            yield
        finally:
            self._ended.discard(event)
            self._devices[device_id].discard(event)
            if not self._devices[device_id]:
                del self._devices[device_id]

    @contextmanager
    def _held(
        self, waiting: defaultdict[UUID, set[asyncio.Event]], key: UUID
    ) -> Iterator[asyncio.Event]:
        """Count one held request in, and out however it ends."""
        if self._count >= WAITERS_MAX or len(waiting.get(key, ())) >= WAITERS_A_LANE_MAX:
            raise Busy("Too many wait for this lane already.")
        event = asyncio.Event()
        self._count += 1
        waiting[key].add(event)
        try:
            yield event
        finally:
            self._count -= 1
            waiting[key].discard(event)
            if not waiting[key]:
                del waiting[key]
