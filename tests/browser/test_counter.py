"""The vendor's counter in a real browser, with a real hub, a real bank app and real callbacks."""

from collections.abc import Callable, Iterator
from io import BytesIO

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Page, expect

from ops.postgres import Cluster
from tests.browser.running_city import PASSWORD, City, CityStall, running_city

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def city(cluster: Cluster) -> Iterator[City]:
    """A hub and a sandbox for the tests of this file; each opens stalls of its own."""
    with running_city(cluster) as running:
        yield running


def sign_in(city: City, page: Page, login: str) -> None:
    page.goto(f"{city.url}/login")
    page.locator("#login").fill(login)
    page.locator("#password").fill(PASSWORD)
    page.locator("form[action='/login'] button").click()
    page.wait_for_url(f"{city.url}/counter*")


def at_the_counter(city: City, new_page: OpenPage, stall: CityStall) -> Page:
    """Open a vendor's phone, signed in, its speaker on and its line live."""
    page = new_page(locale="vi-VN")
    sign_in(city, page, stall.owner)
    page.locator("#signal[data-live=yes]").wait_for()
    page.get_by_role("button", name="Bật loa").click()
    page.wait_for_function("() => speaker.state === 'ready'")
    return page


def key(page: Page, digits: str) -> None:
    for digit in digits:
        page.locator(f"[data-key='{digit}']").click()


def make_code(page: Page, digits: str) -> None:
    key(page, digits)
    page.get_by_role("button", name="Tạo mã").click()
    page.locator("[data-state=open] .qr img").wait_for()


def read_code(page: Page) -> str:
    """Read the QR from a picture of the vendor's screen, as a phone's camera does."""
    page.wait_for_function("() => document.querySelector('.qr img').naturalWidth > 0")
    picture = Image.open(BytesIO(page.screenshot()))
    [code] = zxingcpp.read_barcodes(picture)
    return code.text


def pay_in_app(city: City, app: Page, payload: str) -> None:
    """Pay a code in the bank's app."""
    app.goto(f"{city.sandbox_url}/app")
    app.locator("#payload").fill(payload)
    app.locator("[data-test=decode]").click()
    app.locator("[data-test=confirm]").click()
    app.locator("[data-test=receipt]").wait_for()


def spoken(page: Page, words: str) -> dict[str, float]:
    """Wait until a sentence has been spoken and return what was played."""
    page.wait_for_function(
        "words => speaker.played.some((one) => one.words === words)", arg=words, timeout=20_000
    )
    entry: dict[str, float] = page.evaluate(
        "words => speaker.played.find((one) => one.words === words)", words
    )
    return entry


def test_keyed_amount_is_scanned_paid_shown_green_and_spoken(
    city: City, new_page: OpenPage
) -> None:
    page = at_the_counter(city, new_page, city.open_stall())
    expect(page.locator("#today")).to_contain_text("0\u00a0₫")

    key(page, "20")
    expect(page.locator("[data-words]")).to_have_text("hai mươi nghìn đồng")
    page.get_by_role("button", name="Tạo mã").click()
    page.locator("[data-state=open] .qr img").wait_for()
    payload = read_code(page)
    pay_in_app(city, new_page(), payload)

    verdict = page.locator("#stage .verdict[data-status=paid]")
    verdict.wait_for()
    expect(verdict).to_contain_text("Đã nhận")
    expect(verdict.locator(".money")).to_have_text("20.000\u00a0₫")
    assert spoken(page, "số tiền hai mươi nghìn đồng")
    heard = spoken(page, "đã nhận hai mươi nghìn đồng")
    assert heard["rms"] > 0.02
    expect(page.locator("#today")).to_contain_text("20.000\u00a0₫")
    expect(page.locator("#today")).to_contain_text("1 khoản")
