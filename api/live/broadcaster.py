"""The broadcaster: what the database reports, to the feeds and their screens, in one process.

One LISTEN connection receives every organisation; a wake-up carries its events, or says only that
there are some (payments.outbox.wake_ups).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

import psycopg
import structlog
from prometheus_client import Histogram

from api.http.shutdown import closing_on_signals
from api.live.feeds import Feed, Subscriber
from api.live.places import Places
from core.batching import MicroBatcher
from core.database_connections import WatchedConnection, network_arguments
from core.db import Database
from core.ids import first_id_at, instant_of
from core.metrics import METRICS
from core.settings import Settings
from core.shared_clock import READ_DATABASE_CLOCK, measure, read_shared_clock
from core.tenancy import open_org_transaction
from payments.bills import owners_rules
from payments.bills.queries_payments import CHANGES_CHANNEL
from payments.outbox.views import Interest, list_events
from payments.outbox.wake_ups import CHANNEL, EventFacts, read_wake_up

log = structlog.get_logger()

REPLAY_MAX: Final = 500
# Screens that were away for a moment, and so probably many, share a read of their past.
SHARED_AGE: Final = timedelta(minutes=3)  # more than two heartbeats and their overlaps
REPLAYS_A_READ_MAX: Final = 50
SHARED_READ_MAX: Final = 5_000
LONG_READS_AT_ONCE: Final = 2  # of who was away longer
READS_AT_ONCE: Final = 4  # of the pool's connections
LISTEN_CHECK_S: Final = 5.0  # of silence; then it is checked whether it is still there,
LISTEN_ANSWER_S: Final = 3.0  # and has this long to say so
LISTEN_RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)

EVENT_LAG: Final = Histogram(
    "phopay_event_lag_seconds",
    "Time from an event to the hub that hands it to screens",
    buckets=(0.01, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0),
    registry=METRICS,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Past:
    """What one screen wants to receive of what happened before it listened."""

    interest: Interest
    since: datetime

    def pick(self, events: Sequence[EventFacts]) -> list[EventFacts]:
        """Pick what is this screen's out of what was read for several."""
        floor = first_id_at(self.since)
        wanted = [e for e in events if e.id > floor and self.interest.covers(e)]
        return wanted[: REPLAY_MAX + 1]


