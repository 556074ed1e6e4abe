"""Paying ahead at the gate: for hours that are chosen on the way in, by cash or by code."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import at_the_gate, enter, find
from tests.world.running_city import RunningCity
from tests.world.running_lots import open_lot

pytestmark = pytest.mark.browser


def test_hours_that_are_chosen_on_the_way_in_are_paid_and_cover_the_stay(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city, payment_timing="prepay")
    page = at_the_gate(city, new_page, place)
    page.locator("[data-class=car]").click()
    enter(page, "30A12345")
    sheet = page.locator("#sheet[open]")
    expect(sheet).to_contain_text("Trả trước cho mấy giờ, tính từ lúc vào?")
    for button in sheet.locator("button").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44
    page.locator("#sheet [data-action=ahead-3]").click()
    stay = page.locator("[data-screen=stay]")
    expect(stay.locator("[data-due]")).to_have_text("75.000\u00a0₫")
    expect(stay.locator("[data-due-word]")).to_have_text("Trả trước 3 giờ")
    assert page.evaluate("document.documentElement.scrollHeight") <= 640

    page.get_by_role("button", name="Tiền mặt").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã trả")
    find(page, "345")
    page.locator(".gate-found").first.click()
    expect(stay.locator("[data-due]")).to_have_text("0\u00a0₫")
    page.locator("[data-action=more]").click()
    page.locator("#sheet [data-action=ahead]").click()
    page.locator("#sheet [data-action=ahead-4]").click()
    expect(stay.locator("[data-due]")).to_have_text("25.000\u00a0₫")
    query = "SELECT paid_vnd, price_vnd FROM parking_sessions WHERE lot_id = %(lot)s"
    assert city.sql(query, lot=place.lot.id) == [(75_000, 75_000)]


def test_lot_that_is_paid_at_the_exit_offers_nothing_ahead(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = at_the_gate(city, new_page, open_lot(city))
    enter(page, "29AA12345")
    find(page, "345")
    page.locator(".gate-found").first.click()
    page.locator("[data-action=more]").click()
    expect(page.locator("#sheet [data-action=ticket]")).to_be_visible()
    expect(page.locator("#sheet [data-action=ahead]")).to_have_count(0)
