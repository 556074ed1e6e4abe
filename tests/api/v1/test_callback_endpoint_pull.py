"""The pull credentials of an endpoint over HTTP: set, replaced, removed, never shown."""

import pytest

from core.tenancy import open_org_transaction
from payments.connections.credentials import open_pull_credentials
from payments.connections.models import CallbackEndpoint
from payments.connections.service import KEY_LINGERS_FOR
from payments.providers.pulling import PullCredentials
from tests.world.markets import Market

pytestmark = pytest.mark.anyio

OLD, NEW, CLIENT = "0ld-token", "n3w-token", "shop-of-the-market"


async def read_keys(market: Market, endpoint_id: str) -> PullCredentials | None:
    """Read what is stored, as the hub does when it asks."""
    services = market.hub.services
    async with open_org_transaction(services.database, market.stall.org.id) as session:
        endpoint = await session.get(CallbackEndpoint, (market.stall.org.id, endpoint_id))
        assert endpoint is not None
        return open_pull_credentials(endpoint, services.sealer)


async def test_what_payos_is_pulled_with_is_taken_and_never_shown(market: Market) -> None:
    made = await market.ask_for_endpoint("payos", pull_token=OLD, pull_client_id=CLIENT)
    assert made.status_code == 201, made.text
    endpoint_id = made.json()["id"]
    shown = await market.admin.get(f"/v1/callback-endpoints/{endpoint_id}", params=market.org)

    assert made.json()["can_be_polled"] is shown.json()["can_be_polled"] is True
    assert await read_keys(market, endpoint_id) == PullCredentials(token=OLD, client_id=CLIENT)
    for text in (OLD, CLIENT):
        assert text not in made.text + shown.text


@pytest.mark.parametrize(
    ("provider", "facts"),
    [
        ("payos", {"pull_token": OLD}),
        ("payos", {"pull_client_id": CLIENT}),
        ("casso", {"pull_token": OLD, "pull_client_id": CLIENT}),
        ("casso", {"pull_token": "khóa"}),
        ("sepay", {"pull_token": "a\r\nHost: b"}),
        ("vietqrvn", {"pull_token": OLD}),
    ],
)
async def test_what_cannot_be_polled_with_is_refused(
    market: Market, provider: str, facts: dict[str, str]
) -> None:
    answer = await market.ask_for_endpoint(provider, **facts)

    assert (answer.status_code, answer.json()["code"]) == (422, "bad_pull_token")
    assert OLD not in answer.text


async def test_a_token_is_replaced_and_taken_away(market: Market) -> None:
    endpoint_id = (await market.ask_for_endpoint("casso", pull_token=OLD)).json()["id"]
    path = f"/v1/callback-endpoints/{endpoint_id}/pull-credentials"

    answer = await market.admin.put(path, json={"pull_token": NEW}, params=market.org)
    assert (answer.status_code, answer.json()["can_be_polled"]) == (200, True)
    assert NEW not in answer.text
    assert await read_keys(market, endpoint_id) == PullCredentials(token=NEW)

    answer = await market.admin.put(path, json={"pull_token": None}, params=market.org)
    assert (answer.status_code, answer.json()["can_be_polled"]) == (200, False)
    assert await read_keys(market, endpoint_id) is None

    assert (await market.till.put(path, json={"pull_token": NEW})).status_code == 403
    await market.admin.delete(f"/v1/callback-endpoints/{endpoint_id}", params=market.org)
    answer = await market.admin.put(path, json={"pull_token": NEW}, params=market.org)
    assert answer.json()["code"] == "callback_endpoint_revoked"


async def test_who_replaces_a_token_does_not_answer_for_what_another_fetched(
    market: Market,
) -> None:
    endpoint_id = (await market.ask_for_endpoint("casso", pull_token=OLD)).json()["id"]
    services, org_id = market.hub.services, market.stall.org.id
    async with open_org_transaction(services.database, org_id) as session:
        endpoint = await session.get(CallbackEndpoint, (org_id, endpoint_id))
        assert endpoint is not None
        endpoint.pull_vouched_by = org_id  # somebody else
        made_at = endpoint.created_at
    path = f"/v1/callback-endpoints/{endpoint_id}/pull-credentials"

    await market.admin.put(path, json={"pull_token": NEW}, params=market.org)

    admin_id = (await market.admin.get("/v1/me")).json()["id"]
    async with open_org_transaction(services.database, org_id) as session:
        endpoint = await session.get(CallbackEndpoint, (org_id, endpoint_id))
        assert endpoint is not None
        assert str(endpoint.pull_vouched_by) == admin_id
        assert endpoint.pull_vouched_from is not None
        assert endpoint.pull_vouched_from >= made_at + KEY_LINGERS_FOR

    manager = await market.staff("quanly", "manager")
    await manager.put(path, json={"pull_token": OLD})

    async with open_org_transaction(services.database, org_id) as session:
        endpoint = await session.get(CallbackEndpoint, (org_id, endpoint_id))
        assert endpoint is not None
        assert (endpoint.pull_vouched_by, endpoint.pull_vouched_from) == (None, None)
