"""The attendant's screens one by one: on the smallest phone, in sunlight, by a thumb."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from api.gate.worker import list_shell
from parking.plates import format_plate
from parking.vehicles import VehicleClass
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import sign_in
from tests.browser.gate_steps import PHONE, at_the_gate, enter, find, type_plate
from tests.world.running_city import RunningCity
from tests.world.running_lots import open_lot

pytestmark = pytest.mark.browser

THUMB_PX = 64
IMPORT = re.compile(r"""from "/static/js/([a-z_]+\.js)";""")
API = Path(__file__).parents[2] / "api"
# Where everything that is pressed is seen without scrolling.
NOTHING_BELOW = """
    () => [...document.querySelectorAll(".gate-screen:not([hidden]) :is(button, input, .qr)")]
        .filter((one) => one.checkVisibility())
        .filter((one) => {
            const box = one.getBoundingClientRect();
            const tabs = document.querySelector(".gate-tabs").getBoundingClientRect();
            return box.bottom > tabs.top + 1 || box.right > innerWidth || box.left < 0;
        })
        .map((one) => one.outerHTML.slice(0, 120))
"""
TOO_SMALL = """
    (least) => [...document.querySelectorAll("button, a, .gate-choice, .gate-input, .plate")]
        .filter((one) => one.matches("button, a, label, input") && one.checkVisibility())
        .filter((one) => !one.matches(".skip-link"))
        .filter((one) => {
            const box = one.getBoundingClientRect();
            return box.height < least - 0.5 || box.width < least - 0.5;
        })
        .map((one) => one.outerHTML.slice(0, 120))
"""


def judge(page: Page, *, is_whole: bool = True) -> None:
    """Fail for small targets, for what lies below the fold, and for what axe finds by any light."""
    assert page.evaluate(TOO_SMALL, THUMB_PX) == []
    if is_whole:
        assert page.evaluate(NOTHING_BELOW) == []
    width = page.evaluate("document.documentElement.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    theme = page.evaluate("document.documentElement.dataset.theme")
    for one in ("sunlight", "dark", "light"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", one)
        report = Axe().run(page)
        assert report.violations_count == 0, f"{one}: {report.generate_report()}"
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)


def test_every_screen_fits_the_smallest_phone_and_a_thumb(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = new_page(*PHONE, locale="vi-VN", reduced_motion="reduce")
    sign_in(city, page, place.attendant)
    expect(page.locator("[data-screen=open]")).to_be_visible()
    assert page.evaluate("document.documentElement.dataset.theme") == "sunlight"
    judge(page)
    page.get_by_role("button", name="Mở ca").click()
    page.locator("#signal[data-live=yes]").wait_for()
    judge(page)
    type_plate(page, "29")
    judge(page)
    enter(page, "B112345")
    judge(page)
    plate = page.locator("#plate")
    type_plate(page, "29B112345")
    assert plate.evaluate("one => one.scrollWidth <= one.clientWidth")  # all of it is seen
    page.locator(".gate-tabs [data-go=find]").click()
    judge(page)
    find(page, "345")
    page.locator(".gate-found").click()
    expect(page.locator("[data-screen=stay]")).to_be_visible()
    judge(page)
    page.locator("[data-action=more]").click()
    judge(page)
    page.locator("[data-close-sheet]").click()
    page.get_by_role("button", name="Mã QR").click()
    page.locator(".qr svg").wait_for()
    judge(page)
    assert page.locator(".qr svg").bounding_box()["width"] >= 250  # type: ignore[index]
    page.locator("[data-code-cash]").click()
    expect(page.locator("[data-screen=verdict]")).to_be_visible()
    judge(page)
    page.get_by_role("button", name="Cho ra").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")
    judge(page)
    page.locator(".gate-tabs [data-go=shift]").click()
    judge(page)
    page.get_by_role("button", name="Chốt ca").click()
    judge(page)
    page.locator("#counted").fill("5000")
    page.locator("[data-screen=close] [data-look=main]").click()
    expect(page.locator("[data-screen=report]")).to_be_visible()
    judge(page, is_whole=False)  # a report is longer than a phone


def test_phone_speaks_english_to_who_wishes_it(city: RunningCity, new_page: OpenPage) -> None:
    place = open_lot(city)
    page = new_page(*PHONE, locale="vi-VN")
    sign_in(city, page, place.attendant)
    page.goto(f"{city.url}/gate?lang=en")
    page.get_by_role("button", name="Open shift").click()
    page.locator("#signal[data-live=yes]").wait_for()
    type_plate(page, "29AA12345")
    page.get_by_role("button", name="Let in").click()
    expect(page.locator("[data-strip]")).to_contain_text("Is in")
    judge(page)
    find(page, "345")
    expect(page.locator("[data-find-said]")).to_have_text("1 vehicle")


def test_plates_are_written_as_the_hub_writes_them(city: RunningCity, new_page: OpenPage) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    usual = {
        VehicleClass.MOTORBIKE: ("29AA12345", "29B112345", "29B11234", "59C212345", "29AA1234"),
        VehicleClass.ELECTRIC_MOTORBIKE: ("29MĐ112345", "29AB12345"),
        VehicleClass.CAR: ("30A12345", "30A1234", "51LD12345", "29KT1234", "51F97022"),
    }
    for vehicle_class, plates in usual.items():
        for plate in plates:
            written = page.evaluate(
                """async ([plate, isTwoWheeled]) => {
                    const { drawPlate } = await import("/static/js/gate_words.js");
                    return drawPlate(plate, isTwoWheeled);
                }""",
                [plate, "motorbike" in vehicle_class],
            )
            assert written == format_plate(plate, vehicle_class)


def test_worker_keeps_every_script_that_the_page_loads() -> None:
    kept = {path.rpartition("/")[2]: file for path, file in list_shell().items()}
    wanted, seen = {"gate.js", "app.js", "gate_paper.js"}, set()
    while wanted:
        name = wanted.pop()
        seen.add(name)
        assert name in kept, f"{name} would be missing without a network: api/gate/worker.py"
        wanted |= set(IMPORT.findall(kept[name].read_text("utf-8"))) - seen
    assert {"live.js", "device.js", "gate_queue.js"} <= seen
