"""Endpoints that are stopped or go on, and secrets that are changed or lost."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook, WebhookVerificationError

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.webhooks import service
from payments.webhooks.queries import list_deliveries
from payments.webhooks.rules import Failure, StopReason
from payments.webhooks.views import describe_delivery
from tests.payments.webhooks.test_sending import outcomes, read_endpoint
from tests.world.constants import MANAGER
from tests.world.receivers import Receiver, a_receiver
from tests.world.servers import a_server, answering
from tests.world.stalls import PayableStall
from tests.world.webhooks import (
    MadeEndpoint,
    a_webhook_endpoint,
    events_happen,
    one_worker,
    read_deliveries,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def receiver() -> Any:
    with a_receiver() as receiver:
        yield receiver


async def test_what_this_release_cannot_write_is_recorded_and_not_held_against_the_receiver(
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
        async with owner_database.begin() as session:  # as after a release that was taken back
            for change in (
                "UPDATE events SET kind = 'bill.of_a_later_release'",
                "UPDATE webhook_deliveries SET event_kind = 'bill.of_a_later_release'",
            ):
                await session.execute(text(change))
        await worker.work()

    assert outcomes(await read_deliveries(app_database, endpoint)) == [
        ("pending", 1, None, "internal")
    ]
    assert (await read_endpoint(app_database, endpoint)).failing_since is None
    async with open_org_transaction(app_database, stall.org.id) as session:
        (shown,) = [
            describe_delivery(one)
            for one in await list_deliveries(session, stall.org.id, endpoint.id, limit=2)
        ]
    assert (shown.type, shown.last_failure) == ("bill.of_a_later_release", Failure.INTERNAL)


@pytest.mark.parametrize(
    ("damage", "failure"),
    [
        ("DELETE FROM events", "event_erased"),
        (
            "UPDATE events SET data = jsonb_build_object('memo', repeat('x', 70000))",
            "body_too_large",
        ),
        ("UPDATE webhook_endpoints SET sealed_secrets = 'lost'", "secret_not_readable"),
    ],
)
async def test_a_failure_of_our_own_is_not_held_against_the_receiver(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    stall: PayableStall,
    sealer: Sealer,
    receiver: Receiver,
    damage: str,
    failure: str,
) -> None:
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, receiver.url, sealer)
    await events_happen(app_database, stall.org.id)
    async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
        await worker.relay.run_once()
        async with owner_database.begin() as session:
            await session.execute(text(damage))
        await worker.work()

    ((_, _, _, found),) = outcomes(await read_deliveries(app_database, endpoint))
    state = await read_endpoint(app_database, endpoint)
    assert (found, state.failing_since, state.failures) == (failure, None, 0)
    assert receiver.received == []


async def test_a_success_does_not_end_the_pause_that_another_answer_asked_for(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    sealer: Sealer,
) -> None:
    answers = iter([b"503 Busy\r\nRetry-After: 600", b"200 OK"])

    async def busy_once(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 " + next(answers) + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with a_server(busy_once) as (url, _):
        endpoint = await a_webhook_endpoint(app_database, stall.org.id, url, sealer)
        async with one_worker(worker_database, app_database, sealer, url) as worker:
            await events_happen(app_database, stall.org.id, 2)
            await worker.work()

    rows = outcomes(await read_deliveries(app_database, endpoint))
    assert sorted(row[0] for row in rows) == ["delivered", "pending"]
    state = await read_endpoint(app_database, endpoint)
    assert state.paused_until > read_clock()


async def test_what_an_old_address_answers_is_not_held_against_the_new_one(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    sealer: Sealer,
) -> None:
    is_changed = asyncio.Event()

    async def go_late(writer: asyncio.StreamWriter) -> None:
        await is_changed.wait()
        await answering("410 Gone")(writer)

    async with a_server(go_late) as (url, _):
        endpoint = await a_webhook_endpoint(app_database, stall.org.id, url, sealer)
        await events_happen(app_database, stall.org.id)
        async with one_worker(worker_database, app_database, sealer, url) as worker:
            await worker.relay.run_once()
            await worker.sender.take_and_start()
            async with open_org_transaction(app_database, stall.org.id) as session:
                await service.change_endpoint(
                    session,
                    stall.org.id,
                    endpoint.id,
                    service.EndpointChanges(url="https://erp.example.vn/"),
                    allowed_origins=[],
                    actor=MANAGER,
                    now=read_clock(),
                )
            is_changed.set()
            await worker.sender.finish()

    state = await read_endpoint(app_database, endpoint)
    assert (state.status, state.failing_since) == ("enabled", None)


async def test_enabling_or_deleting_an_endpoint_closes_what_its_people_were_told(
    app_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    url = "https://erp.example.vn/"
    one = await a_webhook_endpoint(app_database, stall.org.id, url, sealer)
    other = await a_webhook_endpoint(app_database, stall.org.id, url, sealer)
    async with open_org_transaction(app_database, stall.org.id) as session:
        for endpoint in (one, other):
            await service.stop_endpoint(
                session,
                stall.org.id,
                endpoint.id,
                url=url,
                reason=StopReason.FAILING,
                now=read_clock(),
            )

    async with open_org_transaction(app_database, stall.org.id) as session:
        await service.change_endpoint(
            session,
            stall.org.id,
            one.id,
            service.EndpointChanges(is_enabled=True),
            allowed_origins=[],
            actor=MANAGER,
            now=read_clock(),
        )
        await service.delete_endpoint(
            session, stall.org.id, other.id, actor=MANAGER, now=read_clock()
        )

    async with open_org_transaction(app_database, stall.org.id) as session:
        rows = await session.execute(text("SELECT resolution FROM breaks ORDER BY resolution"))
        assert [tuple(row) for row in rows] == [("webhook_deleted",), ("webhook_enabled",)]


async def test_a_second_rotation_within_a_day_keeps_the_secret_that_the_receiver_has(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    sealer: Sealer,
    receiver: Receiver,
) -> None:
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, receiver.url, sealer)
    secrets = [endpoint.secret]
    async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
        for _ in range(3):
            secrets.append(await rotate(app_database, endpoint, sealer))
            await events_happen(app_database, stall.org.id)
            await worker.work()

    second, third = receiver.received[1:]
    for secret in secrets[:3]:
        Webhook(secret).verify(second.body, second.headers)
    for secret in secrets[1:]:
        Webhook(secret).verify(third.body, third.headers)
    with pytest.raises(WebhookVerificationError):  # three at most
        Webhook(secrets[0]).verify(third.body, third.headers)


async def test_a_secret_that_cannot_be_read_is_replaced_by_a_new_one_alone(
    app_database: Database,
    worker_database: Database,
    owner_database: Database,
    stall: PayableStall,
    sealer: Sealer,
    receiver: Receiver,
) -> None:
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, receiver.url, sealer)
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE webhook_endpoints SET sealed_secrets = 'lost'"))

    new = await rotate(app_database, endpoint, sealer)

    await events_happen(app_database, stall.org.id)
    async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
        await worker.work()
    (got,) = receiver.received
    Webhook(new).verify(got.body, got.headers)
    assert len(got.headers["webhook-signature"].split(" ")) == 1


async def rotate(database: Database, endpoint: MadeEndpoint, sealer: Sealer) -> str:
    async with open_org_transaction(database, endpoint.org_id) as session:
        return await service.rotate_secret(
            session, endpoint.org_id, endpoint.id, sealer=sealer, actor=MANAGER, now=read_clock()
        )
