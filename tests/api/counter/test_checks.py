"""One limit for "check the payment", wherever it is pressed."""

from functools import partial

import pytest

from api.counter import sales
from core.clock import read_clock
from tests.api.counter.conftest import sign_in
from tests.api.counter.test_counter import open_bill
from tests.world.clocks import stop_refills
from tests.world.markets import Market
from tests.world.notices import process_waiting, sepay_body, store_notices

pytestmark = pytest.mark.anyio


@pytest.mark.slow
async def test_a_double_tap_on_check_shows_no_error_and_counter_and_api_share_the_limit(
    market: Market,
) -> None:
    owner = await sign_in(market, "owner", "vendor_owner", payee_id=market.stall.payee_id)
    path = await open_bill(owner, amount="20")
    by_api = f"/v1/bills/{path.removeprefix('/counter/bills/')}/check"
    stop_refills(market.hub.services.limits.checks)

    tapped = [await owner.post(f"{path}/check") for _ in range(2)]
    third = await market.till.post(by_api)
    fourth = [
        await market.till.post(by_api),
        await owner.post(f"{path}/check"),
        await owner.post("/counter/sales/check"),
    ]

    assert [answer.status_code for answer in tapped] == [303, 303]
    assert third.status_code != 429
    assert [answer.status_code for answer in fourth] == [429, 429, 429]
    assert "retry-after" in fourth[0].headers


async def sell(market: Market, amount_vnd: int) -> None:
    """Let a customer pay to the stall's own code."""
    stall, now, database = market.stall, read_clock(), market.hub.services.database
    body = sepay_body(stall, amount_vnd=amount_vnd, memo="mua rau", occurred_at=now)
    await store_notices(database, stall, body, now=now)
    await process_waiting(database, stall, now=now)


@pytest.mark.parametrize("sales_max", [500, 2])
@pytest.mark.parametrize("is_paid", [True, False])
async def test_a_check_says_that_money_came_also_where_the_days_list_is_full(
    market: Market, monkeypatch: pytest.MonkeyPatch, sales_max: int, is_paid: bool
) -> None:
    owner = await sign_in(market, "owner", "vendor_owner", payee_id=market.stall.payee_id)
    for amount_vnd in (10_000, 20_000):
        await sell(market, amount_vnd)
    monkeypatch.setattr(sales, "list_sales", partial(sales.list_sales, limit=sales_max))

    async def poll(*_: object, **__: object) -> None:
        """The bank's answer, as the poller would store it."""
        if is_paid:
            await sell(market, 30_000)

    monkeypatch.setattr(sales, "poll_for_payee", poll)

    answer = await owner.post("/counter/sales/check")

    assert answer.headers["location"].endswith("done=new" if is_paid else "done=some")
