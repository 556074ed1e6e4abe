"""Heartbeat of a hub process: it says every few seconds that it receives.

There is one beat for all hubs of an installation. Whoever beats after a silence of all of them
stores the outage: under the beat's lock, so that one alone does, and on the database's clock alone.
A hub receives when it can store what comes, so a database that is away is a silence, too.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from core.db import Database, is_database_away
from core.ids import new_id
from payments.outages import queries
from payments.outages.rules import BEAT_EVERY_S, Silence, find_silence

log = structlog.get_logger()

STOPPED_WITHIN_S: Final = 2.0  # a database that is away does not hold up a shutdown


class Heartbeat:
    """Beats for one hub process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._was_database_away = False

    async def beat(self) -> Silence | None:
        """Say that this hub receives; return the silence of all hubs that this ends, if any.

        Raises:
            SQLAlchemyError: it could not be written.
        """
        try:
            async with self._database.begin() as session:
                beat_at, stopped_at = await queries.lock_beat(session)
                silence = find_silence(
                    beat_at,
                    stopped_at,
                    now=await queries.write_beat(session),
                    was_database_away=self._was_database_away,
                )
                if silence is not None:
                    await queries.insert_outage(session, new_id(), silence)
        except Exception as error:
            self._was_database_away = self._was_database_away or is_database_away(error)
            raise
        self._was_database_away = False
        if silence is not None:
            log.warning(
                "outage.ended",
                reason=silence.reason.value,
                from_at=silence.from_at.isoformat(),
                seconds=round((silence.until_at - silence.from_at).total_seconds()),
            )
        return silence

    async def stop(self) -> None:
        """Say that this hub stops in order; another one's next beat takes it back."""
        async with self._database.begin() as session:
            await queries.write_stop(session)


@asynccontextmanager
async def beating(database: Database) -> AsyncIterator[None]:
    """Beat while a hub runs, and say goodbye at its end; a beat that fails is logged."""
    heartbeat = Heartbeat(database)

    async def keep_beating() -> None:
        while True:  # at once, and beside the start: it waits for no database
            await _try(heartbeat)
            await asyncio.sleep(BEAT_EVERY_S)

    task = asyncio.create_task(keep_beating(), name="heartbeat")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        try:
            async with asyncio.timeout(STOPPED_WITHIN_S):
                await heartbeat.stop()
        except Exception as error:  # the next hub finds the last beat instead
            log.warning("heartbeat.not_stopped", error=type(error).__name__)


async def _try(heartbeat: Heartbeat) -> None:
    try:
        await heartbeat.beat()
    except Exception as error:
        log.warning("heartbeat.not_written", error=type(error).__name__)
