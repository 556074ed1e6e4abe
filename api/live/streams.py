"""Streams of events to open pages, by server-sent events."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import StreamingResponse

from api.http.networks import network_of
from api.live.broadcaster import REPLAY_MAX, SHARED_AGE, Broadcaster
from api.live.feeds import OPENING_OVERLAP, Subscriber
from api.live.places import Place
from api.services import read_services
from core import clock
from core.errors import Busy
from core.ids import first_id_at, instant_of
from core.shared_clock import read_shared_clock
from identity.people.callers import Caller, Directory
from payments.outbox.rules import EventKind
from payments.outbox.views import Interest
from payments.outbox.wake_ups import EventFacts

log = structlog.get_logger()

# After a reconnect; pages drop the ids that they have seen (DESIGN: one payment, step 5).
REPLAY_OVERLAP: Final = timedelta(seconds=60)
# A longer past is a page to load again; a stranger's, who may name any, is soon.
REPLAY_AGE_MAX: Final = timedelta(hours=6)
HEARTBEAT_S: Final = 15.0
# Whether the caller may still listen. Each stream takes a time between half of this and all of it:
# the screens of a market, open since the same restart, do not all ask in the same moment.
RECHECK_S: Final = 30.0
CLOCKS_APART: Final = timedelta(minutes=1)  # a process's measure of the shared clock may be old
RETRY_MS: Final = 2_000
FEED_READY_S: Final = 10.0  # it reads the last seconds once; longer than a full pool lets it wait
STREAMS_PER_CALLER: Final = 12  # a person's tabs and devices
# Pay pages: a mobile network puts thousands of phones behind one address.
STREAMS_PER_ADDRESS: Final = 2_000

Shape = Callable[[EventFacts], str | None]
FindAccount = Callable[[], Awaitable[UUID | None]]


async def stream_events(
    request: Request,
    *,
    org_id: UUID,
    payee_id: UUID | None = None,
    bill_id: UUID | None = None,
    lot_id: UUID | None = None,
    last_event_id: str | None = None,
    shape: Shape | None = None,
    find_account: FindAccount | None = None,
    may_replace: bool = True,
) -> StreamingResponse:
    """Answer with a stream of an organisation's events, as a page's EventSource reads them.

    Args:
        request: its `state.caller`, if any, is checked again within 30 s and the stream then ends.
        payee_id, bill_id, lot_id: see Interest; none means the whole organisation.
        last_event_id: what a page's address says, beside the Last-Event-ID header; what came since
            the later of the two (and 60 s before) is sent again. None, or an unreadable one, is a
            fresh page: the last 3 s are sent.
        shape: makes an event's data (JSON in one line), or None to leave it out. Public pages use
            it to say less than the row holds.
        find_account: reads the `account_id` of the Interest: at the opening, when the payee's
            account changes, and within 30 s whatever happens. None: there is no such account.
        may_replace: where the caller has too many streams, its oldest one ends with the event
            `replaced`. Without it this one is refused, as are strangers always.

    Raises:
        TooManyRequests: too many streams are open.
    """
    services = read_services(request)
    broadcaster = services.broadcaster
    caller: Caller | None = getattr(request.state, "caller", None)
    account_id = None if find_account is None else await find_account()
    places = broadcaster.places
    if caller is not None:
        name = f"{caller.kind}:{caller.id}"
        place = places.take(name, STREAMS_PER_CALLER, may_replace=may_replace)
    else:  # nobody may push the neighbours of their network out
        many = min(STREAMS_PER_ADDRESS, broadcaster.places_per_address)
        place = places.take(f"ip:{network_of(request)}", many, may_replace=False)
    named = (last_event_id, request.headers.get("last-event-id"))
    stream = _Stream(
        broadcaster=broadcaster,
        directory=services.directory,
        caller=caller,
        org_id=org_id,
        interest=Interest(payee_id=payee_id, account_id=account_id, bill_id=bill_id, lot_id=lot_id),
        after=max(filter(None, map(_read_event_id, named)), default=None),
        shape=shape or (lambda event: event.data),
        find_account=find_account,
        place=place,
    )
    return _LeavingResponse(
        stream.write(),
        leave=lambda: places.leave(place),
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
    find_account: FindAccount | None
    place: Place

    async def write(self) -> AsyncIterator[str]:
        """Write the stream: replay first, then what happens, with a heartbeat in silence."""
        loop = asyncio.get_running_loop()
        with self.broadcaster.subscribed(self.org_id, self.interest) as subscriber:
            self._end_when_replaced(subscriber)
            # A line may die in its first moments: from the first word on a page knows whence to
            # go on. What a fresh page has not asked for lies before its opening.
            opened = first_id_at(read_shared_clock())
            last_id = opened if self.after is None else self.after
            id_line = f"id: {last_id}\n"
            yield f"retry: {RETRY_MS}\n: hello\n{id_line}event: hello\ndata: {_write_now()}\n\n"
            replayed: set[UUID] = set()
            try:
                # Else what is committed between the two would be in neither.
                async with asyncio.timeout(FEED_READY_S):
                    await subscriber.feed.is_ready.wait()
                async for text_ in self._replay(replayed):
                    yield text_
            except (Busy, SQLAlchemyError, TimeoutError) as error:  # the page asks again
                log.warning("live.not_replayed", error=type(error).__name__)
                return
            last_id = max(opened, last_id, *replayed)
            yield f"id: {last_id}\nevent: caught-up\ndata: {{}}\n\n"
            check_at = loop.time() + _recheck_after_s()
            tick_at = loop.time() + HEARTBEAT_S
            while True:
                try:
                    async with asyncio.timeout_at(tick_at):
                        event = await subscriber.queue.get()
                except TimeoutError:
                    # By the clock and not in silence only: a page that listens for other kinds
                    # takes a line without ticks for dead.
                    tick_at = loop.time() + HEARTBEAT_S
                    # Else a quiet page would ask for a longer past with every reconnect.
                    read_to = max(last_id, subscriber.feed.read_to)
                    yield _write_tick(read_to if read_to > last_id else None)
                    last_id = read_to
                else:
                    if event is None:
                        yield "event: replaced\ndata: {}\n\n" if self.place.is_replaced else ""
                        return
                    # Queued before the account changed, it may be another's by now.
                    if event.id not in replayed and subscriber.interest.covers(event):
                        last_id = max(last_id, event.id)
                        yield self._write_one(event)
                    if event.kind == EventKind.ACCOUNT_CHANGED:
                        await self._find_interest(subscriber)
                if loop.time() >= check_at:
                    replayed.clear()  # a replay's echo has long passed
                    if not await self._is_still_allowed():
                        yield "event: signed-out\ndata: {}\n\n"
                        return
                    await self._find_interest(subscriber)
                    check_at = loop.time() + _recheck_after_s()

    def _end_when_replaced(self, subscriber: Subscriber) -> None:
        self.place.on_replaced = subscriber.end
        if self.place.is_replaced:  # before it began
            subscriber.end()

    async def _find_interest(self, subscriber: Subscriber) -> None:
        """Read again whose money this stream reports: a stall may have lost its account since."""
        if self.find_account is None:
            return
        try:
            account_id = await self.find_account()
        except Exception as error:  # the database is away: read again in 30 s
            log.warning("live.interest_not_read", error=type(error).__name__)
            return
        subscriber.interest = replace(subscriber.interest, account_id=account_id)

    async def _replay(self, replayed: set[UUID]) -> AsyncIterator[str]:
        now = read_shared_clock()
        since = now - OPENING_OVERLAP
        if self.after is not None:
            since = instant_of(self.after) - REPLAY_OVERLAP
        events = []
        is_too_much = now - since > (REPLAY_AGE_MAX if self.caller else SHARED_AGE)
        if not is_too_much:
            events = await self.broadcaster.replay(self.org_id, self.interest, since=since)
            is_too_much = len(events) > REPLAY_MAX
        if is_too_much:
            yield "event: reload\ndata: {}\n\n"
            return
        for event in events:
            replayed.add(event.id)
            if written := self._write_one(event):
                yield written

    def _write_one(self, event: EventFacts) -> str:
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


def _write_tick(read_to: UUID | None) -> str:
    id_line = f"id: {read_to}\n" if read_to else ""
    return f"{id_line}event: tick\ndata: {_write_now()}\n\n"


def _write_now() -> str:
    """Write the hub's time for a page: a device's own clock may be minutes wrong."""
    return f'{{"now":"{read_shared_clock().isoformat()}"}}'


def _recheck_after_s() -> float:
    return RECHECK_S * (0.5 + 0.5 * random.random())  # noqa: S311 (spreads load, guards nothing)


def _read_event_id(value: str | None) -> UUID | None:
    try:
        event_id = UUID(value) if value else None
        is_past = (
            event_id is not None and instant_of(event_id) <= read_shared_clock() + CLOCKS_APART
        )
    except (ValueError, OverflowError):  # no UUID, or none that was made in our time
        return None
    return event_id if is_past else None
