"""The counter's pages as the hub draws them: right words, right stall, nobody else's."""

import re
from datetime import datetime
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.money import format_vnd
from core.tenancy import open_org_transaction
from payments.bills.queries import get_bill
from tests.api.counter.conftest import PAGE, sign_in
from tests.world.hubs import Hub
from tests.world.markets import Market
from tests.world.notices import pay, process_waiting, sepay_body, store_notices
from tests.world.payees import a_payee, an_account

pytestmark = pytest.mark.anyio


async def open_bill(client: httpx.AsyncClient, **fields: str) -> str:
    """Key an amount; return the address of its bill."""
    answer = await client.post("/counter/bills", data=fields)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def pay_bill(market: Market, path: str, **facts: object) -> None:
    """Let the bank report money for the bill of a page."""
    bill_id = UUID(path.removeprefix("/counter/bills/"))
    database, stall = market.hub.services.database, market.stall
    async with open_org_transaction(database, stall.org.id) as session:
        bill = await get_bill(session, stall.org.id, bill_id)
    await pay(database, stall, bill, now=read_clock(), **facts)  # type: ignore[arg-type]


async def receive(market: Market, amount_vnd: int, memo: str) -> UUID:
    """Let the bank report money that names no bill; return the credit."""
    database, stall = market.hub.services.database, market.stall
    now: datetime = read_clock()
    body = sepay_body(stall, amount_vnd=amount_vnd, memo=memo, occurred_at=now)
    await store_notices(database, stall, body, now=now)
    await process_waiting(database, stall, now=now)
    async with open_org_transaction(database, stall.org.id) as session:
        query = text(
            "SELECT id FROM bank_transactions WHERE org_id = :org_id ORDER BY id DESC LIMIT 1"
        )
        found: UUID = await session.scalar(query, {"org_id": stall.org.id})
    return found


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"amount": "20"}, "20.000\u00a0₫"),
        ({"amount": "20", "plain": "1"}, "20\u00a0₫"),
        ({"amount": "1.250.000"}, "1.250.000\u00a0₫"),
        ({"amount": "", "quick": "50000"}, "50.000\u00a0₫"),
    ],
)
async def test_keyed_amount_is_read_back_on_the_codes_page(
    owner: httpx.AsyncClient, fields: dict[str, str], shown: str
) -> None:
    page = (await owner.get(await open_bill(owner, **fields))).text

    assert f"Mã VietQR {shown}, nội dung PPHKXM" in page
    assert "Đang chờ khách trả…" in page


@pytest.mark.parametrize("amount", ["", "0", "abc", "500000000", "-20", "<script>"])
async def test_amount_that_no_code_can_carry_is_pulled_for_again(
    owner: httpx.AsyncClient, amount: str
) -> None:
    answer = await owner.post("/counter/bills", data={"amount": amount, "note": "2 phở"})

    assert answer.status_code == 422
    assert "Số tiền chưa đúng." in answer.text
    assert 'value="2 phở"' in answer.text
    assert "<script>" not in answer.text.partition("<body>")[2]


async def test_same_form_sent_twice_opens_one_bill(owner: httpx.AsyncClient) -> None:
    bill_id = str(new_id())

    first = await open_bill(owner, amount="20", bill_id=bill_id)
    again = await open_bill(owner, amount="20", bill_id=bill_id)
    other = await open_bill(owner, amount="30", bill_id=bill_id)

    assert first == again == f"/counter/bills/{bill_id}"
    assert other != first


async def test_paid_short_over_twice_and_cancelled_are_said_in_plain_words(
    market: Market, owner: httpx.AsyncClient
) -> None:
    steps = [(20_000, "Đã nhận"), (20_000, "Trả hai lần")]
    path = await open_bill(owner, amount="20")
    for amount_vnd, word in steps:
        await pay_bill(market, path, amount_vnd=amount_vnd)
        assert word in (await owner.get(path)).text
    short = await open_bill(owner, amount="20")
    await pay_bill(market, short, amount_vnd=15_000)
    page = (await owner.get(short)).text
    assert "Thiếu tiền, mới nhận" in page
    assert f"Còn thiếu {format_vnd(5_000)}" in page
    assert 'data-code-vnd="5000"' in page
    await pay_bill(market, short, amount_vnd=9_000)
    page = (await owner.get(short)).text
    assert "Thừa tiền, đã nhận" in page
    assert f"Thừa {format_vnd(4_000)}" in page
    cancelled = await open_bill(owner, amount="20")
    await owner.post(f"{cancelled}/cancel")
    assert "Khoản này đã hủy" in (await owner.get(cancelled)).text
    await pay_bill(market, cancelled, amount_vnd=20_000)
    assert "Khoản đã hủy, tiền vẫn vào" in (await owner.get(cancelled)).text
    today = (await owner.get("/counter/today")).text
    assert "40.000" in today  # 20.000 and 20.000: what is to be given back is not in it
    assert "3 khoản" in today


