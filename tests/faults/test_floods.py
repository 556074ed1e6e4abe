"""F3, F15, F26: one callback a hundred times at one instant, and kills in the middle of a flood.

Two hub processes and two workers; what counts is the sender's own log against the books.
"""

import asyncio
import random

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.settings import Settings
from core.tenancy import open_org_transaction
from payments.bills.references import ALPHABET
from tests.payments.invariants import find_violations, find_waiting
from tests.world.bills import a_bill
from tests.world.databases import FreshDatabase
from tests.world.installation import (
    Installation,
    Process,
    SentNotice,
    deliver,
    new_client,
    wait_until_settled,
    wait_until_up,
)
from tests.world.notices import sepay_body, store_notices
from tests.world.reads import count_rows, list_outcomes, read_ledger, read_status
from tests.world.stalls import CallableStall, a_callable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.faults]
DRILL = [pytest.mark.drill, pytest.mark.timeout(600)]

FLOODS = [  # seed of the order, bills
    (26, 120),
    *(pytest.param(seed, 500, marks=DRILL) for seed in range(27, 30)),
]
SWEEPS = [3_000, pytest.param(12_000, marks=DRILL)]  # notices
SWEPT_PER_S = 100


@pytest.fixture(scope="module")
def hubs(installation: Installation) -> list[Process]:
    return [installation.start_hub(), installation.start_hub()]


_codes = (f"HKX{char}" for char in ALPHABET)


@pytest.fixture
async def to(app_database: Database, settings: Settings) -> CallableStall:
    return await a_callable_stall(app_database, settings, code=next(_codes))


async def call(
    client: httpx.AsyncClient, to: CallableStall, hub: Process, body: bytes
) -> SentNotice:
    return await deliver(client, to, [hub], body)


async def test_one_callback_a_hundred_times_at_once_on_two_hubs_is_one_payment(
    hubs: list[Process], app_database: Database, to: CallableStall, fresh_database: FreshDatabase
) -> None:
    await wait_until_up(*hubs)
    bill = await a_bill(app_database, to, now=read_clock())
    body = sepay_body(to, amount_vnd=20_000, memo=bill.reference, occurred_at=read_clock())

    async with new_client() as client:
        done = await asyncio.gather(*(call(client, to, hubs[n % 2], body) for n in range(100)))
    await wait_until_settled(app_database, to)

    assert {(tuple(one.statuses), one.body) for one in done} == {((200,), b'{"success":true}')}
    assert await list_outcomes(app_database, to) == ["repeat"] * 99 + ["settle"]
    assert await read_status(app_database, to, bill) == ("paid", 20_000, 20_000)
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize(("seed", "bills_count"), FLOODS)
async def test_a_hub_killed_in_a_flood_loses_no_acknowledged_callback(
    installation: Installation,
    hubs: list[Process],
    app_database: Database,
    to: CallableStall,
    fresh_database: FreshDatabase,
    seed: int,
    bills_count: int,
) -> None:
    """Every bill is paid once and reported twice, in random order; both hubs are killed in turn."""
    now = read_clock()
    bills = [await a_bill(app_database, to, now=now) for _ in range(bills_count)]
    bodies = [
        sepay_body(to, amount_vnd=20_000, memo=bill.reference, occurred_at=now) for bill in bills
    ] * 2
    random.Random(seed).shuffle(bodies)
    standing = [installation.start_hub(), installation.start_hub()]
    worker = installation.start_worker()
    await wait_until_up(*hubs, *standing)
    called = [*hubs, *standing]
    done: list[SentNotice] = []
    lines = asyncio.Semaphore(240)  # a sender's time-outs begin with its turn

    async def kill_two() -> None:
        for hub in standing:
            at = len(done) + bills_count // 2
            while len(done) < at:  # noqa: ASYNC110 (many senders fill it)
                await asyncio.sleep(0.001)
            hub.kill()

    async with new_client() as client:

        async def send(number: int, body: bytes) -> None:
            in_turn = called[number % 4 :] + called[: number % 4]
            async with lines:
                done.append(await deliver(client, to, in_turn, body))

        async with asyncio.TaskGroup() as group:
            group.create_task(kill_two())
            for number, body in enumerate(bodies):
                group.create_task(send(number, body))
    await wait_until_settled(app_database, to)

    assert worker.is_running
    assert all(one.is_acknowledged for one in done)
    assert any(0 in one.statuses for one in done), "the kills hit nothing"
    statuses = [await read_status(app_database, to, bill) for bill in bills]
    assert set(statuses) == {("paid", 20_000, 20_000)}
    assert await count_rows(app_database, to, "bank_transactions") == bills_count
    assert (await read_ledger(app_database, to))["takings"] == bills_count * 20_000
    assert find_violations(fresh_database.owner_url) == []
    assert find_waiting(fresh_database.owner_url) == []
    installation.stop(worker)


@pytest.mark.parametrize("notices", SWEEPS)
async def test_a_worker_killed_in_its_sweep_leaves_the_rest_to_another(
    installation: Installation,
    app_database: Database,
    to: CallableStall,
    fresh_database: FreshDatabase,
    notices: int,
) -> None:
    """Notices are stored, as a hub's death leaves them; two workers process them together."""
    now = read_clock()
    bodies = [
        sepay_body(to, amount_vnd=1_000, memo="tien hang", occurred_at=now) for _ in range(notices)
    ]
    first, second = installation.start_worker(), installation.start_worker()
    await store_notices(app_database, to, *bodies, now=now)
    handled = text("SELECT count(*) FROM notices WHERE handled_at IS NOT NULL")

    while True:
        async with open_org_transaction(app_database, to.org.id) as session:
            if await session.scalar(handled):
                break
        await asyncio.sleep(0.01)
    first.kill()
    within_s = notices / SWEPT_PER_S
    waited = await wait_until_settled(app_database, to, within_s=within_s * 2)

    assert waited.total_seconds() < within_s
    assert await list_outcomes(app_database, to) == ["counter_sale"] * notices
    assert (await read_ledger(app_database, to))["takings"] == notices * 1_000
    assert find_violations(fresh_database.owner_url) == []
    installation.stop(second)
