"""Spread of one payment over several bills, on the page of its break."""

import re
from datetime import timedelta

import httpx
import pytest

from core.clock import read_clock
from core.tenancy import open_org_transaction
from payments.bills.queries import find_bills
from payments.bills.references import make_reference
from payments.bills.rules import BillFacts
from tests.world.markets import Market
from tests.world.pages import let_in, submit, text_of
from tests.world.payees import a_payee, an_account

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SHARE = re.compile(r'name="bill" value="([^"]+)".*?name="amount" value="([^"]*)"', re.S)


@pytest.fixture
async def finance(market: Market) -> httpx.AsyncClient:
    return await let_in(market, "finance")


async def spread_path(finance: httpx.AsyncClient) -> str:
    page = await finance.get("/manage/breaks")
    [path] = re.findall(r'href="(/manage/breaks/[0-9a-f-]{36}/spread)"', page.text)
    return path


async def bills_now(market: Market, bills: list[BillFacts]) -> list[tuple[str, int]]:
    org_id = market.stall.org.id
    async with open_org_transaction(market.hub.services.database, org_id) as session:
        found = await find_bills(session, org_id, [bill.id for bill in bills])
    return [(found[bill.id].status, found[bill.id].paid_vnd) for bill in bills]


def form_of(market: Market, *shares: tuple[BillFacts, str]) -> dict[str, object]:
    return {
        "payee": str(market.stall.payee_id),
        "bill": [str(bill.id) for bill, _ in shares],
        "amount": [amount for _, amount in shares],
    }


async def test_one_payment_is_proposed_to_the_oldest_open_bills_and_pays_them(
    market: Market, finance: httpx.AsyncClient
) -> None:
    now = read_clock()
    first, second, third = [
        await market.add_bill(amount_vnd=vnd, now=now - timedelta(minutes=back))
        for vnd, back in ((20_000, 9), (30_000, 6), (10_000, 3))
    ]
    await market.pay(first, amount_vnd=45_000, memo=make_reference("HKXM", 999_999))
    path = await spread_path(finance)

    page = await finance.get(path)

    proposed = SHARE.findall(page.text)
    assert proposed == [
        (str(first.id), "20.000"),
        (str(second.id), "25.000"),
        (str(third.id), ""),
    ]
    assert "45.000" in text_of(page)
    for _ in range(2):
        answer = await finance.post(
            path, data=form_of(market, (first, "20.000"), (second, "25000"), (third, ""))
        )
        assert answer.status_code == 303, text_of(answer)
    assert await bills_now(market, [first, second, third]) == [
        ("paid", 20_000),
        ("part_paid", 25_000),
        ("open", 0),
    ]
    assert "/spread" not in (await finance.get("/manage/breaks")).text


async def test_the_rest_of_a_spread_payment_is_spread_alone(
    market: Market, finance: httpx.AsyncClient
) -> None:
    """The page of the rest shows the rest, and the bills that are paid stay so."""
    first, second = [await market.add_bill(amount_vnd=vnd) for vnd in (20_000, 40_000)]
    await market.pay(first, amount_vnd=45_000, memo=make_reference("HKXM", 999_999))
    await submit(finance, await spread_path(finance), form_of(market, (first, "20.000")))
    path = await spread_path(finance)

    page = await finance.get(path)
    assert SHARE.findall(page.text) == [(str(second.id), "25.000")]
    too_big = await finance.post(path, data=form_of(market, (second, "25.001")))
    assert "Tổng đã chia 25.001 ₫ lớn hơn khoản tiền vào 25.000 ₫." in text_of(too_big)
    await submit(finance, path, form_of(market, (second, "25.000")))

    assert await bills_now(market, [first, second]) == [("paid", 20_000), ("part_paid", 25_000)]
    assert "/spread" not in (await finance.get("/manage/breaks")).text


async def test_the_bills_that_the_memo_names_are_proposed_alone(
    market: Market, finance: httpx.AsyncClient
) -> None:
    bills = [await market.add_bill() for _ in range(3)]
    memo = f"{bills[2].reference} {bills[1].reference}"
    await market.pay(bills[2], amount_vnd=40_000, memo=memo)

    words = text_of(await finance.get("/manage/breaks"))
    assert "Nội dung có mã của 2 khoản thu." in words
    assert "the memo" not in words
    page = await finance.get(await spread_path(finance))

    assert [amount for _, amount in SHARE.findall(page.text)] == ["", "20.000", "20.000"]


