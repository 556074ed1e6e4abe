"""Steps of people at a counter and in a bank's app, for the browser tests of the counter."""

from io import BytesIO
from typing import Any

import zxingcpp
from PIL import Image
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage
from tests.world.constants import PASSWORD
from tests.world.running_city import RunningCity, StaffedStall

SPOKEN_WITHIN_MS = 25_000


def sign_in(city: RunningCity, page: Page, name: str, *, url: str | None = None) -> None:
    """Sign in at the hub, or by a network before it, and open what it leads to.

    It costs half of what the login page does, by which `sign_in_by_hand` goes.
    """
    address = url or city.url
    body = {"login": city.login_of(name), "password": PASSWORD}
    answer = page.request.post(f"{address}/v1/sign-ins", data=body, headers={"Origin": address})
    assert answer.status == 201, answer.text()
    page.goto(address)


def sign_in_by_hand(city: RunningCity, page: Page, name: str, password: str = PASSWORD) -> None:
    """Sign in on the login page; where it leads is open."""
    page.goto(f"{city.url}/login")
    page.locator("#login").fill(city.login_of(name))
    page.locator("#password").fill(password)
    page.locator("form[action='/login'] button").click()


def at_the_counter(
    city: RunningCity, new_page: OpenPage, stall: StaffedStall, **options: Any
) -> Page:
    """Open a vendor's phone: signed in, its speaker on, its line live."""
    page = new_page(**{"locale": "vi-VN", **options})
    sign_in(city, page, stall.owner)
    page.locator("#signal[data-live=yes]").wait_for()
    page.locator("[data-sound=unlock]").click()
    page.wait_for_function("() => speaker.state === 'ready'")
    return page


def key(page: Page, digits: str) -> None:
    """Tap keys of the keypad."""
    for digit in digits:
        page.locator(f"[data-key='{digit}']").click()


def make_code(page: Page, digits: str = "20") -> str:
    """Key an amount and show its code; returns the bill's reference."""
    key(page, digits)
    page.get_by_role("button", name="Tạo mã").click()
    page.locator("[data-state=open] .qr svg").wait_for()
    return reference_of(page)


def reference_of(page: Page) -> str:
    """Read the reference from the bill's screen."""
    return page.locator(".fact", has_text="Nội dung").locator("dd").inner_text().strip()


def read_code(page: Page) -> str:
    """Read the QR from a picture of the vendor's screen, as a phone's camera does."""
    page.locator(".qr svg").wait_for()
    page.evaluate("document.querySelector('.qr').scrollIntoView({block: 'center'})")
    picture = Image.open(BytesIO(page.screenshot()))
    [code] = zxingcpp.read_barcodes(picture)
    return str(code.text)


def pay_in_app(city: RunningCity, app: Page, payload: str) -> None:
    """Pay a code in the bank's app."""
    app.goto(f"{city.sandbox_url}/app")
    app.locator("#payload").fill(payload)
    app.locator("[data-test=decode]").click()
    app.locator("[data-test=confirm]").click()
    app.locator("[data-test=receipt]").wait_for()


def wait_for_words(page: Page, words: str) -> dict[str, Any]:
    """Wait until a sentence has been spoken; returns what was played."""
    page.wait_for_function(
        "words => speaker.played.some((one) => one.words === words)",
        arg=words,
        timeout=SPOKEN_WITHIN_MS,
    )
    entry: dict[str, Any] = page.evaluate(
        "words => speaker.played.find((one) => one.words === words)", words
    )
    return entry


def last_announced(page: Page) -> tuple[str, int]:
    """Return what the speaker was last given to say about money; how it says it: test_sound.py."""
    kind, amount_vnd = page.evaluate("[speaker.last.kind, speaker.last.amountVnd]")
    return kind, amount_vnd


def words_spoken(page: Page) -> list[str]:
    """Return every sentence that this device has spoken."""
    words: list[str] = page.evaluate("speaker.played.map((one) => one.words)")
    return words
