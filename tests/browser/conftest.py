"""A real Chromium for the browser tests, and pages that fail a test when they misbehave."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from identity.people.rules import Role
from ops.postgres.supervisor import Cluster
from tests.browser.static_site import StaticSite
from tests.world.running_city import RunningCity, running_city

CHROMIUM = os.environ.get("PHOPAY_CHROMIUM", "/usr/bin/chromium")
VENDOR = Path(__file__).parents[2] / "api/static/vendor/manifest.json"
LAUNCH_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),  # a camera
]
# Patience with a machine that has other work; what passes is seen at once all the same.
PAGE_TIMEOUT_MS = 30_000
expect.set_options(timeout=PAGE_TIMEOUT_MS)

OpenPage = Callable[..., Page]


# The pretend camera begins with the same frame each time; a real one never takes a picture twice,
# and one photo is the evidence of one act only.
ANOTHER_PICTURE = """
const toBlob = HTMLCanvasElement.prototype.toBlob;
HTMLCanvasElement.prototype.toBlob = function (...options) {
  const context = this.getContext("2d");
  for (let square = 0; square < 8; square += 1) {
    context.fillStyle = `hsl(${360 * Math.random()} 90% 50%)`;
    context.fillRect(16 * square, 0, 16, 16);
  }
  return toBlob.apply(this, options);
};
"""


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One headless browser for this package, at PHOPAY_CHROMIUM or where Debian puts it.

    Not for the whole session: while it is open Playwright keeps an event loop running in this
    thread, and asynchronous tests elsewhere could not start theirs. For the same reason a
    browser test is a plain function, and what it needs from the hub it asks over HTTP.
    (The empty __init__.py makes this folder a package; without it the scope is the session.)
    """
    need(Path(CHROMIUM).exists(), f"no Chromium at {CHROMIUM} (set PHOPAY_CHROMIUM)")
    need(VENDOR.exists(), "api/static/vendor is not built (python -m ops.frontend)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=LAUNCH_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def hub_and_sandbox(cluster: Cluster) -> Iterator[RunningCity]:
    """The processes for all files, which take as long to start as five tests."""
    with running_city(cluster) as running:
        yield running


@pytest.fixture(scope="module")
def city(hub_and_sandbox: RunningCity) -> RunningCity:
    """An organisation for the tests of a file, with a manager; each opens lots of its own."""
    hub_and_sandbox.begin_anew()
    hub_and_sandbox.employ("boss", Role.MANAGER)
    return hub_and_sandbox


@pytest.fixture
def new_page(chromium: Browser) -> Iterator[OpenPage]:
    """Open pages, each in a browser profile of its own: new_page(width=390, height=844).

    Other keywords go to Playwright's new_context (locale="en-GB", color_scheme="dark", …). When
    the test ends, a script error or a breach of the content security policy on any page fails it.
    """
    contexts = []
    problems: list[str] = []

    def note_message(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            problems.append(message.text)

    def open_page(width: int = 390, height: int = 844, **options: Any) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(PAGE_TIMEOUT_MS)
        context.add_init_script(ANOTHER_PICTURE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", note_message)
        page.on("pageerror", lambda error: problems.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture(scope="package")
def static_site() -> Iterator[StaticSite]:
    """api/static and pages of the test's own, on loopback, under the hub's strict policy."""
    with StaticSite() as site:
        yield site


def need(is_there: bool, otherwise: str) -> None:
    """Skip with the reason; where CI=true says that everything must be there, fail."""
    if is_there:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(otherwise)
    pytest.skip(otherwise)
