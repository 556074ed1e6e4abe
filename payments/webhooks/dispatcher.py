"""The dispatcher: a worker's relay and sender, and what wakes them.

Committed events wake the relay by the outbox's NOTIFY, which is a hint: it looks by itself every
second. New deliveries wake the sender of the same process; others find them at their next poll.
"""

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from core.database_connections import WatchedConnection, network_arguments
from core.db import Database, close_engine, open_database, open_engine
from core.sealing import Sealer
from core.settings import Settings
from core.shared_clock import read_shared_clock
from payments.outbox.wake_ups import CHANNEL
from payments.webhooks.client import WebhookClient
from payments.webhooks.relay import Relay
from payments.webhooks.sender import WebhookSender

log = structlog.get_logger()

CONNECTIONS: Final = 3  # the relay's, the one that takes, the one that records
RELAY_EVERY_S: Final = 1.0
RELAY_RESTS_S: Final = 0.1  # so that a burst of commits is relayed together
FAILED_PAUSE_S: Final = 5.0
LISTEN_CHECK_S: Final = 5.0  # of silence; then it is checked whether it is still there,
LISTEN_ANSWER_S: Final = 3.0  # and has this long to say so


class WebhookDispatcher:
    """Relays and sends, in one worker process."""

    def __init__(
        self,
        settings: Settings,
        app_database: Database,
        sealer: Sealer,
    ) -> None:
        self._settings = settings
        self._url = settings.worker_database_url.get_secret_value()
        self._engine = open_engine(self._url, settings, pool_size=CONNECTIONS)
        database = open_database(self._engine)
        self._client = WebhookClient(settings.webhook_origins)
        self._relay = Relay(database)
        self._sender = WebhookSender(
            database, app_database, self._client, sealer, read_clock=read_shared_clock
        )
        self._is_woken = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay and send until `stop` is set; finish what is under way."""
        listening = asyncio.create_task(self._listen(), name="webhooks-listen")
        stopping = asyncio.create_task(self._wake_at(stop), name="webhooks-stop")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sender.run(stop))
                group.create_task(self._keep_relaying(stop))
        finally:
            listening.cancel()
            stopping.cancel()
            await asyncio.gather(listening, stopping, return_exceptions=True)
            self._client.close()
            await close_engine(self._engine)

    async def _keep_relaying(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._is_woken.clear()
            pause_s = RELAY_EVERY_S
            try:
                if await self._relay.run_once():
                    self._sender.wake()
                    pause_s = RELAY_RESTS_S  # there may be more
            except Exception as error:
                log.error("webhooks.not_relayed", error=repr(error))
                await _wait(stop, FAILED_PAUSE_S)
            await _wait(self._is_woken, pause_s)
            await _wait(stop, RELAY_RESTS_S)

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._is_woken.set()

    async def _listen(self) -> None:
        url = self._url.replace("postgresql+psycopg://", "postgresql://", 1)
        while True:
            try:
                connection = await WatchedConnection.connect_watched(
                    url,
                    autocommit=True,
                    application_name="phopay-webhooks",
                    answer_within_s=LISTEN_ANSWER_S,
                    **network_arguments(self._settings),
                )
                async with connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    while True:
                        async for _ in connection.notifies(timeout=LISTEN_CHECK_S):
                            self._is_woken.set()
                        await connection.execute("SELECT 1")  # a dead connection is silent
            except (
                Exception
            ) as error:  # whatever it was: without it, deliveries come a second later
                log.warning("webhooks.listen_lost", error=repr(error))
            await asyncio.sleep(FAILED_PAUSE_S)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
