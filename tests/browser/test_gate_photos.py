"""Photos on the attendant's phone: kept without a network, sent later, asked for, and missed."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from identity.people.rules import Role
from ops.postgres.supervisor import Cluster
from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import (
    an_enrolled_phone,
    at_the_gate,
    enter,
    go_offline,
    type_plate,
)
from tests.browser.test_gate_screens import judge
from tests.world.running_city import RunningCity, running_city
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser
SENT_WITHIN_MS = 30_000
CAMERA = {"permissions": ["camera"]}


@pytest.fixture(scope="module")
def city(cluster: Cluster) -> Iterator[RunningCity]:
    """A hub and a sandbox for the tests of this file; each opens lots of its own."""
    with running_city(cluster) as running:
        running.employ("boss", Role.MANAGER)
        yield running


def require_photos(city: RunningCity, place: StaffedLot) -> None:
    city.sql("UPDATE lots SET photo_required = true WHERE id = %(id)s", id=place.lot.id)


def shoot(page: Page) -> None:
    page.locator("#camera [data-shoot]").click()
    expect(page.locator("#camera")).to_be_hidden()


def stay_of(city: RunningCity, plate: str, place: StaffedLot) -> tuple[Any, ...]:
    query = """
        SELECT encode(entry_photo, 'hex'), is_photo_missing FROM parking_sessions
        WHERE plate = %(plate)s AND lot_id = %(lot)s"""
    (stay,) = city.sql(query, plate=plate, lot=place.lot.id)
    return stay


def test_a_photo_without_a_network_outlasts_the_page_and_is_attached_once(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    require_photos(city, place)
    page = an_enrolled_phone(city, new_page, place, **CAMERA)
    go_offline(page)
    type_plate(page, "29AA11111")
    page.get_by_role("button", name="Ảnh").click()
    shoot(page)
    expect(page.locator("[data-photo]").first).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("[data-strip]")).to_contain_text("Đã lưu trên máy")
    page.reload()
    page.locator(".gate-tabs [data-go=shift]").click()
    expect(page.locator("[data-unsent-list]")).to_contain_text("29AA 111.11: ảnh chưa gửi")

    page.context.set_offline(False)

    expect(page.locator("[data-unsent-list]")).to_be_hidden(timeout=SENT_WITHIN_MS)
    photo, is_missing = stay_of(city, "29AA11111", place)
    assert photo is not None
    assert is_missing is False
    query = """
        SELECT o.direction, p.width FROM observations o
        JOIN photos p ON p.org_id = o.org_id AND p.hash = o.photo WHERE o.lot_id = %(lot)s"""
    ((direction, width),) = city.sql(query, lot=place.lot.id)
    assert direction == "in"
    assert width > 100


def test_a_lot_that_requires_photos_asks_and_counts_who_has_none(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    require_photos(city, place)
    page = at_the_gate(city, new_page, place, **CAMERA)

    type_plate(page, "29AA11111")
    page.get_by_role("button", name="Cho vào").click()
    shoot(page)
    expect(page.locator("[data-strip]")).to_have_attribute("data-tone", "good")
    type_plate(page, "29AA22222")
    page.get_by_role("button", name="Cho vào").click()
    page.locator("#camera [data-no-photo]").click()

    strip = page.locator("[data-strip]")
    expect(strip).to_contain_text("Thiếu ảnh")
    expect(strip).to_have_attribute("data-tone", "attention")
    judge(page)
    assert stay_of(city, "29AA11111", place)[1] is False
    assert stay_of(city, "29AA22222", place) == (None, True)
    page.locator(".gate-tabs [data-go=shift]").click()
    page.get_by_role("button", name="Chốt ca").click()
    page.locator("#counted").fill("0")
    page.locator("[data-screen=close] [data-look=main]").click()
    expect(page.locator("[data-row=without_photo] dd")).to_have_text("1")


def test_a_phone_without_a_camera_lets_vehicles_in_all_the_same(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    require_photos(city, place)
    page = at_the_gate(city, new_page, place)
    page.evaluate("navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('none'))")

    type_plate(page, "29AA33333")
    page.get_by_role("button", name="Cho vào").click()

    expect(page.locator("[data-strip]")).to_contain_text("Thiếu ảnh")
    assert stay_of(city, "29AA33333", place) == (None, True)


def test_what_the_phone_keeps_is_bounded_and_what_finds_no_room_is_said(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = an_enrolled_phone(city, new_page, place)

    kept = page.evaluate("""async () => {
        const { PHOTOS_MAX } = await import("/static/js/gate_photos.js");
        const kept = [];
        for (let at = 0; at <= PHOTOS_MAX; at += 1) {
            kept.push(await gate.photos.keep(new Blob(["x"])));
        }
        return [PHOTOS_MAX, kept.filter(Boolean).length];
    }""")
    assert kept[0] == kept[1]
    expect(page.locator("#problem")).to_contain_text("Hết chỗ giữ ảnh")

    other = an_enrolled_phone(city, new_page, place)
    sizes = other.evaluate("""async () => {
        const { BYTES_MAX } = await import("/static/js/gate_photos.js");
        const big = new Blob([new Uint8Array(BYTES_MAX / 2)]);
        return [await gate.photos.keep(big), await gate.photos.keep(big),
            await gate.photos.keep(new Blob(["x"]))].map(Boolean);
    }""")
    assert sizes == [True, True, False]


def test_a_photo_that_belongs_to_no_stay_is_shown_as_lost(
    city: RunningCity, new_page: OpenPage
) -> None:
    """Its vehicle was inside by another phone's report: no second stay was opened."""
    place = open_lot(city)
    other = at_the_gate(city, new_page, place)
    page = an_enrolled_phone(city, new_page, place, **CAMERA)
    go_offline(page)
    enter(other, "29AA44444")
    type_plate(page, "29AA44444")
    page.get_by_role("button", name="Ảnh").click()
    shoot(page)
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("[data-strip]")).to_contain_text("Đã lưu trên máy")
    page.context.set_offline(False)
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)

    for _ in range(5):
        page.evaluate("gate.photos.send()")

    page.locator(".gate-tabs [data-go=shift]").click()
    expect(page.locator("[data-unsent-list]")).to_contain_text("29AA 444.44: mất ảnh")
