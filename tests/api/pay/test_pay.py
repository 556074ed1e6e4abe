"""The public pay page: every state in plain words, and nothing for who has no link."""

from datetime import timedelta
from io import BytesIO

import httpx
import pytest
import zxingcpp
from PIL import Image

from core.clock import read_clock
from core.settings import Settings
from core.tenancy import open_org_transaction
from payments.bills.service import cancel_bill
from tests.world.clocks import stop_refills
from tests.world.constants import MANAGER
from tests.world.hubs import Hub, running_hub
from tests.world.markets import Market
from tests.world.pages import as_reader, text_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def stranger(hub: Hub) -> httpx.AsyncClient:
    """A browser that never signed in."""
    return as_reader(hub.new_client())


async def test_open_bill_says_whom_how_much_where_and_under_which_memo(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    bill = await market.add_bill()

    answer = await stranger.get(market.pay_path(bill))

    assert answer.status_code == 200
    words = text_of(answer)
    for told in (
        "Phở gia truyền",
        "Quầy 12",
        "Ban quản lý HKXM",
        "20.000 ₫",
        "Vietcombank",
        market.stall.account_number,
        "HO KINH DOANH B12",
        bill.reference,
        "Đang chờ",
        "Lưu ảnh mã",
    ):
        assert told in words, told


async def test_page_is_kept_by_nobody_and_its_address_goes_nowhere(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    bill = await market.add_bill()

    answer = await stranger.get(market.pay_path(bill))

    assert answer.headers["cache-control"] == "no-store"
    assert "noindex" in answer.headers["x-robots-tag"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    head = answer.text.partition("</head>")[0]
    assert bill.reference not in head
    assert "Phở" not in head
    assert "20.000" not in head
    links = [part for part in answer.text.split('href="')[1:] if part.startswith("http")]
    assert links
    assert not any(bill.public_token in link.partition('"')[0] for link in links)


@pytest.mark.parametrize("link", ["HKXM-{}", "ZZZZ-{}", "HKXM-short", "hkxm-{}", "{}", "HKXM-{}x"])
async def test_every_wrong_link_gets_the_same_page(
    market: Market, stranger: httpx.AsyncClient, link: str
) -> None:
    answer = await stranger.get(f"/p/{link.format('A' * 22)}")

    assert answer.status_code == 404
    assert "bill_not_found" in answer.text
    assert "No bill &#39;…&#39; was found." in answer.text


@pytest.mark.slow
async def test_guesser_is_stopped_and_a_customer_behind_the_same_address_is_not(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    bill = await market.add_bill()

    stop_refills(market.hub.services.limits.pay_misses)
    guessed = [await guess(stranger) for _ in range(61)]
    seen = [await stranger.get(market.pay_path(bill)) for _ in range(3)]

    assert guessed == [404] * 60 + [429]
    assert [answer.status_code for answer in seen] == [200, 200, 200]


@pytest.mark.slow
async def test_a_guesser_at_one_hub_is_not_counted_by_another_in_the_same_process(
    hub: Hub, settings: Settings
) -> None:
    one = hub.new_client()
    stop_refills(hub.services.limits.pay_misses)
    guessed = [await guess(one) for _ in range(61)]
    async with running_hub(settings) as other:
        assert (guessed[-1], await guess(other.client)) == (429, 404)


async def guess(client: httpx.AsyncClient) -> int:
    """Try a link that opens nothing."""
    return (await client.get(f"/p/HKXM-{'A' * 22}")).status_code


def code_in(page: httpx.Response) -> str:
    """Return the picture that stands in the page."""
    return page.text.partition('class="qr"')[2].partition("</svg>")[0]


async def test_short_payment_shows_what_is_missing_with_a_new_code(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    bill = await market.add_bill()
    before = code_in(await stranger.get(market.pay_path(bill)))

    await market.pay(bill, amount_vnd=15_000)

    page = await stranger.get(market.pay_path(bill))
    assert "Mới nhận 15.000 ₫, còn thiếu 5.000 ₫" in text_of(page)
    card = await stranger.get(f"{market.pay_path(bill)}/card.png")
    assert (
        card.headers["content-disposition"] == f'attachment; filename="phopay-{bill.reference}.png"'
    )
    [code] = zxingcpp.read_barcodes(Image.open(BytesIO(card.content)))
    assert "54045000" in code.text
    assert code_in(page) != before


async def test_numbers_codes_and_holders_are_neither_dialled_nor_translated(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    bill = await market.add_bill()

    page = (await stranger.get(market.pay_path(bill))).text

    assert '<meta name="format-detection" content="telephone=no' in page
    for shown in (bill.reference, bill.code_account, bill.holder_name, bill.payee_name):
        assert f'translate="no">{shown}<' in page
    assert '<span class="money" translate="no"' in page


async def test_paid_bill_is_green_and_shows_no_code_any_more(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    bill = await market.add_bill()
    await market.pay(bill)

    page = await stranger.get(market.pay_path(bill))

    assert 'data-status="paid"' in page.text
    assert "Đã nhận đủ tiền" in text_of(page)
    assert 'class="qr"' not in page.text


async def test_over_paid_and_paid_twice_say_how_much_is_due_back(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    over, twice = await market.add_bill(), await market.add_bill()
    await market.pay(over, amount_vnd=25_000)
    await market.pay(twice)
    await market.pay(twice)

    over_words = text_of(await stranger.get(market.pay_path(over)))
    twice_words = text_of(await stranger.get(market.pay_path(twice)))

    assert "Thừa 5.000 ₫" in over_words
    assert "Bạn đã trả hai lần" in twice_words
    assert "Thừa 20.000 ₫" in twice_words


async def test_late_payment_counts(market: Market, stranger: httpx.AsyncClient) -> None:
    hour = timedelta(hours=1)
    bill = await market.add_bill(now=read_clock() - hour)

    expired = text_of(await stranger.get(market.pay_path(bill)))
    await market.pay(bill)

    assert "Mã đã hết hạn" in expired
    assert "Xin người nhận mã mới" in expired
    assert "vẫn được tính" in text_of(await stranger.get(market.pay_path(bill)))


async def test_cancelled_bill_says_not_to_pay(market: Market, stranger: httpx.AsyncClient) -> None:
    bill = await market.add_bill()
    async with open_org_transaction(market.hub.services.database, market.stall.org.id) as session:
        await cancel_bill(
            session, bill.org_id, bill.id, actor=MANAGER, reason=None, now=read_clock()
        )

    page = await stranger.get(market.pay_path(bill))

    assert "Đừng chuyển tiền cho mã này" in text_of(page)
    assert 'class="qr"' not in page.text


async def test_receipt_has_words_and_masked_numbers_and_says_it_is_no_invoice(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    bill = await market.add_bill()
    path = market.pay_path(bill)
    assert (await stranger.get(f"{path}/receipt")).headers["location"] == path
    await market.pay(bill, bank_reference="FT26325000012345")

    receipt = await stranger.get(f"{path}/receipt")

    words = text_of(receipt)
    assert "Hai mươi nghìn đồng" in words
    assert "…2345" in words
    assert "FT26325000012345" not in receipt.text
    assert market.stall.account_number not in receipt.text
    assert "Đây không phải hóa đơn" in words


async def test_english_reader_gets_english(market: Market) -> None:
    bill = await market.add_bill()
    tourist = as_reader(market.hub.new_client())
    tourist.headers["Accept-Language"] = "en-GB,en"

    words = text_of(await tourist.get(market.pay_path(bill)))

    assert "Save the code" in words
    assert "Account holder" in words


async def test_markup_in_a_name_is_shown_as_text(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    bill = await market.add_bill()
    till = await market.till.post(
        "/v1/bills", json=market.bill_body(purpose='<script>alert("x")</script>')
    )
    token = till.json()["pay_url"].rpartition("/")[2]

    page = await stranger.get(f"/p/{token}")

    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text
    assert bill.reference not in page.text


async def test_stream_says_that_something_happened_and_not_what(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    bill, other = await market.add_bill(), await market.add_bill()
    await market.pay(other)
    await market.pay(bill)

    heard = ""
    async with stranger.stream("GET", f"{market.pay_path(bill)}/events") as stream:
        async for line in stream.aiter_lines():
            heard += line + "\n"
            if line == "event: caught-up":
                break

    assert heard.count("event: bill.paid") == 1
    assert "event: bill.paid\ndata: {}" in heard
