"""Closing a day of an organisation's books: sums and hash first, then the lock for an instant.

A closed day is never opened again. Nobody who posts waits behind a close: it finds a gap, or gives
way (docs/adr/0015).
"""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.clock import hanoi_day
from core.database_connections import patient
from core.db import Database
from core.tenancy import open_org_transaction
from payments.ledger import queries_days as queries
from payments.ledger.errors import BooksBusy, DayAhead, DayClosed, DayNotNext, EarlierReleasePosts
from payments.ledger.hashing import PLAIN_VERSION, POSTING_FIELDS, VERSION, DayHash
from payments.ledger.rules import subject_of_day
from payments.ledger.types import (
    Checkpoint,
    ClosedDay,
    DayCount,
    DayParts,
    DayRead,
    ReadParts,
)

TRIES_MAX: Final = 400  # for the lock, within two seconds or a little more
PAUSE_S: Final = 0.005
ROUNDS_MAX: Final = 3  # of reading; in the last one a small day is read under the lock
READ_UNDER_LOCK_MAX: Final = 2_000  # postings, while all payments wait
# Whoever runs a release without books takes no lock; so long after its last posting it is stopped.
QUIET_FOR: Final = timedelta(hours=6)

_POSTED_AT: Final = POSTING_FIELDS.index("posted_at")

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """All of a day that its close writes, as one instant showed it."""

    previous: ClosedDay | None
    before: DayCount
    count: DayCount
    checkpoints: list[Checkpoint]
    hash: DayHash
    parts: DayParts | None


class _NotHeld(Exception):
    """Somebody shares the lock; the transaction is over."""


async def close_day(
    database: Database,
    org_id: UUID,
    day: date,
    *,
    actor: Actor,
    now: datetime,
    read_parts: ReadParts | None = None,
) -> ClosedDay:
    """Close a day, in transactions of its own; the first close takes in all that lies before it.

    Args:
        database: of the hub's role.
        day: the one after the last closed day, and not after today by our clock and the database's.
        read_parts: what else belongs to the day (payments/closing); the hash covers it. It raises
            where the day is not ready. None: a day of the ledger alone.

    Raises:
        BooksNotFound, DayClosed, DayNotNext, DayAhead
        EarlierReleasePosts: a first close, while a hub without books may still run.
        BooksBusy: somebody posted at any instant of two seconds, or the day grew in each round and
            is too large to be read while payments wait; try again.
    """
    for rounds_left in reversed(range(ROUNDS_MAX)):
        async with open_org_transaction(database, org_id) as session:
            await queries.read_snapshot(session)
            await queries.allow_time(session)
            today = min(hanoi_day(now), await queries.read_today(session))
            if day > today:
                raise DayAhead(today)
            check_order(await queries.read_closed_through(session, org_id), day)
            with patient(queries.ANSWER_WITHIN_S):
                reading = await _read(session, org_id, day, read_parts, now=now)
        closed = await _close_as_read(
            database,
            org_id,
            day,
            reading,
            read_parts,
            is_last=not rounds_left,
            actor=actor,
            now=now,
        )
        if closed is not None:
            log.info(
                "ledger_day.closed",
                org=str(org_id),
                day=day.isoformat(),
                postings=closed.postings,
                hash=closed.hash.hex(),
            )
            return closed
    raise AssertionError("the last round closes or raises")


def check_order(closed_through: date | None, day: date) -> None:
    """Refuse a day that is closed, or that another one comes before.

    Raises:
        DayClosed, DayNotNext
    """
    if closed_through is None:
        return
    if day <= closed_through:
        raise DayClosed(day)
    if day != (next_day := closed_through + timedelta(days=1)):
        raise DayNotNext(next_day)


def check_quiet(last_posted_at: datetime | None, now: datetime) -> None:
    """Refuse a first close while a hub may run that posts without a day.

    Args:
        last_posted_at: of what is before the books.

    Raises:
        EarlierReleasePosts
    """
    if last_posted_at is not None and now < (until := last_posted_at + QUIET_FOR):
        raise EarlierReleasePosts(last_posted_at, until=until)


