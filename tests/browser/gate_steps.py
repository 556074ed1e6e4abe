"""Steps of an attendant with a phone, for the browser tests of the gate."""

import re
import secrets
import time
from datetime import timedelta
from typing import Any

from playwright.sync_api import Page, expect

from core.clock import read_clock
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import sign_in
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot

PHONE = (360, 640)
WAIT_S = 15
# What the phone was made to buzz, for a look: the headless browser has no motor.
NOTE_BUZZES = """
    globalThis.buzzes = [];
    navigator.vibrate = (pattern) => globalThis.buzzes.push(JSON.stringify(pattern));
"""


def at_the_gate(
    city: RunningCity,
    new_page: OpenPage,
    place: StaffedLot,
    *,
    url: str | None = None,
    **options: Any,
) -> Page:
    """Open an attendant's phone: signed in, the shift open, its line live."""
    page = new_page(*PHONE, **{"locale": "vi-VN", **options})
    page.add_init_script(NOTE_BUZZES)
    sign_in(city, page, place.attendant, url=url)
    page.get_by_role("button", name="Mở ca").click()
    page.locator("#signal[data-live=yes]").wait_for()
    expect(page.locator("[data-screen=enter]")).to_be_visible()
    return page


def an_enrolled_phone(
    city: RunningCity,
    new_page: OpenPage,
    place: StaffedLot,
    *,
    clock_behind: timedelta | None = None,
    **options: Any,
) -> Page:
    """Open an attendant's phone that is a device of the lot, its shell kept.

    The city has a manager "boss".

    Args:
        clock_behind: how far its clock is behind the hub's; ahead is negative.
    """
    body = {"name": "Máy cổng 1", "lot_id": str(place.lot.id)}
    boss = city.client_of("boss")
    code = boss.post("/v1/devices/codes", json=body).raise_for_status().json()["code"]
    page = new_page(*PHONE, **{"locale": "vi-VN", **options})
    if clock_behind is not None:
        page.clock.install(time=read_clock() - clock_behind)
    use_own_network(page)
    page.goto(f"{city.url}/gate/enrol")
    page.evaluate("async (code) => (await import('/static/js/device.js')).enrol(code)", code)
    sign_in(city, page, place.attendant)
    page.get_by_role("button", name="Mở ca").click()
    page.locator("#signal[data-live=yes]").wait_for()
    page.wait_for_function("() => navigator.serviceWorker.controller && gate.queue.isReady")
    wait_for_yes(
        page, "async () => (await (await caches.match('/gate'))?.text())?.includes(gate.shift.id)"
    )
    return page


def use_own_network(page: Page) -> None:
    """Let the hub see the phone at an address of its own: a network enrols ten in a minute."""
    address = ".".join(str(part) for part in (10, *secrets.token_bytes(3)))
    page.set_extra_http_headers({"X-Forwarded-For": address})


def go_offline(page: Page) -> None:
    page.context.set_offline(True)
    page.locator("#signal[data-live=no]").wait_for()


def wait_for_yes(page: Page, asked: str, arg: object = None) -> None:
    """Wait until an asynchronous function answers yes.

    Page.wait_for_function takes the promise itself for a yes.
    """
    end = time.monotonic() + WAIT_S
    while not page.evaluate(asked, arg):
        assert time.monotonic() < end, f"still not: {asked}"
        page.wait_for_timeout(100)


def type_plate(page: Page, plate: str) -> None:
    """Tap a plate on the big keys; the right keys must be there by themselves, or by ABC."""
    page.locator("[data-keys]:visible").first.wait_for()  # a key that is not shown yet is no ABC
    for character in plate:
        key = page.locator(f"[data-keys]:not([hidden]) [data-key='{character}']")
        if not key.is_visible():
            other = "letters" if character.isalpha() else "digits"
            page.locator(f"[data-keys]:not([hidden]) [data-key='{other}']").click()
        key.click()


def enter(page: Page, plate: str, *, tone: str = "good") -> None:
    """Let a vehicle in, and wait until the strip says so of this one; its last tone is asked for.

    Where money is asked for at once, that is "attention", and the strip names the amount.
    """
    type_plate(page, plate)
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("#plate")).to_have_value("")
    strip = page.locator("[data-strip]")
    if tone == "good":
        expect(strip).to_contain_text(re.compile(r"\D*".join(plate[-4:])))  # "123.45" of 12345
    expect(strip).to_have_attribute("data-tone", tone)


def find(page: Page, digits: str) -> None:
    """Look for a vehicle by its last digits."""
    page.locator(".gate-tabs [data-go=find]").click()
    for digit in digits:
        page.locator(f"[data-find-key='{digit}']").click()


def buzzes(page: Page) -> list[str]:
    """Return what the phone buzzed, as patterns."""
    patterns: list[str] = page.evaluate("buzzes")
    return patterns
