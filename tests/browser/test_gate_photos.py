"""Photos on the attendant's phone: kept without a network, sent later, asked for, and missed."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, Page, expect

from core.db import Database
from identity.people.rules import Role
from tests.browser.conftest import CHROMIUM, LAUNCH_ARGUMENTS, OpenPage
from tests.browser.gate_steps import (
    an_enrolled_phone,
    at_the_gate,
    enter,
    go_offline,
    type_plate,
)
from tests.browser.test_gate_screens import judge
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, employ_at, open_lot

pytestmark = pytest.mark.browser
SENT_WITHIN_MS = 30_000
CAMERA = {"permissions": ["camera"]}
STREET = (200, 0, 200)  # a colour that no plate has


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
    page.evaluate("""() => {
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error("none"));
    }""")

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

    other = an_enrolled_phone(city, new_page, open_lot(city))
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
    login = f"{place.attendant}2"

    async def employ(database: Database) -> None:
        await employ_at(database, place.lot, login, Role.ATTENDANT)

    city.do(employ)
    neighbour = StaffedLot(lot=place.lot, stall=place.stall, attendant=login)
    other = at_the_gate(city, new_page, neighbour)
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


def a_film_of_a_plate(folder: Path) -> Path:
    """Draw a plate on a street of one colour, as a camera's film of some frames."""
    street, plate = Image.new("RGB", (1280, 720), STREET), Image.new("RGB", (560, 150), "white")
    draw = ImageDraw.Draw(plate)
    draw.rectangle((4, 4, 555, 145), outline="black", width=6)
    draw.text((50, 25), "29AA 123.45", fill="black", font=ImageFont.load_default(80))
    street.paste(plate, (360, 285))
    frame = BytesIO()
    street.save(frame, "JPEG", quality=95)
    film = folder / "plate.mjpeg"
    film.write_bytes(frame.getvalue() * 10)
    return film


def test_the_camera_takes_the_plate_and_not_the_street_around_it(
    city: RunningCity, chromium: Browser, tmp_path: Path
) -> None:
    place = open_lot(city)
    require_photos(city, place)
    film = a_film_of_a_plate(tmp_path)
    browser = chromium.browser_type.launch(
        executable_path=CHROMIUM,
        args=[*LAUNCH_ARGUMENTS, f"--use-file-for-fake-video-capture={film}"],
    )
    try:

        def open_page(width: int, height: int, **options: Any) -> Page:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            return context.new_page()

        page = at_the_gate(city, open_page, place, **CAMERA)
        type_plate(page, "29AA12345")
        page.get_by_role("button", name="Cho vào").click()
        page.locator("#camera[open] video").wait_for()
        page.wait_for_function("() => document.querySelector('#camera video').videoWidth === 1280")
        shoot(page)
        expect(page.locator("[data-strip]")).to_have_attribute("data-tone", "good")
    finally:
        browser.close()

    photo, is_missing = stay_of(city, "29AA12345", place)
    assert is_missing is False
    photos = city.fresh_database.settings.data_dir / "photos"
    (file,) = [one for one in photos.rglob("*") if photo in one.name]
    seen = Image.open(file).convert("RGB")
    counted = [0, 0, 0]
    for count, (red, green, blue) in seen.getcolors(seen.width * seen.height):
        of = 0 if min(red, green, blue) > 200 else 1 if max(red, green, blue) < 90 else 2
        counted[of] += count
    white, black, _ = (one / (seen.width * seen.height) for one in counted)
    assert white > 0.3  # the plate fills the frame,
    assert black > 0.02  # with its writing
    assert seen.width / seen.height > 1
