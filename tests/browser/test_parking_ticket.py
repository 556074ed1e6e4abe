"""The driver's page on a phone: a ticket's code, the bank's app, the receipt, and a complaint."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from core.clock import read_clock
from core.db import Database
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import pay_in_app, read_code, sign_in
from tests.world.lots import CAR, a_lot
from tests.world.parking_sessions import a_gate, a_stay, ticket_path_of
from tests.world.running_city import RunningCity, StaffedStall

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 640}


@dataclass(frozen=True, kw_only=True)
class ParkedCity:
    """A running city with a lot whose money a stall's account takes."""

    city: RunningCity
    stall: StaffedStall

    def park(self) -> str:
        """Let a car come in twenty minutes ago; return the address on its ticket."""

        async def come_in(database: Database) -> str:
            now = read_clock()
            lot = await a_lot(database, org=self.city.org, now=now)
            gate = await a_gate(database, lot=lot, now=now)
            self.city.sql(
                "UPDATE lots SET payee_id = %(payee)s WHERE id = %(lot)s",
                payee=self.stall.payee_id,
                lot=lot.id,
            )
            entered_at = now - timedelta(minutes=20)
            stay_id = await a_stay(database, gate, vehicle_class=CAR, entered_at=entered_at)
            return await ticket_path_of(database, gate, stay_id)

        return self.city.url + self.city.do(come_in)


@pytest.fixture(scope="module")
def parked(city: RunningCity) -> ParkedCity:
    """The lots of this file, and the stall that they are paid at."""
    return ParkedCity(city=city, stall=city.open_stall())


def is_sound(page: Page) -> None:
    """Hold a page to its reader: nothing beyond the screen's edge, nothing that axe finds."""
    report = Axe().run(page)
    assert report.violations_count == 0, report.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize(
    ("locale", "theme", "words"),
    [
        (
            "vi-VN",
            "light",
            ("Trả bằng mã VietQR", "Đã trả đủ", "trả thêm nếu ra trước", "Xem biên nhận"),
        ),
        (
            "en-GB",
            "dark",
            ("Pay by VietQR code", "Paid in full", "leave by", "See the receipt"),
        ),
    ],
)
def test_a_driver_pays_by_the_tickets_code_and_sees_it_at_once(
    parked: ParkedCity,
    new_page: OpenPage,
    locale: str,
    theme: str,
    words: tuple[str, str, str, str],
) -> None:
    pay, paid, covered, receipt = words
    page = new_page(**PHONE, locale=locale, color_scheme=theme)
    page.goto(parked.park())
    is_sound(page)

    page.get_by_role("button", name=pay).click()
    page.locator(".qr svg").wait_for()
    is_sound(page)
    pay_in_app(parked.city, new_page(), read_code(page))

    verdict = page.locator(".verdict[data-status=paid]")
    verdict.wait_for()
    expect(verdict).to_contain_text(paid)
    expect(page.locator("main")).to_contain_text(covered)
    expect(page.locator("#announcer")).to_have_text(paid)
    is_sound(page)
    page.get_by_role("link", name=receipt).click()
    expect(page.locator("article")).to_contain_text("25.000")


def test_three_taps_complain_of_the_price_and_the_answer_comes_to_the_same_link(
    parked: ParkedCity, new_page: OpenPage
) -> None:
    driver = new_page(**PHONE, locale="vi-VN")
    driver.goto(parked.park())
    driver.get_by_role("button", name="Trả bằng mã VietQR").click()
    pay_in_app(parked.city, new_page(), read_code(driver))
    driver.locator(".verdict[data-status=paid]").wait_for()

    driver.get_by_role("link", name="Tôi bị thu quá giá").click()
    is_sound(driver)
    driver.get_by_role("button", name="Gửi phản ánh").click()

    driver.wait_for_url("**/k/**")
    expect(driver.locator("main")).to_contain_text("Đang xem xét")
    is_sound(driver)
    manager = new_page(width=1280, height=900, locale="vi-VN")
    sign_in(parked.city, manager, "boss")
    manager.goto(f"{parked.city.url}/manage/complaints")
    manager.get_by_role("link", name="Xem và trả lời").first.click()
    expect(manager.locator("main")).to_contain_text("QĐ 44/2017/QĐ-UBND")
    assert Axe().run(manager).violations_count == 0
    manager.get_by_label("Kết quả").select_option("upheld")
    manager.get_by_label("Trả lời cho người gửi").fill("Nhân viên đã thu thừa.")
    manager.get_by_label("Tiền trả lại").fill("15000")
    manager.get_by_role("button", name="Gửi trả lời").click()
    expect(manager.locator("main")).to_contain_text("Đã trả lời.")

    driver.reload()
    expect(driver.locator("main")).to_contain_text("Nhân viên đã thu thừa.")
    expect(driver.locator("main")).to_contain_text("15.000\u00a0₫")
    is_sound(driver)


def test_a_page_that_is_open_says_what_is_due_as_the_stay_grows(
    parked: ParkedCity, new_page: OpenPage
) -> None:
    page = new_page(**PHONE, locale="vi-VN")
    page.clock.install()
    page.goto(parked.park())
    expect(page.locator("[data-pay-state=due]")).to_be_visible()
    earlier = """
        UPDATE parking_sessions SET entered_at = entered_at - interval '1 hour'
        WHERE org_id = %(org)s"""
    parked.city.sql(earlier, org=parked.city.org.id)

    page.clock.run_for(21_000)

    expect(page.locator("#pay")).to_contain_text("50.000\u00a0₫")
