"""Giving money back at the counter: the cashier requests it, the owner says that it is done."""

import re

import httpx
import pytest

from tests.world.markets import Market
from tests.world.pages import let_in, submit, text_of
from tests.world.reads import read_status
from tests.world.refunds import hold_by

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


ACCOUNT = {
    "bin": "970422",
    "account_number": "0123456789",
    "name": "NGUYEN THI LAN",
    "name_again": "NGUYEN THI LAN",
}


def fields(answer: httpx.Response) -> dict[str, str]:
    """Return the hidden fields of the request on a bill's page."""
    return dict(re.findall(r'name="(refund_id|payment_id)" value="([^"]*)"', answer.text))


async def test_a_cashier_requests_and_the_owner_says_that_it_is_given_back(
    market: Market,
) -> None:
    bill = await market.add_bill()
    await market.pay(bill)
    cashier, owner = [await let_in(market, role) for role in ("cashier", "vendor_owner")]
    page = f"/counter/bills/{bill.id}"
    form = {**fields(await cashier.get(page)), "amount": "5.000", "reason": "trả thừa"}
    for _ in range(2):  # pressed twice, it is one
        _, shown = await submit(cashier, f"{page}/refunds", form)
    assert text_of(shown).count("Chủ gian hàng chuyển trả khách") == 1
    path = f"{page}/refunds/{form['refund_id']}/returned"
    assert path not in shown.text  # the owner decides
    entered = await cashier.post(f"/v1/refunds/{form['refund_id']}/destination", json=ACCOUNT)
    assert entered.status_code == 200, entered.text
    assert ACCOUNT["account_number"] not in (await cashier.get(page)).text
    shown = await owner.get(page)
    assert "0123456789 · NGUYEN THI LAN" in text_of(shown)  # whom they give it to
    assert path in shown.text

    _, done = await submit(owner, path, {"bank_reference": "FT26330000123"})

    assert "Đã trả lại khách." in text_of(done)
    assert (await read_status(market.database, market.stall, bill))[0] == "part_refunded"


async def test_each_payment_of_a_bill_has_a_request_of_its_own(market: Market) -> None:
    bill = await market.add_bill()
    for part_vnd in (5_000, 15_000):
        await market.pay(bill, amount_vnd=part_vnd)
    cashier = await let_in(market, "cashier")

    shown = await cashier.get(f"/counter/bills/{bill.id}")

    ids = re.findall(r'name="refund_id" value="([^"]*)"', shown.text)
    assert (len(ids), len(set(ids))) == (2, 2)


async def test_what_the_organisation_holds_waits_for_it_at_the_counter(market: Market) -> None:
    await hold_by(market.database, market.stall, "organisation")
    bill = await market.add_bill()
    await market.pay(bill)
    owner = await let_in(market, "vendor_owner")
    page = f"/counter/bills/{bill.id}"
    form = {**fields(await owner.get(page)), "amount": "5000", "reason": "trả thừa"}

    _, shown = await submit(owner, f"{page}/refunds", form)

    assert "Chờ ban quản lý duyệt" in text_of(shown)
    assert f"{page}/refunds/{form['refund_id']}/returned" not in shown.text
    _, shown = await submit(owner, f"{page}/refunds/{form['refund_id']}/cancel")
    assert "Đã bỏ yêu cầu" in text_of(shown)
