"""Deliveries to real receivers: signed, retried, one at a time under its lease, stopped."""

import asyncio
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook, WebhookVerificationError

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.webhooks import service
from payments.webhooks.queries_sending import take_due
from payments.webhooks.rules import EndpointStatus
from payments.webhooks.sender import SenderLimits
from payments.webhooks.types import DueEndpoint
from tests.world.constants import MANAGER
from tests.world.receivers import Receiver, a_receiver
from tests.world.servers import a_server, answering
from tests.world.stalls import PayableStall
from tests.world.webhooks import (
    MadeEndpoint,
    a_webhook_endpoint,
    events_happen,
    make_due,
    one_worker,
    read_deliveries,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def receiver() -> Any:
    with a_receiver() as receiver:
        yield receiver


def outcomes(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [row[1:] for row in rows]


async def read_endpoint(database: Database, endpoint: MadeEndpoint) -> Any:
    query = text("SELECT * FROM webhook_endpoints WHERE id = :id")
    async with open_org_transaction(database, endpoint.org_id) as session:
        return (await session.execute(query, {"id": endpoint.id})).one()


async def test_an_event_is_signed_and_sent_once(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    sealer: Sealer,
    receiver: Receiver,
) -> None:
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, f"{receiver.url}/in", sealer)
    await events_happen(app_database, stall.org.id)

    async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
        sent = [await worker.work() for _ in range(3)]

    assert sent == [1, 0, 0]
    ((event_id, *outcome),) = await read_deliveries(app_database, endpoint)
    assert outcome == ["delivered", 1, 200, None]
    (got,) = receiver.received
    assert got.headers["webhook-id"] == str(event_id)
    verified = Webhook(endpoint.secret).verify(got.body, got.headers)
    assert verified["type"] == "bill.paid"
    assert verified["id"] == str(event_id)


async def test_a_failed_delivery_is_tried_again_with_the_same_id_and_body(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    sealer: Sealer,
    receiver: Receiver,
) -> None:
    receiver.statuses = [500, 302, 404, 200]
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, receiver.url, sealer)
    await events_happen(app_database, stall.org.id)
    seen = []

    async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
        for _ in range(5):
            await worker.work()
            seen += outcomes(await read_deliveries(app_database, endpoint))
            await make_due(app_database, endpoint)

    assert seen == [
        ("pending", 1, 500, "status"),
        ("pending", 2, 302, "redirect"),
        ("pending", 3, 404, "status"),
        ("delivered", 4, 200, None),
        ("delivered", 4, 200, None),
    ]
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 1
    assert len({one.body for one in receiver.received}) == 1
    assert (await read_endpoint(app_database, endpoint)).failing_since is None


async def test_after_the_last_retry_a_delivery_has_failed(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    sealer: Sealer,
    receiver: Receiver,
) -> None:
    receiver.statuses = [500]
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, receiver.url, sealer)
    await events_happen(app_database, stall.org.id)

    async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
        for _ in range(12):
            await worker.work()
            await make_due(app_database, endpoint)

    assert outcomes(await read_deliveries(app_database, endpoint)) == [
        ("failed", 10, 500, "status")
    ]
    assert len(receiver.received) == 10


async def test_gone_stops_the_endpoint_and_lets_its_people_know(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    sealer: Sealer,
    receiver: Receiver,
) -> None:
    receiver.statuses = [410]
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, receiver.url, sealer)
    await events_happen(app_database, stall.org.id)

    async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
        await worker.work()
        await events_happen(app_database, stall.org.id, 3)
        assert await worker.work() == 0

    assert outcomes(await read_deliveries(app_database, endpoint)) == [("failed", 1, 410, "status")]
    assert (await read_endpoint(app_database, endpoint)).status == EndpointStatus.GONE
    async with open_org_transaction(app_database, stall.org.id) as session:
        rows = await session.execute(text("SELECT kind, reason, reason_facts FROM breaks"))
        assert [tuple(row) for row in rows] == [
            ("webhook_stopped", "webhook_gone", {"host": "127.0.0.1"})
        ]


async def test_an_endpoint_that_has_only_failed_for_days_is_stopped(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    stall: PayableStall,
    sealer: Sealer,
    receiver: Receiver,
) -> None:
    receiver.statuses = [500]
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, receiver.url, sealer)
    await events_happen(app_database, stall.org.id)
    async with owner_database.begin() as session:
        long_ago = "UPDATE webhook_endpoints SET failing_since = now() - interval '5 days',"
        await session.execute(text(f"{long_ago} failures = 9"))

    async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
        await worker.work()

    found = await read_endpoint(app_database, endpoint)
    assert (found.status, found.stop_reason) == ("disabled", "failing")