async def test_expired_bill_offers_a_new_code_of_the_same_amount(
    owner: httpx.AsyncClient, owner_database: Database
) -> None:
    path = await open_bill(owner, amount="20", note="2 phở")
    early = await owner.post(f"{path}/renew")
    assert early.headers["location"] == path
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE bills SET expires_at = now() - interval '1 min'"))

    assert f"Tạo mã mới {format_vnd(20_000)}" in (await owner.get(path)).text
    renewed = (await owner.post(f"{path}/renew")).headers["location"]

    assert renewed != path
    page = (await owner.get(renewed)).text
    assert f"Mã VietQR {format_vnd(20_000)}" in page
    assert "2 phở" in page


async def test_what_payers_write_is_text_and_never_markup(
    market: Market, owner: httpx.AsyncClient
) -> None:
    evil = "<script>alert(1)</script>"
    await receive(market, 20_000, evil)
    path = await open_bill(owner, amount="20", note=evil)

    pages = [(await owner.get(p)).text for p in ("/counter/sales", path)]

    for page in pages:
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page


async def test_cashier_sees_nothing_of_another_stall(
    market: Market, owner: httpx.AsyncClient
) -> None:
    database, org = market.hub.services.database, market.stall.org
    async with open_org_transaction(database, org.id) as session:
        other_id = await a_payee(session, org)
        await an_account(session, org, other_id, now=read_clock())
    cashier = await sign_in(market, "cashier", "cashier", payee_id=other_id)
    path = await open_bill(owner, amount="20")
    credit_id = await receive(market, 70_000, "an sang")
    own = market.stall.payee_id

    refused = [
        await cashier.get(path),
        await cashier.post(f"{path}/cancel"),
        await cashier.post(f"{path}/check"),
        await cashier.post(f"/counter/sales/{credit_id}/assign"),
        await cashier.post(f"/counter/sales/{credit_id}/not-takings"),
        await cashier.get(f"/counter?payee={own}"),
        await cashier.get(f"/counter/events?payee={own}"),
    ]

    assert [answer.status_code for answer in refused] == [404] * 5 + [403] * 2
    assert "70.000" not in (await cashier.get("/counter/sales")).text
    assert "70.000" in (await owner.get("/counter/sales")).text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/counter"),
        ("GET", "/counter/today"),
        ("GET", "/counter/events"),
        ("GET", "/counter/sales"),
        ("GET", "/counter/code"),
        ("GET", "/counter/code/card.png"),
        ("POST", "/counter/bills"),
        ("POST", "/counter/sales/check"),
    ],
)
async def test_stranger_sees_no_counter(hub: Hub, method: str, path: str) -> None:
    answer = await hub.new_client(**PAGE).request(method, path)

    assert answer.status_code == (303 if method == "GET" else 401)


async def test_finance_staff_may_look_at_a_stall_and_open_nothing(
    market: Market, owner: httpx.AsyncClient
) -> None:
    finance = await sign_in(market, "finance", "finance")
    query = f"?payee={market.stall.payee_id}"

    assert (await finance.get("/counter")).status_code == 200
    assert (await finance.get(f"/counter/sales{query}")).status_code == 200
    answer = await finance.post(f"/counter/bills{query}", data={"amount": "20"})

    assert answer.status_code == 403


