"""Cash at the counter: the rest of a short bill, taken, taken back, and in the list of the day."""

import re

import httpx
import pytest

from core.ids import new_id
from tests.api.counter.conftest import sign_in
from tests.api.counter.test_counter import open_bill, pay_bill
from tests.world.markets import Market
from tests.world.pages import text_of

pytestmark = pytest.mark.anyio


async def test_the_rest_of_a_short_bill_is_taken_in_cash_once_it_is_confirmed(
    market: Market, owner: httpx.AsyncClient
) -> None:
    path = await open_bill(owner, amount="20000", plain="1")
    assert "Khách trả nốt tiền mặt" not in (await owner.get(path)).text
    await pay_bill(market, path, amount_vnd=12_000)
    page = (await owner.get(path)).text
    assert "Khách trả nốt tiền mặt 8.000" in page
    form = {
        name: re.findall(rf'name="{name}" value="([^"]+)"', page)[0]
        for name in ("cash_id", "amount_vnd")
    }
    assert form["amount_vnd"] == "8000"

    for _ in range(2):  # the button twice
        answer = await owner.post(f"{path}/cash", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, path)
    stale = await owner.post(f"{path}/cash", data={**form, "cash_id": str(new_id())})
    assert stale.headers["location"].endswith("checked=cash_not_owed")

    page = (await owner.get(path)).text
    assert "Tiền mặt ·" in page
    assert "Còn thiếu" not in page
    assert "Khách trả nốt" not in page
    today = (await owner.get("/counter/today")).text
    assert "20.000" in today
    assert "tiền mặt 8.000" in today


async def test_cash_recorded_by_mistake_is_taken_back_by_who_recorded_it(
    market: Market, owner: httpx.AsyncClient
) -> None:
    path = await open_bill(owner, amount="20")
    await pay_bill(market, path, amount_vnd=12_000)
    form = {"cash_id": str(new_id()), "amount_vnd": "8000"}
    assert (await owner.post(f"{path}/cash", data=form)).status_code == 303
    cashier = await sign_in(market, "cashier", "cashier", payee_id=market.stall.payee_id)
    assert f"{path}/cash-back" not in (await cashier.get(path)).text
    assert f"{path}/cash-back" in (await owner.get(path)).text
    assert "20.000" in (await owner.get("/counter/today")).text

    by_other = await cashier.post(f"{path}/cash-back", data={"payment_id": form["cash_id"]})
    assert by_other.headers["location"] == f"{path}?checked=cash_not_reversible"
    page = await cashier.get(by_other.headers["location"])
    assert "Không bỏ được khoản tiền mặt này." in page.text
    for _ in range(2):
        answer = await owner.post(f"{path}/cash-back", data={"payment_id": form["cash_id"]})
        assert answer.headers["location"] == path

    page = await owner.get(path)
    assert 'data-status="part_paid"' in page.text
    assert 'data-code-vnd="8000"' in page.text
    assert f"{path}/cash-back" not in page.text
    assert "12.000" in (await owner.get("/counter/today")).text
    assert (
        await owner.post(f"{path}/cash-back", data={"payment_id": str(new_id())})
    ).status_code == 404


async def test_the_days_list_says_what_is_cash_and_that_a_short_bill_was_paid_since(
    market: Market,
    owner: httpx.AsyncClient,
) -> None:
    bill = await market.add_bill(amount_vnd=50_000)
    await market.pay(bill, amount_vnd=30_000)
    short = text_of(await owner.get("/counter/sales"))
    assert "Thiếu tiền" in short
    assert "tiền mặt" not in short

    cash = {"cash_id": str(new_id()), "amount_vnd": "20000"}
    await owner.post(f"/counter/bills/{bill.id}/cash", data=cash)

    page = text_of(await owner.get("/counter/sales"))
    assert "Hôm nay 50.000 ₫, trong đó tiền mặt 20.000 ₫" in page
    assert "Sau đó đã trả đủ" in page
    assert "Thiếu tiền" not in page