@pytest.mark.parametrize(
    ("amounts", "words"),
    [
        (("", ""), "Ghi số tiền cho ít nhất một khoản thu."),
        (("0", "000"), "Ghi số tiền cho ít nhất một khoản thu."),
        (("20.001", ""), "Khoản này chỉ còn thiếu 20.000 ₫."),
        (("20.000", "15.001"), "Tổng đã chia 35.001 ₫ lớn hơn khoản tiền vào 35.000 ₫."),
        (("20.5", ""), "Số tiền chỉ gồm chữ số"),
        (("-5", ""), "Số tiền chỉ gồm chữ số"),
        (("hai mươi", "10"), "Số tiền chỉ gồm chữ số"),
    ],
)
async def test_shares_that_cannot_be_are_said_and_nothing_is_written(
    market: Market, finance: httpx.AsyncClient, amounts: tuple[str, str], words: str
) -> None:
    bills = [await market.add_bill() for _ in range(2)]
    await market.pay(bills[0], amount_vnd=35_000, memo=make_reference("HKXM", 999_999))
    path = await spread_path(finance)

    answer = await finance.post(path, data=form_of(market, *zip(bills, amounts, strict=True)))

    assert answer.status_code == 422
    assert words in text_of(answer)
    assert [amount for _, amount in SHARE.findall(answer.text)] == list(amounts)
    assert await bills_now(market, bills) == [("open", 0), ("open", 0)]


async def test_small_amounts_are_dong_and_not_thousands(
    market: Market, finance: httpx.AsyncClient
) -> None:
    bill = await market.add_bill()
    await market.pay(bill, amount_vnd=35_000, memo=make_reference("HKXM", 999_999))

    await submit(finance, await spread_path(finance), form_of(market, (bill, "20")))

    assert await bills_now(market, [bill]) == [("part_paid", 20)]


async def test_on_an_account_of_several_stalls_one_is_chosen_first(
    market: Market, finance: httpx.AsyncClient
) -> None:
    stall, now = market.stall, read_clock()
    async with open_org_transaction(market.hub.services.database, stall.org.id) as session:
        other_id = await a_payee(session, stall.org, now=now)
        await an_account(session, stall.org, other_id, account_number=stall.account_number, now=now)
    bill = await market.add_bill()
    await market.pay(bill, memo=make_reference("HKXM", 999_999))
    path = await spread_path(finance)

    page = await finance.get(path)
    assert SHARE.findall(page.text) == []
    assert f'value="{stall.payee_id}"' in page.text
    page = await finance.get(path, params={"payee": str(other_id)})
    assert "không có khoản thu nào còn thiếu" in text_of(page)
    page = await finance.get(path, params={"payee": str(stall.payee_id)})
    assert [id_ for id_, _ in SHARE.findall(page.text)] == [str(bill.id)]


async def test_who_may_not_resolve_breaks_spreads_nothing(market: Market) -> None:
    manager = await let_in(market, "manager")
    finance = await let_in(market, "finance", "other.finance")
    bill = await market.add_bill()
    await market.pay(bill, memo=make_reference("HKXM", 999_999))
    path = await spread_path(finance)

    assert (await manager.get(path)).status_code == 403
    assert (await manager.post(path, data=form_of(market, (bill, "1")))).status_code == 403


async def test_the_stall_sees_a_spread_payment_in_its_total_and_each_bill_its_share(
    market: Market, finance: httpx.AsyncClient
) -> None:
    first, second = [await market.add_bill(amount_vnd=vnd) for vnd in (30_000, 40_000)]
    await market.pay(first, amount_vnd=50_000, memo=make_reference("HKXM", 999_999))
    shares = form_of(market, (first, "30000"), (second, "20000"))
    await submit(finance, await spread_path(finance), shares)
    cashier = await let_in(market, "cashier")

    sales = await cashier.get("/counter/sales")
    assert "Chia cho nhiều khoản" in text_of(sales)
    assert "không tính vào tổng" not in text_of(sales)
    assert 'data-status="paid"' in sales.text
    paid = text_of(await cashier.get(f"/counter/bills/{first.id}"))
    assert "Đã nhận 30.000 ₫" in paid
    part = text_of(await cashier.get(f"/counter/bills/{second.id}"))
    assert "Thiếu tiền, mới nhận 20.000 ₫" in part
    assert "Còn thiếu 20.000 ₫" in part


async def test_the_audit_log_says_what_a_spread_payment_paid(
    market: Market, finance: httpx.AsyncClient
) -> None:
    bills = [await market.add_bill(amount_vnd=vnd) for vnd in (30_000, 40_000)]
    await market.pay(bills[0], amount_vnd=50_000, memo=make_reference("HKXM", 999_999))
    shares = form_of(market, (bills[0], "30000"), (bills[1], "20000"))
    await submit(finance, await spread_path(finance), shares)

    page = text_of(await finance.get("/manage/audit"))

    assert "Trả cho khoản thu: 30.000 ₫ + 20.000 ₫" in page
    assert str(bills[0].id) not in page
