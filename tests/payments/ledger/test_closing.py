"""Races of a close: with who posts, and with another close. Real connections, real locks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.tenancy import open_org_transaction
from payments.ledger import closing
from payments.ledger.errors import BooksBusy, DayClosed
from payments.ledger.service import post as post_in
from payments.ledger.types import ClosedDay
from payments.ledger.verifying import verify_books
from tests.payments.ledger.books import DAY, ONE_DAY, a_posting, close, days_of, post
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.stalls import PayableStall
from tests.world.waits import DEADLINE_S, wait_until_blocked

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LATER = NOON + ONE_DAY
WRITERS = 4


@asynccontextmanager
async def held_back(fresh_database: FreshDatabase) -> AsyncIterator[None]:
    """Keep whoever closes a day from writing it, once they have the lock of the books."""
    async with await psycopg.AsyncConnection.connect(fresh_database.owner_url) as owner:
        await owner.execute("LOCK TABLE ledger_days IN EXCLUSIVE MODE")
        yield


def before_the_lock(monkeypatch: pytest.MonkeyPatch, do: Callable[[], Awaitable[None]]) -> None:
    """Have something done in each round, after the day was read."""
    close_as_read = closing._close_as_read

    async def do_first(*args: object, **facts: object) -> ClosedDay | None:
        await do()
        return await close_as_read(*args, **facts)  # type: ignore[arg-type]

    monkeypatch.setattr(closing, "_close_as_read", do_first)


async def test_a_posting_during_a_close_falls_in_the_next_day(
    app_database: Database,
    worker_database: Database,
    fresh_database: FreshDatabase,
    stall: PayableStall,
) -> None:
    await post(app_database, stall, a_posting(stall, 1))
    async with held_back(fresh_database):
        closed = asyncio.create_task(close(app_database, stall))
        await wait_until_blocked(app_database)
        posted = asyncio.create_task(post(app_database, stall, a_posting(stall, 2), now=LATER))
        await wait_until_blocked(app_database, 2)
    await posted

    assert (await closed).postings == 1
    assert await days_of(app_database, stall) == [(DAY, 1), (DAY + ONE_DAY, 2)]
    assert (await verify_books(worker_database, stall.org.id)).fault is None


async def test_a_close_counts_what_is_posted_and_not_committed_yet(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_refused = asyncio.Event()
    lock = closing.queries.lock_books

    async def lock_noted(session: AsyncSession, org_id: UUID) -> tuple[bool, date | None]:
        is_held, closed_through = await lock(session, org_id)
        if not is_held:
            is_refused.set()
        return is_held, closed_through

    monkeypatch.setattr(closing.queries, "lock_books", lock_noted)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await post_in(session, stall.org.id, [a_posting(stall)], now=NOON)
        closed = asyncio.create_task(close(app_database, stall))
        async with asyncio.timeout(DEADLINE_S):
            await is_refused.wait()

    assert (await closed).postings == 1
    assert (await verify_books(worker_database, stall.org.id)).fault is None


async def test_a_close_that_finds_no_gap_gives_way(
    app_database: Database, stall: PayableStall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "TRIES_MAX", 3)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await post_in(session, stall.org.id, [a_posting(stall)], now=NOON)
        with pytest.raises(BooksBusy):
            await close(app_database, stall)
        await post(app_database, stall, a_posting(stall, 7))  # nobody waits behind it

    assert await days_of(app_database, stall) == [(DAY, 20_000), (DAY, 7)]
    assert (await close(app_database, stall)).postings == 2


async def test_what_is_posted_between_reading_and_the_lock_is_read_again(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each round finds one more posting; the last one is read under the lock."""
    rounds = 0

    async def post_one() -> None:
        nonlocal rounds
        rounds += 1
        await post(app_database, stall, a_posting(stall, rounds))

    before_the_lock(monkeypatch, post_one)

    closed = await close(app_database, stall)

    assert closed.postings == rounds == closing.ROUNDS_MAX
    assert (await verify_books(worker_database, stall.org.id)).fault is None


async def test_a_large_day_is_never_read_while_payments_wait(
    app_database: Database, stall: PayableStall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "READ_UNDER_LOCK_MAX", closing.ROUNDS_MAX)
    await post(app_database, stall, a_posting(stall))

    async def post_one() -> None:
        await post(app_database, stall, a_posting(stall))

    with monkeypatch.context() as busy:
        before_the_lock(busy, post_one)
        with pytest.raises(BooksBusy):
            await close(app_database, stall)

    assert (await close(app_database, stall)).postings == 1 + closing.ROUNDS_MAX


