"""Managers of lots at work: prices written, looked at and published; the other pages."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from core.clock import hanoi_day, read_clock
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import sign_in
from tests.world.running_city import RunningCity

pytestmark = pytest.mark.browser

PAGES = ("/lots", "/stays", "/tariffs", "/plate-requests")


@pytest.fixture(scope="module", autouse=True)
def stall(city: RunningCity) -> None:
    """A stall, whose manager also runs a lot."""
    city.open_stall()


def open_manage(city: RunningCity, page: Page) -> Page:
    sign_in(city, page, "boss")
    page.wait_for_url("**/manage")
    return page


def add_a_lot(boss: Page, name: str = "Bãi xe Phủ Doãn") -> None:
    """Add an operator, and a lot with a capacity, by clicking."""
    boss.goto(boss.url.split("/manage")[0] + "/manage/lots")
    if boss.locator("#operator_name").is_visible():  # folded once there is one
        boss.locator("#operator_name").fill("Công ty Khai thác điểm đỗ xe")
        boss.locator("#operator_address").fill("1 Trần Quang Khải, Hà Nội")
        boss.locator("#operator_tax_code").fill("0100109106")
        boss.get_by_role("button", name="Thêm đơn vị khai thác").click()
        expect(boss.locator("main")).to_contain_text("Đã thêm đơn vị khai thác")
    if not boss.locator("#name").is_visible():
        boss.locator("summary", has_text="Thêm bãi xe").click()
    boss.locator("#name").fill(name)
    boss.locator("#address").fill("Phủ Doãn, Hà Nội")
    boss.locator("#licence_number").fill("12/GP-SXD")
    boss.get_by_role("button", name="Thêm bãi xe").click()
    expect(boss.locator("main")).to_contain_text("Đã thêm bãi xe")
    boss.locator("#capacity-motorbike").fill("120")
    boss.locator("#licensed-motorbike").fill("100")
    boss.get_by_role("button", name="Lưu: Xe máy", exact=True).click()
    expect(boss.locator("#capacity-motorbike")).to_have_value("120")


def test_a_ladder_is_written_mended_looked_at_published_and_taken_by_a_lot(
    city: RunningCity, new_page: OpenPage
) -> None:
    boss = open_manage(city, new_page(width=1280, locale="vi-VN"))
    add_a_lot(boss)
    boss.get_by_role("link", name="Biểu giá", exact=True).click()
    boss.locator("#name").fill("Ô tô lòng đường")
    boss.get_by_role("button", name="Soạn giá").click()
    expect(boss.locator("#seller_tax_code")).to_have_value("0100109106")

    # Another way to charge has other fields, at once.
    boss.get_by_label("Xe máy", exact=True).uncheck()
    boss.get_by_label("Ô tô đến 9 chỗ").check()
    boss.locator("#g0_shape").select_option("ladder")
    boss.locator("#g0_s0_block").wait_for()
    boss.locator("#g0_s0_until").fill("2")
    boss.locator("#g0_s0_vnd").fill("25.000")
    boss.locator("#g0_s1_vnd").fill("nhiều")
    boss.get_by_role("button", name="Xem thử").last.click()

    # Faults stand at their fields, and nothing that was typed is lost.
    expect(boss.locator("#legal_basis-error")).to_be_visible()
    expect(boss.locator("#g0_s1_vnd-error")).to_be_visible()
    expect(boss.locator("#g0_s0_vnd")).to_have_value("25.000")
    boss.locator("#g0_s1_vnd").fill("45.000")
    boss.locator("#legal_basis").fill("QĐ 44/2017/QĐ-UBND")
    boss.locator("#valid_from_on").fill(hanoi_day(read_clock()).isoformat())
    boss.locator("[name=is_verified]").check()
    boss.get_by_role("button", name="Xem thử").last.click()

    preview = boss.locator("main")
    expect(preview).to_contain_text("9 giờ, vào lúc 08:00")
    expect(preview).to_contain_text("365.000")  # 2 × 25.000 and 7 × 45.000
    expect(boss.locator("svg.chart .chart-line")).to_be_visible()
    assert Axe().run(boss).violations_count == 0
    boss.get_by_role("button", name="Công bố").click()
    expect(boss.locator("main")).to_contain_text("Đã công bố bản mới.")

    boss.get_by_role("button", name="Áp cho bãi xe").click()
    expect(boss.locator("[aria-labelledby=lots]")).to_contain_text("Đang áp dụng")
    boss.get_by_role("link", name="Bãi xe Phủ Doãn").click()
    expect(boss.locator("main")).to_contain_text("Biểu giá: Ô tô lòng đường")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("locale", ["vi-VN", "en-GB"])
def test_the_pages_fit_phones_and_everybody_can_use_them(
    city: RunningCity, new_page: OpenPage, width: int, locale: str
) -> None:
    boss = open_manage(city, new_page(width=width, locale=locale))
    paths = list(PAGES)
    for list_path in ("/lots", "/tariffs"):
        boss.goto(f"{city.url}/manage{list_path}")
        first = boss.locator("table.sheet a.link").first
        if first.count():
            path = str(first.get_attribute("href")).removeprefix("/manage")
            paths += [path, f"{path}/edit"]
    for path in paths:
        boss.goto(f"{city.url}/manage{path}")
        found = Axe().run(boss)
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"
        too_wide = boss.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert too_wide <= 0, path


def test_a_long_name_of_a_lot_is_not_cut_off_on_a_phone(
    city: RunningCity, new_page: OpenPage
) -> None:
    boss = open_manage(city, new_page(width=360, height=640, locale="vi-VN"))
    add_a_lot(boss, "Điểm trông giữ xe máy, xe đạp điện phố Phủ Doãn")

    boss.goto(f"{city.url}/manage/lots")

    # The panel cuts off what is wider, so the page itself would not scroll.
    assert boss.evaluate(
        "Math.max(...[...document.querySelectorAll('.sheet, .sheet .link, .sheet .state')]"
        ".map((one) => one.getBoundingClientRect().right)) <= innerWidth - 16"
    )