async def test_sales_say_why_each_payment_is_the_stalls(
    market: Market, owner: httpx.AsyncClient
) -> None:
    path = await open_bill(owner, amount="20")
    await pay_bill(market, path)
    await receive(market, 41_000, "an sang")

    page = (await owner.get("/counter/sales")).text

    assert "Lời nhắn có đúng mã PPHKXM" in page
    assert "Chỉ quầy này dùng tài khoản" in page
    assert page.index("41.000") < page.rindex("20.000")  # newest first, under the day's total
    assert 'data-digits="few">61.000' in page.replace("\n", "")


async def test_putting_in_order_what_somebody_else_did_shows_how_it_stands(
    market: Market, owner: httpx.AsyncClient
) -> None:
    sale = f"/counter/sales/{await receive(market, 41_000, 'an sang')}"
    bill = await open_bill(owner, amount="41")
    own = market.stall.payee_id

    answers = [
        await owner.post(f"{sale}/assign"),  # it is a sale already
        await owner.post(f"{sale}/not-takings"),
        await owner.post(f"{sale}/confirm", data={"bill_id": bill.rpartition("/")[2]}),
        await owner.post(f"{sale}/takings"),
        await owner.post(f"{sale}/confirm", data={"bill_id": bill.rpartition("/")[2]}),
        await owner.post(f"{sale}/not-takings"),  # it pays a bill now
    ]

    assert [answer.headers["location"] for answer in answers] == [
        "/counter/sales?done=taken",
        "/counter/sales",
        "/counter/sales?done=moved",
        "/counter/sales",
        bill,
        "/counter/sales?done=moved",
    ]
    assert (await owner.post(f"/counter/sales/{own}/assign")).status_code == 404  # no such payment


async def test_printed_code_names_the_account_and_no_amount(owner: httpx.AsyncClient) -> None:
    page = (await owner.get("/counter/code")).text
    card = await owner.get("/counter/code/card.png")

    assert "HO KINH DOANH B12" in page
    assert "<svg xmlns" in page  # in the page itself: a second request could fail
    assert card.content.startswith(b"\x89PNG")
    assert "attachment" in card.headers["content-disposition"]


async def test_stall_without_an_account_says_what_to_do(
    market: Market, owner: httpx.AsyncClient
) -> None:
    async with open_org_transaction(market.hub.services.database, market.stall.org.id) as session:
        payee_id = await a_payee(session, market.stall.org)
    owner = await sign_in(market, "new.stall", "vendor_owner", payee_id=payee_id)

    for path in ("/counter", "/counter/code"):
        assert "Quầy chưa có tài khoản nhận tiền." in (await owner.get(path)).text


async def test_bank_that_cannot_be_polled_is_said_in_plain_words(owner: httpx.AsyncClient) -> None:
    path = await open_bill(owner, amount="20")

    answer = await owner.post(f"{path}/check")

    assert answer.headers["location"] == f"{path}?checked=cannot"
    page = (await owner.get(answer.headers["location"])).text
    assert "Mở ứng dụng ngân hàng của quầy" in page
    assert "thử lại sau" not in page  # it would be no different
    answer = await owner.post("/counter/sales/check")
    assert "Mở ứng dụng ngân hàng của quầy" in (await owner.get(answer.headers["location"])).text


async def test_bill_leads_to_the_customers_own_page(
    market: Market, owner: httpx.AsyncClient
) -> None:
    page = (await owner.get(await open_bill(owner, amount="20", note="2 phở"))).text

    [path] = re.findall(r'href="(/p/[^"]+)"', page)

    assert re.search(rf'data-copy="https?://[^"/]+{re.escape(path)}"', page)
    # What the keypad says of the note: the customer sees it.
    assert "khách thấy trên trang thanh toán" in (await owner.get("/counter")).text
    assert "2 phở" in (await market.hub.new_client(**PAGE).get(path)).text


async def test_pages_of_a_stall_are_kept_by_no_cache_and_run_nothing_inline(
    owner: httpx.AsyncClient,
) -> None:
    answer = await owner.get("/counter")

    assert answer.headers["cache-control"] == "no-store"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert " style=" not in answer.text
    assert " onclick=" not in answer.text


async def test_counter_speaks_english(owner: httpx.AsyncClient) -> None:
    owner.cookies.set("phopay_lang", "en")

    page = (await owner.get("/counter")).text

    assert "Show code" in page
    assert "0 payments" in page
