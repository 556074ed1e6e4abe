"""The relay: each event becomes one delivery per endpoint, in whatever order it was committed."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind
from payments.webhooks.relay import Relay
from tests.world.stalls import PayableStall, a_payable_stall
from tests.world.webhooks import a_webhook_endpoint, an_event, events_happen, read_deliveries

pytestmark = pytest.mark.anyio
URL = "http://127.0.0.1:9/hook"


def a_relay(database: Database) -> Relay:
    return Relay(database, margin=timedelta(0), full_every=timedelta(0))


async def test_each_event_has_one_delivery_at_each_endpoint_that_chose_it(
    app_database: Database, worker_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    bills = await a_webhook_endpoint(app_database, stall.org.id, URL, sealer, events=["bill.*"])
    both = await a_webhook_endpoint(
        app_database, stall.org.id, URL, sealer, events=["bill.paid", "payment.received"]
    )
    relay = a_relay(worker_database)
    await events_happen(app_database, stall.org.id, 3)
    await events_happen(app_database, stall.org.id, 2, kind=EventKind.COUNTER_SALE)
    await events_happen(app_database, stall.org.id, 2, kind=EventKind.ACCOUNT_CHANGED)

    made = [await relay.run_once() for _ in range(4)]

    assert made == [8, 0, 0, 0]
    assert len(await read_deliveries(app_database, bills)) == 3
    assert len(await read_deliveries(app_database, both)) == 5


async def test_an_event_that_is_committed_late_is_not_missed(
    app_database: Database, worker_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, URL, sealer)
    relay = a_relay(worker_database)
    async with open_org_transaction(app_database, stall.org.id) as late:
        await outbox.record(late, stall.org.id, [an_event()], now=read_clock())  # the lower id
        for _ in range(5):  # each round could believe that it has seen all of its time
            await events_happen(app_database, stall.org.id)
            await relay.run_once()
        assert len(await read_deliveries(app_database, endpoint)) == 5

    await relay.run_once()

    assert len(await read_deliveries(app_database, endpoint)) == 6


async def test_the_floor_rises_once_nothing_below_it_can_come(
    app_database: Database, worker_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    await a_webhook_endpoint(app_database, stall.org.id, URL, sealer)
    relay = a_relay(worker_database)
    before = await read_floor(app_database, stall)
    async with open_org_transaction(app_database, stall.org.id) as writing:
        await outbox.record(writing, stall.org.id, [an_event()], now=read_clock())
        await events_happen(app_database, stall.org.id)
        for _ in range(3):
            await relay.run_once()
        held = await read_floor(app_database, stall)

    await events_happen(app_database, stall.org.id)
    for _ in range(3):
        await relay.run_once()

    assert before <= held < await read_floor(app_database, stall)


async def read_floor(database: Database, stall: PayableStall) -> str:
    async with open_org_transaction(database, stall.org.id) as session:
        return str(await session.scalar(text("SELECT relayed_to FROM webhook_endpoints")))


async def test_two_relays_at_once_make_each_delivery_once(
    app_database: Database, worker_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, URL, sealer)
    await events_happen(app_database, stall.org.id, 200)
    relays = [a_relay(worker_database) for _ in range(3)]

    made = await asyncio.gather(*(relay.run_once() for relay in relays for _ in range(3)))

    assert sum(made) == 200
    assert len(await read_deliveries(app_database, endpoint)) == 200


async def test_an_endpoint_is_sent_what_happens_after_it_was_made_and_nothing_of_others(
    app_database: Database, worker_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    await events_happen(app_database, stall.org.id, 2)
    await asyncio.sleep(0.005)  # ids have milliseconds
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, URL, sealer)
    other = await a_payable_stall(app_database, code="HKXN")
    await asyncio.sleep(0.005)
    await events_happen(app_database, stall.org.id, 1)
    await events_happen(app_database, other.org.id, 5)

    await a_relay(worker_database).run_once()

    assert len(await read_deliveries(app_database, endpoint)) == 1
