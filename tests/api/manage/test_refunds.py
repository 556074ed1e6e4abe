"""The refunds page: requested from a bill or a proposal, approved by another, filed, given back."""

import re

import httpx
import pytest

from tests.world.markets import Market
from tests.world.pages import let_in, submit, text_of
from tests.world.refunds import hold_by

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PAGE = "/manage/refunds"
ACCOUNT = {
    "bin": "970422",
    "account_number": "0123 456 789",
    "name": "NGUYEN THI LAN",
    "name_again": "nguyen thi lan",
}


def field(answer: httpx.Response, name: str) -> str:
    """Return the value of the first field of this name on a page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.text)
    assert found, name
    return found[1]


async def request_from(
    finance: httpx.AsyncClient, path: str, *, amount: str = "5000"
) -> tuple[str, httpx.Response]:
    """Fill in the form on the page at a path; return (refund's id, the list)."""
    shown = await finance.get(path)
    refund_id = field(shown, "refund_id")
    form = {
        "refund_id": refund_id,
        "against": field(shown, "against"),
        "amount": amount,
        "reason": "Khách trả thừa",
    }
    if 'name="break_id"' in shown.text:
        form["break_id"] = field(shown, "break_id")
    where, listed = await submit(finance, PAGE, form)
    assert where == PAGE
    return refund_id, listed


async def test_a_refund_goes_from_the_request_to_its_end_with_two_people(market: Market) -> None:
    await hold_by(market.database, market.stall, "organisation")
    bill = await market.add_bill()
    await market.pay(bill)
    finance, approver = [await let_in(market, role) for role in ("finance", "approver")]
    assert "Không có khoản hoàn nào" in text_of(await finance.get(PAGE))

    refund_id, listed = await request_from(finance, f"{PAGE}/new?bill={bill.reference}")
    words = text_of(listed)
    assert "Người khác sẽ duyệt" in words
    assert bill.reference in words
    path = f"{PAGE}/{refund_id}"
    assert f'action="{path}/approve"' not in listed.text  # not for who requested it
    _, listed = await submit(finance, f"{path}/destination", ACCOUNT)
    assert "Chưa được xác minh" in text_of(listed)

    early = await approver.post(f"{path}/instruct")
    assert early.status_code == 403
    assert "0123456789" in (await approver.get(PAGE)).text
    unseen = await approver.post(f"{path}/approve", data={"destination_hash": "x"})
    assert (unseen.status_code, "đã khác lúc bạn xem" in text_of(unseen)) == (422, True)
    manager = await let_in(market, "manager")  # neither approves nor instructs: the tail is enough
    masked = (await manager.get(PAGE)).text
    assert ("0123456789" in masked, "6789" in masked) == (False, True)
    seen = {"destination_hash": field(await approver.get(PAGE), "destination_hash")}
    await submit(approver, f"{path}/approve", seen)
    waiting = await finance.get(PAGE)
    assert "1 khoản đã duyệt, chờ lập lệnh" in text_of(waiting)
    form = {name: field(waiting, name) for name in ("file_id", "account_id")}
    for _ in range(2):  # pressed twice, it is one file
        _, made = await submit(finance, f"{PAGE}/files", form)
    assert made.text.count(f'href="{PAGE}/files/') == 1
    first, again = [await finance.get(f"{PAGE}/files/{form['file_id']}") for _ in range(2)]
    assert first.content == again.content
    assert first.content.startswith(b"PK")

    bare = await finance.post(f"{path}/returned", data={"bank_reference": " "})
    assert bare.status_code == 422
    assert "Nhập mã giao dịch" in text_of(bare)
    await submit(finance, f"{path}/returned", {"bank_reference": "FT26330000123"})
    ended = text_of(await finance.get(f"{PAGE}?show=ended"))
    assert "Đã trả lại khách" in ended
    assert "FT26330000123" in ended


async def test_what_is_proposed_is_requested_from_its_break(market: Market) -> None:
    bill = await market.add_bill()
    for _ in range(2):
        await market.pay(bill)
    finance = await let_in(market, "finance")
    breaks = await finance.get("/manage/breaks")
    path = re.search(rf'href="({PAGE}/new\?break=[^"]*)"', breaks.text)
    assert path

    _, listed = await request_from(finance, path[1], amount="20.000")

    assert "Chủ gian hàng" in text_of(listed)  # who holds the account gives it back
    assert "tự đóng khi có kết quả" in text_of(await finance.get("/manage/breaks"))


async def test_what_is_missing_from_a_request_is_said_beside_its_field(market: Market) -> None:
    bill = await market.add_bill()
    await market.pay(bill)
    finance = await let_in(market, "finance")
    shown = await finance.get(f"{PAGE}/new?bill={bill.reference}")
    form = {"refund_id": field(shown, "refund_id"), "bill": bill.reference, "amount": "x"}

    wrong = await finance.post(PAGE, data=form)
    assert wrong.status_code == 422
    assert wrong.text.count('class="field-error"') == 3

    full = {**form, "against": field(shown, "against"), "amount": "20001", "reason": "x"}
    high = await finance.post(PAGE, data=full)
    assert (high.status_code, "Không trả lại nhiều hơn số đã thu" in text_of(high)) == (422, True)
    nobody = await finance.get(f"{PAGE}/new?bill=PPXXXX")
    assert nobody.status_code == 422


async def test_who_requested_a_refund_takes_it_back_with_a_reason(market: Market) -> None:
    bill = await market.add_bill()
    await market.pay(bill)
    finance = await let_in(market, "finance")
    refund_id, listed = await request_from(finance, f"{PAGE}/new?bill={bill.reference}")
    path = f"{PAGE}/{refund_id}/cancel"
    assert f'action="{path}"' in listed.text

    assert (await finance.post(path, data={"words": " "})).status_code == 422
    await submit(finance, path, {"words": "nhập nhầm"})

    assert "nhập nhầm" in text_of(await finance.get(f"{PAGE}?show=ended"))
