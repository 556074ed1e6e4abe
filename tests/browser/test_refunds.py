"""A refund with two people, by clicking: requested, approved, in a payment file, given back."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from core.clock import read_clock
from core.db import Database
from identity.people.rules import Role
from ops.postgres.supervisor import Cluster
from payments.bills.rules import BillFacts
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import sign_in
from tests.world.bills import a_bill
from tests.world.notices import pay
from tests.world.refunds import a_refund, find_payments, hold_by
from tests.world.running_city import RunningCity, running_city

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def city(cluster: Cluster) -> Iterator[RunningCity]:
    """A hub with finance and an approver."""
    with running_city(cluster) as running:
        running.employ("phuong", Role.FINANCE)
        running.employ("duyet", Role.APPROVER)
        yield running


@pytest.fixture(scope="module")
def bill(city: RunningCity) -> BillFacts:
    """A paid bill of a stall whose account the organisation holds."""
    stall = city.open_stall()

    async def open_and_pay(database: Database) -> BillFacts:
        await hold_by(database, stall, "organisation")
        opened = await a_bill(database, stall, now=read_clock())
        await pay(database, stall, opened, now=read_clock())
        return opened

    return city.do(open_and_pay)


def look_at(page: Page) -> None:
    """Hold a page to what everybody can use, and to its width."""
    report = Axe().run(page)
    assert report.violations_count == 0, report.generate_report()
    width = page.evaluate("document.documentElement.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_refund_takes_two_people_and_a_payment_file(
    city: RunningCity, bill: BillFacts, new_page: OpenPage
) -> None:
    finance = new_page(width=1280, locale="vi-VN")
    approver = new_page(width=390, locale="vi-VN")
    for page, login in ((finance, "phuong"), (approver, "duyet")):
        sign_in(city, page, login)
        page.wait_for_url("**/manage")
        page.goto(f"{city.url}/manage/refunds")
        look_at(page)

    finance.get_by_role("link", name="Yêu cầu hoàn tiền").click()
    finance.locator("#bill").fill(bill.reference.lower())
    finance.get_by_role("button", name="Tìm").click()
    look_at(finance)
    finance.locator("#amount").fill("5.000")
    finance.locator("#reason").fill("Khách trả thừa")
    finance.get_by_role("button", name="Gửi yêu cầu").click()
    finance.get_by_label("Ngân hàng", exact=True).select_option("970422")
    finance.get_by_label("Số tài khoản").fill("0123456789")
    finance.get_by_label("Tên chủ tài khoản", exact=True).fill("NGUYEN THI LAN")
    finance.get_by_label("Gõ lại tên chủ tài khoản").fill("NGUYEN THI LAN")
    look_at(finance)
    finance.get_by_role("button", name="Lưu").click()
    expect(finance.locator("main")).to_contain_text("Chưa được xác minh")
    expect(finance.get_by_role("button", name="Duyệt")).to_have_count(0)

    approver.reload()
    look_at(approver)
    approver.get_by_role("button", name="Duyệt").click()
    expect(approver.locator("main")).to_contain_text("Đã duyệt, chờ lập lệnh")

    finance.reload()
    finance.get_by_role("button", name="Lập tệp chuyển khoản").click()
    with finance.expect_download() as downloaded:
        finance.get_by_role("link", name="Tải xuống").click()
    assert downloaded.value.suggested_filename.endswith(".xlsx")
    finance.locator("summary", has_text="Đã trả lại khách").click()
    finance.get_by_label("Mã giao dịch của ngân hàng").fill("FT26330000123")
    look_at(finance)
    finance.get_by_role("button", name="Đã trả lại khách").click()
    finance.get_by_label("Hiện").select_option("ended")
    finance.wait_for_url("**show=ended*")
    expect(finance.locator("main")).to_contain_text("FT26330000123")
    look_at(finance)


def test_a_payer_types_the_account_by_the_bills_link_on_a_small_phone(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall()

    async def give_back(database: Database) -> BillFacts:
        opened = await a_bill(database, stall, now=read_clock())
        await pay(database, stall, opened, now=read_clock())
        (payment_id,) = await find_payments(database, stall, opened)
        await a_refund(database, stall, payment_id=payment_id, amount_vnd=5_000, now=read_clock())
        return opened

    opened = city.do(give_back)
    page = new_page(width=360, height=640, locale="vi-VN")
    page.goto(f"{city.url}/p/{stall.org.code}-{opened.public_token}/receipt")
    look_at(page)

    page.get_by_role("link", name="Nhập tài khoản để nhận lại 5.000").click()
    look_at(page)
    page.get_by_label("Ngân hàng", exact=True).select_option("970422")
    page.get_by_label("Số tài khoản").fill("0123 456 789")
    page.get_by_label("Tên chủ tài khoản", exact=True).fill("NGUYEN THI LAN")
    page.get_by_label("Gõ lại tên chủ tài khoản").fill("NGUYEN THI LAM")
    page.get_by_role("button", name="Gửi tài khoản").click()
    expect(page.locator("main")).to_contain_text("Hai lần gõ tên không giống nhau.")
    look_at(page)
    page.get_by_label("Gõ lại tên chủ tài khoản").fill("NGUYEN THI LAN")
    page.get_by_role("button", name="Gửi tài khoản").click()

    expect(page.locator("main")).to_contain_text("Đã nhận tài khoản cho khoản hoàn 5.000")
    expect(page.get_by_role("button", name="Gửi tài khoản")).to_have_count(0)
    look_at(page)
