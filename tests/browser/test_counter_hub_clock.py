"""The counter of a hub whose clock is wrong: what came while the line was down still shows."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from ops.postgres.supervisor import Cluster
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import sign_in
from tests.browser.stalling_proxy import stalling_proxy
from tests.world.running_city import READY_WITHIN_S, RunningCity, running_city

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
PHONE = {"width": 360, "height": 640}


@pytest.fixture(scope="module")
def city(cluster: Cluster) -> Iterator[RunningCity]:
    """A city whose hub the tests replace by one with another clock."""
    with running_city(cluster) as running:
        yield running


def start_skewed_hub(city: RunningCity, skew_s: float) -> None:
    """Replace the hub by one whose clock is so many seconds ahead."""
    city.stop_hub()
    descriptor = city.listener.fileno()
    city.hub = subprocess.Popen(
        [sys.executable, "-m", "tests.browser.skewed_hub", str(descriptor), str(skew_s)],
        cwd=ROOT,
        env={**os.environ, **city.fresh_database.environment, "PHOPAY_PUBLIC_URL": city.url},
        pass_fds=[descriptor],
        stdout=subprocess.DEVNULL,
    )
    end = time.monotonic() + READY_WITHIN_S
    while not is_ready(city.url):
        assert time.monotonic() < end, "the hub did not answer"
        time.sleep(0.1)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("skew_s", [150, -150])
def test_a_payment_that_came_while_the_line_was_down_shows_whatever_the_hubs_clock_says(
    city: RunningCity, new_page: OpenPage, skew_s: int
) -> None:
    stall = city.open_stall()
    start_skewed_hub(city, skew_s)
    with stalling_proxy(city.url) as network:
        page = new_page(locale="vi-VN", **PHONE)
        sign_in(city, page, stall.owner, url=network.url)
        signal = page.locator("#signal")
        expect(signal).to_have_text("Đã kết nối")
        network.stall()
        city.transfer(stall, 20_000, "tra da")
        city.wait_for_credits(stall, 1)
        page.evaluate("document.documentElement.dataset.silentMs = 1000")
        expect(signal).to_have_text("Mất kết nối")
        page.evaluate("delete document.documentElement.dataset.silentMs")
        network.carry()

        expect(page.locator("#missed")).to_contain_text("20.000", timeout=30_000)
        expect(signal).to_have_text("Đã kết nối")
        expect(page.locator("#today")).to_contain_text("20.000")
        said = datetime.fromisoformat(page.locator("html").get_attribute("data-hub-now") or "")
        assert abs((said - datetime.now(UTC)).total_seconds()) < 60  # the database's time
