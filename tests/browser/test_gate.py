"""The attendant's phone, from a plate at the way in to a paid exit."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import pay_in_app, read_code, sign_in_by_hand
from tests.browser.gate_steps import NOTE_BUZZES, PHONE, buzzes, enter, find
from tests.world.running_city import RunningCity
from tests.world.running_lots import open_lot

pytestmark = pytest.mark.browser


def test_motorbike_comes_in_pays_by_code_and_leaves(city: RunningCity, new_page: OpenPage) -> None:
    place = open_lot(city)
    page = new_page(*PHONE, locale="vi-VN")
    page.add_init_script(NOTE_BUZZES)
    sign_in_by_hand(city, page, place.attendant)
    page.get_by_role("button", name="Mở ca").click()

    enter(page, "29AA12345")
    expect(page.locator("[data-strip]")).to_contain_text("29AA 123.45")
    expect(page.locator("[data-strip]")).to_contain_text("Đã vào")

    find(page, "345")
    page.locator(".gate-found", has_text="29AA 123.45").click()
    expect(page.locator("[data-screen=stay] [data-due]")).to_have_text("5.000\u00a0₫")
    page.get_by_role("button", name="Mã QR").click()
    payload = read_code(page)

    app = new_page()
    pay_in_app(city, app, payload)

    verdict = page.locator("[data-screen=verdict]")
    expect(verdict).to_contain_text("Đã trả")
    expect(verdict).to_have_attribute("data-tone", "good")
    expect(verdict.locator("[data-amount]")).to_have_text("5.000\u00a0₫")
    page.get_by_role("button", name="Cho ra").click()
    expect(verdict).to_contain_text("Đã ra")
    expect(page.get_by_role("button", name="Hoàn tác")).to_be_visible()

    status = "SELECT status, exit_reason FROM parking_sessions WHERE lot_id = %(lot)s"
    assert city.sql(status, lot=place.lot.id) == [("left", "paid")]
    assert len(set(buzzes(page))) >= 3  # in, unpaid and paid feel different
