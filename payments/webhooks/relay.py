"""The relay: events that are committed become deliveries, one for each endpoint that wants them.

Events are written where they happen, with nothing added for webhooks. Ids rise with time, but a
lower id may be committed after a higher one, and however late: a transaction may take its time. So
the relay looks again from each endpoint's floor, and raises the floor only up to where nothing can
come any more. That is known by transaction numbers: a mark keeps the time and the number that was
next; once every transaction below that number has ended, all events of before the mark are there.

An id may still be too low: a clock was set back, the database's or, until it was measured again, a
hub's. So every few minutes the relay looks again from an hour below each floor.
"""

from collections import deque
from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from core.db import Database
from core.ids import first_id_at, instant_of
from payments.webhooks import queries_sending as queries
from payments.webhooks.rules import list_kinds
from payments.webhooks.types import RelayTarget

log = structlog.get_logger()

EVENTS_MAX: Final = 2_000  # of one endpoint in one round
ROWS_MAX: Final = 20_000  # that one statement writes, well within a statement's time
TARGETS_A_TIME: Final = 200  # a hundred rows each at least
MARKS_MAX: Final = 600
# An id is made a moment before its transaction has a number, by a clock that is measured.
MARGIN: Final = timedelta(seconds=10)
# Most events are committed within a moment: between two looks from the floors the relay reads only
# these last ones, so that a round costs little however often it is woken.
FULL_EVERY: Final = timedelta(seconds=2)
NEAR: Final = timedelta(seconds=1)
# For ids that are too low. What has its delivery is passed over, so looking twice makes none twice.
AGAIN_EVERY: Final = timedelta(minutes=3)
AGAIN_FROM: Final = timedelta(hours=1)
AGAIN_A_TIME: Final = 4  # endpoints


@dataclass(kw_only=True, slots=True)
class _Known:
    """Since when this process knows an endpoint with these choices.

    What happened before then is not the endpoint's, or was relayed before.
    """

    events: tuple[str, ...]
    since: datetime
    again_at: datetime | None = None


class Relay:
    """Makes deliveries of events; any number may run, one is at work at a time.

    Args:
        database: of the worker's role, which sees the events of all organisations.
        margin: how long before its transaction's number an event's id may have been made.
        full_every: how often it looks from the floors; zero: each time.
        again_every: how often it looks from an hour below them.
        rows_max: how many deliveries one statement makes; half as many after one that failed.
    """

    def __init__(
        self,
        database: Database,
        *,
        margin: timedelta = MARGIN,
        full_every: timedelta = FULL_EVERY,
        again_every: timedelta = AGAIN_EVERY,
        rows_max: int = ROWS_MAX,
    ) -> None:
        self._database = database
        self._margin = margin
        self._full_every = full_every
        self._again_every = again_every
        self._rows_max = self._rows_now = rows_max
        self._full_at: datetime | None = None  # None: there was more than one look could take
        self._known: dict[tuple[UUID, UUID], _Known] = {}
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
        self._note_targets([one for one, _ in targets], at)
        is_full = self._is_over(self._full_at, self._full_every, at)
        if is_full:
            self._full_at = at
            again = self._choose_again(at)
            targets = [(self._lower(one, at, again), kinds) for one, kinds in targets]
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

    @staticmethod
    def _is_over(last: datetime | None, pause: timedelta, at: datetime) -> bool:
        return last is None or not timedelta(0) <= at - last < pause

    def _note_targets(self, targets: list[RelayTarget], at: datetime) -> None:
        known = self._known
        self._known = {}
        for one in targets:
            key = (one.org_id, one.endpoint_id)
            before = known.get(key)
            if before is None or before.events != one.events:
                before = _Known(events=one.events, since=min(instant_of(one.relayed_to), at))
            self._known[key] = before

    def _choose_again(self, at: datetime) -> set[tuple[UUID, UUID]]:
        """Choose the few endpoints that are looked at again now: an hour of each takes its time."""
        due = [
            (one.again_at or one.since, key)
            for key, one in self._known.items()
            if self._is_over(one.again_at, self._again_every, at)
        ]
        chosen = {key for _, key in sorted(due)[:AGAIN_A_TIME]}
        for key in chosen:
            self._known[key].again_at = at
        return chosen

    def _lower(
        self, one: RelayTarget, at: datetime, again: Container[tuple[UUID, UUID]]
    ) -> RelayTarget:
        """Return a target with the floor from which it is looked at now."""
        key, floor = (one.org_id, one.endpoint_id), instant_of(one.relayed_to)
        is_ahead = floor > at + MARGIN  # the database's clock was set back
        if key not in again and not is_ahead:
            return one
        lower = first_id_at(max(min(floor, at) - AGAIN_FROM, self._known[key].since))
        return replace(one, relayed_to=min(one.relayed_to, lower))

    async def _relay(self, targets: list[tuple[RelayTarget, list[str]]], *, is_full: bool) -> int:
        async with self._database.begin() as session:
            if not await queries.try_relay_lock(session):
                return 0
            # A statement of its own: it sees all that was committed when the marks were read.
            limit = min(EVENTS_MAX, max(self._rows_now // len(targets), 1))
            try:
                made = await queries.relay(session, targets, limit=limit)
            except Exception:  # it took too long, perhaps
                self._rows_now = max(self._rows_now // 2, 1)
                raise
            if any(count >= limit for count, _ in made.values()):
                self._full_at = None
            floors = [
                (one, floor)
                for one, _ in targets
                if is_full and (floor := self._find_floor(one, made, limit)) > one.relayed_to
            ]
            if floors:
                await queries.advance(session, floors)
        self._rows_now = min(self._rows_now * 2, self._rows_max)
        count = sum(one[0] for one in made.values())
        if count:
            log.info("webhooks.relayed", deliveries=count)
        return count

    def _find_floor(
        self, one: RelayTarget, made: dict[tuple[UUID, UUID], tuple[int, UUID]], limit: int
    ) -> UUID:
        """Return up to where this endpoint has all that will ever be."""
        if self._safe_to is None:
            return one.relayed_to
        safe = first_id_at(self._safe_to - self._margin)
        count, last = made.get((one.org_id, one.endpoint_id), (0, safe))
        return min(safe, last) if count >= limit else safe