async def test_a_large_day_that_nothing_came_to_is_closed(
    app_database: Database, stall: PayableStall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "READ_UNDER_LOCK_MAX", 1)
    await post(app_database, stall, *(a_posting(stall) for _ in range(5)))

    assert (await close(app_database, stall)).postings == 5


@pytest.mark.parametrize("table", ["postings", "ledger_checkpoints"])
async def test_a_close_that_cannot_count_and_write_at_once_gives_way(
    app_database: Database,
    fresh_database: FreshDatabase,
    stall: PayableStall,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
) -> None:
    """Whatever keeps it from reading or writing while it holds up payments."""
    monkeypatch.setattr(closing.queries, "LOCKED_TIMEOUT_MS", 100)
    await post(app_database, stall, a_posting(stall))
    async with await psycopg.AsyncConnection.connect(fresh_database.owner_url) as owner:

        async def hold_table() -> None:
            await owner.execute(f"LOCK TABLE {table}")

        with monkeypatch.context() as held:
            before_the_lock(held, hold_table)
            with pytest.raises(BooksBusy, match="in a second"):
                await close(app_database, stall)

    assert (await close(app_database, stall)).postings == 1


async def test_the_day_before_may_be_closed_first_while_a_day_is_read(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Either of them would have been the first day of the books."""
    await post(app_database, stall, a_posting(stall, at=NOON - ONE_DAY), a_posting(stall))
    first: ClosedDay | None = None

    async def close_the_day_before() -> None:
        nonlocal first
        close_first.undo()
        first = await close(app_database, stall, DAY - ONE_DAY, now=NOON)

    with monkeypatch.context() as close_first:
        before_the_lock(close_first, close_the_day_before)
        second = await close(app_database, stall)

    assert first is not None
    assert (second.previous_day, second.previous_hash) == (first.day, first.hash)
    assert (first.postings, second.postings) == (1, 1)
    assert (await verify_books(worker_database, stall.org.id)).fault is None


async def test_of_two_closes_at_once_one_closes_the_day(
    app_database: Database, owner_database: Database, fresh_database: FreshDatabase,
    worker_database: Database, stall: PayableStall,
) -> None:  # fmt: skip
    await post(app_database, stall, a_posting(stall))
    async with held_back(fresh_database):
        both = [asyncio.create_task(close(app_database, stall)) for _ in range(2)]
        await wait_until_blocked(app_database)
    ended = await asyncio.gather(*both, return_exceptions=True)

    assert sorted(type(one).__name__ for one in ended) == ["ClosedDay", "DayClosed"]
    assert any(isinstance(one, DayClosed) for one in ended)
    verified = await verify_books(worker_database, stall.org.id)
    assert (verified.days, verified.fault) == (1, None)


async def test_closes_beside_writers_count_each_posting_once_and_hold_nobody_up(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    is_over = False
    written = 0

    async def write(number: int) -> None:
        nonlocal written
        while not is_over:
            await post(app_database, stall, a_posting(stall, 1 + number), now=NOON + 9 * ONE_DAY)
            written += 1
            await asyncio.sleep(0.002)

    writers = [asyncio.create_task(write(number)) for number in range(WRITERS)]
    closed = []
    for days in range(5):
        before = written
        while written < before + WRITERS:  # noqa: ASYNC110 (there is something in each day)
            await asyncio.sleep(0.002)
        closed.append(await close(app_database, stall, DAY + days * ONE_DAY))
    is_over = True
    await asyncio.gather(*writers)  # a writer that had waited too long would have failed

    verified = await verify_books(worker_database, stall.org.id)
    assert (verified.days, verified.fault) == (5, None)
    assert all(one.postings for one in closed)
    days = [day for day, _ in await days_of(app_database, stall)]
    assert len(days) == written
    assert [days.count(one.day) for one in closed] == [one.postings for one in closed]


async def test_nobody_but_the_ledgers_statement_moves_the_books_across_organisations(
    app_database: Database, stall: PayableStall
) -> None:
    other = text("UPDATE ledger_books SET closed_through = NULL WHERE org_id <> :org")
    async with open_org_transaction(app_database, stall.org.id) as session:
        assert (await session.execute(other, {"org": stall.org.id})).rowcount == 0
