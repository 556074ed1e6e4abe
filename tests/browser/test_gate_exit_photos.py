"""Photos at the way out: beside the typing, both in one sight, and where somebody leaves unpaid."""

import itertools
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import sign_in
from tests.browser.gate_steps import (
    PHONE,
    an_enrolled_phone,
    at_the_gate,
    enter,
    find,
    go_offline,
    wait_for_yes,
)
from tests.browser.test_gate_screens import judge
from tests.browser.test_gate_ways import open_stay, other_way
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser

CAMERA = {"permissions": ["camera"]}
SENT_WITHIN_MS = 30_000
NTH = itertools.count(1)
SIZE_OF = "image => image.decode().then(() => image.naturalWidth)"


def shoot(page: Page) -> None:
    """Take a photo, each another one: the fake camera's film is short, and photos count once."""
    page.locator("#camera[open] video").wait_for()
    page.evaluate(
        """nth => {
            const { drawImage } = CanvasRenderingContext2D.prototype;
            CanvasRenderingContext2D.prototype.drawImage = function (...facts) {
                CanvasRenderingContext2D.prototype.drawImage = drawImage;
                drawImage.apply(this, facts);
                this.fillStyle = `hsl(${nth * 37} 90% 50%)`;
                this.fillRect(9, 9, 60 + nth, 40);
            };
        }""",
        next(NTH),
    )
    page.locator("[data-shoot]").click()
    expect(page.locator("#camera")).to_be_hidden()


def enter_with_photo(page: Page, plate: str) -> None:
    page.locator(".gate-tabs [data-go=enter]").click()
    page.locator("[data-photo].gate-key").click()
    shoot(page)
    enter(page, plate)


def exits_of(city: RunningCity, place: StaffedLot) -> list[tuple[Any, ...]]:
    """Return (status, why, has a photo of the way in, of the way out) of each stay."""
    query = """
        SELECT status, exit_reason, entry_photo IS NOT NULL, exit_photo IS NOT NULL
        FROM parking_sessions WHERE lot_id = %(lot)s ORDER BY id"""
    return city.sql(query, lot=place.lot.id)


def test_a_photo_beside_the_typing_goes_with_the_exit_of_the_vehicle_that_is_found(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place, **CAMERA)
    enter(page, "29AA12345")
    page.locator(".gate-tabs [data-go=find]").click()
    camera = page.locator("[data-find-photo]")
    judge(page)
    camera.click()
    shoot(page)
    expect(camera).to_have_attribute("aria-pressed", "true")
    judge(page)
    for digit in "345":
        page.locator(f"[data-find-key='{digit}']").click()
    page.locator(".gate-found").click()
    out = page.locator("[data-photo-out]")
    expect(out).to_contain_text("Ảnh lúc ra")
    assert out.locator("img").evaluate(SIZE_OF) > 100
    judge(page)
    page.locator("[data-screen=stay] [data-action=cash]").click()
    page.get_by_role("button", name="Cho ra").click()

    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")
    assert exits_of(city, place) == [("left", "paid", False, True)]
    page.locator(".gate-tabs [data-go=find]").click()
    expect(camera).to_have_attribute("aria-pressed", "false")  # it was that vehicle's


def test_another_plate_at_the_way_out_is_compared_by_both_photos_side_by_side(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place, **CAMERA)
    enter_with_photo(page, "29AA12345")
    open_stay(page, "345")
    assert page.locator("[data-photos] [data-photo] img").evaluate(SIZE_OF) > 100
    page.locator("[data-screen=stay] [data-action=cash]").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã trả")
    page.locator(".gate-tabs [data-go=find]").click()
    page.locator("#find").fill("29AA12346")
    page.locator(".gate-found").click()
    page.get_by_role("button", name="Cho ra").click()

    sheet = page.locator("#sheet[open]")
    expect(sheet.locator(".gate-compare > div").nth(1)).to_contain_text("Chưa có ảnh")
    judge(page)
    sheet.locator("[data-action=shoot]").click()
    shoot(page)
    pictures = sheet.locator(".gate-compare img")
    expect(pictures).to_have_count(2)
    boxes = []
    for at in range(2):
        assert pictures.nth(at).evaluate(SIZE_OF) > 100
        boxes.append(pictures.nth(at).bounding_box() or {})
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    judge(page)
    sheet.locator("[data-action=confirm]").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")
    assert exits_of(city, place) == [("left", "paid", True, True)]


