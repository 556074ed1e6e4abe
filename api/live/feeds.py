"""Feeds: new events of the database, read once per organisation for all its open screens.

The `events` table is the truth and a NOTIFY only a wake-up: one LISTEN connection per process wakes
one feed per organisation that has open screens, and a feed also looks every few seconds by itself,
so that a lost wake-up delays a screen and loses nothing. Ids rise with time but a lower one can
commit later: every look reaches back a little and drops what it has already told.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final
from uuid import UUID

import psycopg
import structlog

from api.live.events import (
    READ_MAX,
    Interest,
    LiveEvent,
    first_id_at,
    instant_of,
    read_events,
)
from api.shutdown import closing_on_signals
from core import clock
from core.db import Sessions, open_org_transaction
from core.errors import TooManyRequests
from core.gather import Gatherer

log = structlog.get_logger()

CHANNEL: Final = "phopay_events"
# A wake-up looks back this far (a lock is waited for no longer), the slow look further.
WAKE_OVERLAP: Final = timedelta(seconds=3)
LOOK_OVERLAP: Final = timedelta(seconds=30)
LOOK_EVERY_S: Final = 5.0
# A page is drawn a moment before its stream opens: what happened in between is told.
OPENING_OVERLAP: Final = timedelta(seconds=3)
REPLAY_MAX: Final = 500
REPLAYS_A_READ_MAX: Final = 50  # screens whose past is read by one query
# A burst of wake-ups is one look: at least this long between two, or 4 × what the last one took.
PAUSE_MIN_S: Final = 0.02
PAUSE_TIMES: Final = 4
PAUSE_MAX_S: Final = 0.1  # well below what a vendor notices
READS_AT_ONCE: Final = 4  # of the pool's connections
SEEN_MAX: Final = 20_000  # ids that one feed remembers
QUEUE_MAX: Final = 256  # a screen that is further behind is cut off and replays
LISTEN_CHECK_S: Final = 15.0
LISTEN_RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(eq=False, slots=True)
class Subscriber:
    """One open stream and what waits to be sent on it."""

    interest: Interest
    queue: asyncio.Queue[LiveEvent | None] = field(
        default_factory=lambda: asyncio.Queue(maxsize=QUEUE_MAX + 1)
    )
    is_cut_off: bool = False

    def offer(self, event: LiveEvent) -> None:
        """Queue an event; a reader that is too slow is cut off, reconnects and replays."""
        if self.is_cut_off:
            return
        if self.queue.qsize() >= QUEUE_MAX:
            self.end()
        else:
            self.queue.put_nowait(event)

    def end(self) -> None:
        """Let the stream end after what is queued; one place is always left for this."""
        if not self.is_cut_off:
            self.is_cut_off = True
            self.queue.put_nowait(None)


class _Feed:
    """Reads one organisation's new events and hands them to its open screens."""

    def __init__(self, org_id: UUID, sessions: Sessions, reading: asyncio.Semaphore) -> None:
        self.org_id = org_id
        self.subscribers: set[Subscriber] = set()
        self.woken = asyncio.Event()
        self._sessions = sessions
        self._reading = reading
        self._seen: OrderedDict[UUID, None] = OrderedDict()
        self._newest = clock.read_clock()
        # What happened before this feed began belongs to replays.
        self._began = first_id_at(self._newest - OPENING_OVERLAP)

    async def run(self) -> None:
        """Look when woken, and every few seconds without."""
        loop = asyncio.get_running_loop()
        while True:
            is_wake = True
            try:
                await asyncio.wait_for(self.woken.wait(), LOOK_EVERY_S)
            except TimeoutError:
                is_wake = False
            self.woken.clear()
            started = loop.time()
            try:
                await self._look(WAKE_OVERLAP if is_wake else LOOK_OVERLAP)
            except Exception as error:  # the database is away: look again, screens keep waiting
                log.warning("live.not_read", org=str(self.org_id), error=type(error).__name__)
                await asyncio.sleep(1)
            pause_s = PAUSE_TIMES * (loop.time() - started)
            await asyncio.sleep(min(max(PAUSE_MIN_S, pause_s), PAUSE_MAX_S))

    async def _look(self, overlap: timedelta) -> None:
        interests = list({subscriber.interest for subscriber in self.subscribers})
        if not interests:
            return
        since = self._newest - overlap
        floor = first_id_at(since)
        # What was told is asked for no more: a look reaches back over much of it.
        seen = list(takewhile(lambda event_id: event_id > floor, reversed(self._seen)))
        while True:
            async with self._reading, open_org_transaction(self._sessions, self.org_id) as session:
                events = await read_events(session, self.org_id, interests, since=since, seen=seen)
            for event in events:
                self._tell(event)
            if len(events) < READ_MAX:
                break
            since = instant_of(events[-1].id)
        # A look that found nothing still moves on, or a quiet day would be read again and again.
        self._newest = max(self._newest, clock.read_clock() - LOOK_OVERLAP)

    def _tell(self, event: LiveEvent) -> None:
        if event.id in self._seen or event.id < self._began:
            return
        self._seen[event.id] = None
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
        self._newest = max(self._newest, min(instant_of(event.id), clock.read_clock()))
        for subscriber in self.subscribers:
            if subscriber.interest.covers(event):
                subscriber.offer(event)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Past:
    """What one screen wants to hear of what happened before it listened."""

    interest: Interest
    since: datetime

    def pick(self, events: Sequence[LiveEvent]) -> list[LiveEvent]:
        """Pick what is this screen's out of what was read for several."""
        floor = first_id_at(self.since)
        wanted = [e for e in events if e.id > floor and self.interest.covers(e)]
        return wanted[: REPLAY_MAX + 1]


