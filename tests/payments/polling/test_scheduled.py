"""Polls by the clock: at their interval, within a budget, slower where a provider fails."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from ops.postgres.supervisor import Cluster
from payments.polling.rules import (
    OVERLAP,
    RETRY_AFTER_MAX,
    RETRY_FIRST,
    RETRY_MAX,
    SLICE_MAX,
    next_slice_end,
    next_turn,
    pause_after,
    wait_after,
)
from tests.world.bills import a_bill
from tests.world.databases import Template, a_template
from tests.world.outages import (
    OutageWorker,
    TimedSandbox,
    a_timed_sandbox,
    an_outage,
    an_outage_worker,
)
from tests.world.polling import a_polled_endpoint
from tests.world.reads import count_rows, read_status
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

EVERY = timedelta(minutes=15)
NOON = datetime(2026, 11, 29, 5, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def stall_template(cluster: Cluster) -> Iterator[Template[PayableStall]]:
    with a_template(cluster, partial(a_payable_stall, is_live=False)) as template:
        yield template


@pytest.fixture
def sandbox() -> Iterator[TimedSandbox]:
    with a_timed_sandbox() as sandbox:
        yield sandbox


@dataclass(kw_only=True)
class Place:
    """A stall that is polled by the clock, its sandbox, and a worker whose requests are counted."""

    stall: PayableStall
    sandbox: TimedSandbox
    subscription: str
    worker: OutageWorker
    owner: Database
    requests: list[httpx.Request]

    async def read(self, table: str) -> Any:
        async with self.owner.begin() as session:
            return (await session.execute(text(f"SELECT *, now() AS now FROM {table}"))).one()

    async def run(self, statement: str) -> None:
        async with self.owner.begin() as session:
            await session.execute(text(statement))


@pytest.fixture
async def place(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    sealer: Sealer,
    sandbox: TimedSandbox,
    stall: PayableStall,
) -> AsyncIterator[Place]:
    subscription = sandbox.introduce(stall)
    stall = await a_polled_endpoint(app_database, sealer, stall, sandbox.url)
    requests: list[httpx.Request] = []

    async def count(request: httpx.Request) -> None:
        requests.append(request)

    async with httpx.AsyncClient(trust_env=False, event_hooks={"request": [count]}) as client:
        worker = an_outage_worker(
            app_database,
            worker_database,
            owner_database,
            sealer,
            client,
            every_s=int(EVERY.total_seconds()),
        )
        yield Place(
            stall=stall,
            sandbox=sandbox,
            subscription=subscription,
            worker=worker,
            owner=owner_database,
            requests=requests,
        )
        await worker.poller.processor.close()


def test_waits_double_up_to_an_hour_and_are_shaken() -> None:
    assert wait_after(1, draw=50) == RETRY_FIRST
    assert wait_after(3, draw=50) == 4 * RETRY_FIRST
    assert wait_after(3, draw=0) == 3 * RETRY_FIRST
    assert wait_after(100, draw=50) == RETRY_MAX
    assert wait_after(1, draw=50, retry_after_s=90) == timedelta(seconds=90)
    assert wait_after(3, draw=50, retry_after_s=1) == 4 * RETRY_FIRST
    assert wait_after(1, draw=50, retry_after_s=10**9) == RETRY_AFTER_MAX


def test_a_budget_is_a_pause_for_each_request() -> None:
    assert pause_after(1, per_minute=30) == timedelta(seconds=2)
    assert pause_after(5, per_minute=30) == timedelta(seconds=10)


def test_what_was_missed_for_long_is_caught_up_slice_by_slice_without_a_gap() -> None:
    start, slices = NOON - timedelta(days=1), 0
    while True:
        end = next_slice_end(start, now=NOON)
        slices += 1
        assert end - start <= SLICE_MAX
        if next_turn(end, every=EVERY, draw=50, now=NOON) > NOON:
            break
        start = end - OVERLAP
    assert end == NOON
    assert slices == 5
    assert next_turn(NOON, every=EVERY, draw=50, now=NOON) == NOON + EVERY


async def test_an_account_is_polled_at_its_interval_from_where_the_last_poll_ended(
    app_database: Database, place: Place
) -> None:
    bill = await a_bill(app_database, place.stall, now=read_clock())
    place.sandbox.pay(place.stall, bill.reference, at=read_clock())
    assert await place.worker.plan_regular() == 1
    assert await place.worker.plan_regular() == 0
    await place.run("UPDATE poll_windows SET next_attempt_at = now()")

    assert await place.worker.poll() == 1
    await place.worker.process()

    assert (await read_status(app_database, place.stall, bill))[0] == "paid"
    window = await place.read("poll_windows")
    assert window.until_at is None
    assert window.finished_at is None
    assert window.now - window.from_at >= OVERLAP
    assert window.now - window.from_at < OVERLAP + timedelta(minutes=5)
    assert timedelta(minutes=10) < window.next_attempt_at - window.now <= EVERY
    assert await place.worker.poll() == 0
    assert len(place.requests) == 1


async def test_a_day_without_polls_is_caught_up_with(app_database: Database, place: Place) -> None:
    now = read_clock()
    bills = [await a_bill(app_database, place.stall, now=now - timedelta(hours=h)) for h in (23, 9)]
    for bill in bills:
        place.sandbox.pay(place.stall, bill.reference, at=bill.created_at + timedelta(minutes=1))
    await place.worker.plan_regular()
    await place.run("UPDATE poll_windows SET from_at = now() - interval '24 hours'")

    await place.worker.let_time_pass()
    for _ in range(5):
        await place.run("UPDATE endpoint_polls SET next_request_at = now()")
        await place.worker.poll()
        await place.run(
            "UPDATE poll_windows SET next_attempt_at = now()"
            " WHERE next_attempt_at < now() + interval '1 minute'"
        )
    await place.worker.process()

    assert len(place.requests) == 5
    for bill in bills:
        assert (await read_status(app_database, place.stall, bill))[0] == "paid"
    assert (await place.read("poll_windows")).from_at > now - timedelta(minutes=15)


async def test_between_two_requests_of_a_connection_lies_its_budgets_pause(place: Place) -> None:
    await an_outage(place.worker.databases.app, place.owner)
    await place.worker.plan_regular()
    await place.run("UPDATE poll_windows SET next_attempt_at = now()")
    assert await count_windows(place) == 2

    for _ in range(3):
        await place.worker.poll()

    assert len(place.requests) == 1
    turn = await place.read("endpoint_polls")
    assert timedelta(seconds=1) < turn.next_request_at - turn.last_answered_at
    assert turn.lease_token is None


async def count_windows(place: Place) -> int:
    async with place.owner.begin() as session:
        return int(await session.scalar(text("SELECT count(*) FROM poll_windows")) or 0)


@pytest.mark.parametrize(
    ("faults", "least"),
    [
        pytest.param({"pull_fault": "error"}, timedelta(seconds=20), id="500"),
        pytest.param({"pull_fault": "too_many"}, timedelta(seconds=20), id="429"),
        pytest.param(
            {"pull_fault": "too_many", "pull_retry_after_s": 600},
            timedelta(seconds=590),
            id="429 with a wait",
        ),
        pytest.param(
            {"pull_slow_ms": 6_000}, timedelta(seconds=20), marks=pytest.mark.drill, id="slow"
        ),
    ],
)
async def test_a_provider_that_fails_is_left_alone_for_longer_each_time(
    app_database: Database, place: Place, faults: dict[str, object], least: timedelta
) -> None:
    bill = await a_bill(app_database, place.stall, now=read_clock())
    place.sandbox.pay(place.stall, bill.reference, at=read_clock())
    place.sandbox.fail(place.subscription, **faults, pull_calls_left=2)
    await an_outage(app_database, place.owner)
    await place.worker.plan()
    await place.run("UPDATE poll_windows SET next_attempt_at = now()")

    waits = []
    for _ in range(2):
        await place.run("UPDATE endpoint_polls SET next_request_at = now()")
        await place.worker.poll()
        await place.worker.poll()  # too early: nothing is requested
        turn = await place.read("endpoint_polls")
        waits.append(turn.next_request_at - turn.now)
        assert turn.problem == "provider_did_not_respond"
    assert len(place.requests) == 2
    assert turn.failures == 2
    assert least < waits[0] <= waits[1] + timedelta(seconds=5)

    await place.worker.catch_up()

    assert (await place.read("endpoint_polls")).failures == 0
    assert (await read_status(app_database, place.stall, bill))[0] == "paid"


async def test_many_connections_of_a_provider_are_not_polled_at_the_same_instant(
    app_database: Database, place: Place, sealer: Sealer
) -> None:
    for _ in range(4):
        await a_polled_endpoint(app_database, sealer, place.stall, place.sandbox.url)
    await an_outage(app_database, place.owner)
    await place.worker.plan()
    async with place.owner.begin() as session:
        rows = await session.execute(
            text("SELECT DISTINCT next_attempt_at - now() FROM poll_windows")
        )
        starts = [row[0] for row in rows]
    assert len(starts) == 5  # spread by lot
    assert max(starts) <= timedelta(seconds=60)

    await place.worker.let_time_pass()
    await place.worker.poll()

    assert len(place.requests) == 2  # SePay's limit holds for an address


async def test_an_account_that_is_not_to_be_polled_is_left_alone(place: Place) -> None:
    await place.worker.plan_regular()
    await place.run("UPDATE poll_windows SET next_attempt_at = now(), every_s = 0")
    await place.worker.poll()
    assert place.requests == []

    await place.run("UPDATE poll_windows SET every_s = NULL")
    await place.worker.poll()
    assert len(place.requests) == 1


async def test_a_token_that_is_taken_away_leaves_the_window_open_and_a_revoked_endpoint_ends_it(
    app_database: Database, place: Place
) -> None:
    await an_outage(app_database, place.owner)
    await place.worker.plan()
    token = await place.read("callback_endpoints WHERE sealed_pull_token IS NOT NULL AND true")
    await place.run("UPDATE callback_endpoints SET sealed_pull_token = NULL")
    await place.worker.let_time_pass()
    await place.worker.poll()
    window = await place.read("poll_windows")
    assert (window.problem, window.finished_at) == ("no_token", None)
    assert token.sealed_pull_token is not None

    await place.run("UPDATE callback_endpoints SET revoked_at = now()")
    await place.worker.let_time_pass()
    await place.worker.poll()
    window = await place.read("poll_windows")
    assert window.problem == "not_connected"
    assert window.finished_at is not None
    assert place.requests == []


async def test_more_rows_in_one_second_than_a_page_has_are_all_read(
    app_database: Database, place: Place
) -> None:
    at = read_clock() - timedelta(minutes=5)
    for _ in range(60):
        await asyncio.to_thread(place.sandbox.pay, place.stall, "CK", at=at)
    await an_outage(app_database, place.owner)

    await place.worker.catch_up()

    assert await count_rows(app_database, place.stall, "bank_transactions") == 60
