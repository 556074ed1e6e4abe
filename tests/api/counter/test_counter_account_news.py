"""News of a stall's account at the counter: the first one, a later one, and who confirms it."""

from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.tenancy import open_org_transaction
from tests.api.counter.conftest import sign_in
from tests.world.markets import Market
from tests.world.payees import a_payee, an_account

pytestmark = pytest.mark.anyio


FIRST_ACCOUNT = "<strong>Tiền của quầy vào</strong>"


async def find_link(market: Market) -> UUID:
    query = text("SELECT id FROM payee_accounts WHERE payee_id = :id")
    async with open_org_transaction(market.hub.services.database, market.stall.org.id) as session:
        link_id: UUID = await session.scalar(query, {"id": market.stall.payee_id})
    return link_id


async def test_account_is_confirmed_for_all_by_the_stalls_owner_only(
    market: Market, owner: httpx.AsyncClient, owner_database: Database
) -> None:
    cashier = await sign_in(market, "cashier", "cashier", payee_id=market.stall.payee_id)
    link_id = await find_link(market)
    async with open_org_transaction(market.hub.services.database, market.stall.org.id) as session:
        other_id = await a_payee(session, market.stall.org)
    stranger = await sign_in(market, "other", "vendor_owner", payee_id=other_id)
    later = text("UPDATE payee_accounts SET proposed_at = clock_timestamp() WHERE id = :id")
    async with owner_database.begin() as session:
        await session.execute(later, {"id": link_id})
    assert FIRST_ACCOUNT in (await cashier.get("/counter")).text

    refused = await stranger.post(f"/counter/accounts/{link_id}/seen")
    seen = await owner.post(f"/counter/accounts/{link_id}/seen")

    assert (refused.status_code, seen.status_code) == (404, 303)
    for person in (owner, cashier):
        assert FIRST_ACCOUNT not in (await person.get("/counter")).text


async def test_owner_hired_after_the_account_gets_past_its_news_for_themselves_only(
    market: Market,
    owner: httpx.AsyncClient,
) -> None:
    """A manager's straw login could else hide from the holder that their money goes elsewhere."""
    # the owner's login is younger than the account
    cashier = await sign_in(market, "cashier", "cashier", payee_id=market.stall.payee_id)
    link_id = await find_link(market)
    page = (await owner.get("/counter")).text
    assert FIRST_ACCOUNT in page
    assert "đã đổi" not in page  # nothing changed
    assert "sau khi tài khoản được đề nghị" in page  # why it does not count for the stall

    for _ in range(2):
        assert (await owner.post(f"/counter/accounts/{link_id}/seen")).status_code == 303

    assert FIRST_ACCOUNT not in (await owner.get("/counter")).text
    assert FIRST_ACCOUNT in (await cashier.get("/counter")).text
    links = (await owner.get("/v1/accounts")).json()["accounts"]
    assert [link["holder_confirmed_at"] for link in links] == [None]
    assert (await cashier.post(f"/counter/accounts/{link_id}/seen")).status_code == 303
    assert FIRST_ACCOUNT not in (await cashier.get("/counter")).text


async def test_later_account_is_a_change_and_its_news_comes_again(
    market: Market, owner: httpx.AsyncClient, owner_database: Database
) -> None:
    link_id = await find_link(market)
    await owner.post(f"/counter/accounts/{link_id}/seen")
    async with open_org_transaction(market.hub.services.database, market.stall.org.id) as session:
        await an_account(
            session,
            market.stall.org,
            market.stall.payee_id,
            account_number="0988777666",
            now=read_clock(),
        )

    page = (await owner.get("/counter")).text

    assert "Tài khoản nhận tiền đã đổi" in page
    assert FIRST_ACCOUNT not in page
