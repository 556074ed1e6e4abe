"""Our deliveries, verified by the libraries of Standard Webhooks: PyPI's and npm's."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.outbox.rules import EventKind
from payments.webhooks import service
from payments.webhooks.signing import make_secret
from tests.contracts.npm_peers import NpmPeers, install_npm_peers
from tests.world.constants import MANAGER
from tests.world.receivers import ReceivedCallback, Receiver
from tests.world.stalls import PayableStall
from tests.world.webhooks import a_webhook_endpoint, events_happen, one_worker

pytestmark = [pytest.mark.anyio, pytest.mark.slow]  # npm brings its package, and Node.js starts

END_TIMEOUT_S = 20
Verify = Callable[[str, bytes, dict[str, str]], Any]


def verify_by_pypi(secret: str, body: bytes, headers: dict[str, str]) -> Any:
    """Return the event, or None if it is not accepted."""
    try:
        return Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return None


@pytest.fixture(scope="module")
def npm_peers() -> NpmPeers:
    return install_npm_peers()


@pytest.fixture
def verify_by_npm(npm_peers: NpmPeers) -> Verify:
    def verify(secret: str, body: bytes, headers: dict[str, str]) -> Any:
        asked = {"secret": secret, "body": body.decode(), "headers": headers}
        done = subprocess.run(
            npm_peers.command("webhooks.mjs"),
            input=json.dumps(asked) + "\n",
            capture_output=True,
            text=True,
            timeout=END_TIMEOUT_S,
            check=True,
        )
        return json.loads(done.stdout).get("data")

    return verify


async def test_deliveries_are_verified_by_the_libraries_of_both_languages(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    sealer: Sealer,
    receiver: Receiver,
    verify_by_npm: Verify,
) -> None:
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, receiver.url, sealer)
    await events_happen(app_database, stall.org.id)
    await events_happen(app_database, stall.org.id, kind=EventKind.PARKING_LEFT)
    async with one_worker(worker_database, app_database, sealer, receiver.url) as worker:
        await worker.work()
        async with open_org_transaction(app_database, stall.org.id) as session:
            new = await service.rotate_secret(
                session, stall.org.id, endpoint.id, sealer=sealer, actor=MANAGER, now=read_clock()
            )
        await events_happen(app_database, stall.org.id)
        await worker.work()

    before, after = receiver.received[:2], receiver.received[2]
    for verify in (verify_by_pypi, verify_by_npm):
        types = {accept(verify, endpoint.secret, one)["type"] for one in before}
        assert types == {"bill.paid", "parking_session.left"}
        # While both sign, either secret verifies; none other does, nor a body that was changed.
        assert accept(verify, endpoint.secret, after) == accept(verify, new, after)
        assert accept(verify, new, after)["type"] == "bill.paid"
        assert verify(make_secret(), after.body, after.headers) is None
        assert verify(new, after.body.replace(b"20000", b"20001"), after.headers) is None


def accept(verify: Verify, secret: str, got: ReceivedCallback) -> Any:
    event = verify(secret, got.body, got.headers)
    assert event is not None
    assert event["id"] == got.headers["webhook-id"]
    return event
