"""Screens of a stall whose account ended: what comes to that account is others' money by then."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import anyio
import httpx
import psycopg
import pytest

from api.live import streams
from core.clock import read_clock
from core.tenancy import open_org_transaction
from payments.payees.queries import find_routes
from tests.api.live.live_screens import Screen, watching
from tests.world.databases import FreshDatabase
from tests.world.hubs import Hub, running_hub
from tests.world.markets import Market, set_up_market
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.payees import a_payee, an_account

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
async def hub(fresh_database: FreshDatabase) -> AsyncIterator[Hub]:
    async with running_hub(fresh_database.settings) as running:
        yield running


async def a_neighbour(market: Market) -> tuple[UUID, UUID]:
    """Let another stall share the account; return that stall and its link."""
    stall = market.stall
    async with open_org_transaction(market.hub.services.database, stall.org.id) as session:
        payee_id = await a_payee(session, stall.org)
        number = stall.account_number
        await an_account(session, stall.org, payee_id, account_number=number, is_tested=False)
        assert payee_id in await find_routes(session, stall.org.id, [payee_id])
    return payee_id, await find_link(market, payee_id)


async def find_link(market: Market, payee_id: UUID) -> UUID:
    links = (await market.admin.get("/v1/accounts", params=market.org)).json()["accounts"]
    (link_id,) = [UUID(link["id"]) for link in links if link["payee_id"] == str(payee_id)]
    return link_id


async def pay_nobody(market: Market, amount_vnd: int) -> None:
    """Let money come to the shared account that says nothing of whose it is."""
    stall, now, database = market.stall, read_clock(), market.hub.services.database
    body = sepay_body(stall, amount_vnd=amount_vnd, memo="mua rau", occurred_at=now)
    await store_notices(database, stall, body, now=now)
    await process_waiting(database, stall, now=now)


@asynccontextmanager
async def caught_up(client: httpx.AsyncClient, path: str) -> AsyncIterator[Screen]:
    """Open a stream and read what happened before it."""
    async with watching(client, path) as screen:
        await screen.receive_id_of("caught-up")
        yield screen


@pytest.mark.parametrize("path", ["/counter/events", "/v1/events"])
@pytest.mark.parametrize("how", ["account ended", "stall closed"])
async def test_a_stall_without_its_shared_account_receives_no_more_of_it(
    hub: Hub, how: str, path: str
) -> None:
    market = await set_up_market(hub)
    await a_neighbour(market)  # so that the account stays a shared one
    payee_id, link_id = await a_neighbour(market)
    owner = await market.staff("neighbour", "vendor_owner", payee_id=payee_id)
    async with caught_up(owner, path) as screen:
        await pay_nobody(market, 33_000)
        assert (await screen.receive())["event"] == "credit.unassigned"

        if how == "account ended":
            body = {"reason": "thôi bán"}
            ended = await market.admin.post(
                f"/v1/accounts/{link_id}/end", json=body, params=market.org
            )
        else:
            ended = await market.admin.patch(
                f"/v1/payees/{payee_id}", json={"is_closed": True}, params=market.org
            )
        assert ended.status_code == 200, ended.text
        assert (await screen.receive())["event"] == "account.changed"
        await pay_nobody(market, 77_000)

        with pytest.raises(TimeoutError):
            await screen.receive(within_s=3)


async def test_an_account_that_ended_without_a_word_is_noticed_at_the_next_check(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, fresh_database: FreshDatabase
) -> None:
    monkeypatch.setattr(streams, "RECHECK_S", 0.2)
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.1)
    market = await set_up_market(hub)
    await a_neighbour(market)  # so that the account stays a shared one
    payee_id, link_id = await a_neighbour(market)
    owner = await market.staff("neighbour", "vendor_owner", payee_id=payee_id)
    async with caught_up(owner, "/counter/events") as screen:
        with psycopg.connect(fresh_database.owner_url) as owner_of_database:
            owner_of_database.execute(
                "UPDATE payee_accounts SET status = 'ended', ended_at = now() WHERE id = %s",
                [link_id],
            )
        await anyio.sleep(1)
        await pay_nobody(market, 77_000)

        names = []
        with anyio.move_on_after(3):
            while True:
                names.append((await screen.receive())["event"])
        assert "credit.unassigned" not in names