def test_who_leaves_unconfirmed_or_by_hand_is_photographed_and_one_that_drove_off_is_explained(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place, **CAMERA)
    for plate in ("29AA11111", "29AA22222", "29AA33333"):
        enter(page, plate)
    for digits, way, usual in (("111", "unconfirmed", "màn hình"), ("222", "manual", "Thanh chắn")):
        open_stay(page, digits)
        other_way(page, way)
        page.locator("[data-no-photo]").click()
        expect(page.locator("#problem")).to_contain_text("phải có ảnh xe")
        expect(page.locator("#sheet")).to_be_hidden()
        other_way(page, way)
        shoot(page)
        page.locator("#sheet").get_by_role("button", name=usual).click()
        expect(page.locator("[data-screen=verdict]")).to_be_visible()
    open_stay(page, "333")
    other_way(page, "arrears")
    page.locator("[data-no-photo]").click()
    expect(page.locator("#sheet[open]")).to_contain_text("Vì sao không có ảnh xe?")
    judge(page)
    page.locator("#sheet").get_by_role("button", name="Xe đã chạy mất").click()
    page.locator("#sheet").get_by_role("button", name="Khách không trả").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Còn nợ")

    assert exits_of(city, place) == [
        ("left", "unconfirmed", False, True),
        ("left", "manual", False, True),
        ("left", "arrears", False, False),
    ]


def test_a_manager_on_the_phone_says_why_there_is_no_photo(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = new_page(*PHONE, locale="vi-VN", **CAMERA)
    sign_in(city, page, "boss")
    page.goto(f"{city.url}/gate")
    page.locator(f"input[name=lot][value='{place.lot.id}']").check()
    page.get_by_role("button", name="Mở ca").click()
    page.locator("#signal[data-live=yes]").wait_for()
    enter(page, "29AA12345")
    open_stay(page, "345")
    other_way(page, "unconfirmed")
    page.locator("[data-no-photo]").click()
    page.locator("#sheet").get_by_role("button", name="Máy ảnh hỏng").click()
    page.locator("#sheet").get_by_role("button", name="màn hình").click()

    expect(page.locator("[data-screen=verdict]")).to_contain_text("Chưa xác nhận tiền")
    assert exits_of(city, place) == [("left", "unconfirmed", False, False)]


def test_an_unconfirmed_exit_without_a_network_is_photographed_and_the_photo_follows(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = an_enrolled_phone(city, new_page, place, **CAMERA)
    for plate in ("29AA55555", "29AA66666"):
        enter(page, plate)
    wait_for_yes(page, "async () => (await gate.offline.find('666')).stays.length")
    wait_for_yes(page, "async () => gate.offline.posted.rates")
    go_offline(page)
    find(page, "555")
    page.locator(".gate-found").click()
    page.locator("[data-screen=stay] [data-action=unconfirmed]").click()
    shoot(page)
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Chưa xác nhận tiền")
    find(page, "666")
    page.locator(".gate-found").click()
    page.locator("[data-screen=stay] [data-action=unconfirmed]").click()
    page.locator("[data-no-photo]").click()
    page.locator("#sheet").get_by_role("button", name="Máy ảnh hỏng").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Chưa xác nhận tiền")

    page.context.set_offline(False)

    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)
    expect(page.locator("[data-unsent-list]")).to_be_hidden(timeout=SENT_WITHIN_MS)
    seen = """
        SELECT s.plate, o.photo IS NOT NULL FROM parking_sessions s
        LEFT JOIN observations o ON (o.org_id, o.session_id) = (s.org_id, s.id)
         AND o.direction = 'out' AND o.photo IS NOT NULL
        WHERE s.lot_id = %(lot)s ORDER BY s.id"""
    for _ in range(SENT_WITHIN_MS // 500):  # the photo goes after the movements
        if (found := city.sql(seen, lot=place.lot.id)) == [
            ("29AA55555", True),
            ("29AA66666", False),
        ]:
            break
        page.wait_for_timeout(500)
    assert found == [("29AA55555", True), ("29AA66666", False)]
    why = """
        SELECT a.after->>'no_photo' FROM audit_log a
        JOIN parking_sessions s ON (s.org_id, s.id) = (a.org_id, a.object_id)
        WHERE s.lot_id = %(lot)s AND a.action = 'parking_session.let_out' ORDER BY s.id"""
    assert city.sql(why, lot=place.lot.id) == [(None,), ("Máy ảnh hỏng",)]
