"""Opening by hand on the attendant's phone: a reason and a photo, with a network and without."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from parking.vehicles import VehicleClass
from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import an_enrolled_phone, at_the_gate, go_offline
from tests.browser.test_gate_exit_photos import shoot
from tests.browser.test_gate_screens import judge
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser

CAMERA = {"permissions": ["camera"]}
SENT_WITHIN_MS = 30_000


def openings_of(city: RunningCity, place: StaffedLot) -> list[tuple[Any, ...]]:
    """Return (why, has a photo) of each opening by hand."""
    query = """
        SELECT a.reason, u.hash IS NOT NULL FROM audit_log a
        LEFT JOIN photo_uses u ON u.org_id = a.org_id AND u.subject_kind = 'manual_open'
         AND u.subject_id::text = a.after->>'movement_id'
        WHERE a.action = 'lane.opened_by_hand' AND a.object_id = %(lot)s ORDER BY a.id"""
    return city.sql(query, lot=place.lot.id)


def wait_for(city: RunningCity, page: Page, place: StaffedLot, wanted: list[Any]) -> None:
    for _ in range(SENT_WITHIN_MS // 500):
        if openings_of(city, place) == wanted:
            break
        page.wait_for_timeout(500)
    assert openings_of(city, place) == wanted


def test_an_opening_by_hand_is_recorded_at_the_way_in_and_out(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = an_enrolled_phone(city, new_page, place, **CAMERA)
    judge(page)
    page.locator("[data-manual-open=in]").click()
    page.locator("[data-no-photo]").click()
    expect(page.locator("#problem")).to_contain_text("phải có ảnh")
    page.locator("[data-manual-open=in]").click()
    shoot(page)
    page.locator("#sheet").get_by_role("button", name="Xe cấp cứu").click()
    verdict = page.locator("[data-screen=verdict]")
    expect(verdict).to_be_visible()
    expect(verdict).to_contain_text("Đã ghi: mở bằng tay")
    judge(page)
    verdict.get_by_role("button", name="Xe tiếp theo").click()
    expect(page.locator("[data-screen=enter]")).to_be_visible()

    page.locator(".gate-tabs [data-go=find]").click()
    judge(page)
    page.get_by_role("button", name="Mở cổng bằng tay").click()
    shoot(page)
    page.locator("#sheet").get_by_role("button", name="Thanh chắn không mở").click()
    expect(verdict).to_be_visible()
    wait_for(city, page, place, [("Xe cấp cứu, chữa cháy", True), ("Thanh chắn không mở", True)])


def test_an_opening_by_hand_without_a_network_is_sent_later_and_its_photo_follows(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = an_enrolled_phone(city, new_page, place, **CAMERA)
    page.locator(".gate-tabs [data-go=find]").click()
    go_offline(page)
    page.get_by_role("button", name="Mở cổng bằng tay").click()
    shoot(page)
    page.locator("#sheet").get_by_role("button", name="Xe cấp cứu").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("có mạng sẽ gửi")
    expect(page.locator("[data-unsent]")).to_contain_text("1 lượt")

    page.context.set_offline(False)

    wait_for(city, page, place, [("Xe cấp cứu, chữa cháy", True)])


def test_an_opening_by_hand_at_the_way_in_is_recorded_at_a_lot_of_many_classes(
    city: RunningCity, new_page: OpenPage
) -> None:
    room = dict.fromkeys((VehicleClass.CAR, VehicleClass.MOTORBIKE, VehicleClass.BICYCLE), 10)
    place = open_lot(city, capacity=room)
    page = an_enrolled_phone(city, new_page, place, **CAMERA)
    page.get_by_role("button", name="Khác").click()
    judge(page)
    page.locator("#sheet").get_by_role("button", name="Xe đạp", exact=True).click()
    expect(page.locator("[data-class=bicycle]")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Khác").click()
    page.locator("#sheet [data-action=by_hand]").click()
    shoot(page)
    page.locator("#sheet").get_by_role("button", name="Xe cấp cứu").click()

    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ghi: mở bằng tay")
    wait_for(city, page, place, [("Xe cấp cứu, chữa cháy", True)])


def test_a_phone_that_is_no_device_offers_no_opening_by_hand(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = at_the_gate(city, new_page, open_lot(city))
    page.locator(".gate-tabs [data-go=find]").click()

    expect(page.get_by_role("button", name="Mở cổng bằng tay")).to_have_count(0)