async def _close_as_read(
    database: Database,
    org_id: UUID,
    day: date,
    reading: _Reading,
    read_parts: ReadParts | None,
    *,
    is_last: bool,
    actor: Actor,
    now: datetime,
) -> ClosedDay | None:
    """Write a day under the lock; None: what was read is not all of it any more.

    Postings are only ever added, so that as many are the same.
    """
    postings = reading.count.postings
    for _ in range(TRIES_MAX):
        with _unless_held():
            async with open_org_transaction(database, org_id) as session:
                is_held, closed_through = await queries.lock_books(session, org_id)
                if not is_held:
                    raise _NotHeld
                check_order(closed_through, day)
                async with queries.while_payments_wait(session):
                    found = await queries.count_day(
                        session,
                        org_id,
                        day,
                        after=closed_through,
                        most=max(postings, READ_UNDER_LOCK_MAX) + 1,
                    )
                    # The day before may be closed by now, as the first one.
                    if (found, closed_through) != (postings, _day_of(reading)) or not (
                        reading.parts is None or await reading.parts.still_holds(session)
                    ):
                        if not is_last:
                            return None
                        if found + reading.before.postings > READ_UNDER_LOCK_MAX:
                            raise BooksBusy
                        reading = await _read(session, org_id, day, read_parts, now=now)
                    return await _write(session, org_id, day, reading, actor=actor, now=now)
        await asyncio.sleep(PAUSE_S)
    raise BooksBusy


async def _read(
    session: AsyncSession,
    org_id: UUID,
    day: date,
    read_parts: ReadParts | None,
    *,
    now: datetime,
) -> _Reading:
    previous = await queries.find_day(session, org_id, day - timedelta(days=1))
    after = None if previous is None else previous.day
    before = DayCount(0, None)
    if previous is None:
        before = await queries.count_before_books(session, org_id)
        check_quiet(before.last_posted_at, now)
    day_hash = DayHash(
        org_id,
        day,
        previous_day=after,
        previous_hash=None if previous is None else previous.hash,
        postings_before=before.postings,
        version=PLAIN_VERSION if read_parts is None else VERSION,
    )
    count = DayCount(0, None)
    async with aclosing(queries.stream_postings(session, org_id, day, after=after)) as parts:
        async for rows in parts:
            day_hash.add_postings(rows)
            count = count.add(len(rows), max(row[_POSTED_AT] for row in rows))
    checkpoints = await queries.sum_day(session, org_id, day, after=after)
    read = DayRead(org_id=org_id, day=day, previous_day=after, checkpoints=checkpoints)
    return _Reading(
        previous=previous,
        before=before,
        count=count,
        checkpoints=checkpoints,
        hash=day_hash,
        parts=None if read_parts is None else await read_parts(session, read),
    )


async def _write(
    session: AsyncSession,
    org_id: UUID,
    day: date,
    reading: _Reading,
    *,
    actor: Actor,
    now: datetime,
) -> ClosedDay:
    previous = reading.previous
    instants = [now, reading.count.last_posted_at, reading.before.last_posted_at]
    if previous is not None:
        instants.append(previous.closed_at)
    # Clocks differ: whatever was posted up to this instant is in this day or before it.
    closed_at = max(instant for instant in instants if instant is not None)
    closed = ClosedDay(
        day=day,
        previous_day=_day_of(reading),
        closed_at=closed_at,
        closed_by=actor.id,
        postings=reading.count.postings,
        postings_before=reading.before.postings,
        hash=reading.hash.finish(
            reading.checkpoints,
            sections=() if reading.parts is None else reading.parts.sections,
            closed_at=closed_at,
            closed_by=actor.id,
        ),
        previous_hash=None if previous is None else previous.hash,
        hash_version=PLAIN_VERSION if reading.parts is None else VERSION,
    )
    await queries.insert_day(session, org_id, closed)
    if reading.checkpoints:
        await queries.insert_checkpoints(session, org_id, day, reading.checkpoints)
    if reading.parts is not None:
        await reading.parts.write(session, closed)
    await queries.move_books(session, org_id, day)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="ledger_day.closed",
        object_kind="ledger_day",
        object_id=subject_of_day(day),
        after={"day": day.isoformat(), "hash": closed.hash.hex()},
        now=now,
    )
    return closed


def _day_of(reading: _Reading) -> date | None:
    return None if reading.previous is None else reading.previous.day


@contextmanager
def _unless_held() -> Iterator[None]:
    try:
        yield
    except _NotHeld:
        return