class Broadcaster:
    """One process's live screens: one LISTEN connection, one feed per organisation watched."""

    def __init__(self, listen_url: str, sessions: Sessions, *, streams_max: int) -> None:
        self._listen_url = listen_url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._sessions = sessions
        self._streams_max = streams_max
        self._reading = asyncio.Semaphore(READS_AT_ONCE)
        self._feeds: dict[UUID, tuple[_Feed, asyncio.Task[None]]] = {}
        self._streams: Counter[str] = Counter()  # open streams by caller
        self._replays: Gatherer[UUID, _Past, list[LiveEvent]] = Gatherer(
            self._read_pasts,
            items_max=REPLAYS_A_READ_MAX,
            waiting_max=streams_max,
            flushes_max=READS_AT_ONCE,
        )
        self.is_closing = False
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
        """Hear an organisation's events from now on."""
        if org_id not in self._feeds:
            feed = _Feed(org_id, self._sessions, self._reading)
            task = asyncio.create_task(feed.run(), name=f"live-{org_id}")
            self._feeds[org_id] = feed, task
        feed, task = self._feeds[org_id]
        subscriber = Subscriber(interest)
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

    async def replay(self, org_id: UUID, interest: Interest, *, since: datetime) -> list[LiveEvent]:
        """Read what a screen missed, oldest first, at most REPLAY_MAX + 1 events.

        After a restart all screens of a market ask at once: they share their reads.

        Raises:
            Busy: the database is away.
        """
        return await self._replays.submit(_Past(interest=interest, since=since), key=org_id)

    async def _read_pasts(self, org_id: UUID, pasts: Sequence[_Past]) -> list[list[LiveEvent]]:
        async with open_org_transaction(self._sessions, org_id) as session:
            if len(pasts) > 1:
                interests = list({past.interest for past in pasts})
                since = min(past.since for past in pasts)
                events = await read_events(session, org_id, interests, since=since, limit=READ_MAX)
                if len(events) < READ_MAX:
                    return [past.pick(events) for past in pasts]
            return [
                await read_events(
                    session, org_id, [past.interest], since=past.since, limit=REPLAY_MAX + 1
                )
                for past in pasts
            ]

    def take_place(self, caller: str, places: int) -> Callable[[], None]:
        """Count a stream against the limits; call the answer when it ends.

        Raises:
            TooManyRequests: the caller, or the process, has too many open.
        """
        if self._streams[caller] >= places or self._streams.total() >= self._streams_max:
            raise TooManyRequests("Too many live screens are open; close one.", retry_after_s=30)
        self._streams[caller] += 1

        def leave() -> None:
            self._streams[caller] -= 1
            if self._streams[caller] <= 0:
                del self._streams[caller]

        return leave

    async def _listen(self) -> None:
        """Keep one LISTEN connection; feeds look by themselves while it is away."""
        failures = 0
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self._listen_url,
                    autocommit=True,
                    application_name="phopay-live",
                    connect_timeout=5,
                    keepalives_idle=10,
                    keepalives_interval=5,
                    keepalives_count=3,
                )
                async with connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    failures = 0
                    self.is_listening.set()
                    self._wake_all()  # what came while nobody listened
                    await self._hear(connection)
            except (psycopg.Error, OSError) as error:
                log.warning("live.listen_lost", error=type(error).__name__)
            self.is_listening.clear()
            await asyncio.sleep(LISTEN_RETRY_S[min(failures, len(LISTEN_RETRY_S) - 1)])
            failures += 1

    async def _hear(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            async for notice in connection.notifies(timeout=LISTEN_CHECK_S):
                self._wake(notice.payload)
            await connection.execute("SELECT 1")  # a dead connection is silent: ask it

    def _wake(self, payload: str) -> None:
        with suppress(ValueError):
            if found := self._feeds.get(UUID(payload)):
                found[0].woken.set()

    def _wake_all(self) -> None:
        for feed, _ in self._feeds.values():
            feed.woken.set()
