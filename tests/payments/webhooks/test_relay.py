"""The relay: each event becomes one delivery per endpoint, in whatever order it was committed."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.clock import read_clock
from core.db import Database
from core.ids import first_id_at
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind
from payments.webhooks import service
from payments.webhooks.relay import Relay
from tests.world.constants import MANAGER
from tests.world.stalls import PayableStall, a_payable_stall
from tests.world.webhooks import a_webhook_endpoint, an_event, events_happen, read_deliveries

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
URL = "http://127.0.0.1:9/hook"


def a_relay(database: Database, **more: Any) -> Relay:
    return Relay(database, margin=timedelta(0), full_every=timedelta(0), **more)


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


async def test_one_round_writes_so_much_in_all_however_many_endpoints_have_a_backlog(
    app_database: Database, worker_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    for _ in range(6):
        await a_webhook_endpoint(app_database, stall.org.id, URL, sealer)
    await events_happen(app_database, stall.org.id, 50)
    relay = a_relay(worker_database, rows_max=120)

    made = [await relay.run_once() for _ in range(4)]

    assert made == [120, 120, 60, 0]


async def test_after_a_round_that_failed_the_next_ones_write_less_until_they_succeed(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    stall: PayableStall,
    sealer: Sealer,
) -> None:
    await a_webhook_endpoint(app_database, stall.org.id, URL, sealer)
    await events_happen(app_database, stall.org.id, 200)
    relay = a_relay(worker_database, rows_max=100)
    async with owner_database.begin() as session:
        await session.execute(text("LOCK TABLE webhook_deliveries IN EXCLUSIVE MODE"))
        for _ in range(2):
            with pytest.raises(DBAPIError):
                await relay.run_once()

    made = [await relay.run_once() for _ in range(4)]

    assert made == [25, 50, 100, 25]


async def test_an_event_whose_id_is_below_the_floor_is_found_within_minutes(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    stall: PayableStall,
    sealer: Sealer,
) -> None:
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, URL, sealer)
    now = read_clock()
    await set_floor(owner_database, now - timedelta(minutes=50))
    relay = a_relay(worker_database, again_every=timedelta(0))
    for _ in range(3):  # the floor rises to now
        await relay.run_once()
    wanted, too_old = (first_id_at(now - timedelta(minutes=ago)) for ago in (40, 55))
    async with open_org_transaction(app_database, stall.org.id) as session:
        for event_id in (wanted, too_old):  # a hub's clock had been set back
            await outbox.record_one(session, stall.org.id, event_id, an_event(), now=now)

    await relay.run_once()

    assert [row[0] for row in await read_deliveries(app_database, endpoint)] == [wanted]


async def test_while_a_floor_lies_ahead_of_the_clock_events_are_relayed_all_the_same(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    stall: PayableStall,
    sealer: Sealer,
) -> None:
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, URL, sealer)
    await set_floor(owner_database, read_clock() + timedelta(hours=2))  # it was set back by two
    relay = a_relay(worker_database)
    await relay.run_once()
    await events_happen(app_database, stall.org.id, 3)

    await relay.run_once()

    assert len(await read_deliveries(app_database, endpoint)) == 3


async def test_events_of_before_they_were_chosen_are_not_sent(
    app_database: Database, worker_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    endpoint = await a_webhook_endpoint(
        app_database, stall.org.id, URL, sealer, events=["payment.*"]
    )
    relay = a_relay(worker_database, again_every=timedelta(0))
    await events_happen(app_database, stall.org.id, 3)
    for _ in range(3):
        await asyncio.sleep(0.005)
        await relay.run_once()
    async with open_org_transaction(app_database, stall.org.id) as session:
        await service.change_endpoint(
            session,
            stall.org.id,
            endpoint.id,
            service.EndpointChanges(events=("bill.*",)),
            allowed_origins=[],
            actor=MANAGER,
            now=read_clock(),
        )

    await relay.run_once()

    assert await read_deliveries(app_database, endpoint) == []


async def set_floor(database: Database, at: datetime) -> None:
    async with database.begin() as session:
        change = text("UPDATE webhook_endpoints SET relayed_to = :floor")
        await session.execute(change, {"floor": first_id_at(at)})
