"""The list of passes on a phone without a network: hashes and no plates, and for so many days."""

import json
from datetime import date, timedelta
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from core.clock import hanoi_day, read_clock
from core.db import Database
from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import (
    NOTE_BUZZES,
    an_enrolled_phone,
    buzzes,
    enter,
    find,
    go_offline,
    type_plate,
    wait_for_yes,
)
from tests.world.parking_sessions import a_tariff_document
from tests.world.passes import a_pass_in_force
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser
SENT_WITHIN_MS = 30_000
PASS_BUZZ = "[60,80,60]"
# All that lies in the phone's databases, as text; of a key only that it is one.
ALL_KEPT = """async () => {
    const found = [];
    for (const { name } of await indexedDB.databases()) {
        const database = await new Promise((resolve, reject) => {
            const opening = indexedDB.open(name);
            opening.onsuccess = () => resolve(opening.result);
            opening.onerror = () => reject(opening.error);
        });
        for (const store of database.objectStoreNames) {
            const reading = database.transaction(store).objectStore(store).getAll();
            await new Promise((resolve) => { reading.onsuccess = resolve; });
            found.push(reading.result);
        }
        database.close();
    }
    return JSON.stringify(found) + JSON.stringify({ ...localStorage });
}"""
KEPT_LIST = """async () => {
    const { readFact } = await import("/static/js/gate_store.js");
    const list = await readFact("passes");
    return list && { vehicles: Object.keys(list.plates).length, canRead: list.key.extractable };
}"""


def a_pass(
    city: RunningCity,
    place: StaffedLot,
    *plates: str,
    kind: str = "monthly",
    until: date | None = None,
) -> UUID:
    """Add a pass that holds at a lot from today on."""
    today = hanoi_day(read_clock())

    async def seed(database: Database) -> UUID:
        return await a_pass_in_force(
            database,
            city.org.id,
            plates=plates,
            lot_id=place.lot.id,
            kind=kind,
            valid_from=today,
            valid_until=until or today + timedelta(days=29),
        )

    return city.do(seed)


def a_phone_with_passes(
    city: RunningCity, new_page: OpenPage, place: StaffedLot, **options: timedelta
) -> Page:
    page = an_enrolled_phone(city, new_page, place, **options)
    wait_for_yes(page, KEPT_LIST)
    wait_for_yes(page, "() => Object.keys(gate.offline.posted).length")
    return page


def let_in(page: Page, plate: str) -> None:
    page.locator(".gate-tabs [data-go=enter]").click()
    type_plate(page, plate)
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("#plate")).to_have_value("")


def open_known(page: Page, digits: str) -> None:
    find(page, digits)
    page.locator(".gate-found").click()
    expect(page.locator("[data-screen=stay]")).to_be_visible()


