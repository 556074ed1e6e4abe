"""The queue without its page: the service worker sends it, and sends it once."""

from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import (
    an_enrolled_phone,
    go_offline,
    type_plate,
    wait_for_yes,
)
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser
SENT_WITHIN_MS = 30_000


class Browser:
    """The browser's own part in Background Sync, played by a test."""

    def __init__(self, page: Page, origin: str) -> None:
        """Watch the service workers of an origin from another page than the phone's."""
        self._origin = origin
        self._registrations: list[dict[str, Any]] = []
        self._cdp: CDPSession = page.context.new_cdp_session(page)
        self._cdp.on("ServiceWorker.workerRegistrationUpdated", self._note)
        self._cdp.send("ServiceWorker.enable")

    def _note(self, event: dict[str, Any]) -> None:
        self._registrations += event["registrations"]

    def sync(self) -> None:
        """Say that the network is back."""
        [id_] = {
            one["registrationId"]
            for one in self._registrations
            if one["scopeURL"] == f"{self._origin}/gate"
        }
        facts = {"origin": self._origin, "registrationId": id_}
        self._cdp.send(
            "ServiceWorker.dispatchSyncEvent", {**facts, "tag": "gate-flush", "lastChance": False}
        )


def keep_entries(page: Page, *plates: str) -> None:
    """Let vehicles in without a network; the browser's own sync would come at any moment."""
    page.evaluate("() => { SyncManager.prototype.register = async () => {}; }")
    go_offline(page)
    for count, plate in enumerate(plates, start=1):
        type_plate(page, plate)
        page.get_by_role("button", name="Cho vào").click()
        expect(page.locator("[data-strip]")).to_contain_text("Đã lưu trên máy, chưa gửi")
        # The strip may still be the last vehicle's.
        wait_for_yes(page, f"async () => (await gate.queue.unsent()) === {count}")


def plates_of(city: RunningCity, place: StaffedLot) -> list[str]:
    query = "SELECT plate FROM parking_sessions WHERE lot_id = %(lot)s ORDER BY plate"
    return [row[0] for row in city.sql(query, lot=place.lot.id)]


def wait_for_plates(city: RunningCity, place: StaffedLot, page: Page, count: int) -> list[str]:
    for _ in range(SENT_WITHIN_MS // 500):
        if len(found := plates_of(city, place)) >= count:
            break
        page.wait_for_timeout(500)
    return found


def test_the_worker_sends_the_queue_where_no_page_is_open(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = an_enrolled_phone(city, new_page, place)
    keep_entries(page, "29AA11111", "29AA12222")
    other = page.context.new_page()
    page.close()
    page.context.set_offline(False)
    other.goto(f"{city.url}/static/icons/phopay-192.png")
    browser = Browser(other, city.url)
    other.wait_for_timeout(500)
    assert plates_of(city, place) == []

    browser.sync()

    assert wait_for_plates(city, place, other, 2) == ["29AA11111", "29AA12222"]
    query = "SELECT count(*) FROM movements WHERE lot_id = %(lot)s AND verdict = 'opened'"
    assert city.sql(query, lot=place.lot.id) == [(2,)]
    page = page.context.new_page()
    page.goto(f"{city.url}/gate")
    expect(page.locator("[data-screen=enter]")).to_be_visible()
    wait_for_yes(page, "async () => (await gate.queue.unsent()) === 0")
    expect(page.locator("[data-unsent]")).to_be_hidden()


def test_page_and_worker_that_send_at_once_send_once(city: RunningCity, new_page: OpenPage) -> None:
    place = open_lot(city)
    page = an_enrolled_phone(city, new_page, place)
    browser = Browser(page, city.url)
    keep_entries(page, "29AA21111")
    type_plate(page, "29AA21111")  # again: a conflict, to be noted once
    page.get_by_role("button", name="Cho vào").click()
    page.locator("[data-strip] [data-action=anyway]").click()
    expect(page.locator("[data-unsent]")).to_contain_text("2 lượt chưa gửi")
    page.evaluate("""async () => {
        globalThis.turn = Promise.withResolvers();
        const holding = Promise.withResolvers();
        navigator.locks.request("phopay-gate-queue", () => {
            holding.resolve();
            return turn.promise;
        });
        await holding.promise;
    }""")
    page.context.set_offline(False)
    browser.sync()
    page.evaluate("() => { gate.queue.flush(); }")
    page.wait_for_timeout(1_500)
    assert plates_of(city, place) == []  # both wait for their turn
    waiting = "async () => (await navigator.locks.query()).pending.map(({ name }) => name)"
    assert page.evaluate(waiting) == ["phopay-gate-queue"] * 2

    page.evaluate("() => turn.resolve()")

    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)
    held = "(await navigator.locks.query()).held"
    wait_for_yes(page, f"async () => {held}.every(({{ name }}) => name !== 'phopay-gate-queue')")
    assert plates_of(city, place) == ["29AA21111"]
    conflicts = page.evaluate(
        "async () => (await import('/static/js/gate_store.js')).readFact('conflicts')"
    )
    assert [one["verdict"] for one in conflicts] == ["already_inside"]


def test_the_queue_is_sent_after_the_shift_was_closed_elsewhere(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = an_enrolled_phone(city, new_page, place)
    keep_entries(page, "29AA31111")
    shift_id = page.evaluate("gate.shift.id")
    attendant = city.client_of(place.attendant)
    path = f"/v1/shifts/{shift_id}/close"
    attendant.post(path, json={"counted_vnd": 0}).raise_for_status()
    other = page.context.new_page()
    page.close()
    other.context.set_offline(False)

    other.goto(f"{city.url}/gate")

    expect(other.locator("[data-screen=open]")).to_be_visible()
    assert wait_for_plates(city, place, other, 1) == ["29AA31111"]
    expect(other.locator("[data-unsent]")).to_be_hidden()
