"""The barrier on the attendant's phone: opened by the sandbox's lane, stuck, silent, by hand."""

import time
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import PHONE, at_the_gate, enter, find, type_plate
from tests.browser.test_gate_screens import judge
from tests.world.constants import BUSY_S
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser
SAID_WITHIN_MS = 9_000  # a silent lane is known after five seconds, and a look


def a_lane(city: RunningCity, place: StaffedLot, access_id: UUID, **facts: Any) -> None:
    """Let the sandbox's controller serve a lane; by itself it opens."""
    city.sql("UPDATE parking_accesses SET has_controller = true WHERE id = %(id)s", id=access_id)
    boss = city.client_of("boss")
    wanted = {"name": "Thanh chắn", "scopes": ["lanes.serve"], "lot_id": str(place.lot.id)}
    key = boss.post("/v1/keys", json=wanted).raise_for_status().json()["key"]
    body = {
        "hub_url": city.url,
        "lot_id": str(place.lot.id),
        "access_id": str(access_id),
        "key": key,
        **facts,
    }
    city.sandbox.post("/control/lanes", json=body).raise_for_status()


def misbehave(city: RunningCity, access_id: UUID, behaviour: str, **facts: Any) -> None:
    change = {"behaviour": behaviour, **facts}
    city.sandbox.post(f"/control/lanes/{access_id}", json=change).raise_for_status()


def count_openings(city: RunningCity, access_id: UUID) -> int:
    lanes = city.sandbox.get("/control/lanes").json()["lanes"]
    (lane,) = [one for one in lanes if one["access_id"] == str(access_id)]
    return len(lane["carried_out"])


def let_out(page: Page, digits: str) -> None:
    """Let a vehicle out for cash."""
    find(page, digits)
    page.locator(".gate-found").click()
    page.get_by_role("button", name="Tiền mặt").click()
    page.get_by_role("button", name="Cho ra").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")


def lane_of(page: Page) -> Locator:
    return page.locator("#sheet [data-lane]")


def test_barrier_opens_on_the_way_out_and_the_phone_says_so(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    lane = place.lot.way_out_id
    a_lane(city, place, lane, answers_after_ms=1_500)
    page = at_the_gate(city, new_page, place)
    enter(page, "29AA12345")
    enter_screen = page.locator("[data-screen=enter]")
    expect(enter_screen.locator("[data-action=lane]")).to_have_count(0)  # no lane to come in
    let_out(page, "345")
    judge(page)

    page.get_by_role("button", name="Mở thanh chắn").click()

    expect(lane_of(page)).to_have_attribute("data-lane", "sending")
    expect(lane_of(page)).to_contain_text("Đang gửi")
    expect(lane_of(page)).to_have_attribute("data-lane", "opened")
    expect(lane_of(page)).to_contain_text("Thanh chắn đã mở")
    expect(page.locator("#sheet")).to_be_hidden()  # the next vehicle waits
    assert count_openings(city, lane) == 1


def test_barrier_that_is_stuck_gets_the_command_once_more(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    lane = place.lot.way_out_id
    a_lane(city, place, lane, behaviour="stuck")
    page = at_the_gate(city, new_page, place)
    enter(page, "29AA12345")
    let_out(page, "345")
    page.get_by_role("button", name="Mở thanh chắn").click()
    expect(lane_of(page)).to_have_attribute("data-lane", "stuck")
    judge(page)

    misbehave(city, lane, "open")
    page.get_by_role("button", name="Gửi lệnh lại").click()

    expect(lane_of(page)).to_have_attribute("data-lane", "opened")
    assert count_openings(city, lane) == 2


def test_barrier_that_is_silent_is_opened_by_hand_with_a_reason_and_a_photo(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    lane = place.lot.way_out_id
    a_lane(city, place, lane, behaviour="silent")
    page = at_the_gate(city, new_page, place, permissions=["camera"])
    enter(page, "29AA12345")
    let_out(page, "345")
    began = time.monotonic()
    page.get_by_role("button", name="Mở thanh chắn").click()
    expect(lane_of(page)).to_have_attribute("data-lane", "silent")
    assert time.monotonic() - began < SAID_WITHIN_MS / 1_000 + BUSY_S
    expect(page.locator("#sheet [data-action=again]")).to_have_count(0)  # it may be open
    judge(page)

    page.get_by_role("button", name="Mở bằng tay").click()
    page.locator("#camera [data-shoot]").click()
    page.get_by_role("button", name="Thanh chắn không mở").click()

    expect(lane_of(page)).to_have_attribute("data-lane", "by_hand", timeout=SAID_WITHIN_MS)
    query = "SELECT reason, photo IS NOT NULL FROM lane_commands WHERE access_id = %(lane)s"
    commands = city.sql(f"{query} ORDER BY requested_at DESC LIMIT 2", lane=lane)
    assert commands == [("Thanh chắn không mở", True), (None, False)]


def test_a_second_opening_for_one_vehicle_takes_a_reason_and_a_photo(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    a_lane(city, place, place.lot.way_out_id)
    page = at_the_gate(city, new_page, place, permissions=["camera"])
    enter(page, "29AA12345")
    let_out(page, "345")
    page.get_by_role("button", name="Mở thanh chắn").click()
    expect(lane_of(page)).to_have_attribute("data-lane", "opened")
    expect(page.locator("#sheet")).to_be_hidden()

    page.get_by_role("button", name="Mở thanh chắn").click()

    expect(page.locator("#camera")).to_be_visible()
    page.locator("#camera [data-no-photo]").click()
    expect(page.locator("#problem")).to_contain_text("cần lý do và ảnh")
    assert count_openings(city, place.lot.way_out_id) == 1


def test_barrier_of_the_way_in_takes_the_place_of_the_button_until_the_next_plate(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    a_lane(city, place, place.lot.way_in_id)
    page = at_the_gate(city, new_page, place)
    assert page.viewport_size == {"width": PHONE[0], "height": PHONE[1]}
    enter(page, "29AA12345")
    judge(page)
    strip = page.locator("[data-strip] .plate")
    assert strip.evaluate("one => one.scrollWidth <= one.clientWidth")  # all of it is seen

    page.locator("[data-screen=enter] [data-action=lane]").click()

    expect(lane_of(page)).to_have_attribute("data-lane", "opened")
    expect(page.locator("#sheet")).to_be_hidden()
    type_plate(page, "29A1")
    expect(page.get_by_role("button", name="Cho vào")).to_be_visible()
    expect(page.locator("[data-screen=enter] [data-action=lane]")).to_have_count(0)


def test_a_hub_that_is_away_leaves_the_barrier_silent_and_not_the_screen(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    a_lane(city, place, place.lot.way_out_id)
    page = at_the_gate(city, new_page, place)
    enter(page, "29AA12345")
    let_out(page, "345")
    page.context.set_offline(True)

    page.get_by_role("button", name="Mở thanh chắn").click()

    expect(lane_of(page)).to_have_attribute("data-lane", "silent", timeout=15_000)