def test_a_pass_holder_comes_and_goes_free_without_a_network_and_the_phone_has_no_plate(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    pass_id = a_pass(city, place, "29AA11111", "29AA12222")
    page = a_phone_with_passes(city, new_page, place)
    assert page.evaluate(KEPT_LIST) == {"vehicles": 2, "canRead": False}
    kept = page.evaluate(ALL_KEPT)
    assert "11111" not in kept
    assert "111.11" not in kept
    assert json.dumps(str(pass_id)) in kept
    go_offline(page)

    let_in(page, "29AA11111")
    strip = page.locator("[data-strip]")
    expect(strip).to_contain_text("Vé tháng (theo danh sách lúc ")
    expect(strip).to_contain_text("Đã lưu trên máy, chưa gửi")
    assert page.evaluate("document.documentElement.scrollHeight") <= 640
    open_known(page, "111")
    stay = page.locator("[data-screen=stay]")
    expect(stay.locator("[data-due-word]")).to_have_text("Vé tháng")
    expect(stay.locator("[data-lines]")).to_contain_text("Vé tháng (theo danh sách lúc ")
    page.get_by_role("button", name="Cho ra").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")

    page.context.set_offline(False)
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)
    query = (
        "SELECT pass_id, status, exit_reason, paid_vnd FROM parking_sessions WHERE lot_id = %(lot)s"
    )
    for _ in range(SENT_WITHIN_MS // 500):  # the hub applies exits after it has answered
        if (found := city.sql(query, lot=place.lot.id)) == [(pass_id, "left", "pass", 0)]:
            break
        page.wait_for_timeout(500)
    assert found == [(pass_id, "left", "pass", 0)]


def test_a_second_vehicle_of_a_pass_pays_and_each_vehicle_of_an_exemption_is_free(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    a_pass(city, place, "29AA21111", "29AA22222")
    a_pass(city, place, "29AA23333", "29AA24444", kind="exempt")
    page = a_phone_with_passes(city, new_page, place)
    enter(page, "29AA21111")  # the hub knows of it
    go_offline(page)
    strip = page.locator("[data-strip]")

    let_in(page, "29AA22222")
    expect(strip).to_contain_text("Vé tháng đang có xe khác trong bãi: xe này trả tiền")
    for plate in ("29AA23333", "29AA24444"):
        let_in(page, plate)
        expect(strip).to_contain_text("Được miễn (theo danh sách lúc ")

    open_known(page, "222")
    expect(page.locator("[data-screen=stay] [data-due]")).to_have_text("5.000\u00a0₫")
    open_known(page, "444")
    expect(page.locator("[data-screen=stay] [data-due-word]")).to_have_text("Được miễn")
    open_known(page, "111")
    expect(page.locator("[data-screen=stay] [data-due-word]")).to_have_text("Vé tháng")


def test_a_pass_ends_at_midnight_in_hanoi_also_without_a_network(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    a_pass(city, place, "29AA31111", "29AA32222", until=hanoi_day(read_clock()))
    page = a_phone_with_passes(city, new_page, place, clock_behind=timedelta())
    go_offline(page)
    let_in(page, "29AA31111")
    open_known(page, "111")
    expect(page.locator("[data-screen=stay] [data-due-word]")).to_have_text("Vé tháng")

    page.clock.fast_forward(24 * 3_600_000)
    open_known(page, "111")
    stay = page.locator("[data-screen=stay]")
    expect(stay.locator("[data-due-word]")).to_have_text("Phải thu")
    expect(stay.locator("[data-lines]")).to_contain_text("Giá tạm tính")
    let_in(page, "29AA32222")
    expect(page.locator("[data-strip]")).to_contain_text("Đã lưu trên máy")
    expect(page.locator("[data-strip]")).not_to_contain_text("Vé tháng")


def test_a_list_of_days_ago_is_not_believed(city: RunningCity, new_page: OpenPage) -> None:
    place = open_lot(city)
    a_pass(city, place, "29AA41111")
    page = a_phone_with_passes(city, new_page, place, clock_behind=timedelta())
    go_offline(page)

    page.clock.fast_forward(73 * 3_600_000)
    let_in(page, "29AA41111")

    expect(page.locator("[data-strip]")).to_contain_text("Đã lưu trên máy")
    expect(page.locator("[data-strip]")).not_to_contain_text("Vé tháng")


def test_a_pass_that_is_sold_during_the_shift_is_known_minutes_later(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = a_phone_with_passes(city, new_page, place, clock_behind=timedelta())
    a_pass(city, place, "29AA71111")

    page.clock.fast_forward(301_000)

    wait_for_yes(page, f"async () => (await ({KEPT_LIST})()).vehicles === 1")
    go_offline(page)
    let_in(page, "29AA71111")
    expect(page.locator("[data-strip]")).to_contain_text("Vé tháng (theo danh sách lúc ")


def test_nobody_with_a_pass_is_asked_to_pay_on_entry_without_a_network(
    city: RunningCity, new_page: OpenPage
) -> None:
    document = a_tariff_document(payment_timing="payOnEntry")
    place = open_lot(city, document=document, payment_timing="payOnEntry")
    a_pass(city, place, "29AA51111")
    page = a_phone_with_passes(city, new_page, place)
    page.evaluate(f"() => {{ {NOTE_BUZZES} }}")
    go_offline(page)

    let_in(page, "29AA51111")

    strip = page.locator("[data-strip]")
    expect(strip).to_contain_text("Vé tháng (theo danh sách lúc ")
    expect(strip.locator("[data-action=cash]")).to_have_count(0)
    assert buzzes(page) == [PASS_BUZZ]


def test_a_revoked_phone_keeps_neither_passes_nor_vehicles(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    a_pass(city, place, "29AA61111")
    page = a_phone_with_passes(city, new_page, place)
    enter(page, "29AA62222")
    wait_for_yes(page, "async () => (await gate.offline.find('222')).stays.length")
    boss = city.client_of("boss")
    device_id = page.evaluate("gate.queue.device.deviceId")
    path = f"/v1/devices/{device_id}/revoke"
    boss.post(path, json={"reason": "Mất máy"}).raise_for_status()

    page.reload()

    page.wait_for_function("() => gate.offline.isErased")
    assert page.evaluate(KEPT_LIST) is None
    wait_for_yes(page, "async () => (await gate.offline.find('222')).stays.length === 0")
    assert "622.22" not in page.evaluate(ALL_KEPT)
