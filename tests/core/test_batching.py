"""Micro-batching: one commit for many; a bad item fails alone; nothing waits for a timer."""

import asyncio
from collections.abc import Sequence

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.batching import MicroBatcher
from core.db import Database
from core.errors import Busy
from core.ids import new_id
from payments.bills.writer import BillWriter
from payments.payees.errors import PayeeNotFound
from tests.world.bills import a_bill_request
from tests.world.constants import NOON
from tests.world.reads import count_rows
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = pytest.mark.anyio


class Writer:
    """Writes numbers, one flush at a time per key, when it is let."""

    def __init__(self) -> None:
        self.flushes: list[tuple[str, list[int]]] = []
        self.may_write = asyncio.Event()
        self.under_way = 0
        self.under_way_max = 0

    async def flush(self, key: str, items: Sequence[int]) -> list[int | Exception]:
        self.flushes.append((key, list(items)))
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        await self.may_write.wait()
        self.under_way -= 1
        if -1 in items:
            raise RuntimeError("poison")
        return [ValueError("odd") if item % 2 else item * 10 for item in items]

    def batcher(
        self, *, items_max: int = 10, waiting_max: int = 100
    ) -> MicroBatcher[str, int, int]:
        return MicroBatcher(self.flush, items_max=items_max, waiting_max=waiting_max, flushes_max=2)


async def let_run() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_waits_while_a_flush_is_under_way_goes_together_in_order() -> None:
    writer = Writer()
    batcher = writer.batcher()

    tasks = [asyncio.create_task(batcher.submit(n, key="a")) for n in (0, 2, 4, 6)]
    await let_run()
    writer.may_write.set()

    assert await asyncio.gather(*tasks) == [0, 20, 40, 60]
    assert [key for key, _ in writer.flushes] == ["a"] * len(writer.flushes)
    assert [n for _, items in writer.flushes for n in items] == [0, 2, 4, 6]
    assert len(writer.flushes) <= 2


async def test_tenants_are_written_apart_and_a_few_at_once() -> None:
    writer = Writer()
    batcher = writer.batcher()

    tasks = [asyncio.create_task(batcher.submit(0, key=key)) for key in "abcde"]
    await let_run()
    assert writer.under_way == 2  # flushes_max
    writer.may_write.set()
    await asyncio.gather(*tasks)

    assert sorted(writer.flushes) == [(key, [0]) for key in "abcde"]
    assert writer.under_way_max == 2


async def test_an_answer_that_is_an_error_is_that_callers_only() -> None:
    writer = Writer()
    writer.may_write.set()
    batcher = writer.batcher()

    answers = await asyncio.gather(
        *(batcher.submit(n, key="a") for n in (2, 3, 4)), return_exceptions=True
    )

    assert answers[::2] == [20, 40]
    assert isinstance(answers[1], ValueError)


async def test_a_poisonous_item_fails_alone() -> None:
    writer = Writer()
    writer.may_write.set()
    batcher = writer.batcher()

    answers = await asyncio.gather(
        *(batcher.submit(n, key="a") for n in (2, -1, 4)), return_exceptions=True
    )

    assert answers[::2] == [20, 40]
    assert isinstance(answers[1], RuntimeError)


async def test_who_comes_when_too_many_wait_gets_an_error_at_once() -> None:
    writer = Writer()
    batcher = writer.batcher(items_max=1, waiting_max=4)
    tasks = [asyncio.create_task(batcher.submit(0, key="a"))]
    await let_run()  # it is being written, and counts until it is answered
    tasks += [asyncio.create_task(batcher.submit(0, key="a")) for _ in range(3)]
    await let_run()  # these wait

    with pytest.raises(Busy):
        async with asyncio.timeout(5):
            await batcher.submit(0, key="a")

    writer.may_write.set()
    assert await asyncio.gather(*tasks) == [0] * 4
    assert await batcher.submit(2, key="a") == 20  # and there is room again


async def test_a_caller_that_goes_away_takes_nobody_with_it() -> None:
    writer = Writer()
    batcher = writer.batcher()
    tasks = [asyncio.create_task(batcher.submit(n, key="a")) for n in (0, 2, 4)]
    await let_run()

    tasks[1].cancel()
    writer.may_write.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert answers[::2] == [0, 40]
    assert isinstance(answers[1], asyncio.CancelledError)


async def test_draining_waits_for_all_that_was_accepted() -> None:
    writer = Writer()
    batcher = writer.batcher(items_max=2)
    tasks = [asyncio.create_task(batcher.submit(0, key="a")) for _ in range(7)]
    await let_run()
    asyncio.get_running_loop().call_later(0.05, writer.may_write.set)

    await batcher.drain()
    await let_run()

    assert all(task.done() for task in tasks)


class Away:
    """A database that is away, or refuses: every flush fails with this."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.flushes = 0

    async def flush(self, key: str, items: Sequence[int]) -> list[int | Exception]:
        self.flushes += 1
        raise self.error


def refused(error: psycopg.Error, *, is_lost: bool = False) -> DBAPIError:
    return OperationalError("INSERT", {}, error, connection_invalidated=is_lost)


@pytest.mark.parametrize(
    "error",
    [
        PoolTimeout("no connection within 5 s"),
        refused(psycopg.OperationalError("server closed the connection"), is_lost=True),
        refused(psycopg.OperationalError("connection refused")),
        refused(psycopg.errors.AdminShutdown("terminating connection")),
        ConnectionRefusedError("refused"),
        Busy("elsewhere"),
    ],
    ids=lambda error: type(getattr(error, "orig", error)).__name__,
)
async def test_when_the_database_is_away_everyone_gets_an_error_at_once(error: Exception) -> None:
    away = Away(error)
    batcher = MicroBatcher(away.flush, items_max=500, waiting_max=500, flushes_max=1)

    answers = await asyncio.gather(
        *(batcher.submit(n, key="a") for n in range(100)), return_exceptions=True
    )

    assert {type(answer) for answer in answers} == {Busy}
    assert away.flushes == 1


async def test_a_lock_that_is_not_to_be_had_is_waited_for_a_few_times_only() -> None:
    away = Away(refused(psycopg.errors.LockNotAvailable("canceling statement")))
    batcher = MicroBatcher(away.flush, items_max=500, waiting_max=500, flushes_max=1)

    answers = await asyncio.gather(
        *(batcher.submit(n, key="a") for n in range(100)), return_exceptions=True
    )

    assert {type(answer) for answer in answers} <= {Busy, OperationalError}
    assert away.flushes <= 1 + 3


async def test_a_request_that_cannot_be_met_spoils_nobodys_bill(app_database: Database) -> None:
    stall: PayableStall = await a_payable_stall(app_database)
    bill_writer = BillWriter(app_database, read_clock=lambda: NOON)
    payees = [new_id() if n == 20 else stall.payee_id for n in range(40)]

    answers = await asyncio.gather(
        *(
            bill_writer.open_bill(
                stall.org,
                a_bill_request(
                    stall,
                    payee_id=payee_id,
                    amount_vnd=None if n == 30 else 1_000 + n,
                    purpose="",
                ),
            )
            for n, payee_id in enumerate(payees)
        ),
        return_exceptions=True,
    )

    failed = [(n, type(one)) for n, one in enumerate(answers) if isinstance(one, BaseException)]
    assert failed == [(20, PayeeNotFound)]
    assert await count_rows(app_database, stall, "bills") == 39
