"""The applier of movements of one process: a phone's queue is applied at once after it was stored.

The hub wakes it with each batch that left something waiting. What a dead process left, and what
failed, the worker applies when it comes by (jobs.py): a device's rows are locked, so whoever is
second waits, and finds them applied.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from core.db import Database
from parking.exits.applier import APPLIED_AT_ONCE_MAX, BillOpened, apply_device

log = structlog.get_logger()

DEVICES_AT_ONCE_MAX: Final = 2  # a hundred phones may come back in a minute; payments go on

_Device = tuple[UUID, UUID]  # (organisation, device)


class MovementApplier:
    """Applies what waits of a device, each device by itself and in its own order."""

    def __init__(
        self,
        database: Database,
        *,
        read_clock: Callable[[], datetime],
        bill_opened: BillOpened | None = None,
    ) -> None:
        self._database = database
        self._read_clock = read_clock
        self._bill_opened = bill_opened
        self._turns = asyncio.Semaphore(DEVICES_AT_ONCE_MAX)
        self._running: dict[_Device, asyncio.Task[None]] = {}
        self._again: set[_Device] = set()
        self._is_closing = False

    def wake(self, org_id: UUID, device_id: UUID) -> None:
        """Apply what this device has waiting, soon. Cheap, and safe to call at any time."""
        device = (org_id, device_id)
        if self._is_closing:
            return
        if device in self._running:
            self._again.add(device)
            return
        self._running[device] = asyncio.create_task(self._run(device))

    async def close(self) -> None:
        """Finish what is being applied and start nothing new."""
        self._is_closing = True
        if self._running:
            await asyncio.wait(list(self._running.values()))

    async def _apply(self, device: _Device) -> None:
        applied = APPLIED_AT_ONCE_MAX
        while applied == APPLIED_AT_ONCE_MAX and not self._is_closing:
            applied = await apply_device(
                self._database, *device, now=self._read_clock(), bill_opened=self._bill_opened
            )

    async def _run(self, device: _Device) -> None:
        try:
            async with self._turns:
                self._again.discard(device)
                if not self._is_closing:
                    await self._apply(device)
        except Exception as error:  # the worker comes by
            log.error("movements.not_applied", device=str(device[1]), error=repr(error))
        finally:
            del self._running[device]
            if device in self._again:
                self._again.discard(device)
                self.wake(*device)
