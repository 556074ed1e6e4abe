"""Exits that lose their network midway: the photo and the reason go along."""

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import an_enrolled_phone, enter, go_offline, wait_for_yes
from tests.browser.test_gate_exit_photos import CAMERA, exits_of, shoot
from tests.browser.test_gate_ways import open_stay, other_way
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser

SENT_WITHIN_MS = 30_000


def a_phone_that_knows(
    city: RunningCity, new_page: OpenPage, place: StaffedLot, plate: str
) -> Page:
    """Let a vehicle in by an enrolled phone, which knows it and its price from then on."""
    page = an_enrolled_phone(city, new_page, place, **CAMERA)
    enter(page, plate)
    wait_for_yes(page, "async () => gate.offline.posted.rates")
    known = "async plate => (await gate.offline.find(plate)).stays.length"
    wait_for_yes(page, known, plate)
    return page


def wait_for(page: Page, city: RunningCity, query: str, place: StaffedLot, wanted: object) -> None:
    """Wait until the hub knows it: what goes after the movements takes a moment."""
    for _ in range(SENT_WITHIN_MS // 500):
        if city.sql(query, lot=place.lot.id) == wanted:
            break
        page.wait_for_timeout(500)
    assert city.sql(query, lot=place.lot.id) == wanted


def left_as(page: Page, city: RunningCity, place: StaffedLot) -> list[tuple[Any, ...]]:
    """Wait until the exit was applied; return (status, why, photo in, photo out)."""
    page.context.set_offline(False)
    query = "SELECT count(*) FROM parking_sessions WHERE lot_id = %(lot)s AND status = 'left'"
    wait_for(page, city, query, place, [(1,)])
    return exits_of(city, place)


def test_a_photo_that_was_uploaded_before_the_network_went_is_that_of_the_exit(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = a_phone_that_knows(city, new_page, place, "29AA33333")
    page.locator(".gate-tabs [data-go=find]").click()
    page.locator("[data-find-photo]").click()
    shoot(page)
    expect(page.locator("[data-find-photo]")).to_have_attribute("aria-pressed", "true")
    for digit in "333":
        page.locator(f"[data-find-key='{digit}']").click()
    go_offline(page)
    page.locator(".gate-found").click()
    expect(page.locator("[data-screen=stay]")).to_contain_text("Giá tạm tính")
    page.locator("[data-screen=stay] [data-action=unconfirmed]").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Chưa xác nhận tiền")

    assert left_as(page, city, place) == [("left", "unconfirmed", False, True)]


def test_an_opening_by_hand_of_who_has_paid_stays_one_when_the_line_drops(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = a_phone_that_knows(city, new_page, place, "29AA33333")
    open_stay(page, "333")
    page.get_by_role("button", name="Tiền mặt").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã trả")
    open_stay(page, "333")

    def drop(route: Route) -> None:
        page.context.set_offline(True)
        route.abort()

    page.route("**/exit", drop)
    other_way(page, "manual")
    shoot(page)
    page.locator("#sheet").get_by_role("button", name="Thanh chắn").click()
    verdict = page.locator("[data-screen=verdict]")
    expect(verdict).to_contain_text("Đã ra")
    expect(verdict).to_contain_text("Mở tay")

    assert left_as(page, city, place) == [("left", "manual", False, True)]
