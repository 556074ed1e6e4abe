"""F7 with real processes: a hub is killed, a market goes on, and a worker dies in mid-replay.

The sandbox calls a hub that is not there and gives up. The hub that returns finds out by its
heartbeat, the worker asks for those forty-five minutes, and a second worker ends what the first,
killed between two pages, began. Nothing is lost and nothing is counted twice.
"""

import asyncio
import time
from datetime import timedelta

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from payments.outages.views import OutageState
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.databases import FreshDatabase
from tests.world.installation import Installation, wait_until_up
from tests.world.outages import a_timed_sandbox, let_hubs_be_silent, read_outages
from tests.world.polling import a_polled_endpoint
from tests.world.reads import count_rows, list_breaks, list_events, read_status
from tests.world.stalls import a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.drill]

BILLS = 60  # two pages of SePay's
CAUGHT_UP_WITHIN_S = 180.0


async def ask(owner: Database, query: str) -> int:
    async with owner.begin() as session:
        return int(await session.scalar(text(query)) or 0)


async def wait_for(owner: Database, query: str) -> None:
    """Wait until a query counts something; its first polls are due at once."""
    end = time.monotonic() + CAUGHT_UP_WITHIN_S
    while not await ask(owner, query):
        assert time.monotonic() < end, query
        async with owner.begin() as session:
            await session.execute(
                text(
                    "UPDATE poll_windows SET next_attempt_at = now() WHERE next_attempt_at > now()"
                )
            )
        await asyncio.sleep(0.05)


async def test_a_killed_hub_and_a_worker_killed_in_mid_replay_lose_and_double_nothing(
    installation: Installation,
    app_database: Database,
    owner_database: Database,
    sealer: Sealer,
    fresh_database: FreshDatabase,
) -> None:
    hub = installation.start_hub()
    await wait_until_up(hub)
    with a_timed_sandbox() as sandbox:
        stall = await a_payable_stall(app_database, code="HKWX", is_live=False)
        stall = await a_polled_endpoint(app_database, sealer, stall, sandbox.url)
        async with owner_database.begin() as session:
            address = await session.scalar(
                text("SELECT address FROM callback_endpoints WHERE id = :id"),
                {"id": stall.endpoint_id},
            )
        callbacks = f"{hub.url}/v1/callbacks/sepay/{address}"
        subscription = sandbox.introduce(stall, callbacks=callbacks)
        await wait_for(owner_database, "SELECT count(beat_at) FROM hub_heartbeats")
        hub.kill()

        start = read_clock() - timedelta(minutes=44)
        bills = []
        for number in range(BILLS):
            at = start + timedelta(seconds=40) * number
            bills.append(await a_bill(app_database, stall, now=at))
            await asyncio.to_thread(sandbox.pay, stall, bills[-1].reference, at=at)
        await let_hubs_be_silent(owner_database, timedelta(minutes=45))
        assert await count_rows(app_database, stall, "notices") == 0
        sandbox.fail(subscription, pull_slow_ms=1_500)

        first = installation.start_worker()
        await wait_until_up(installation.start_hub())
        await wait_for(owner_database, "SELECT count(*) FROM poll_windows WHERE rows_read > 0")
        await wait_for(
            owner_database, "SELECT count(*) FROM endpoint_polls WHERE lease_token IS NOT NULL"
        )
        first.kill()
        is_finished = "SELECT count(*) FROM poll_windows WHERE finished_at IS NOT NULL"
        assert await ask(owner_database, is_finished) == 0
        installation.start_worker()
        await wait_for(owner_database, "SELECT count(*) FROM outage_reports")

    for bill in bills:
        assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert await count_rows(app_database, stall, "bank_transactions") == BILLS
    assert (await list_events(app_database, stall)).count("bill.paid") == BILLS
    assert await list_breaks(app_database, stall) == []
    (outage,) = await read_outages(app_database, stall)
    assert (outage.missed, outage.recovered_by_polling) == (BILLS, BILLS)
    assert outage.state is OutageState.CAUGHT_UP
    assert find_violations(fresh_database.owner_url) == []
