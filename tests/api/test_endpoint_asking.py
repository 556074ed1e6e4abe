"""What an endpoint asks its provider with, over HTTP: taken, replaced, taken away, never shown."""

from typing import Any

import pytest

from core.db import open_org_transaction
from payments.callbacks.ask_keys import open_ask_keys
from payments.callbacks.models import CallbackEndpoint
from payments.callbacks.providers.asking import AskKeys
from payments.callbacks.service import KEY_LINGERS_FOR
from tests.api.city import Hub
from tests.api.stalls import Market, found_market_with_stall

pytestmark = pytest.mark.anyio

SECRET = "a-secret-of-the-provider-0001"
OLD, NEW, CLIENT = "0ld-token", "n3w-token", "shop-of-the-market"


@pytest.fixture
async def market(hub: Hub) -> Market:
    """A market with a stall that can be paid."""
    return await found_market_with_stall(hub)


async def make(market: Market, provider: str, **facts: Any) -> Any:
    """Make an endpoint; return the answer."""
    body = {
        "provider": provider,
        "name": provider,
        "secret": SECRET,
        "account_ids": [str(market.stall.account_id)],
        **facts,
    }
    return await market.admin.post("/v1/endpoints", json=body, params=market.org)


async def read_keys(market: Market, endpoint_id: str) -> AskKeys | None:
    """Read what is stored, as the hub does when it asks."""
    state = market.hub.app.state
    async with open_org_transaction(state.sessions, market.stall.org.id) as session:
        endpoint = await session.get(CallbackEndpoint, (market.stall.org.id, endpoint_id))
        assert endpoint is not None
        return open_ask_keys(endpoint, state.sealer)


async def test_what_payos_is_asked_with_is_taken_and_never_shown(market: Market) -> None:
    made = await make(market, "payos", ask_token=OLD, ask_client_id=CLIENT)
    assert made.status_code == 201, made.text
    endpoint_id = made.json()["id"]
    shown = await market.admin.get(f"/v1/endpoints/{endpoint_id}", params=market.org)

    assert made.json()["can_be_asked"] is shown.json()["can_be_asked"] is True
    assert await read_keys(market, endpoint_id) == AskKeys(token=OLD, client_id=CLIENT)
    for text in (OLD, CLIENT):
        assert text not in made.text + shown.text


@pytest.mark.parametrize(
    ("provider", "facts"),
    [
        ("payos", {"ask_token": OLD}),
        ("payos", {"ask_client_id": CLIENT}),
        ("casso", {"ask_token": OLD, "ask_client_id": CLIENT}),
        ("casso", {"ask_token": "khóa"}),
        ("sepay", {"ask_token": "a\r\nHost: b"}),
        ("vietqrvn", {"ask_token": OLD}),
    ],
)
async def test_what_cannot_be_asked_with_is_refused(
    market: Market, provider: str, facts: dict[str, str]
) -> None:
    answer = await make(market, provider, **facts)

    assert (answer.status_code, answer.json()["code"]) == (422, "bad_ask_token")
    assert OLD not in answer.text


async def test_a_token_is_replaced_and_taken_away(market: Market) -> None:
    endpoint_id = (await make(market, "casso", ask_token=OLD)).json()["id"]
    path = f"/v1/endpoints/{endpoint_id}/asking"

    answer = await market.admin.put(path, json={"ask_token": NEW}, params=market.org)
    assert (answer.status_code, answer.json()["can_be_asked"]) == (200, True)
    assert NEW not in answer.text
    assert await read_keys(market, endpoint_id) == AskKeys(token=NEW)

    answer = await market.admin.put(path, json={"ask_token": None}, params=market.org)
    assert (answer.status_code, answer.json()["can_be_asked"]) == (200, False)
    assert await read_keys(market, endpoint_id) is None

    assert (await market.till.put(path, json={"ask_token": NEW})).status_code == 403
    await market.admin.delete(f"/v1/endpoints/{endpoint_id}", params=market.org)
    answer = await market.admin.put(path, json={"ask_token": NEW}, params=market.org)
    assert answer.json()["code"] == "endpoint_revoked"


async def test_who_replaces_a_token_does_not_answer_for_what_another_fetched(
    market: Market,
) -> None:
    endpoint_id = (await make(market, "casso", ask_token=OLD)).json()["id"]
    state, org_id = market.hub.app.state, market.stall.org.id
    async with open_org_transaction(state.sessions, org_id) as session:
        endpoint = await session.get(CallbackEndpoint, (org_id, endpoint_id))
        assert endpoint is not None
        endpoint.ask_vouched_by = org_id  # somebody else
        made_at = endpoint.created_at
    path = f"/v1/endpoints/{endpoint_id}/asking"

    await market.admin.put(path, json={"ask_token": NEW}, params=market.org)

    admin_id = (await market.admin.get("/v1/me")).json()["id"]
    async with open_org_transaction(state.sessions, org_id) as session:
        endpoint = await session.get(CallbackEndpoint, (org_id, endpoint_id))
        assert endpoint is not None
        assert str(endpoint.ask_vouched_by) == admin_id
        assert endpoint.ask_vouched_from is not None
        assert endpoint.ask_vouched_from >= made_at + KEY_LINGERS_FOR

    manager = await market.staff("quanly", "manager")
    await manager.put(path, json={"ask_token": OLD})

    async with open_org_transaction(state.sessions, org_id) as session:
        endpoint = await session.get(CallbackEndpoint, (org_id, endpoint_id))
        assert endpoint is not None
        assert (endpoint.ask_vouched_by, endpoint.ask_vouched_from) == (None, None)
