"""The waker: wake-ups for events that were written without one, a few a second whatever happens.

A city's gates commit by the hundred a second, and NOTIFY takes one lock at every commit. So what
they write wakes nobody by itself: one transaction of its own, four times a second at most, wakes
the screens of all organisations for which something was written since the last one.
"""

import asyncio
from typing import Final
from uuid import UUID

import structlog

from core.db import Database
from payments.outbox.queries import send_wake_ups

log = structlog.get_logger()

EVERY_S: Final = 0.25
ORGS_A_TIME_MAX: Final = 200
ORGS_MAX: Final = 10_000  # that wait; others look by themselves, every few seconds


class Waker:
    """One process's late wake-ups. A hint: what is lost delays a screen, and loses nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[UUID, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_closing = False

    def wake(self, org_id: UUID) -> None:
        """Wake an organisation's screens soon; what they look for is committed. Cheap."""
        if self._is_closing or len(self._waiting) >= ORGS_MAX:
            return
        self._waiting[org_id] = None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="late-wake-ups")

    async def close(self) -> None:
        """Send what waits and start nothing new."""
        self._is_closing = True
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._waiting:
            orgs = list(self._waiting)[:ORGS_A_TIME_MAX]
            for org_id in orgs:
                del self._waiting[org_id]
            try:
                async with self._database.begin() as session:
                    await send_wake_ups(session, orgs)
            except Exception as error:  # screens look by themselves
                log.warning("wake_ups.not_sent", error=type(error).__name__)
            if not self._is_closing:
                await asyncio.sleep(EVERY_S)
