"""Managers at work: from nothing to a bank that is heard, by clicking."""

import hmac
import json
import re
import time

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from identity.people.rules import Role
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import sign_in
from tests.world.running_city import RunningCity

pytestmark = pytest.mark.browser

PAGES = (
    "",
    "/breaks",
    "/payees",
    "/accounts",
    "/endpoints/new",
    "/webhooks",
    "/staff",
    "/keys",
    "/audit",
)


@pytest.fixture(scope="module", autouse=True)
def second(city: RunningCity) -> None:
    """Somebody besides the manager, who agrees to what they propose."""
    city.employ("second", Role.APPROVER)


def open_manage(city: RunningCity, page: Page, name: str) -> Page:
    """Sign somebody in who looks after the organisation."""
    sign_in(city, page, name)
    page.wait_for_url("**/manage")
    return page


def test_organisation_is_set_up_by_clicking_until_its_bank_reports(
    city: RunningCity, new_page: OpenPage
) -> None:
    boss = open_manage(city, new_page(width=1280, locale="vi-VN"), "boss")
    expect(boss.locator("#steps")).to_have_text("Để bắt đầu nhận tiền")

    boss.get_by_role("link", name="1. Thêm gian hàng").click()
    boss.locator("#name").fill("Cô Lan rau sạch")
    boss.get_by_role("button", name="Thêm gian hàng").click()
    boss.get_by_role("link", name="Chưa có: đề nghị tài khoản").click()
    expect(boss.locator("#payee option:checked")).to_have_text(re.compile("Cô Lan"))
    boss.locator("#bin").select_option("970422")
    boss.locator("#number").fill("0988 777 666")
    boss.locator("#holder").fill("HO KINH DOANH B12")
    boss.get_by_role("button", name="Đề nghị tài khoản").click()
    expect(boss.locator("main")).to_contain_text("Bạn là người đề nghị tài khoản này.")
    account_path = boss.url

    second = open_manage(city, new_page(locale="vi-VN"), "second")
    second.goto(account_path)
    second.get_by_role("button", name="Đồng ý").click()
    expect(second.locator("main")).to_contain_text("Còn thiếu khoản chuyển thử")
    memo = second.locator(".fact", has_text="Nội dung").locator("dd > span").inner_text()

    boss.get_by_role("link", name="Kết nối ngân hàng").click()
    boss.get_by_role("link", name="Thêm kết nối").click()
    boss.get_by_role("link", name="Chọn SePay (HMAC)").click()
    boss.get_by_role("button", name="Tạo kết nối").click()
    secret = boss.locator("[data-secret] [data-copy]").get_attribute("data-copy")
    address = boss.locator("[aria-labelledby=address] [data-copy]").get_attribute("data-copy")
    assert secret is not None
    assert address is not None
    boss.reload()
    assert secret not in boss.content()

    answer = send_as_bank(address, secret, memo)
    assert answer.status_code == 200
    assert send_as_bank(address, "another secret of theirs", memo).status_code >= 400

    for _ in range(20):
        boss.reload()
        if boss.get_by_text("Khoản chuyển thử tài khoản").count():
            break
        time.sleep(0.2)
    boss.get_by_role("link", name="Xem tất cả").click()
    log = boss.locator("table")
    expect(log).to_contain_text("Khoản chuyển thử tài khoản")
    expect(log).to_contain_text("Sai chữ ký")
    boss.locator("#show").select_option("refused")
    expect(log).not_to_contain_text("Khoản chuyển thử tài khoản")
    second.goto(account_path)
    expect(second.locator("main")).to_contain_text("Đang dùng")


@pytest.mark.parametrize(
    ("width", "locale", "theme"), [(390, "en-GB", "dark"), (1280, "vi-VN", "light")]
)
def test_every_page_is_accessible_and_fits_the_screen(
    city: RunningCity, new_page: OpenPage, width: int, locale: str, theme: str
) -> None:
    page = new_page(width=width, locale=locale, color_scheme=theme)
    open_manage(city, page, "boss")

    for path in (*PAGES, "/endpoints/new?provider=sepay"):
        page.goto(f"{city.url}/manage{path}")
        report = Axe().run(page)
        assert report.violations_count == 0, f"{path}\n{report.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def send_as_bank(address: str, secret: str, memo: str) -> httpx.Response:
    """Report 1.000 ₫ as SePay does, signed with its HMAC."""
    body = json.dumps(
        {
            "id": 9001,
            "gateway": "MBBank",
            "transactionDate": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + 25200)),
            "accountNumber": "0988777666",
            "code": None,
            "content": memo,
            "transferType": "in",
            "transferAmount": 1000,
            "accumulated": 0,
            "subAccount": None,
            "referenceCode": "FT26325000009001",
            "description": "",
        }
    ).encode()
    at = str(int(time.time()))
    signature = hmac.new(secret.encode(), at.encode() + b"." + body, "sha256").hexdigest()
    headers = {"X-SePay-Timestamp": at, "X-SePay-Signature": f"sha256={signature}"}
    return httpx.post(address, content=body, headers=headers, trust_env=False, timeout=10)
