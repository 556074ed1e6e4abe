"""One limit for "check the payment", wherever it is pressed."""

import pytest

from tests.api.counter.test_counter import at_counter, open_bill
from tests.world.hubs import Hub

pytestmark = pytest.mark.anyio


async def test_a_double_tap_on_check_shows_no_error_and_counter_and_api_share_the_limit(
    hub: Hub,
) -> None:
    market, owner = await at_counter(hub)
    path = await open_bill(owner, amount="20")
    by_api = f"/v1/bills/{path.removeprefix('/counter/bills/')}/check"

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
