"""The people at the counter of a stall."""

from uuid import UUID

import httpx
import pytest

from tests.world.cities import employ
from tests.world.constants import PASSWORD
from tests.world.markets import Market

PAGE = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def owner(market: Market) -> httpx.AsyncClient:
    """The browser of the stall's owner."""
    return await sign_in(market, "owner", "vendor_owner", payee_id=market.stall.payee_id)


async def sign_in(
    market: Market, login: str, role: str, *, payee_id: UUID | None = None
) -> httpx.AsyncClient:
    """Employ somebody of the market and return their browser, signed in on the page."""
    await employ(market.admin, login, role, org=market.stall.org.code, payee_id=payee_id)
    browser = market.hub.new_client(**PAGE)
    answer = await browser.post("/login", data={"login": login, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    return browser
