"""The counter on a bad network and with a wrong clock: no money is missed, no silence is green."""

import re

import pytest
from playwright.sync_api import Page, Request, expect

from api.live.streams import HEARTBEAT_S
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import (
    at_the_counter,
    key,
    make_code,
    sign_in,
    wait_for_words,
    words_spoken,
)
from tests.browser.stalling_proxy import stalling_proxy
from tests.world.running_city import RunningCity

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 640}
# The device's clock is so many seconds wrong, from before the page's first script.
WRONG_CLOCK = """(() => {
    const [Right, wrongMs] = [Date, %d * 1000];
    globalThis.Date = class extends Right {
        constructor(...parts) { super(...(parts.length ? parts : [Right.now() + wrongMs])); }
        static now() { return Right.now() + wrongMs; }
    };
})()"""


def notice_within(page: Page, silent_ms: int | None) -> None:
    """Shorten how long a line may be silent, once it is; None is what is shipped again."""
    page.evaluate(
        """(ms) => ms === null
            ? delete document.documentElement.dataset.silentMs
            : (document.documentElement.dataset.silentMs = ms)""",
        silent_ms,
    )


def test_dead_line_is_noticed_and_its_payment_comes_when_it_lives_again(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall()
    with stalling_proxy(city.url) as network:
        page = new_page(locale="vi-VN", **PHONE)
        sign_in(city, page, stall.owner, url=network.url)
        signal = page.locator("#signal")
        expect(signal).to_have_text("Đã kết nối")
        reference = make_code(page)
        network.stall()
        city.transfer(stall, 20_000, reference)
        notice_within(page, 1_000)
        expect(signal).to_have_text("Mất kết nối")
        assert page.locator("#stage .verdict").count() == 0
        notice_within(page, None)
        network.carry()

        page.locator("#stage .verdict[data-status=paid]").wait_for(timeout=30_000)
        expect(signal).to_have_text("Đã kết nối")
        expect(page.locator("#today")).to_contain_text("20.000")


def test_request_that_is_not_answered_turns_a_wheel_and_then_says_so(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall()
    with stalling_proxy(city.url) as network:
        page = new_page(locale="vi-VN", **PHONE)
        sign_in(city, page, stall.owner, url=network.url)
        expect(page.locator("#signal")).to_have_text("Đã kết nối")
        page.evaluate("document.documentElement.dataset.answerWithinMs = 4000")  # its wheel is seen
        key(page, "45")
        network.stall()
        button = page.get_by_role("button", name="Tạo mã")
        button.click()

        expect(button).to_have_attribute("aria-busy", "true")
        expect(page.locator("#problem")).to_contain_text("Chưa có phản hồi.")
        expect(button).not_to_have_attribute("aria-busy", "true")
        expect(page.locator("#signal")).to_have_text("Mất kết nối")  # looked at, and found dead
        expect(page.locator("[data-amount]")).to_have_text("45.000\u00a0₫")  # nothing is lost
        network.carry()
        button.click()
        page.locator("[data-state=open] .qr svg").wait_for()
    query = "SELECT count(*) FROM bills WHERE payee_id = %(id)s"
    assert city.sql(query, id=stall.payee_id) == [(1,)]  # pressed twice, opened once


def test_device_without_a_network_says_so_at_once(city: RunningCity, new_page: OpenPage) -> None:
    page = new_page(locale="vi-VN", **PHONE)
    sign_in(city, page, city.open_stall().owner)
    expect(page.locator("#signal")).to_have_text("Đã kết nối")

    # The event alone: real networks go without ending a connection.
    said = page.evaluate(
        "() => { dispatchEvent(new Event('offline'));"
        " return document.getElementById('signal').textContent; }"
    )

    assert said == "Mất kết nối"
    expect(page.locator("#signal")).to_have_text("Đã kết nối")


def test_shipped_limits_are_those_of_the_documents(city: RunningCity, new_page: OpenPage) -> None:
    page = new_page()
    page.goto(f"{city.url}/login")

    limits = page.evaluate("""async () => {
        const { SILENT_MS } = await import("/static/js/live.js");
        const { ANSWER_WITHIN_MS } = await import("/static/js/requests.js");
        return [SILENT_MS, ANSWER_WITHIN_MS];
    }""")

    assert limits == [35_000, 8_000]
    assert limits[0] > 2 * HEARTBEAT_S * 1_000  # one lost tick is no lost line


@pytest.mark.parametrize(
    "wrong_s",
    [*(pytest.param(one, marks=pytest.mark.drill) for one in (30, 120)), -1_800],
)
def test_wrong_clock_of_the_device_changes_nothing(
    city: RunningCity, new_page: OpenPage, wrong_s: int
) -> None:
    stall = city.open_stall()
    page = new_page(locale="vi-VN", width=390, height=664)
    page.context.add_init_script(WRONG_CLOCK % wrong_s)
    sign_in(city, page, stall.owner)
    page.locator("#signal[data-live=yes]").wait_for()
    page.locator("[data-sound=unlock]").click()
    page.wait_for_function("() => speaker.state === 'ready'")
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    reference = make_code(page, "33")
    expect(page.locator(".time-ring text")).to_have_text(re.compile("^(15:00|14:5[0-9])$"))
    asked.clear()
    page.wait_for_timeout(1_500)
    assert asked == []

    city.transfer(stall, 33_000, reference)

    page.locator("#stage .verdict[data-status=paid]").wait_for()
    city.transfer(stall, 7_000, "tra da")  # no code of ours: the stall's own
    expect(page.locator("#today")).to_contain_text("40.000")
    assert wait_for_words(page, "đã nhận bảy nghìn đồng")
    assert "đã nhận ba mươi ba nghìn đồng" in words_spoken(page)
    expect(page.locator("#missed")).to_be_hidden()


def test_ring_that_ends_before_the_hub_says_so_asks_and_then_waits(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = new_page(locale="vi-VN", **PHONE)
    sign_in(city, page, city.open_stall().owner)
    page.locator("#signal[data-live=yes]").wait_for()
    make_code(page)
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/counter/bills/" in request.url:
            asked.append(request.url)

    page.on("request", note)
    page.evaluate("""async () => {
        const { hubNow, setHubTime } = await import("/static/js/hub_clock.js");
        setHubTime(new Date(hubNow() + 20 * 60_000).toISOString());
    }""")

    expect(page.locator(".time-ring text")).to_have_text("0:00")
    page.wait_for_timeout(5_500)
    assert 1 <= len(asked) <= 3


def test_browser_with_too_many_counters_says_so_and_connects_when_one_closes(
    city: RunningCity, new_page: OpenPage
) -> None:
    first = at_the_counter(city, new_page, city.open_stall())
    others = [first.context.new_page() for _ in range(6)]
    for page in others:
        page.goto(f"{city.url}/counter")  # without shared lines the seventh never loads
        page.locator("#signal[data-live=yes], #too-many:not([hidden])").first.wait_for()
    crowded = [page for page in others if page.locator("#too-many").is_visible()]
    for page in crowded:
        expect(page.locator("#too-many")).to_contain_text("chưa nghe được tiền vào")
    assert len(crowded) == 3

    for page in [first, *(page for page in others if page not in crowded)]:
        page.close()

    for page in crowded:
        expect(page.locator("#signal")).to_have_attribute("data-live", "yes")
        expect(page.locator("#too-many")).to_be_hidden()


def test_payer_on_a_dead_line_is_told_not_to_pay_again(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall()
    till = new_page(locale="vi-VN")
    sign_in(city, till, stall.owner)
    reference = make_code(till)
    path = till.locator(".bill-more a").get_attribute("href")
    with stalling_proxy(city.url) as network:
        page = new_page(locale="vi-VN", **PHONE)
        page.goto(f"{network.url}{path}")
        page.locator(".qr svg").wait_for()
        page.wait_for_timeout(500)  # its line is open
        network.stall()
        city.transfer(stall, 20_000, reference)
        notice_within(page, 1_000)
        lost = page.locator("[data-lost]")
        lost.wait_for()
        expect(lost).to_contain_text("đừng chuyển lần nữa")
        notice_within(page, None)
        network.carry()

        page.locator(".verdict[data-status=paid]").wait_for(timeout=30_000)
        expect(lost).to_be_hidden()
