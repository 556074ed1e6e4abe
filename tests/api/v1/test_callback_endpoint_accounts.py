"""Accounts of a callback endpoint over HTTP and on its page: one by one, beside the whole list."""

import re
from typing import Any

import pytest

from core.db import Database
from core.tenancy import open_org_transaction
from tests.world.markets import Market
from tests.world.pages import let_in
from tests.world.payees import an_account

pytestmark = pytest.mark.anyio


async def more_accounts(database: Database, market: Market, count: int) -> list[str]:
    stall = market.stall
    async with open_org_transaction(database, stall.org.id) as session:
        return [
            str(await an_account(session, stall.org, stall.payee_id, account_number=f"77{n:06d}"))
            for n in range(count)
        ]


async def listed(market: Market) -> set[str]:
    path = f"/v1/callback-endpoints/{market.stall.endpoint_id}"
    shown: dict[str, Any] = (await market.admin.get(path, params=market.org)).json()
    return {one["id"] for one in shown["accounts"]}


async def test_an_account_is_added_and_removed_by_itself(
    app_database: Database, market: Market
) -> None:
    own = str(market.stall.account_id)
    (other,) = await more_accounts(app_database, market, 1)
    path = f"/v1/callback-endpoints/{market.stall.endpoint_id}/accounts/{other}"

    for _ in range(2):
        added = await market.admin.put(path, params=market.org)
        assert added.status_code == 200
        assert {one["id"] for one in added.json()["accounts"]} == {own, other}
    assert (await market.till.put(path)).status_code == 403
    for _ in range(2):
        removed = await market.admin.delete(path, params=market.org)
        assert removed.status_code == 204
    assert await listed(market) == {own}


async def test_an_account_of_nobody_is_refused(market: Market) -> None:
    path = f"/v1/callback-endpoints/{market.stall.endpoint_id}/accounts/{market.stall.payee_id}"

    refused = await market.admin.put(path, params=market.org)

    assert (refused.status_code, refused.json()["code"]) == (422, "bad_account")


async def test_the_page_of_an_endpoint_applies_only_what_was_ticked_since(
    app_database: Database, market: Market
) -> None:
    own = str(market.stall.account_id)
    first, second = await more_accounts(app_database, market, 2)
    manager = await let_in(market, "manager")
    path = f"/manage/endpoints/{market.stall.endpoint_id}"
    before = re.findall(r'name="before" value="([0-9a-f-]+)"', (await manager.get(path)).text)
    assert before == [own]
    await market.admin.put(
        f"/v1/callback-endpoints/{market.stall.endpoint_id}/accounts/{first}", params=market.org
    )

    form = {"before": before, "accounts": [own, second]}
    answer = await manager.post(f"{path}/accounts", data=form)

    assert answer.status_code == 303
    assert await listed(market) == {own, first, second}, "what somebody else added stays"
    await manager.post(f"{path}/accounts", data={"before": [own, first, second], "accounts": own})
    assert await listed(market) == {own}
