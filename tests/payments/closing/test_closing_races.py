"""Races of a close by account: with another close, with who posts, and with a change of proof."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.tenancy import open_org_transaction
from payments.closing import opening, over, queries_opening
from payments.closing.rules import Proof
from payments.closing.service import read_sections
from payments.invariants.closing import CLOSING_INVARIANTS
from payments.ledger import closing
from payments.ledger.errors import BooksBusy, DayClosed
from payments.ledger.types import ClosedDay
from payments.ledger.verifying import verify_books
from tests.payments.closing.days import (
    FRIDAY,
    LATER,
    SATURDAY,
    THURSDAY,
    a_credit,
    a_live_account,
    at,
    carried_at,
    close,
    go_live,
    own_and_explain,
    row_of,
)
from tests.payments.invariants import find_violations
from tests.payments.ledger.books import a_posting, days_of, post
from tests.world.constants import APPROVER, MANAGER, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.reads import list_breaks
from tests.world.stalls import PayableStall
from tests.world.waits import wait_until_blocked

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@asynccontextmanager
async def held_back(fresh_database: FreshDatabase) -> AsyncIterator[None]:
    """Keep whoever closes a day from writing it, once they have the lock of the books."""
    async with await psycopg.AsyncConnection.connect(fresh_database.owner_url) as owner:
        await owner.execute("LOCK TABLE ledger_days IN EXCLUSIVE MODE")
        yield


def before_the_lock(monkeypatch: pytest.MonkeyPatch, do: Callable[[], Awaitable[None]]) -> None:
    """Have something done once, after the day was read and before it is locked."""
    close_as_read, done = closing._close_as_read, False

    async def do_first(*args: object, **facts: object) -> ClosedDay | None:
        nonlocal done
        if not done:
            done = True
            await do()
        return await close_as_read(*args, **facts)  # type: ignore[arg-type]

    monkeypatch.setattr(closing, "_close_as_read", do_first)


async def test_two_people_who_close_at_once_close_the_day_once(
    app_database: Database,
    worker_database: Database,
    fresh_database: FreshDatabase,
    stall: PayableStall,
) -> None:
    await a_live_account(app_database, stall)
    await a_credit(app_database, stall, 20_000, when=at(FRIDAY))
    await own_and_explain(app_database, stall, [(FRIDAY, [])], opening_vnd=0)
    async with held_back(fresh_database):
        both = [
            asyncio.create_task(close(app_database, stall, FRIDAY, actor=who))
            for who in (MANAGER, APPROVER)
        ]
        await wait_until_blocked(app_database)
    ended = await asyncio.gather(*both, return_exceptions=True)

    assert sorted(type(one).__name__ for one in ended) == ["ClosedDay", "DayClosed"]
    assert any(isinstance(one, DayClosed) for one in ended)
    assert len(await carried_at(app_database, stall, FRIDAY)) == 1
    verified = await verify_books(worker_database, stall.org.id, read_sections=read_sections)
    assert (verified.days, verified.fault) == (2, None)


async def test_money_that_comes_during_a_close_is_carried_by_the_next_day_only(
    app_database: Database,
    worker_database: Database,
    fresh_database: FreshDatabase,
    stall: PayableStall,
) -> None:
    await a_live_account(app_database, stall)
    await own_and_explain(app_database, stall, [(FRIDAY, []), (SATURDAY, [])], opening_vnd=0)
    async with held_back(fresh_database):
        closed = asyncio.create_task(close(app_database, stall, FRIDAY))
        await wait_until_blocked(app_database)
        came = asyncio.create_task(a_credit(app_database, stall, 20_000, when=at(FRIDAY)))
        await wait_until_blocked(app_database, 2)
    await closed
    credit = await came
    await close(app_database, stall, SATURDAY)

    assert await carried_at(app_database, stall, FRIDAY) == {}
    assert await carried_at(app_database, stall, SATURDAY) == {credit: (20_000, SATURDAY)}
    verified = await verify_books(worker_database, stall.org.id, read_sections=read_sections)
    assert (verified.days, verified.fault) == (3, None)


async def test_money_that_comes_between_reading_and_the_lock_is_carried_by_the_day(
    app_database: Database,
    fresh_database: FreshDatabase,
    stall: PayableStall,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await a_live_account(app_database, stall)
    await own_and_explain(app_database, stall, [(FRIDAY, [])], opening_vnd=0)

    async def come() -> None:
        await a_credit(app_database, stall, 20_000, when=at(FRIDAY))

    before_the_lock(monkeypatch, come)
    await close(app_database, stall, FRIDAY)

    assert [vnd for vnd, _ in (await carried_at(app_database, stall, FRIDAY)).values()] == [20_000]
    assert find_violations(fresh_database.owner_url) == []


async def test_a_proof_that_changes_between_reading_and_the_lock_counts(
    app_database: Database, stall: PayableStall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No posting tells: the close must look again."""
    await a_live_account(app_database, stall)
    await own_and_explain(app_database, stall, [(FRIDAY, [])], opening_vnd=0)

    async def change_proof() -> None:
        async with open_org_transaction(app_database, stall.org.id) as session:
            await opening.set_proof(
                session, stall.org.id, stall.account_id,
                proof=Proof.CALLBACKS_ONLY, from_day=FRIDAY, actor=MANAGER, now=LATER,
            )  # fmt: skip

    before_the_lock(monkeypatch, change_proof)
    await close(app_database, stall, FRIDAY)

    assert (await row_of(app_database, stall, FRIDAY)).proof == "callbacks_only"


