"""Feeds: an organisation's new events, read once for all its open screens.

The `events` table is the truth and a NOTIFY only a hint: by it a feed gets events, or woken to
read them (broadcaster.py). A feed also looks every few seconds by itself, so that a lost hint
delays a screen and loses nothing. Ids rise with the database's time (core.shared_clock), but a
lower one can commit later: every look reaches back a little and drops what it has already sent.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import takewhile
from typing import Final
from uuid import UUID

import structlog

from core.db import Database
from core.ids import first_id_at, instant_of
from core.shared_clock import read_shared_clock
from core.tenancy import open_org_transaction
from payments.outbox.views import READ_MAX, Interest, list_event_ids, list_events
from payments.outbox.wake_ups import EventFacts

log = structlog.get_logger()

# A wake-up looks back this far (a lock is waited for no longer), the slow look further.
WAKE_OVERLAP: Final = timedelta(seconds=3)
LOOK_OVERLAP: Final = timedelta(seconds=30)
LOOK_EVERY_S: Final = 5.0
# A page is drawn a moment before its stream opens: what happened in between is sent.
OPENING_OVERLAP: Final = timedelta(seconds=3)
# A burst of wake-ups is one look: at least this long between two, or 4 × what the last one took.
PAUSE_MIN_S: Final = 0.02
PAUSE_TIMES: Final = 4
PAUSE_MAX_S: Final = 0.1  # well below what a vendor notices
SEEN_MAX: Final = 20_000  # ids that one feed remembers
PIECE: Final = 100  # events of a look that are sent at once
PIECE_TURNS: Final = 50  # of the event loop, for screens to take them; who does not may be slow
QUEUE_MAX: Final = 256  # a screen that is further behind is cut off and replays


@dataclass(eq=False, slots=True)
class Subscriber:
    """One open stream and what waits to be sent on it."""

    interest: Interest
    feed: "Feed"
    queue: asyncio.Queue[EventFacts | None] = field(
        default_factory=lambda: asyncio.Queue(maxsize=QUEUE_MAX + 1)
    )
    is_cut_off: bool = False

    def offer(self, event: EventFacts) -> None:
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


class Feed:
    """Reads one organisation's new events and hands them to its open screens."""

    def __init__(self, org_id: UUID, database: Database, reading: asyncio.Semaphore) -> None:
        self.org_id = org_id
        self.subscribers: set[Subscriber] = set()
        self.woken = asyncio.Event()
        self.is_ready = asyncio.Event()  # it knows what had happened before it began
        self._database = database
        self._reading = reading
        self._seen: OrderedDict[UUID, None] = OrderedDict()
        now = read_shared_clock()
        # When the last looks that found an answer began: any look, and one that went far back.
        self._looked_at = now
        self._looked_far_at = now
        # What was there before this feed began belongs to replays. By its ids, since one that is as
        # old may be committed later.
        self._began = first_id_at(now - OPENING_OVERLAP)
        self._before: set[UUID] = set()

    @property
    def read_to(self) -> UUID:
        """The id up to which everything has been sent to subscribers."""
        return first_id_at(self._looked_far_at - LOOK_OVERLAP)

    async def run(self) -> None:
        """Look when woken, and every few seconds in any case."""
        loop = asyncio.get_running_loop()
        while not self.is_ready.is_set():
            try:
                await self._look_before()
                self.is_ready.set()
            except Exception as error:  # the database is away
                log.warning("live.not_read", org=str(self.org_id), error=type(error).__name__)
                await asyncio.sleep(1)
        far_look_due_at = loop.time() + LOOK_EVERY_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, far_look_due_at - loop.time())):
                    await self.woken.wait()
            self.woken.clear()
            started = loop.time()
            is_far = started >= far_look_due_at  # also where wake-ups never pause
            try:
                await self._look(is_far=is_far)
                far_look_due_at = started + LOOK_EVERY_S if is_far else far_look_due_at
            except Exception as error:  # the database is away: look again, screens keep waiting
                log.warning("live.not_read", org=str(self.org_id), error=type(error).__name__)
                await asyncio.sleep(1)
            pause_s = PAUSE_TIMES * (loop.time() - started)
            await asyncio.sleep(min(max(PAUSE_MIN_S, pause_s), PAUSE_MAX_S))

    async def _look_before(self) -> None:
        """Find what is there already and a look reaches back to; it is news to no screen any more.

        Screens that open later have other interests: all of it is meant.
        """
        since = self._looked_far_at - LOOK_OVERLAP
        async with self._reading, open_org_transaction(self._database, self.org_id) as session:
            self._before = await list_event_ids(
                session, self.org_id, since=since, before=self._began
            )

    async def _look(self, *, is_far: bool) -> None:
        interests = list({subscriber.interest for subscriber in self.subscribers})
        if not interests:
            return
        began_at = read_shared_clock()
        # Back from the last look that was answered: while none was, wake-ups went on coming.
        since = self._looked_far_at - LOOK_OVERLAP if is_far else self._looked_at - WAKE_OVERLAP
        floor = first_id_at(since)
        # What was sent is left out: a look reaches back over much of it.
        seen = list(takewhile(lambda event_id: event_id > floor, reversed(self._seen)))
        while True:
            async with self._reading, open_org_transaction(self._database, self.org_id) as session:
                events = await list_events(session, self.org_id, interests, since=since, seen=seen)
            await self._send_in_pieces([e for e in events if e.id not in self._before])
            if len(events) < READ_MAX:
                break
            since = instant_of(events[-1].id)
        self._looked_at = began_at
        if is_far:
            self._looked_far_at = began_at

    async def _send_in_pieces(self, events: Sequence[EventFacts]) -> None:
        """Send what a look found, and let screens take it meanwhile: a burst is not their fault."""
        for start in range(0, len(events), PIECE):
            self.send(events[start : start + PIECE])
            for _ in range(PIECE_TURNS):
                if all(one.queue.empty() or one.is_cut_off for one in self.subscribers):
                    break
                await asyncio.sleep(0)

    def send(self, events: Iterable[EventFacts]) -> None:
        """Hand events to the screens that want them, unless they were sent before."""
        for event in events:
            self._hand_out(event)

    def _hand_out(self, event: EventFacts) -> None:
        if event.id in self._seen:
            return
        listening = [one for one in self.subscribers if one.interest.covers(event)]
        if not listening:  # a screen that opens in a moment may want it yet
            return
        self._seen[event.id] = None
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
        for subscriber in listening:
            subscriber.offer(event)
