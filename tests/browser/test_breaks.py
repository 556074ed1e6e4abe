"""Breaks worked off by keyboard: found, opened, noted, resolved, and their money by two people."""

import os
import re
from functools import partial
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from core.clock import read_clock
from core.db import Database
from identity.people.rules import Role
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import sign_in
from tests.world.breaks import NO_SUCH_REFERENCE, a_paid_twice_break, a_short_bill
from tests.world.running_city import RunningCity, StaffedStall

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def people(city: RunningCity) -> None:
    city.employ("phuong", Role.FINANCE)
    city.employ("duyet", Role.APPROVER)


@pytest.fixture
def stall(city: RunningCity) -> StaffedStall:
    return city.open_stall()


def at_breaks(city: RunningCity, page: Page, name: str) -> Page:
    sign_in(city, page, name)
    page.goto(f"{city.url}/manage/breaks")
    return page


def choose(page: Page, **option: object) -> None:
    """Choose in the list that has the focus; how its keys open it is the browser's own affair."""
    page.locator(":focus").select_option(**option)  # type: ignore[arg-type]


def look(page: Page, name: str) -> None:
    if folder := os.environ.get("LOOK_AT"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def twice(stall: StaffedStall, database: Database) -> object:
    return a_paid_twice_break(database, stall, now=read_clock())


def short(stall: StaffedStall, database: Database) -> object:
    return a_short_bill(database, stall, now=read_clock())


def test_money_that_is_too_much_is_written_off_by_two_people_with_keys(
    city: RunningCity, stall: StaffedStall, new_page: OpenPage
) -> None:
    city.do(partial(twice, stall))
    finance = at_breaks(city, new_page(width=1280, locale="vi-VN"), "phuong")
    look(finance, "list-1280")
    finance.keyboard.press("j")
    expect(finance.locator(":focus")).to_have_text("Cần trả lại khách")
    finance.keyboard.press("Enter")
    finance.wait_for_url(re.compile("/manage/breaks/[0-9a-f-]{36}$"))
    proposing = finance.get_by_text("Đề nghị cách xử lý tiền")
    proposing.focus()
    finance.keyboard.press("Enter")
    finance.keyboard.press("Tab")  # what to do: to write it off stands first
    finance.keyboard.press("Tab")
    finance.keyboard.press("Tab")
    finance.keyboard.type("Khách không nhận lại")
    finance.keyboard.press("Tab")
    look(finance, "propose-1280")
    finance.keyboard.press("Enter")
    expect(finance.locator("main")).to_contain_text("Chờ duyệt")
    assert finance.get_by_role("button", name="Duyệt").count() == 0

    approver = at_breaks(city, new_page(width=390, locale="vi-VN"), "duyet")
    approver.get_by_role("link", name="Chờ duyệt: 1").click()
    look(approver, "waiting-390")
    approver.keyboard.press("j")
    approver.keyboard.press("Enter")
    approver.wait_for_url(re.compile("/manage/breaks/[0-9a-f-]{36}$"))
    approver.keyboard.press("a")
    look(approver, "approve-390")
    approver.keyboard.press("Enter")
    expect(approver.locator("main")).to_contain_text("Đã xóa sổ")
    look(approver, "approved-390")


def test_a_short_bill_and_money_without_a_bill_are_resolved_with_keys(
    city: RunningCity, stall: StaffedStall, new_page: OpenPage
) -> None:
    neighbour = city.open_stall(sharing=stall)
    assert neighbour.account_id == stall.account_id
    city.do(partial(short, stall))
    city.transfer(stall, 31_000, NO_SUCH_REFERENCE)
    page = at_breaks(city, new_page(width=1280, locale="vi-VN"), "phuong")
    expect(page.locator("[data-item]", has_text="31.000")).to_be_visible()

    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Phím tắt")).to_be_visible()
    look(page, "keys-1280")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("tien rau")
    page.keyboard.press("Enter")
    expect(page.locator("[data-item]")).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.keyboard.press("Enter")  # opens the form of assigning
    page.keyboard.press("Tab")
    choose(page, index=1)
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("[data-item]", has_text="31.000")).to_have_count(0)

    page.goto(f"{city.url}/manage/breaks?type=short")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.locator("#words").fill("đã gọi, khách nhờ 29A-123.45 mang tiền tới")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("[aria-labelledby=notes]")).to_contain_text("đã gọi")
    expect(page.locator("[aria-labelledby=notes]")).not_to_contain_text("123.45")
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    choose(page, value="received")
    page.keyboard.press("Tab")
    page.keyboard.type("tiền mặt, thủ quỹ ký nhận")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("Đã nhận ngoài hệ thống")


def test_a_file_is_attached_and_comes_back_and_another_kind_is_refused(
    city: RunningCity, stall: StaffedStall, new_page: OpenPage, tmp_path: Path
) -> None:
    city.do(partial(short, stall))
    page = at_breaks(city, new_page(width=390, locale="vi-VN"), "phuong")
    page.goto(f"{city.url}/manage/breaks?type=short")
    page.locator("[data-open]").first.click()
    for name, content in (("lời nhắn.txt", b"hello"), ("ủy nhiệm chi.pdf", b"%PDF-1.7 ...")):
        (tmp_path / name).write_bytes(content)
        page.locator("#file").set_input_files(tmp_path / name)
        page.get_by_role("button", name="Đính kèm").click()
        if name.endswith(".txt"):
            expect(page.locator("#file-error")).to_contain_text("PDF, PNG hoặc JPEG")
    with page.expect_download() as download:
        page.get_by_role("link", name="ủy nhiệm chi.pdf").click()
    assert download.value.path().read_bytes() == b"%PDF-1.7 ..."
    look(page, "files-390")


def test_many_are_given_to_somebody_at_once(
    city: RunningCity, stall: StaffedStall, new_page: OpenPage
) -> None:
    for _ in range(2):
        city.do(partial(short, stall))
    page = at_breaks(city, new_page(width=768, locale="vi-VN"), "phuong")
    page.goto(f"{city.url}/manage/breaks?type=short&owner=none")
    for box in page.get_by_label(re.compile("Chọn mục này")).all():
        box.check()
    page.get_by_text("Làm một lượt").click()
    page.locator("#bulk-owner").select_option(label="Phuong")
    look(page, "bulk-768")
    page.get_by_role("button", name="Giao các mục đã chọn").click()
    page.goto(f"{city.url}/manage/breaks?type=short&owner=me")
    assert page.locator("[data-item]").count() >= 2


@pytest.mark.parametrize(
    ("width", "locale", "theme"), [(360, "en-GB", "dark"), (1280, "vi-VN", "light")]
)
def test_both_pages_are_accessible_and_fit_the_screen(
    city: RunningCity,
    stall: StaffedStall,
    new_page: OpenPage,
    width: int,
    locale: str,
    theme: str,
) -> None:
    city.do(partial(twice, stall))
    page = new_page(width=width, height=640, locale=locale, color_scheme=theme)
    at_breaks(city, page, "phuong")
    for name in ("list", "page"):
        report = Axe().run(page)
        assert report.violations_count == 0, f"{name}\n{report.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        look(page, f"{name}-{width}-{theme}")
        if name == "list":
            page.locator("[data-open]").first.click()
            page.locator("[data-back]").wait_for()