async def test_closes_beside_writers_carry_each_posting_once(
    app_database: Database,
    worker_database: Database,
    fresh_database: FreshDatabase,
    stall: PayableStall,
) -> None:
    await a_live_account(app_database, stall)
    await own_and_explain(app_database, stall, [(FRIDAY, []), (SATURDAY, [])], opening_vnd=0)
    is_over = False

    async def post_on() -> int:
        count = 0
        while not is_over:
            await post(app_database, stall, a_posting(stall, 1_000 + count), now=LATER)
            count += 1
            await asyncio.sleep(0.002)
        return count

    writers = [asyncio.create_task(post_on()) for _ in range(3)]
    for day in (FRIDAY, SATURDAY):
        await asyncio.sleep(0.2)
        await close(app_database, stall, day)
    is_over = True
    posted = sum(await asyncio.gather(*writers))

    verified = await verify_books(worker_database, stall.org.id, read_sections=read_sections)
    assert (verified.days, verified.fault) == (3, None)
    days = [day for day, _ in await days_of(app_database, stall)]
    assert len(days) == posted
    for day in (FRIDAY, SATURDAY):
        carried = await carried_at(app_database, stall, day)
        assert len(carried) == sum(one <= day for one in days)
    broken = {one.partition(":")[0] for one in find_violations(fresh_database.owner_url)}
    assert not broken & CLOSING_INVARIANTS.keys()


async def at_once(
    database: Database, stall: PayableStall, *calls: Callable[[AsyncSession], Awaitable[Any]]
) -> list[Any]:
    """Run each call in a transaction of its own, all of them open before the first begins."""
    ready = asyncio.Barrier(len(calls))

    async def run(call: Callable[[AsyncSession], Awaitable[Any]]) -> Any:
        async with open_org_transaction(database, stall.org.id) as session:
            await session.connection()
            await ready.wait()
            return await call(session)

    return await asyncio.gather(*map(run, calls), return_exceptions=True)


async def test_of_five_opening_balances_at_once_one_is_proposed(
    app_database: Database, stall: PayableStall
) -> None:
    asked = opening.NewOpening(
        receiving_account_id=stall.account_id, day=FRIDAY, amount_vnd=5, under_way=()
    )
    propose = partial(
        opening.propose_opening, org_id=stall.org.id, asked=asked, actor=MANAGER, now=LATER
    )

    ended = await at_once(app_database, stall, *[propose] * 5)

    names = sorted(type(one).__name__ for one in ended)
    assert names == ["OpeningBalance"] + ["OpeningBalanceKnown"] * 4


async def test_an_opening_balance_that_two_people_confirm_at_once_posts_once(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    await close(app_database, stall, THURSDAY)
    asked = opening.NewOpening(
        receiving_account_id=stall.account_id, day=FRIDAY, amount_vnd=5, under_way=()
    )
    async with open_org_transaction(app_database, stall.org.id) as session:
        proposed = await opening.propose_opening(
            session, stall.org.id, asked, actor=MANAGER, now=LATER
        )
    confirm = [
        partial(
            opening.confirm_opening, org_id=stall.org.id, account_id=stall.account_id,
            opening_id=proposed.id, actor=who, now=LATER,
        )
        for who in (APPROVER, VENDOR, APPROVER)
    ]  # fmt: skip

    ended = await at_once(app_database, stall, *confirm)

    assert [type(one).__name__ for one in ended] == ["OpeningBalance"] * 3
    assert len({one.confirmed_by for one in ended}) == 1
    assert [vnd for _, vnd in await days_of(app_database, stall)] == [5]
    assert find_violations(fresh_database.owner_url) == []


async def test_of_two_people_who_close_over_at_once_one_is_the_first_and_the_gap_is_one(
    app_database: Database, stall: PayableStall
) -> None:
    say = [
        partial(
            over.close_over, org_id=stall.org.id, day=FRIDAY, account_id=stall.account_id,
            reason="x", actor=who, now=LATER,
        )
        for who in (MANAGER, APPROVER, VENDOR)
    ]  # fmt: skip

    ended = await at_once(app_database, stall, *say)

    assert [type(one).__name__ for one in ended] == ["ClosedOverDay"] * 3
    async with open_org_transaction(app_database, stall.org.id) as session:
        found = await queries_opening.find_over(session, stall.org.id, FRIDAY, stall.account_id)
    assert found is not None
    assert found.by_2 is not None
    assert found.by_1 != found.by_2
    assert await list_breaks(app_database, stall) == ["statement_gap"]


async def test_nobody_closes_the_day_of_a_go_live_while_it_is_confirmed(
    app_database: Database, stall: PayableStall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would post in the day after, and the proof would be of a closed one."""
    await close(app_database, stall, THURSDAY)
    monkeypatch.setattr(closing, "TRIES_MAX", 3)
    read_under_way = opening._read_under_way

    async def read_meanwhile(*args: Any) -> dict[UUID, int]:
        with pytest.raises(BooksBusy):
            await close(app_database, stall, FRIDAY)
        return await read_under_way(*args)

    monkeypatch.setattr(opening, "_read_under_way", read_meanwhile)
    await go_live(app_database, stall, FRIDAY, 5)
    await own_and_explain(app_database, stall, [(FRIDAY, [])], opening_vnd=5)
    await close(app_database, stall, FRIDAY)

    row = await row_of(app_database, stall, FRIDAY)
    assert (row.proof, row.bank_vnd) == ("statement", 5)
