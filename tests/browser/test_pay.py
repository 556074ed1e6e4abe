"""The pay page on a payer's phone, with a real hub, a real bank app and real callbacks."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import pay_in_app, read_code, sign_in
from tests.browser.gate_steps import wait_for_yes
from tests.world.running_city import RunningCity, StaffedStall

pytestmark = pytest.mark.browser

OpenBill = Callable[..., dict[str, Any]]
OPEN_BILL = """async ([payee_id, amount_vnd]) => {
    const body = { payee_id, amount_vnd, purpose: "2 bánh cuốn" };
    const answer = await fetch("/v1/bills", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
    });
    return await answer.json();
}"""


@pytest.fixture(scope="module")
def stall(city: RunningCity) -> StaffedStall:
    """A stall whose bills are paid here."""
    return city.open_stall()


@pytest.fixture
def open_bill(city: RunningCity, stall: StaffedStall, new_page: OpenPage) -> OpenBill:
    """Open a bill at the counter; returns it as the API does."""
    till = new_page()
    sign_in(city, till, stall.cashier)
    till.wait_for_url("**/counter**")

    def open_one(amount_vnd: int = 20_000) -> dict[str, Any]:
        bill: dict[str, Any] = till.evaluate(OPEN_BILL, [str(stall.payee_id), amount_vnd])
        return bill

    return open_one


def load(page: Page, url: str) -> None:
    page.goto(url)
    page.locator(".qr svg").wait_for()


def test_page_turns_green_by_itself_after_short_and_missing_money(
    city: RunningCity, stall: StaffedStall, new_page: OpenPage, open_bill: OpenBill
) -> None:
    bill = open_bill()
    page = new_page(locale="vi-VN")
    load(page, bill["pay_url"])

    city.transfer(stall, 15_000, bill["reference"])

    expect(page.locator("[data-pay-state=part_paid]")).to_contain_text("còn thiếu 5.000\u00a0₫")
    pay_in_app(city, new_page(), read_code(page))
    verdict = page.locator(".verdict[data-status=paid]")
    verdict.wait_for()
    expect(verdict).to_contain_text("Đã nhận đủ tiền")
    expect(page.locator("#announcer")).to_have_text("Đã nhận đủ tiền")

    page.get_by_role("link", name="Xem biên nhận").click()
    expect(page.locator("article")).to_contain_text("Hai mươi nghìn đồng")
    expect(page.locator("article")).to_contain_text("Đây không phải hóa đơn.")


def test_saved_picture_holds_the_code_and_copies_are_what_is_shown(
    city: RunningCity, stall: StaffedStall, new_page: OpenPage, open_bill: OpenBill
) -> None:
    bill = open_bill(35_000)
    page = new_page(locale="vi-VN", permissions=["clipboard-read", "clipboard-write"])
    load(page, bill["pay_url"])

    with page.expect_download() as saving:
        page.get_by_role("link", name="Lưu ảnh mã").click()

    assert saving.value.suggested_filename == f"phopay-{bill['reference']}.png"
    picture = Image.open(BytesIO(Path(saving.value.path()).read_bytes()))
    [code] = zxingcpp.read_barcodes(picture)
    assert code.text == bill["vietqr"] == read_code(page)
    for name, copied in (
        ("Số tài khoản", stall.account_number),
        ("Số tiền", "35000"),
        ("Nội dung chuyển khoản", bill["reference"]),
    ):
        page.get_by_role("button", name=f"Chép: {name}").click()
        wait_for_yes(
            page, "async (wanted) => (await navigator.clipboard.readText()) === wanted", arg=copied
        )
    page.get_by_role("button", name="Gửi cho người khác").click()
    page.get_by_text("Đã chép liên kết").first.wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == bill["pay_url"]


@pytest.mark.parametrize(("locale", "theme"), [("vi-VN", "light"), ("en-GB", "dark")])
def test_page_and_receipt_are_accessible_and_fit_a_phone(
    city: RunningCity,
    stall: StaffedStall,
    new_page: OpenPage,
    open_bill: OpenBill,
    locale: str,
    theme: str,
) -> None:
    bill = open_bill()
    page = new_page(locale=locale, color_scheme=theme)
    load(page, bill["pay_url"])
    page.locator(".pay-apps summary").click()

    for _ in range(2):
        report = Axe().run(page)
        assert report.violations_count == 0, report.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        if page.url.endswith("/receipt"):
            return
        city.transfer(stall, 20_000, bill["reference"])
        page.locator(".verdict[data-status=paid]").wait_for()
        page.goto(f"{bill['pay_url']}/receipt")


def test_page_without_scripts_says_everything_in_text(
    city: RunningCity, stall: StaffedStall, new_page: OpenPage, open_bill: OpenBill
) -> None:
    bill = open_bill()
    page = new_page(locale="vi-VN", java_script_enabled=False)
    page.goto(bill["pay_url"])

    expect(page.locator(".facts")).to_contain_text(bill["reference"])
    expect(page.locator("[data-share]")).to_be_hidden()
    city.transfer(stall, 20_000, bill["reference"])
    expect(page.locator("#pay")).to_contain_text("Đang chờ")
    for _ in range(40):
        page.get_by_role("link", name="Tải lại").click()
        if page.locator(".verdict[data-status=paid]").count():
            return
        page.wait_for_timeout(250)
    pytest.fail("the payment never showed")
