"""A phone whose clock is hours wrong, either way: what it does has the right time all the same."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from core.clock import read_clock
from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import an_enrolled_phone, enter, find, go_offline, type_plate
from tests.world.running_city import RunningCity
from tests.world.running_lots import open_lot

pytestmark = pytest.mark.browser
SENT_WITHIN_MS = 30_000
ABOUT = timedelta(minutes=2)


@pytest.mark.parametrize(
    "behind", [timedelta(hours=7), -timedelta(hours=7)], ids=["behind", "ahead"]
)
def test_vehicles_come_in_and_pay_at_the_hubs_time_whatever_the_phones_clock_shows(
    city: RunningCity, new_page: OpenPage, behind: timedelta
) -> None:
    place = open_lot(city)
    page = an_enrolled_phone(city, new_page, place, clock_behind=behind)
    shown = page.evaluate("Date.now()") / 1_000
    assert abs(read_clock().timestamp() - shown - behind.total_seconds()) < ABOUT.total_seconds()
    enter(page, "29AA11111")
    find(page, "111")
    page.locator(".gate-found").click()
    stay = page.locator("[data-screen=stay]")
    expect(stay.locator("[data-since]")).to_contain_text("0 phút")  # it came in just now
    page.get_by_role("button", name="Mã QR").click()
    expect(page.locator(".qr svg")).to_be_visible()  # an id of seven hours ahead is no bill's
    page.locator("[data-code-back]").click()
    expect(stay).to_be_visible()

    go_offline(page)
    page.locator(".gate-tabs [data-go=enter]").click()
    type_plate(page, "29AA22222")
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("[data-strip]")).to_contain_text("Đã lưu trên máy")
    page.reload()
    expect(page.locator("[data-unsent]")).to_contain_text("1 lượt chưa gửi")
    find(page, "222")  # the page out of the cache knows the difference, too
    expect(page.locator(".gate-found")).to_contain_text("0 phút")
    expect(page.locator(".gate-found")).not_to_contain_text("giờ")
    page.locator(".gate-tabs [data-go=enter]").click()
    type_plate(page, "29AA33333")
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("[data-unsent]")).to_contain_text("2 lượt chưa gửi")
    page.context.set_offline(False)
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)

    query = """
        SELECT plate, status, entry_time_is, entered_at FROM parking_sessions
        WHERE lot_id = %(lot)s ORDER BY plate"""
    rows = city.sql(query, lot=place.lot.id)
    assert [row[:3] for row in rows] == [
        ("29AA11111", "inside", "hub"),
        ("29AA22222", "inside", "device"),
        ("29AA33333", "inside", "device"),
    ]
    assert all(abs(row[3] - read_clock()) < ABOUT for row in rows)
    breaks = "SELECT reason, reason_facts FROM breaks WHERE org_id = %(org)s"
    assert city.sql(breaks, org=city.org.id) == []
