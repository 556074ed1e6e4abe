"""A worker is killed while receivers have its deliveries and have not answered: none is lost."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.db import Database
from core.sealing import Sealer
from core.settings import Settings
from core.tenancy import open_org_transaction
from tests.world.databases import FreshDatabase
from tests.world.installation import Installation, Process, running_installation
from tests.world.receivers import Receiver
from tests.world.serials import next_code
from tests.world.servers import serve
from tests.world.stalls import a_payable_stall
from tests.world.webhooks import (
    MadeEndpoint,
    a_webhook_endpoint,
    events_happen,
    make_due,
    read_deliveries,
)

CODE = next_code()
pytestmark = [pytest.mark.anyio, pytest.mark.faults]

EVENTS = 30
WITHIN_S = 60.0
LEASE_WITHIN_S = 120.0


class HoldingReceiver(Receiver):
    """A receiver that keeps who posts waiting."""

    is_holding = True

    async def receive(self, request: Request) -> Response:
        answer = await super().receive(request)
        while self.is_holding:  # noqa: ASYNC110 (set by another thread)
            await asyncio.sleep(0.01)
        return answer


@pytest.fixture
def receiver() -> Iterator[HoldingReceiver]:
    receiver = HoldingReceiver()
    app = Starlette(routes=[Route("/{path:path}", receiver.receive, methods=["POST"])])
    with serve(app) as url:
        receiver.url = url
        yield receiver
        receiver.is_holding = False


@pytest.fixture
def installation(
    fresh_database: FreshDatabase, receiver: HoldingReceiver, tmp_path: Path
) -> Iterator[Installation]:
    environment = {**fresh_database.environment, "PHOPAY_WEBHOOK_ORIGINS": f"{CODE}={receiver.url}"}
    with running_installation(environment, tmp_path) as running:
        yield running


async def wait_for(receiver: HoldingReceiver, count: int, *workers: Process) -> None:
    end = time.monotonic() + WITHIN_S
    while len(receiver.received) < count:
        assert time.monotonic() < end, "nothing is sent"
        assert all(worker.is_running for worker in workers)
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "waits_for_leases", [False, pytest.param(True, marks=pytest.mark.drill)], ids=["soon", "leases"]
)
async def test_a_worker_killed_in_mid_delivery_loses_nothing(
    installation: Installation,
    receiver: HoldingReceiver,
    app_database: Database,
    settings: Settings,
    waits_for_leases: bool,
) -> None:
    stall = await a_payable_stall(app_database, code=CODE)
    sealer = Sealer.from_settings(settings)
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, receiver.url, sealer)
    dying = installation.start_worker()
    await events_happen(app_database, stall.org.id, EVENTS)
    await wait_for(receiver, 20, dying)  # as many as one endpoint has at once

    dying.kill()
    taken = {one.headers["webhook-id"] for one in receiver.received}
    assert {row[1] for row in await read_deliveries(app_database, endpoint)} == {"pending"}
    receiver.is_holding = False
    workers = [installation.start_worker() for _ in range(2)]
    await wait_for(receiver, EVENTS, *workers)  # what the dead one had not taken
    if not waits_for_leases:
        await make_due(app_database, endpoint)
    await wait_until_delivered(app_database, endpoint)

    times = Counter(one.headers["webhook-id"] for one in receiver.received)
    assert len(times) == EVENTS
    # At least once: twice only what the dead worker had sent without learning the answer.
    assert {event for event, count in times.items() if count > 1} <= taken
    assert max(times.values()) <= 2


async def wait_until_delivered(database: Database, endpoint: MadeEndpoint) -> None:
    end = time.monotonic() + LEASE_WITHIN_S
    query = text("SELECT count(*) FROM webhook_deliveries WHERE status <> 'delivered'")
    while True:
        async with open_org_transaction(database, endpoint.org_id) as session:
            if not await session.scalar(query):
                return
        assert time.monotonic() < end, "a delivery is left"
        await asyncio.sleep(0.05)
