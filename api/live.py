"""Live screens: events of the database to open pages, by server-sent events.

The `events` table is the truth and a NOTIFY only a wake-up: one LISTEN connection per process wakes
one feed per organisation that has open screens, and a feed also looks every few seconds by itself,
so that a lost wake-up delays a screen and loses nothing. Ids rise with time but a lower one can
commit later: every look reaches back a little and drops what it has already told.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import takewhile
from typing import Final
from uuid import UUID

import psycopg
import structlog
from fastapi import Request
from starlette.responses import StreamingResponse

from api.auth.callers import Caller, Directory
from api.live_events import (
    READ_MAX,
    Interest,
    LiveEvent,
    first_id_at,
    instant_of,
    read_events,
)
from api.networks import network_of
from api.shutdown import closing_on_signals
from core import clock
from core.db import Sessions, open_org_transaction
from core.errors import TooManyRequests

log = structlog.get_logger()

CHANNEL: Final = "phopay_events"
# A wake-up looks back this far (a lock is waited for no longer), the slow look further.
WAKE_OVERLAP: Final = timedelta(seconds=3)
LOOK_OVERLAP: Final = timedelta(seconds=30)
LOOK_EVERY_S: Final = 5.0
# A page is drawn a moment before its stream opens: what happened in between is told.
OPENING_OVERLAP: Final = timedelta(seconds=3)
# After a reconnect; pages drop the ids that they have seen (DESIGN: one payment, step 5).
REPLAY_OVERLAP: Final = timedelta(seconds=60)
REPLAY_MAX: Final = 500
# A burst of wake-ups is one look: at least this long between two, or 4 × what the last one took.
PAUSE_MIN_S: Final = 0.02
READS_AT_ONCE: Final = 4  # of the pool's connections
SEEN_MAX: Final = 20_000  # ids that one feed remembers
QUEUE_MAX: Final = 256  # a screen that is further behind is cut off and replays
HEARTBEAT_S: Final = 15.0
RECHECK_S: Final = 30.0
RETRY_MS: Final = 2_000
LISTEN_RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
STREAMS_PER_CALLER: Final = 12  # a person's tabs and devices
# Pay pages: a mobile network puts thousands of phones behind one address.
STREAMS_PER_ADDRESS: Final = 2_000


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
            await asyncio.sleep(max(PAUSE_MIN_S, 4 * (loop.time() - started)))

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


class Broadcaster:
    """One process's live screens: one LISTEN connection, one feed per organisation watched."""

    def __init__(self, listen_url: str, sessions: Sessions, *, streams_max: int) -> None:
        self._listen_url = listen_url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._sessions = sessions
        self._streams_max = streams_max
        self._reading = asyncio.Semaphore(READS_AT_ONCE)
        self._feeds: dict[UUID, tuple[_Feed, asyncio.Task[None]]] = {}
        self._streams: Counter[str] = Counter()  # open streams by caller
        self.is_closing = False
        self.is_listening = asyncio.Event()

    @property
    def sessions(self) -> Sessions:
        """The sessions that replays read with."""
        return self._sessions

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
            async for notice in connection.notifies(timeout=HEARTBEAT_S):
                self._wake(notice.payload)
            await connection.execute("SELECT 1")  # a dead connection is silent: ask it

    def _wake(self, payload: str) -> None:
        with suppress(ValueError):
            if found := self._feeds.get(UUID(payload)):
                found[0].woken.set()

    def _wake_all(self) -> None:
        for feed, _ in self._feeds.values():
            feed.woken.set()


Shape = Callable[[LiveEvent], str | None]


