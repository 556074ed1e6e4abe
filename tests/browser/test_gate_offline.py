"""The attendant's phone without a network: what happens is kept, signed, sent later, and once."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from core.clock import HANOI, read_clock
from parking.tariffs.charges import Stay
from parking.tariffs.pricing import price_stay
from parking.tariffs.reading import read_sample, read_sample_document
from parking.vehicles import VehicleClass
from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import (
    an_enrolled_phone,
    at_the_gate,
    enter,
    find,
    go_offline,
    type_plate,
    wait_for_yes,
)
from tests.world.parking_sessions import a_tariff_document
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser
SENT_WITHIN_MS = 30_000


def stays_of(city: RunningCity, place: StaffedLot) -> list[tuple[object, ...]]:
    query = "SELECT plate, status, entry_time_is, paid_vnd FROM parking_sessions"
    return city.sql(f"{query} WHERE lot_id = %(lot)s ORDER BY plate", lot=place.lot.id)


def test_entries_without_a_network_outlast_the_page_and_are_sent_once(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = an_enrolled_phone(city, new_page, place)
    go_offline(page)
    strip = page.locator("[data-strip]")
    for plate in ("29AA11111", "29AA22222"):
        type_plate(page, plate)
        page.get_by_role("button", name="Cho vào").click()
        expect(strip).to_contain_text("Đã lưu trên máy, chưa gửi")
    expect(page.locator("[data-unsent]")).to_contain_text("2 lượt chưa gửi")
    bar = page.locator(".gate-bar")
    assert bar.evaluate("one => one.scrollWidth <= one.clientWidth && one.clientHeight < 50")
    page.reload()
    expect(page.locator("[data-screen=enter]")).to_be_visible()
    expect(page.locator("[data-unsent]")).to_contain_text("2 lượt chưa gửi")
    assert stays_of(city, place) == []

    page.context.set_offline(False)
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)
    rows = [("29AA11111", "inside", "device", 0), ("29AA22222", "inside", "device", 0)]
    assert stays_of(city, place) == rows


def test_cash_and_exit_without_a_network_reach_the_books_in_order(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = an_enrolled_phone(city, new_page, place)
    enter(page, "29AA33333")
    wait_for_yes(page, "async () => (await gate.offline.find('333')).stays.length")
    wait_for_yes(page, "async () => gate.offline.posted.rates")
    go_offline(page)
    find(page, "333")
    page.locator(".gate-found").click()
    stay = page.locator("[data-screen=stay]")
    expect(stay.locator("[data-due]")).to_have_text("5.000\u00a0₫")
    expect(stay).to_contain_text("Giá tạm tính")
    page.get_by_role("button", name="Tiền mặt").click()
    verdict = page.locator("[data-screen=verdict]")
    expect(verdict).to_contain_text("Đã trả")
    page.get_by_role("button", name="Cho ra").click()
    expect(verdict).to_contain_text("Đã ra")
    expect(page.locator("[data-unsent]")).to_contain_text("2 lượt chưa gửi")

    page.context.set_offline(False)
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)
    query = "SELECT kind, verdict FROM movements WHERE lot_id = %(lot)s ORDER BY seq"
    stored = city.sql(query, lot=place.lot.id)
    assert [kind for kind, _ in stored] == ["collection", "exit"]


def test_price_without_a_network_is_that_of_the_vehicles_own_hours(
    city: RunningCity, new_page: OpenPage
) -> None:
    """One that came yesterday evening has been here by night and by day, whenever it is read."""
    place = open_lot(city, document=read_sample_document("hn-two-wheelers"))
    page = an_enrolled_phone(city, new_page, place)
    wait_for_yes(page, "async () => gate.offline.posted.rates")
    go_offline(page)
    yesterday = (read_clock().astimezone(HANOI) - timedelta(days=1)).replace(hour=20, minute=0)
    earlier = yesterday - timedelta(days=2)
    price = """async (entered_at) => {
      const id = crypto.randomUUID();
      await gate.offline.remember({ id, vehicle_class: "motorbike", ticket: "V1", entered_at });
      return (await gate.offline.read(id)).price_vnd;
    }"""
    tariff = read_sample("hn-two-wheelers")
    for entered_at in (yesterday, earlier):
        stay = Stay(vehicle_class=VehicleClass.MOTORBIKE, entered_at=entered_at)
        before = price_stay(tariff, stay, left_at=read_clock()).amount_vnd
        found = page.evaluate(price, entered_at.isoformat())
        after = price_stay(tariff, stay, left_at=read_clock()).amount_vnd
        assert before <= found <= after
        assert found >= 8_000


def test_who_has_paid_without_a_network_has_the_grace_of_the_tariff_to_leave(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = an_enrolled_phone(city, new_page, place)
    wait_for_yes(page, "async () => gate.offline.posted.rates")
    go_offline(page)
    dues = page.evaluate("""async () => {
      const { put, read } = await import("/static/js/gate_store.js");
      const id = crypto.randomUUID();
      const ago = (minutes) => new Date(Date.now() - minutes * 60_000).toISOString();
      const due = async (changed) => {
        await put("stays", { ...(await read("stays", id)), ...changed });
        return (await gate.offline.read(id)).due_vnd;
      };
      await gate.offline.remember({ id, vehicle_class: "car", ticket: "V2", entered_at: ago(50) });
      const before = await due({});
      await gate.offline.takeCash(await gate.offline.read(id));
      const inGrace = await due({ entered_at: ago(65) });
      return [before, inGrace, await due({ paid_until: Date.now() - 60_000 })];
    }""")
    assert dues == [25_000, 0, 25_000]


def test_lost_ticket_without_a_network_takes_its_photo_and_its_price(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city, document=a_tariff_document(lost_ticket_vnd=20_000))
    page = an_enrolled_phone(city, new_page, place)
    enter(page, "29AA44444")
    wait_for_yes(page, "async () => (await gate.offline.find('444')).stays.length")
    wait_for_yes(page, "async () => gate.offline.posted.rates")
    go_offline(page)
    find(page, "444")
    page.locator(".gate-found").click()
    stay = page.locator("[data-screen=stay]")
    stay.locator("[data-action=lost]").click()
    page.locator("[data-no-photo]").click()
    expect(page.locator("#problem")).to_contain_text("phải có ảnh giấy tờ xe")

    stay.locator("[data-action=lost]").click()
    page.locator("#camera[open] video").wait_for()
    page.locator("[data-shoot]").click()
    expect(stay.locator("[data-due]")).to_have_text("25.000\u00a0₫")
    expect(stay.locator("[data-lines]")).to_contain_text("Mất vé")
    assert page.evaluate("document.documentElement.scrollHeight") <= 640
    page.get_by_role("button", name="Tiền mặt").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã trả")
    page.get_by_role("button", name="Cho ra").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")

    page.context.set_offline(False)
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)
    query = (
        "SELECT s.paid_vnd, s.status, l.photo IS NOT NULL FROM parking_sessions s"
        " LEFT JOIN lost_tickets l ON (l.org_id, l.session_id) = (s.org_id, s.id)"
        " WHERE s.lot_id = %(lot)s"
    )
    for _ in range(SENT_WITHIN_MS // 500):  # the photo goes after the movements
        if (found := city.sql(query, lot=place.lot.id)) == [(25_000, "left", True)]:
            break
        page.wait_for_timeout(500)
    assert found == [(25_000, "left", True)]


def test_a_phone_that_is_no_device_lets_nobody_in_unseen(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    go_offline(page)

    type_plate(page, "29AA44444")
    page.get_by_role("button", name="Cho vào").click()

    expect(page.locator("#problem")).to_contain_text("Chưa có phản hồi")
    expect(page.locator("#plate")).to_have_value("29AA 444.44")  # nothing is lost


def test_unconfirmed_exits_without_a_network_stop_at_the_limit_of_the_shift(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    city.sql("UPDATE lots SET unconfirmed_exits_max = 1 WHERE id = %(id)s", id=place.lot.id)
    page = an_enrolled_phone(city, new_page, place)
    enter(page, "29AA55555")
    enter(page, "29AA66666")
    wait_for_yes(page, "async () => (await gate.offline.find('666')).stays.length")
    go_offline(page)
    for digits in ("555", "666"):
        find(page, digits)
        page.locator(".gate-found").click()
        page.locator("[data-screen=stay] [data-action=unconfirmed]").click()
        page.locator("#camera[open] [data-shoot]").click()
        if digits == "555":
            expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")

    expect(page.locator("#problem")).to_contain_text("Hết hạn mức")
    expect(page.locator("[data-unsent]")).to_contain_text("1 lượt")


def test_page_that_the_worker_did_not_serve_is_served_by_it_from_then_on(
    city: RunningCity, new_page: OpenPage
) -> None:
    """As when a page is on its way while the worker activates, and so is not taken over by it."""
    page = an_enrolled_phone(city, new_page, open_lot(city))
    page.evaluate("globalThis.isOld = true")

    # A reload past all caches: the new page has no worker, though there is one.
    page.context.new_cdp_session(page).send("Page.reload", {"ignoreCache": True})

    page.wait_for_function("() => !globalThis.isOld && navigator.serviceWorker.controller")


def test_page_that_is_kept_is_the_one_asked_for_last(city: RunningCity, new_page: OpenPage) -> None:
    page = an_enrolled_phone(city, new_page, open_lot(city))
    [worker] = page.context.service_workers

    worker.evaluate("""() => {
        const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
        const answers = [pause(300).then(() => "before the shift"), "in the shift"];
        self.fetch = async () => new Response(await answers.shift());
    }""")
    kept = page.evaluate("""async () => {
        const { active } = await navigator.serviceWorker.ready;
        active.postMessage("keep-page");
        active.postMessage("keep-page");
        await new Promise((resolve) => setTimeout(resolve, 1000));
        return (await caches.match("/gate")).text();
    }""")

    assert kept == "in the shift"