async def test_a_pause_that_the_receiver_wants_holds_for_all_its_deliveries(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    sealer: Sealer,
) -> None:
    async def busy(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Busy\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with a_server(busy) as (url, lines):
        endpoint = await a_webhook_endpoint(app_database, stall.org.id, url, sealer)
        async with one_worker(worker_database, app_database, sealer, url) as worker:
            await events_happen(app_database, stall.org.id)
            await worker.work()
            await events_happen(app_database, stall.org.id, 5)
            assert await worker.work() == 0

    assert len(lines) == 1
    assert len(await read_deliveries(app_database, endpoint)) == 6


async def test_two_workers_at_once_send_each_delivery_once(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    sealer: Sealer,
    receiver: Receiver,
) -> None:
    await a_webhook_endpoint(app_database, stall.org.id, receiver.url, sealer)
    await events_happen(app_database, stall.org.id, 60)

    async with (
        one_worker(worker_database, app_database, sealer, receiver.url) as one,
        one_worker(worker_database, app_database, sealer, receiver.url) as two,
    ):
        await one.relay.run_once()
        sent = await asyncio.gather(*(worker.work() for worker in (one, two)))

    assert sum(sent) == 60
    assert all(sent)
    assert len({got.headers["webhook-id"] for got in receiver.received}) == 60
    assert len(receiver.received) == 60


async def test_what_one_worker_is_taking_is_left_to_it_by_another(
    app_database: Database, worker_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    url = "http://127.0.0.1:9/hook"
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, url, sealer)
    await events_happen(app_database, stall.org.id, 30)
    async with one_worker(worker_database, app_database, sealer, url) as worker:
        await worker.relay.run_once()
    due = DueEndpoint(org_id=stall.org.id, endpoint_id=endpoint.id, is_failing=False)
    lease_for = SenderLimits().lease_for

    async with worker_database.begin() as one, worker_database.begin() as two:
        first = await take_due(one, [(due, 20)], token=UUID(int=1), lease_for=lease_for)
        second = await take_due(two, [(due, 20)], token=UUID(int=2), lease_for=lease_for)

    assert (len(first), len(second)) == (20, 10)
    assert {one.event_id for one in first}.isdisjoint({one.event_id for one in second})


async def test_what_a_dead_worker_had_taken_is_sent_by_another_after_its_lease(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    stall: PayableStall,
    sealer: Sealer,
    receiver: Receiver,
) -> None:
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, receiver.url, sealer)
    await events_happen(app_database, stall.org.id)
    async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
        await worker.relay.run_once()
        async with owner_database.begin() as session:  # taken, and never heard from again
            taken = "UPDATE webhook_deliveries SET lease_token = gen_random_uuid(), attempts = 1,"
            await session.execute(text(f"{taken} due_at = now() + interval '60 seconds'"))
        assert await worker.work() == 0

        await make_due(app_database, endpoint)
        assert await worker.work() == 1

    assert outcomes(await read_deliveries(app_database, endpoint)) == [("delivered", 2, 200, None)]


async def test_a_result_that_comes_after_the_lease_was_lost_changes_nothing(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    stall: PayableStall,
    sealer: Sealer,
) -> None:
    is_lost = asyncio.Event()

    async def answer_late(writer: asyncio.StreamWriter) -> None:
        await is_lost.wait()
        await answering("200 OK")(writer)

    async with a_server(answer_late) as (url, lines):
        endpoint = await a_webhook_endpoint(app_database, stall.org.id, url, sealer)
        await events_happen(app_database, stall.org.id)
        async with one_worker(worker_database, app_database, sealer, url) as worker:
            await worker.relay.run_once()
            await worker.sender.take_and_start()
            async with owner_database.begin() as session:
                other = "UPDATE webhook_deliveries SET lease_token = :token"
                await session.execute(text(other), {"token": UUID(int=7)})
            is_lost.set()
            await worker.sender.finish()

    assert len(lines) == 1
    assert outcomes(await read_deliveries(app_database, endpoint)) == [("pending", 1, None, None)]


async def test_during_a_rotation_both_secrets_verify_and_afterwards_the_new_one(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    stall: PayableStall,
    sealer: Sealer,
    receiver: Receiver,
) -> None:
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, receiver.url, sealer)
    async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
        stopping = asyncio.Event()
        sending = asyncio.create_task(keep_sending(app_database, stall, worker, stopping))
        await asyncio.sleep(0)
        async with open_org_transaction(app_database, stall.org.id) as session:
            new = await service.rotate_secret(
                session, stall.org.id, endpoint.id, sealer=sealer, actor=MANAGER, now=read_clock()
            )
        stopping.set()
        await sending
        await events_happen(app_database, stall.org.id)
        await worker.work()
        overlapping = len(receiver.received)
        async with owner_database.begin() as session:
            await session.execute(text("UPDATE webhook_endpoints SET old_secret_until = now()"))
        await events_happen(app_database, stall.org.id)
        await worker.work()

    for got in receiver.received[:overlapping]:  # whoever has not changed it yet misses nothing
        Webhook(endpoint.secret).verify(got.body, got.headers)
    Webhook(new).verify(receiver.received[overlapping - 1].body, receiver.received[-2].headers)
    last = receiver.received[-1]
    Webhook(new).verify(last.body, last.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret).verify(last.body, last.headers)


async def keep_sending(
    database: Database, stall: PayableStall, worker: Any, stopping: asyncio.Event
) -> None:
    while not stopping.is_set():
        await events_happen(database, stall.org.id)
        await worker.work()


async def test_a_receiver_that_hangs_holds_only_its_own_places(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    sealer: Sealer,
) -> None:
    async def hang(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    with ExitStack() as stack:
        receiver = stack.enter_context(a_receiver())
        async with a_server(hang) as (url, _):
            slow = await a_webhook_endpoint(app_database, stall.org.id, url, sealer)
            good = await a_webhook_endpoint(app_database, stall.org.id, receiver.url, sealer)
            await events_happen(app_database, stall.org.id, 30)
            limits = SenderLimits(slots=12, endpoint_max=4, org_max=12)
            async with one_worker(
                worker_database,
                app_database,
                sealer,
                *(url, receiver.url),
                timeout_s=1.0,
                limits=limits,
            ) as worker:
                await worker.relay.run_once()
                while len(receiver.received) < 30:
                    await worker.sender.take_and_start()
                    await asyncio.sleep(0.01)
                slow_rows = outcomes(await read_deliveries(app_database, slow))
                assert sum(row[1] for row in slow_rows) <= 4  # begun, none of them ended
                await worker.sender.finish()
                await make_due(app_database, slow)
                assert await worker.sender.take_and_start() == 1  # it fails: one at a time
                await worker.sender.finish()

    assert {row[0] for row in outcomes(await read_deliveries(app_database, good))} == {"delivered"}