async def stream_events(
    request: Request,
    *,
    org_id: UUID,
    payee_id: UUID | None = None,
    account_id: UUID | None = None,
    bill_id: UUID | None = None,
    last_event_id: str | None = None,
    shape: Shape | None = None,
) -> StreamingResponse:
    """Answer with a stream of an organisation's events, as a page's EventSource reads them.

    Args:
        request: its `state.caller`, if any, is checked again every 30 s and the stream then ends.
        payee_id, account_id, bill_id: see Interest; none means the whole organisation.
        last_event_id: of the Last-Event-ID header; what came since then (and 60 s before) is sent
            again. None, or an unreadable one, is a fresh page: the last 3 s are sent.
        shape: makes an event's data (JSON in one line), or None to leave it out. Public pages use
            it to say less than the row holds.

    Raises:
        TooManyRequests: too many streams are open.
    """
    broadcaster: Broadcaster = request.app.state.broadcaster
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is not None:
        leave = broadcaster.take_place(f"{caller.kind}:{caller.id}", STREAMS_PER_CALLER)
    else:
        places = min(STREAMS_PER_ADDRESS, broadcaster.places_per_address)
        leave = broadcaster.take_place(f"ip:{network_of(request)}", places)
    stream = _Stream(
        broadcaster=broadcaster,
        directory=request.app.state.directory,
        caller=caller,
        org_id=org_id,
        interest=Interest(payee_id=payee_id, account_id=account_id, bill_id=bill_id),
        after=_read_event_id(last_event_id or request.headers.get("last-event-id")),
        shape=shape or (lambda event: event.data),
    )
    return _LeavingResponse(
        stream.write(),
        leave=leave,
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


class _LeavingResponse(StreamingResponse):
    """A stream that gives its place back however it ends, also if it never began."""

    def __init__(
        self,
        content: AsyncIterator[str],
        *,
        leave: Callable[[], None],
        media_type: str,
        headers: dict[str, str],
    ) -> None:
        super().__init__(content, media_type=media_type, headers=headers)
        self._leave = leave

    async def __call__(self, scope, receive, send):  # type: ignore[no-untyped-def]
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


@dataclass(frozen=True, kw_only=True)
class _Stream:
    broadcaster: Broadcaster
    directory: Directory
    caller: Caller | None
    org_id: UUID
    interest: Interest
    after: UUID | None
    shape: Shape

    async def write(self) -> AsyncIterator[str]:
        """Write the stream: replay first, then what happens, with a heartbeat in silence."""
        loop = asyncio.get_running_loop()
        with self.broadcaster.subscribed(self.org_id, self.interest) as subscriber:
            yield f"retry: {RETRY_MS}\n: hello\n\n"
            told: set[UUID] = set()
            async for text_ in self._replay(told):
                yield text_
            check_at = loop.time() + RECHECK_S
            while True:
                try:
                    event = await asyncio.wait_for(subscriber.queue.get(), HEARTBEAT_S)
                except TimeoutError:
                    yield ": still here\n\n"
                else:
                    if event is None:
                        return
                    if event.id not in told:
                        yield self._write_one(event)
                if loop.time() >= check_at:
                    told.clear()  # a replay's echo has long passed
                    if not await self._is_still_allowed():
                        yield "event: signed-out\ndata: {}\n\n"
                        return
                    check_at = loop.time() + RECHECK_S

    async def _replay(self, told: set[UUID]) -> AsyncIterator[str]:
        if self.after is None:
            since = clock.read_clock() - OPENING_OVERLAP
        else:
            since = instant_of(self.after) - REPLAY_OVERLAP
        async with open_org_transaction(self.broadcaster.sessions, self.org_id) as session:
            events = await read_events(
                session, self.org_id, [self.interest], since=since, limit=REPLAY_MAX + 1
            )
        if len(events) > REPLAY_MAX:  # hours away: the page had better load itself again
            yield "event: reload\ndata: {}\n\n"
            return
        for event in events:
            told.add(event.id)
            if written := self._write_one(event):
                yield written

    def _write_one(self, event: LiveEvent) -> str:
        data = self.shape(event)
        if data is None:
            return ""
        return f"id: {event.id}\nevent: {event.kind}\ndata: {data}\n\n"

    async def _is_still_allowed(self) -> bool:
        if self.caller is None:
            return True
        try:
            return await self.directory.is_still_open(self.caller, now=clock.read_clock())
        except Exception as error:  # the database is away: ask again in 30 s
            log.warning("live.not_checked", error=type(error).__name__)
            return True


def _read_event_id(value: str | None) -> UUID | None:
    try:
        return UUID(value) if value else None
    except ValueError:
        return None
