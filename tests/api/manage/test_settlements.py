"""The pages of settlement statements: terms, drafting, a statement's steps, files."""

import re

import httpx
import pytest

from api.manage.settlement_terms import read_percent
from core.clock import hanoi_day, read_clock
from core.db import Database
from payments.ledger.closing import close_day
from tests.world.constants import MANAGER
from tests.world.markets import Market
from tests.world.pages import let_in, submit, text_of
from tests.world.settlements import drafting, statements_of

PAGE = "/manage/settlements"


def field(answer: httpx.Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.text)
    assert found, name
    return found[1]


@pytest.mark.anyio
@pytest.mark.slow
async def test_terms_are_set_a_period_is_drafted_and_two_people_take_it_to_its_end(
    market: Market, worker_database: Database
) -> None:
    manager, finance, approver = [
        await let_in(market, role) for role in ("manager", "finance", "approver")
    ]
    terms = f"{PAGE}/terms/{market.stall.payee_id}"
    shown = await manager.get(terms)
    form = {
        "seen_version": field(shown, "seen_version"),
        "from_day": "2026-01-01",
        "commission": "2,5",
        "fixed_charge": "11.000",
        "charge_vietqr": "0,11",
        "charge_other": "1",
        "share_name_0": "Ban quản lý <b>chợ</b>",
        "share_0": "15",
    }
    wrong = await manager.post(
        terms, data={**form, "commission": "2,555", "share_name_1": "Phường", "from_day": ""}
    )
    assert wrong.status_code == 422
    words = text_of(wrong)
    for said in ("Ghi số phần trăm từ 0 đến 100", "Ghi cả tên và phần trăm", "Chọn ngày"):
        assert said in words
    too_much = {"share_0": "60", "share_name_1": "X", "share_1": "50"}
    over = await manager.post(terms, data={**form, **too_much})
    assert "tổng các phần không quá 100" in text_of(over)
    _, saved = await submit(manager, terms, form)
    assert "Đã lưu điều khoản" in text_of(saved)
    assert "Lần 1, hiệu lực từ 01/01/2026" in text_of(saved)
    assert "Phí cố định mỗi kỳ: 11.000" in text_of(saved)
    # What is not shown would be lost at the next save.
    assert re.search(r'value="1"[^>]* name="charge_other"', saved.text)
    stale = await manager.post(terms, data={**form, "commission": "3"})
    assert "vừa đổi điều khoản" in text_of(stale)
    assert 'action="' + terms not in (await finance.get(terms)).text

    await market.pay(await market.add_bill(amount_vnd=200_000))
    today = hanoi_day(read_clock())
    run = {
        "run_id": field(await finance.get(PAGE), "run_id"),
        "first_day": today.replace(day=1).isoformat(),
        "last_day": today.isoformat(),
    }
    early = await finance.post(f"{PAGE}/runs", data=run)
    assert "Sổ chưa khóa đến ngày này" in text_of(early)
    org_id = market.stall.org.id
    await close_day(market.database, org_id, today, actor=MANAGER, now=read_clock())
    for _ in range(2):  # pressed twice, it is one run
        await submit(finance, f"{PAGE}/runs", run)
    async with drafting(market.database, worker_database):
        found = []
        while not (found and found[0].is_ready):
            found = await statements_of(market.database, market.stall)
    (one,) = found
    path = f"{PAGE}/{one.id}"
    listed = text_of(await finance.get(PAGE))
    assert "Bản nháp" in listed
    assert "Đã lập 1 bảng kê" in listed or "Đang lập" in listed
    assert "Chưa có bảng kê nào" in text_of(await finance.get(f"{PAGE}?last_day=2020-01-01"))

    assert f'action="{path}/approve"' not in (await finance.get(path)).text
    await submit(finance, f"{path}/review", {})
    empty = await approver.post(f"{PAGE}/approve", data={})
    assert "Chọn ít nhất một bảng kê" in text_of(empty)
    assert f'value="{one.id}"' in (await approver.get(PAGE)).text
    await submit(approver, f"{PAGE}/approve", {"settlement_id": str(one.id)})
    again = await finance.post(f"{path}/discard", data={"words": "sai"})
    assert "đã có người xử lý" in text_of(again)
    _, sent = await submit(finance, f"{path}/send", {})
    said = text_of(sent)
    for words in ("QT26-01-000001", "Đã gửi", "Hoa hồng 2,5", "Phí cố định", "Thực nhận"):
        assert words in said, words
    assert "<b>chợ</b>" not in sent.text
    assert (await finance.get(f"{path}/pdf")).content.startswith(b"%PDF")
    assert (await finance.get(f"{path}/xlsx")).content.startswith(b"PK")
    cashier = await let_in(market, "cashier")
    assert (await cashier.get(path)).status_code == 403


@pytest.mark.parametrize(
    ("typed", "bps"),
    [
        ("2,5", 250),
        ("2.50 %", 250),
        ("0,11", 11),
        ("100", 10_000),
        ("100,01", None),
        ("2,555", None),
        ("-1", None),
        ("", None),
        ("٢", None),
    ],
)
def test_a_percentage_is_read_as_it_is_typed(typed: str, bps: int | None) -> None:
    assert read_percent(typed) == bps
