"""A hub is killed between the steps of a bill on the payOS rail; one order is left to be paid.

The till repeats its request at another hub, as tills do, and a worker takes over what is left.
"""

import asyncio
import time
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from core.db import Database
from core.sealing import Sealer
from core.settings import Settings
from core.tenancy import open_org_transaction
from tests.faults.dying_hub import RAIL_POINTS
from tests.world.databases import FreshDatabase
from tests.world.installation import Installation, Process, new_client, wait_until_up
from tests.world.rails import RailStall, connect_to_payos, payos_sandbox_for
from tests.world.stalls import a_callable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

RESOLVED_WITHIN_S = 60.0  # the dead hub's turn lasts 20 of them


@pytest.fixture(scope="module")
def steady(installation: Installation) -> Process:
    """A hub that lives."""
    return installation.start_hub()


@pytest.fixture(scope="module")
def worker(installation: Installation) -> Process:
    return installation.start_worker()


async def read_bill(client: httpx.AsyncClient, hub: Process, path: str, key: str) -> Any:
    answer = await client.get(f"{hub.url}{path}", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


# Each waits for the end of the dead hub's turn: every day the one in the middle, in drills all.
EVERY_DAY = "after the provider has answered"
NUMBERED = [
    pytest.param(number, point, marks=() if point == EVERY_DAY else pytest.mark.drill)
    for number, point in enumerate(RAIL_POINTS)
]


@pytest.mark.parametrize(("number", "point"), NUMBERED)
async def test_a_hub_killed_between_the_steps_leaves_one_order_that_can_be_paid(
    installation: Installation,
    steady: Process,
    worker: Process,
    app_database: Database,
    owner_database: Database,
    settings: Settings,
    fresh_database: FreshDatabase,
    number: int,
    point: str,
) -> None:
    dying = installation.start_dying_hub(point)
    to = await a_callable_stall(app_database, settings, code=f"HKR{'ABCDE'[number]}", is_live=False)
    sealer = Sealer.from_settings(settings)
    async with new_client() as client:
        with payos_sandbox_for(app_database, owner_database, sealer, to, client) as place:
            await connect_to_payos(place)
            await wait_until_up(dying, steady)
            body = {
                "payee_id": str(to.payee_id),
                "amount_vnd": 20_000,
                "purpose": "2 phở bò",
                "rail": "payos",
            }
            headers = {"Authorization": f"Bearer {to.api_key}", "Idempotency-Key": "order-1"}
            with pytest.raises(httpx.TransportError):
                await client.post(f"{dying.url}/v1/bills", json=body, headers=headers)
            dying.wait_until_killed()

            answer = await client.post(f"{steady.url}/v1/bills", json=body, headers=headers)
            assert answer.status_code == 201, answer.text
            bill = answer.json()
            end = time.monotonic() + RESOLVED_WITHIN_S
            while bill["code_state"] != "ready":
                assert time.monotonic() < end, "nobody brings the bill to its code"
                await asyncio.sleep(0.2)
                bill = await read_bill(client, steady, bill["links"]["self"], to.api_key)

            await check_one_order(place, bill)
            assert await count_bills(app_database, to.org.id) == 1


async def check_one_order(place: RailStall, bill: Any) -> None:
    """Of all orders at payOS the bill's own can be paid, and no other."""
    counted = place.sandbox.get("/control/payment-requests").json()
    assert counted["by_status"]["PENDING"] == 1, counted
    stored = await place.read_id(bill["id"])
    assert place.order(stored.provider_order_id)["status"] == "PENDING"
    assert counted["accounts"][stored.provider_order_id] == stored.code_account


async def count_bills(database: Database, org_id: UUID) -> int:
    async with open_org_transaction(database, org_id) as session:
        return int(await session.scalar(text("SELECT count(*) FROM bills")) or 0)
