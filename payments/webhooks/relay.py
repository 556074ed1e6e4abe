"""The relay: events that are committed become deliveries, one for each endpoint that wants them.

Events are written where they happen, with nothing added for webhooks. Ids rise with time, but a
lower id may be committed after a higher one, and however late: a transaction may take its time. So
the relay looks again from each endpoint's floor, and raises the floor only up to where nothing can
come any more. That is known by transaction numbers: a mark keeps the time and the number that was
next; once every transaction below that number has ended, all events of before the mark are there.
"""

from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from core.db import Database
from core.ids import first_id_at
from payments.webhooks import queries_sending as queries
from payments.webhooks.rules import list_kinds
from payments.webhooks.types import RelayTarget

log = structlog.get_logger()

EVENTS_MAX: Final = 2_000  # of one endpoint in one round
TARGETS_A_TIME: Final = 200
MARKS_MAX: Final = 600
# An id is made a moment before its transaction has a number, by a clock that is measured.
MARGIN: Final = timedelta(seconds=10)
# Most events are committed within a moment: between two looks from the floors the relay reads only
# these last ones, so that a round costs little however often it is woken.
FULL_EVERY: Final = timedelta(seconds=2)
NEAR: Final = timedelta(seconds=1)


class Relay:
    """Makes deliveries of events; any number may run, one is at work at a time.

    Args:
        database: of the worker's role, which sees the events of all organisations.
        margin: how long before its transaction's number an event's id may have been made.
        full_every: how often it looks from the floors; zero: each time.
    """

    def __init__(
        self, database: Database, *, margin: timedelta = MARGIN, full_every: timedelta = FULL_EVERY
    ) -> None:
        self._database = database
        self._margin = margin
        self._full_every = full_every
        self._full_at: datetime | None = None  # None: there was more than one look could take
        self._marks: deque[tuple[datetime, int]] = deque(maxlen=MARKS_MAX)
        self._safe_to: datetime | None = None

    async def run_once(self) -> int:
        """Make the deliveries that are missing, some of them; return how many."""
        async with self._database.begin() as session:
            at, oldest, following = await queries.read_snapshot(session)
            self._note(at, oldest, following)
            targets = [
                (one, kinds)
                for one in await queries.list_targets(session)
                if (kinds := list_kinds(one.events))
            ]
        is_full = self._full_at is None or at - self._full_at >= self._full_every
        if is_full:
            self._full_at = at
        else:
            near = first_id_at(at - NEAR)
            targets = [
                (replace(one, relayed_to=max(one.relayed_to, near)), kinds)
                for one, kinds in targets
            ]
        made = 0
        for start in range(0, len(targets), TARGETS_A_TIME):
            some = targets[start : start + TARGETS_A_TIME]
            made += await self._relay(some, is_full=is_full)
        return made

    def _note(self, at: datetime, oldest: int, following: int) -> None:
        """Add a mark, and take those whose transactions have all ended."""
        while self._marks and self._marks[0][1] <= oldest:
            self._safe_to = self._marks.popleft()[0]
        if len(self._marks) < MARKS_MAX:
            self._marks.append((at, following))

    async def _relay(self, targets: list[tuple[RelayTarget, list[str]]], *, is_full: bool) -> int:
        async with self._database.begin() as session:
            if not await queries.try_relay_lock(session):
                return 0
            # A statement of its own: it sees all that was committed when the marks were read.
            made = await queries.relay(session, targets, limit=EVENTS_MAX)
            if any(count >= EVENTS_MAX for count, _ in made.values()):
                self._full_at = None
            floors = [
                (one, floor)
                for one, _ in targets
                if is_full and (floor := self._find_floor(one, made)) > one.relayed_to
            ]
            if floors:
                await queries.advance(session, floors)
        count = sum(one[0] for one in made.values())
        if count:
            log.info("webhooks.relayed", deliveries=count)
        return count

    def _find_floor(
        self, one: RelayTarget, made: dict[tuple[UUID, UUID], tuple[int, UUID]]
    ) -> UUID:
        """Return up to where this endpoint has all that will ever be."""
        if self._safe_to is None:
            return one.relayed_to
        safe = first_id_at(self._safe_to - self._margin)
        count, last = made.get((one.org_id, one.endpoint_id), (0, safe))
        return min(safe, last) if count >= EVENTS_MAX else safe
