"""A new release while phones are at work: its page with its scripts, and nothing typed is lost."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import an_enrolled_phone, type_plate, wait_for_yes
from tests.world.running_city import RunningCity
from tests.world.running_lots import open_lot

pytestmark = pytest.mark.browser

STILL_FOR_MS = 10_000
# Another address is another worker: as one that a release brings.
RELEASE = """async () => {
    const options = { scope: "/gate", type: "module" };
    await navigator.serviceWorker.register("/gate/worker.js?release=next", options);
}"""
TAKEN_OVER = "() => navigator.serviceWorker.controller.scriptURL.endsWith('release=next')"


def release(page: Page) -> None:
    page.evaluate("globalThis.isOld = true")
    page.evaluate(RELEASE)
    page.wait_for_function(TAKEN_OVER)


def test_a_page_of_before_the_release_is_loaded_anew_once_nothing_is_half_typed(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = an_enrolled_phone(city, new_page, open_lot(city))
    type_plate(page, "29A")
    release(page)
    page.wait_for_timeout(STILL_FOR_MS + 3000)
    assert page.evaluate("globalThis.isOld")
    expect(page.locator("#plate")).to_have_value("29A")

    for _ in "29A":
        page.locator("[data-key=back]:visible").first.click()

    page.wait_for_function("() => !globalThis.isOld", timeout=STILL_FOR_MS * 2)


def test_the_page_that_is_kept_is_that_of_the_release_and_goes_with_who_signs_out(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = an_enrolled_phone(city, new_page, open_lot(city))
    names = page.evaluate("caches.keys()")
    [version] = [name.removeprefix("gate-page-") for name in names if "gate-page-" in name]
    assert sorted(names) == sorted([f"gate-{version}", f"gate-page-{version}"])
    page.evaluate("name => caches.delete(name)", f"gate-page-{version}")

    release(page)

    assert page.evaluate("async () => Boolean(await caches.match('/gate'))")  # at once
    page.locator(".gate-tabs [data-go=shift]").click()
    page.locator("[data-sign-out] button:visible").click()
    page.wait_for_url("**/login**")
    wait_for_yes(page, "async () => !(await caches.keys()).some((one) => one.includes('page'))")
