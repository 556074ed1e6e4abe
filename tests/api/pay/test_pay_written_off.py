"""The pay page of a bill whose rest was given up: what came, and never what nobody paid."""

import httpx
import pytest

from core.clock import read_clock
from tests.world.breaks import give_up_rest
from tests.world.hubs import Hub
from tests.world.markets import Market
from tests.world.pages import as_reader, text_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def stranger(hub: Hub) -> httpx.AsyncClient:
    """A browser that never signed in."""
    return as_reader(hub.new_client())


async def test_what_was_given_up_is_not_received_and_the_late_rest_is_not_paid_twice(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    bill = await market.add_bill()
    await market.pay(bill, amount_vnd=15_000)
    await give_up_rest(market.database, market.stall, bill, now=read_clock())
    path = market.pay_path(bill)

    page = text_of(await stranger.get(path))
    receipt = text_of(await stranger.get(f"{path}/receipt"))

    assert "15.000 ₫" in page
    assert "20.000 ₫" not in page
    assert "Mười lăm nghìn đồng" in receipt
    assert "Thừa" not in page + receipt

    await market.pay(bill, amount_vnd=5_000)  # the rest comes all the same
    page = text_of(await stranger.get(path))
    receipt = text_of(await stranger.get(f"{path}/receipt"))

    assert "20.000 ₫" in page
    assert "hai lần" not in page
    assert "Hai mươi nghìn đồng" in receipt
    assert "Thừa" not in page + receipt
    assert "chờ hoàn lại" not in receipt

    await market.pay(bill, amount_vnd=5_000)  # and this is too much
    assert "Thừa 5.000 ₫" in text_of(await stranger.get(path))