class Broadcaster:
    """One process's live screens: one LISTEN connection, one feed per organisation watched."""

    def __init__(self, settings: Settings, database: Database) -> None:
        listen_url = settings.app_database_url.get_secret_value()
        self._listen_url = listen_url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._settings = settings
        self._database = database
        self._streams_max = streams_max = settings.streams_max
        self._reading = asyncio.Semaphore(READS_AT_ONCE)
        self._feeds: dict[UUID, tuple[Feed, asyncio.Task[None]]] = {}
        self.places = Places(streams_max)
        self._reading_long = asyncio.Semaphore(LONG_READS_AT_ONCE)
        self._replays: MicroBatcher[UUID, _Past, list[EventFacts]] = MicroBatcher(
            self._read_pasts,
            items_max=REPLAYS_A_READ_MAX,
            waiting_max=streams_max,
            flushes_max=READS_AT_ONCE,
            timeout_s=settings.database_write_timeout_s,
        )
        self.is_closing = False
        # Called with the organisation whose bills changed for their owners, and since when their
        # changes are due (api/services.py).
        self.on_bill_changes: Callable[[UUID, datetime | None], None] = lambda org_id, since: None
        self.is_listening = asyncio.Event()

    @property
    def places_per_address(self) -> int:
        """Half of the process's streams: pay pages of one address never push the counters out."""
        return (self._streams_max + 1) // 2

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen until the application stops; open streams end first."""
        listening = asyncio.create_task(self._listen(), name="live-listen")
        try:
            with closing_on_signals(self.close):
                yield
        finally:
            self.close()
            await self._replays.drain()
            tasks = [listening, *(task for _, task in self._feeds.values())]
            self._feeds.clear()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        """End every stream, now and from now on, so that the server can stop."""
        self.is_closing = True
        for feed, _ in self._feeds.values():
            for subscriber in feed.subscribers:
                subscriber.end()

    @contextmanager
    def subscribed(self, org_id: UUID, interest: Interest) -> Iterator[Subscriber]:
        """Subscribe to an organisation's events from now on."""
        if org_id not in self._feeds:
            feed = Feed(org_id, self._database, self._reading)
            task = asyncio.create_task(feed.run(), name=f"live-{org_id}")
            self._feeds[org_id] = feed, task
        feed, task = self._feeds[org_id]
        subscriber = Subscriber(interest, feed)
        feed.subscribers.add(subscriber)
        if self.is_closing:
            subscriber.end()
        try:
            yield subscriber
        finally:
            feed.subscribers.discard(subscriber)
            if not feed.subscribers and self._feeds.get(org_id) == (feed, task):
                del self._feeds[org_id]
                task.cancel()

    async def replay(
        self, org_id: UUID, interest: Interest, *, since: datetime
    ) -> list[EventFacts]:
        """Read what a screen missed, oldest first, at most REPLAY_MAX + 1 events.

        After a restart all screens of a market ask at once: they share their reads. Who was away
        for long reads alone, so that nobody waits for it.

        Raises:
            Busy, SQLAlchemyError: the database is away.
        """
        past = _Past(interest=interest, since=since)
        if read_shared_clock() - since <= SHARED_AGE:
            return await self._replays.submit(past, key=org_id)
        async with self._reading_long:
            if self.is_closing:
                return []
            return (await self._read_pasts(org_id, [past]))[0]

    async def _read_pasts(self, org_id: UUID, pasts: Sequence[_Past]) -> list[list[EventFacts]]:
        async with open_org_transaction(self._database, org_id) as session:
            if len(pasts) > 1:
                events = await list_events(
                    session,
                    org_id,
                    list({past.interest for past in pasts}),
                    since=min(past.since for past in pasts),
                    limit=SHARED_READ_MAX,
                )
                if len(events) < SHARED_READ_MAX:
                    return [past.pick(events) for past in pasts]
            return [
                await list_events(
                    session, org_id, [past.interest], since=past.since, limit=REPLAY_MAX + 1
                )
                for past in pasts
            ]

    async def _listen(self) -> None:
        """Keep one LISTEN connection; feeds look by themselves while it is away."""
        failures = 0
        while True:
            try:
                connection = await WatchedConnection.connect_watched(
                    self._listen_url,
                    autocommit=True,
                    application_name="phopay-live",
                    answer_within_s=LISTEN_ANSWER_S,
                    **network_arguments(self._settings),
                )
                async with connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    await connection.execute(f"LISTEN {CHANGES_CHANNEL}")
                    await _measure_clock(connection)
                    failures = 0
                    self.is_listening.set()
                    self._wake_all()  # what came while nobody listened
                    await self._receive(connection)
            except (psycopg.Error, OSError) as error:
                log.warning("live.listen_lost", error=type(error).__name__)
            self.is_listening.clear()
            await asyncio.sleep(LISTEN_RETRY_S[min(failures, len(LISTEN_RETRY_S) - 1)])
            failures += 1

    async def _receive(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            async for notice in connection.notifies(timeout=LISTEN_CHECK_S):
                try:
                    if notice.channel == CHANGES_CHANNEL:
                        self.on_bill_changes(*owners_rules.read_wake_up(notice.payload))
                    else:
                        self._wake(notice.payload)
                except Exception as error:  # one bad notice must not end the listening
                    log.warning("live.notice_not_read", error=type(error).__name__)
            await _measure_clock(connection)  # a dead connection is silent: ask it something

    def _wake(self, payload: str) -> None:
        org_id, events = read_wake_up(payload)
        if events:  # their ids are in the database's time, and so is the shared clock
            lag = read_shared_clock() - instant_of(events[-1].id)
            EVENT_LAG.observe(max(0.0, lag.total_seconds()))  # the clocks agree within milliseconds
        if found := self._feeds.get(org_id):
            if events:
                found[0].send(events)
            else:
                found[0].woken.set()

    def _wake_all(self) -> None:
        for feed, _ in self._feeds.values():
            feed.woken.set()


async def _measure_clock(connection: psycopg.AsyncConnection[Any]) -> None:
    async def ask() -> datetime:
        row = await (await connection.execute(READ_DATABASE_CLOCK)).fetchone()
        assert row is not None
        return cast(datetime, row[0])

    await measure(ask)
