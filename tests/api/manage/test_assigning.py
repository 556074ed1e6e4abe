"""The form that assigns money which nothing explains: it chooses nobody by itself."""

import re

import pytest

from payments.bills.references import make_reference
from tests.world.hubs import Hub
from tests.world.markets import Market, set_up_market
from tests.world.pages import let_in, text_of

pytestmark = pytest.mark.anyio

FORM = re.compile(r'<form[^>]*action="(/manage/breaks/[0-9a-f-]{36}/assign)".*?</form>', re.S)
OPTION = re.compile(r'<option value="([^"]*)"([^>]*)>')


@pytest.fixture
async def market(hub: Hub) -> Market:
    """A market board with a stall that can be paid."""
    return await set_up_market(hub)


async def test_a_form_that_nobody_filled_in_gives_money_to_nobody(market: Market) -> None:
    """A browser sends the first option of a list where none is selected."""
    finance = await let_in(market, "finance")
    bill = await market.add_bill()
    await market.pay(bill, memo=make_reference("HKXM", 999_999))
    page = await finance.get("/manage/breaks")
    [form] = FORM.finditer(page.text)
    options = OPTION.findall(form[0])
    values = [value for value, _ in options]
    assert values[0] == ""
    assert str(market.stall.payee_id) in values
    assert not any("selected" in attributes for _, attributes in options)

    answer = await finance.post(form[1], data={"payee_id": values[0], "reference": ""})

    assert answer.status_code == 422
    assert "gian hàng" in text_of(answer)
    assert form[1] in (await finance.get("/manage/breaks")).text  # it still waits for a person
