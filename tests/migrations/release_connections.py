"""Connections of the frozen city: its webhooks, and an outage that polls catch up with."""

from uuid import UUID

import httpx

from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.outages.heartbeat import Heartbeat
from payments.polling.queries import take_turn
from payments.polling.rules import LEASE
from tests.migrations.release_background import opened, worker_database
from tests.migrations.release_people import PAYOS_CLIENT, PAYOS_TOKEN, City, Place
from tests.world.constants import VCB
from tests.world.outages import an_outage_worker
from tests.world.receivers import a_receiver
from tests.world.sandboxes import tell
from tests.world.webhooks import MadeEndpoint, a_webhook_endpoint, one_worker

ENDPOINTS = "/v1/webhook-endpoints"
CASSO_TOKEN = "made-up-casso-token"
POLLED_EVERY_S = 900


async def webhooks(city: City, place: Place) -> None:
    """Endpoints that answer, want a pause, are gone, and are deleted; one delivery under way."""
    services, manager = city.hub.services, place.office.manager

    async def add(path: str) -> MadeEndpoint:
        url = f"{receiver.url}/{path}"
        return await a_webhook_endpoint(
            services.database, UUID(place.office.id), url, services.sealer
        )

    async def send_test(endpoint: MadeEndpoint) -> None:
        await city.ask(manager, "POST", f"{ENDPOINTS}/{endpoint.id}/test")

    with a_receiver() as receiver:
        async with (
            worker_database(city) as database,
            one_worker(database, services.database, services.sealer, receiver.url) as worker,
        ):
            till = await add("till")
            bill = await city.open_bill(place, place.owner)
            await city.transfer(place, 20_000, bill["reference"])
            assert await worker.work()
            receiver.headers = {"Retry-After": "120"}
            for path, status in (("busy", 503), ("gone", 410)):
                receiver.statuses = [status]
                await send_test(await add(path))
                assert await worker.work() == 1
            unwanted = await add("unwanted")
            await city.ask(manager, "DELETE", f"{ENDPOINTS}/{unwanted.id}")
            await city.ask(manager, "POST", f"{ENDPOINTS}/{till.id}/rotate")
            await send_test(till)
            assert await worker.sender.take_and_start() == 1
            await worker.sender.finish(within_s=0)  # as a worker that is killed


async def outages(city: City, place: Place, sandbox: httpx.Client) -> None:
    """No hub receives for 45 minutes: Casso is polled about them, and payOS until it is given up.

    Args:
        place: a stall whose payOS refuses the key that its endpoint has.
    """
    services, approver = city.hub.services, place.office.approver
    payos = f"/v1/callback-endpoints/{place.endpoints['payos']['id']}"
    right = {"pull_token": PAYOS_TOKEN, "pull_client_id": PAYOS_CLIENT}
    await city.ask(approver, "PUT", f"{payos}/pull-credentials", right)
    for _ in range(4):  # with those before them they are more than one poll asks about
        await city.open_bill(place, place.owner, rail="payos")
    casso = await connect_casso(city, place, sandbox)
    unnoticed = await city.open_bill(place, place.owner)
    tell(
        sandbox,
        "transfer",
        {
            "bin": VCB,
            "number": place.number,
            "amount_vnd": 20_000,
            "memo": unnoticed["reference"],
        },
    )
    silence = "UPDATE hub_heartbeats SET beat_at = beat_at - interval '45 minutes' RETURNING id"
    assert city.query(silence)
    await Heartbeat(services.database).beat()
    async with (
        worker_database(city) as database,
        opened(city, city.database.owner_url) as owner,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        worker = an_outage_worker(
            services.database, database, owner, services.sealer, client, every_s=POLLED_EVERY_S
        )
        await worker.plan()
        await worker.plan_regular()
        path = f"/v1/callback-endpoints/{casso}/accounts/{place.account_id}/polling"
        await city.ask(approver, "PUT", path, {"every_s": 600})
        await worker.let_time_pass()
        await worker.poll()
        await city.ask(
            approver, "PUT", f"{payos}/pull-credentials", right | {"pull_token": "not-the-key"}
        )
        await worker.let_time_pass()
        await worker.poll()
        await city.ask(approver, "DELETE", payos)
        await worker.catch_up()
        await worker.let_time_pass()
        org_id = UUID(place.office.id)
        async with open_org_transaction(services.database, org_id) as session:
            # As a worker that is killed in its turn.
            await take_turn(session, org_id, UUID(casso), token=new_id(), lease_for=LEASE)
        await worker.poller.processor.close()
    paid = await city.ask(place.owner, "GET", f"/v1/bills/{unnoticed['id']}")
    assert paid["status"] == "paid", paid


async def connect_casso(city: City, place: Place, sandbox: httpx.Client) -> str:
    """Connect a stall with Casso, whose callbacks do not come; return the endpoint."""
    made = await city.connect(
        place,
        "casso",
        is_sandbox=True,
        pull_token=CASSO_TOKEN,
        pull_url=str(sandbox.base_url).rstrip("/"),
    )
    subscription = {
        "provider": "casso",
        "url": "",
        "secret": "made-up-casso-secret",
        "api_key": CASSO_TOKEN,
        "accounts": [{"bin": VCB, "number": place.number}],
    }
    tell(sandbox, "subscriptions", subscription)
    return str(made["id"])
