"""The managers' pages of accounts: two people, a test transfer, and who it still needs."""

import re
from dataclasses import replace
from uuid import UUID

import pytest

from core.clock import read_clock
from core.tenancy import open_org_transaction
from payments.payees.queries import get_link
from tests.world.hubs import Hub
from tests.world.markets import Market, set_up_market
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.pages import as_reader, let_in, submit, text_of

pytestmark = pytest.mark.anyio

PAGES = ("", "/breaks", "/payees", "/accounts", "/endpoints", "/staff", "/keys", "/audit")
SECRET = re.compile(r'data-copy="([^"]+)"')


async def test_account_needs_a_second_person_and_then_its_test_transfer(market: Market) -> None:
    manager = await let_in(market, "manager")
    approver = await let_in(market, "approver")
    form = {
        "payee": str(market.stall.payee_id),
        "bin": "970422",
        "number": "0988 123 456",
        "holder": "TRAN VAN B",
        "virtual": "",
    }

    path, page = await submit(manager, "/manage/accounts", form)

    assert "Cần người thứ hai duyệt" in text_of(page)
    assert "Bạn là người đề nghị" in text_of(page)
    assert f"{path}/approve" not in page.text
    assert (await manager.post(f"{path}/approve")).status_code == 403
    assert (await manager.get(f"{path}/test.svg")).headers["content-type"] == "image/svg+xml"

    _, page = await submit(approver, f"{path}/approve")

    words = text_of(page)
    assert "Còn thiếu khoản chuyển thử" in words
    assert "1.000 ₫" in words
    again = await approver.post(f"{path}/approve")
    assert again.status_code == 409
    assert "Đề nghị này đã được quyết định rồi" in text_of(again)


async def report_test(
    hub: Hub, market: Market, endpoint_path: str, account_path: str, *, gateway: str = "MBBank"
) -> None:
    """Let the bank report an account's test transfer at an endpoint."""
    database, org = hub.services.database, market.stall.org
    heard = replace(market.stall, endpoint_id=UUID(endpoint_path.rpartition("/")[2]))
    async with open_org_transaction(database, org.id) as tx:
        link, account, _ = await get_link(tx, org.id, UUID(account_path.rpartition("/")[2]))
    body = sepay_body(
        heard,
        amount_vnd=1_000,
        memo=link.test_reference,
        account_number=account.account_number,
        gateway=gateway,
    )
    await store_notices(database, heard, body, now=read_clock())
    await process_waiting(database, heard, now=read_clock())


@pytest.mark.slow
async def test_manager_is_told_whose_hand_a_test_transfer_still_needs(hub: Hub) -> None:
    market = await set_up_market(hub, is_live=True)
    manager, approver = await let_in(market, "manager"), await let_in(market, "approver")
    form = {
        "payee": str(market.stall.payee_id),
        "bin": "970422",
        "number": "0988123456",
        "holder": "TRAN VAN B",
    }
    account, page = await submit(manager, "/manage/accounts", form)
    assert "Chưa có kết nối nào báo cho tài khoản này" in text_of(page)
    await submit(approver, f"{account}/approve")
    boxes = (await manager.get("/manage/endpoints/new?provider=sepay")).text
    (account_id,) = re.findall(r'value="([0-9a-f-]{36})"><span>[^<]*0988123456', boxes)
    made = {"provider": "sepay", "name": "SePay", "accounts": [account_id]}
    endpoint, page = await submit(manager, "/manage/endpoints/new", made)
    assert "Khoản chuyển thử báo về đây chưa được tính" in text_of(page)

    await report_test(hub, market, endpoint, account)

    words = text_of(await manager.get(account))
    assert "Đã có khoản chuyển thử lúc" in words
    assert "Một người có quyền duyệt, không phải người đề nghị, mở kết nối" in words
    assert "Khoản chuyển thử không được tính" in words  # in the account's history
    assert "Còn thiếu khoản chuyển thử" in words

    await submit(approver, f"{endpoint}/rotate", {"overlap_h": "0"})
    _, page = await submit(approver, f"{endpoint}/accounts", {"accounts": [account_id]})
    assert "tính từ" in text_of(page)
    assert "Chuyển thử lại sau" in text_of(await manager.get(account))
    made["name"] = "SePay 2"
    other, page = await submit(approver, "/manage/endpoints/new", made)
    assert "chưa được tính" not in text_of(page)
    assert "hãy chuyển thử lần nữa" in text_of(await manager.get(account))
    await submit(manager, f"{endpoint}/revoke")
    await report_test(hub, market, other, account)
    assert "Đang dùng" in text_of(await manager.get(account))


@pytest.mark.slow
async def test_who_approves_sees_the_bank_in_full_and_a_test_at_another_bank_is_explained(
    hub: Hub,
) -> None:
    market = await set_up_market(hub, is_live=True)
    manager, approver = await let_in(market, "manager"), await let_in(market, "approver")
    form = {
        "payee": str(market.stall.payee_id),
        "bin": "970422",
        "number": "0988123456",
        "holder": "TRAN VAN B",
    }
    account, _ = await submit(manager, "/manage/accounts", form)
    before = text_of(await approver.get(account))
    assert "Bạn có đồng ý không? Ngân hàng TMCP Quân đội 0988123456 TRAN VAN B" in before
    assert "So ngân hàng, số tài khoản" in before
    await submit(approver, f"{account}/approve")
    boxes = (await approver.get("/manage/endpoints/new?provider=sepay")).text
    (account_id,) = re.findall(r'value="([0-9a-f-]{36})"><span>[^<]*0988123456', boxes)
    made = {"provider": "sepay", "name": "SePay", "accounts": [account_id]}
    endpoint, _ = await submit(approver, "/manage/endpoints/new", made)

    await report_test(hub, market, endpoint, account, gateway="Vietcombank")

    words = text_of(await manager.get(account))
    assert "không được tính: tiền vào tài khoản cùng số ở Vietcombank" in words
    assert "chuyển thử lần nữa vào MB Bank" in words
    assert "Ngân hàng được báo" in words  # in the account's history
    await report_test(hub, market, endpoint, account)
    assert "Đang dùng" in text_of(await manager.get(account))


async def test_administrator_who_proposed_an_account_cannot_approve_it(market: Market) -> None:
    admin = as_reader(market.admin)
    form = {
        "payee": str(market.stall.payee_id),
        "bin": "970422",
        "number": "0988123457",
        "holder": "TRAN VAN B",
    }
    path, _ = await submit(admin, "/manage/accounts?org=HKXM", form)

    answer = await admin.post(f"{path}/approve?org=HKXM")

    assert answer.status_code == 409
    assert "người khác phải duyệt" in text_of(answer)
