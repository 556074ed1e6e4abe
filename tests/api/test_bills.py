"""Bills over HTTP."""

import pytest

from tests.api.city import Hub
from tests.api.stalls import Market, found_market_with_stall

pytestmark = pytest.mark.anyio


@pytest.fixture
async def market(hub: Hub) -> Market:
    """A market with a stall."""
    return await found_market_with_stall(hub)


async def test_a_till_opens_a_bill_and_reads_it_again(market: Market) -> None:
    bill = await market.open_bill()

    again = await market.till.get(f"/v1/bills/{bill['id']}")

    assert again.json() == bill
    assert bill["status"] == "open"
