"""F7 by polling: what was lost while no hub received is found once one is back, and counted once.

The sandbox plays forty-five minutes of a market whose callbacks nobody takes.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from ops.postgres.supervisor import Cluster
from payments.bills.rules import BillFacts
from payments.outages.views import OutageState
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.databases import FreshDatabase, Template, a_template
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.outages import (
    OutageWorker,
    TimedSandbox,
    a_timed_sandbox,
    an_outage,
    an_outage_worker,
    read_outages,
)
from tests.world.polling import a_polled_endpoint
from tests.world.reads import count_rows, list_breaks, list_events, read_status
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PAID_EVERY = timedelta(seconds=40)


@pytest.fixture(scope="module")
def stall_template(cluster: Cluster) -> Iterator[Template[PayableStall]]:
    with a_template(cluster, partial(a_payable_stall, is_live=False)) as template:
        yield template


@pytest.fixture
def sandbox() -> Iterator[TimedSandbox]:
    with a_timed_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
async def worker(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    sealer: Sealer,
    client: httpx.AsyncClient,
) -> AsyncIterator[OutageWorker]:
    made = an_outage_worker(app_database, worker_database, owner_database, sealer, client)
    yield made
    await made.poller.processor.close()


async def pay_unnoticed(
    database: Database, sandbox: TimedSandbox, stall: PayableStall, *, count: int
) -> list[tuple[BillFacts, dict[str, object]]]:
    """Pay bills one after the other until a minute ago, which nobody calls back about."""
    start = read_clock() - timedelta(minutes=1) - PAID_EVERY * count
    paid = []
    for number in range(count):
        at = start + PAID_EVERY * number
        bill = await a_bill(database, stall, now=at)
        paid.append((bill, sandbox.pay(stall, bill.reference, at=at + timedelta(seconds=5))))
    sandbox.clock.now = read_clock()
    return paid


async def assert_paid_once(
    database: Database, stall: PayableStall, paid: list[tuple[BillFacts, dict[str, object]]]
) -> None:
    for bill, _ in paid:
        assert await read_status(database, stall, bill) == ("paid", 20_000, 20_000)
    assert await count_rows(database, stall, "bank_transactions") == len(paid)
    assert (await list_events(database, stall)).count("bill.paid") == len(paid)
    assert await list_breaks(database, stall) == []


@pytest.mark.parametrize("provider", ["casso", "sepay"])
async def test_all_of_forty_five_minutes_is_there_after_one_replay(
    app_database: Database,
    owner_database: Database,
    fresh_database: FreshDatabase,
    sealer: Sealer,
    sandbox: TimedSandbox,
    worker: OutageWorker,
    stall: PayableStall,
    provider: str,
) -> None:
    stall = replace(stall, provider=provider)
    sandbox.introduce(stall)
    stall = await a_polled_endpoint(app_database, sealer, stall, sandbox.url)
    paid = await pay_unnoticed(app_database, sandbox, stall, count=64)
    await an_outage(app_database, owner_database)

    pages = await worker.catch_up()

    assert pages == (2 if provider == "sepay" else 1)  # of 50, of 100
    await assert_paid_once(app_database, stall, paid)
    (outage,) = await read_outages(app_database, stall)
    assert (outage.missed, outage.recovered_by_polling, outage.waiting) == (64, 64, 0)
    assert outage.state is OutageState.CAUGHT_UP
    assert outage.oldest_age_s is not None
    assert outage.oldest_age_s > 40 * 60
    assert await count_rows(app_database, stall, "audit_log", "action = 'outage.caught_up'") == 1
    assert find_violations(fresh_database.owner_url) == []


async def test_a_callback_that_comes_after_all_doubles_nothing(
    app_database: Database,
    owner_database: Database,
    sealer: Sealer,
    sandbox: TimedSandbox,
    worker: OutageWorker,
    stall: PayableStall,
) -> None:
    sandbox.introduce(stall)
    stall = await a_polled_endpoint(app_database, sealer, stall, sandbox.url)
    paid = await pay_unnoticed(app_database, sandbox, stall, count=4)
    await an_outage(app_database, owner_database)

    async def call_back(bill: BillFacts, line: dict[str, object]) -> None:
        body = sepay_body(
            stall,
            amount_vnd=20_000,
            memo=bill.reference,
            transaction_id=int(str(line["id"])),
            bank_reference=str(line["reference"]),
            occurred_at=bill.created_at + timedelta(seconds=5),
        )
        await store_notices(app_database, stall, body, now=read_clock())
        await process_waiting(app_database, stall, now=read_clock())

    for bill, line in paid[:2]:
        await call_back(bill, line)
    await worker.catch_up()
    for bill, line in paid[2:]:
        await call_back(bill, line)

    await assert_paid_once(app_database, stall, paid)
    (outage,) = await read_outages(app_database, stall)
    assert (outage.recovered_by_polling, outage.called_back_late, outage.missed) == (2, 2, 4)


async def test_a_worker_that_died_after_a_page_goes_on_with_the_next_one(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    sealer: Sealer,
    sandbox: TimedSandbox,
    worker: OutageWorker,
    client: httpx.AsyncClient,
    stall: PayableStall,
) -> None:
    sandbox.introduce(stall)
    stall = await a_polled_endpoint(app_database, sealer, stall, sandbox.url)
    paid = await pay_unnoticed(app_database, sandbox, stall, count=60)
    await an_outage(app_database, owner_database)
    await worker.plan()
    await worker.let_time_pass()
    assert await worker.poll() == 50
    # It takes the next page's turn and dies.
    async with owner_database.begin() as session:
        await session.execute(
            text("UPDATE endpoint_polls SET lease_token = org_id, leased_until = now() + '1 min'")
        )

    other = an_outage_worker(app_database, worker_database, owner_database, sealer, client)
    await other.let_time_pass()
    assert await other.poll() == 0  # the turn is not free yet
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE endpoint_polls SET leased_until = now()"))
    assert await other.catch_up() == 1

    await assert_paid_once(app_database, stall, paid)
    await other.poller.processor.close()


async def test_who_lost_its_turn_while_it_waited_for_the_provider_stores_nothing(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    sealer: Sealer,
    sandbox: TimedSandbox,
    worker: OutageWorker,
    stall: PayableStall,
) -> None:
    sandbox.introduce(stall)
    stall = await a_polled_endpoint(app_database, sealer, stall, sandbox.url)
    await pay_unnoticed(app_database, sandbox, stall, count=2)
    await an_outage(app_database, owner_database)
    await worker.plan()
    await worker.let_time_pass()

    async def lose_turn(_: httpx.Response) -> None:
        async with owner_database.begin() as session:
            await session.execute(text("UPDATE endpoint_polls SET lease_token = org_id"))

    async with httpx.AsyncClient(
        trust_env=False, event_hooks={"response": [lose_turn]}
    ) as slow_client:
        slow = an_outage_worker(app_database, worker_database, owner_database, sealer, slow_client)
        assert await slow.poll() == 0
        await slow.poller.processor.close()

    assert await count_rows(app_database, stall, "notices") == 0
    assert await worker.count_unread() == 1


async def test_two_workers_never_poll_one_connection_at_once(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    sealer: Sealer,
    sandbox: TimedSandbox,
    stall: PayableStall,
) -> None:
    sandbox.introduce(stall)
    stall = await a_polled_endpoint(app_database, sealer, stall, sandbox.url)
    paid = await pay_unnoticed(app_database, sandbox, stall, count=60)
    await an_outage(app_database, owner_database)
    under_way, most = 0, 0

    async def begin(_: httpx.Request) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)

    async def end(_: httpx.Response) -> None:
        nonlocal under_way
        under_way -= 1

    hooks = {"request": [begin], "response": [end]}
    async with httpx.AsyncClient(trust_env=False, event_hooks=hooks) as client:
        workers = [
            an_outage_worker(app_database, worker_database, owner_database, sealer, client)
            for _ in range(3)
        ]
        pages = await asyncio.gather(*(one.catch_up() for one in workers))
        for one in workers:
            await one.poller.processor.close()

    assert sum(pages) >= 2
    assert most == 1
    await assert_paid_once(app_database, stall, paid)
    assert await count_rows(app_database, stall, "notices") == len(paid)
    assert await count_rows(app_database, stall, "audit_log", "action = 'outage.caught_up'") == 1


async def test_an_account_that_cannot_be_polled_waits_for_its_statement(
    app_database: Database,
    owner_database: Database,
    worker: OutageWorker,
    stall: PayableStall,
) -> None:
    await an_outage(app_database, owner_database)
    (before,) = await read_outages(app_database, stall)
    assert before.state is OutageState.POLLING  # nobody has planned yet

    await worker.catch_up()

    (outage,) = await read_outages(app_database, stall)
    assert outage.state is OutageState.WAITING_FOR_STATEMENT
    assert [one.number[-4:] for one in outage.waiting_for_statement] == [stall.account_number[-4:]]


async def test_a_token_that_is_entered_later_serves_for_the_outage_still(
    app_database: Database,
    owner_database: Database,
    sealer: Sealer,
    sandbox: TimedSandbox,
    worker: OutageWorker,
    stall: PayableStall,
) -> None:
    paid_later = stall
    sandbox.introduce(paid_later)
    paid = await pay_unnoticed(app_database, sandbox, stall, count=2)
    await an_outage(app_database, owner_database)
    await worker.catch_up()
    stall = await a_polled_endpoint(app_database, sealer, stall, sandbox.url)

    assert await worker.plan_regular() == 1
    await worker.catch_up()

    await assert_paid_once(app_database, stall, paid)
