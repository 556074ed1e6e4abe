"""The sandbox's bank app in a real browser: paste, upload and camera, at 390 px, axe clean."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import qrcode
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from sandbox.payment_requests import qr_text
from tests.browser.conftest import CHROMIUM, LAUNCH_ARGUMENTS, OpenPage
from tests.world.constants import MB
from tests.world.sandboxes import SANDBOX_ACCOUNT, a_sandbox, subscribe

pytestmark = pytest.mark.browser

PAYLOAD = qr_text(MB, SANDBOX_ACCOUNT["number"], 20_000, "PPMOXA234567K")


@pytest.fixture
def sandbox() -> Iterator[httpx.Client]:
    with a_sandbox() as client:
        yield client


def expect_axe_clean(page: Page) -> None:
    violations = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in violations] == []


def expect_no_sideways_scroll(page: Page) -> None:
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert page.evaluate(wide) is False


def test_a_pasted_code_is_paid(sandbox: httpx.Client, new_page: OpenPage) -> None:
    page = new_page()
    page.goto(f"{sandbox.base_url}/app")
    page.fill("#payload", PAYLOAD)
    expect_axe_clean(page)
    expect_no_sideways_scroll(page)
    page.click("[data-test=decode]")
    page.wait_for_selector("[data-test=confirm]")
    assert page.inner_text("[data-test=holder]") == SANDBOX_ACCOUNT["holder"]
    expect_axe_clean(page)
    expect_no_sideways_scroll(page)
    page.click("[data-test=confirm]")
    page.wait_for_selector("[data-test=receipt]")
    expect_axe_clean(page)

    ft = page.inner_text("[data-test=ft]")

    assert sandbox.get(f"/api/payments/{ft}").json()["amount_vnd"] == 20_000


def test_an_uploaded_screenshot_is_paid(
    sandbox: httpx.Client, new_page: OpenPage, tmp_path: Path
) -> None:
    qrcode.make(PAYLOAD).save(tmp_path / "qr.png")
    page = new_page()
    page.goto(f"{sandbox.base_url}/app")
    page.set_input_files("#upload", tmp_path / "qr.png")
    page.click("[data-test=decode]")
    page.click("[data-test=confirm]")
    page.wait_for_selector("[data-test=receipt]")
    assert sandbox.get("/control/log").json()["counts"]["lines"] == 1


def test_the_camera_reads_a_code(sandbox: httpx.Client, chromium: Browser, tmp_path: Path) -> None:
    film = tmp_path / "qr.y4m"
    film.write_bytes(still_film(PAYLOAD))
    arguments = [
        *LAUNCH_ARGUMENTS,
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    browser = chromium.browser_type.launch(executable_path=CHROMIUM, args=arguments)
    try:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(f"{sandbox.base_url}/app")
        page.click("#camera-start")
        page.wait_for_selector("[data-test=confirm]", timeout=15_000)
        assert page.inner_text("[data-test=holder]") == SANDBOX_ACCOUNT["holder"]
    finally:
        browser.close()


def test_a_fault_is_set_on_the_control_page(sandbox: httpx.Client, new_page: OpenPage) -> None:
    subscribe(sandbox, "casso", "http://127.0.0.1:9/")
    page = new_page(width=1280, height=900)
    page.goto(f"{sandbox.base_url}/control?lang=en")
    expect_axe_clean(page)
    page.fill("#drop_percent", "50")
    page.locator("form").filter(has=page.locator("#drop_percent")).locator("button").click()
    expect(page.locator("#note")).to_have_text("✓")
    faults = sandbox.get("/control/faults").json()
    assert faults["subscriptions"]["sub-1"]["drop_percent"] == 50
    page.wait_for_selector("text=drop_percent=50")


def test_wallets_the_toll_operator_and_barriers_are_set_on_a_page(
    sandbox: httpx.Client, new_page: OpenPage
) -> None:
    lane = {"hub_url": "http://127.0.0.1:9", "lot_id": "1", "access_id": "lane-1", "key": "k"}
    sandbox.post("/control/lanes", json=lane).raise_for_status()
    page = new_page(width=1280, height=900)
    page.goto(f"{sandbox.base_url}/control?lang=en")
    page.get_by_role("link", name="Toll wallets and barriers").click()
    expect_axe_clean(page)

    def send(form: str, *chosen: tuple[str, str], typed: dict[str, str] | None = None) -> None:
        panel = page.locator("form").filter(has=page.get_by_role("heading", name=form))
        for name, value in chosen:
            panel.locator(f"[name={name}]").select_option(value)
        for name, text in (typed or {}).items():
            panel.locator(f"[name={name}]").fill(text)
        page.evaluate("document.getElementById('note').textContent = ''")
        panel.locator("button").click()
        expect(page.locator("#note")).to_have_text("✓")

    send("Toll wallet", typed={"value": "30k98765", "balance_vnd": "120000"})
    send("Toll operator", ("fault", "pending"), typed={"decided_after_ms": "4000"})
    send("Barrier 1", ("behaviour", "stuck"))

    books = sandbox.get("/control/toll").json()
    assert books["wallets"] == [
        {"kind": "plate", "value": "30k98765", "balance_vnd": 120_000, "is_locked": False}
    ]
    faults = books["faults"]
    assert (faults["fault"], faults["decided_after_ms"], faults["calls_left"]) == (
        "pending", 4_000, 1,
    )  # fmt: skip
    (barrier,) = sandbox.get("/control/lanes").json()["lanes"]
    assert barrier["behaviour"] == "stuck"
    page.wait_for_selector("td:has-text('30k98765')")
    page.wait_for_selector("td:has-text('stuck')")


def still_film(payload: str) -> bytes:
    """Return one 640 × 480 frame of a code as YUV4MPEG2, which Chromium's fake camera repeats."""
    frame = Image.new("L", (640, 480), 255)
    code = qrcode.make(payload).convert("L").resize((400, 400), Image.Resampling.NEAREST)
    frame.paste(code, (120, 40))
    chroma = bytes([128]) * (320 * 240 * 2)
    return b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420\nFRAME\n" + frame.tobytes() + chroma
