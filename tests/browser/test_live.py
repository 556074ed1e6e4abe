"""The line that brings news to a screen, through a hub that goes away and comes back."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.static_site import StaticSite

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]

STREAM = "text/event-stream"


def event(number: int) -> str:
    return f'id: {number}\nevent: paid\ndata: {{"amount_vnd": {number}000}}\n\n'


def test_listener_survives_a_restart_and_hands_each_event_over_once(
    new_page: OpenPage, static_site: StaticSite
) -> None:
    asked: list[str] = []

    def stream(query: str) -> tuple[int, str, str]:
        asked.append(query)
        if len(asked) == 1:
            return 200, STREAM, "retry: 50\n\n" + event(1) + event(2)
        if len(asked) == 2:  # the browser's own second try: a proxy answers for the hub
            return 503, "text/plain", "restarting"
        return 200, STREAM, "retry: 60000\n\n" + event(2) + event(3)

    static_site.answer("/events", stream)
    page = new_page()
    page.goto(static_site.put("/live", "<!doctype html><title>Live</title>"))
    page.evaluate("""async () => {
        const { listen } = await import("/static/js/live.js");
        window.heard = [];
        window.signals = [];
        window.stop = listen("/events", { paid: (data) => heard.push(data.amount_vnd) }, {
            onSignal: (isLive) => signals.push(isLive),
        });
    }""")

    page.wait_for_function("() => heard.length >= 3")

    assert page.evaluate("heard") == [1000, 2000, 3000]
    assert asked[2] == "last_event_id=2"
    assert page.evaluate("signals").index(False) > page.evaluate("signals").index(True)
    page.evaluate("stop()")


def test_line_that_dies_before_its_first_tick_goes_on_from_its_opening(
    new_page: OpenPage, static_site: StaticSite
) -> None:
    asked: list[str] = []

    def stream(query: str) -> tuple[int, str, str]:
        asked.append(query)
        if len(asked) == 1:
            hello = 'event: hello\ndata: {"now": "2026-11-28T08:00:00Z"}\n\n'
            caught_up = "event: caught-up\ndata: {}\n\n"
            return 200, STREAM, f"retry: 50\n\nid: 1\n{hello}id: 2\n{caught_up}"
        if len(asked) == 2:  # the browser's own second try says it in a header
            return 503, "text/plain", "restarting"
        return 200, STREAM, "retry: 60000\n\n" + event(3)

    static_site.answer("/events", stream)
    page = new_page()
    page.goto(static_site.put("/early", "<!doctype html><title>Live</title>"))
    page.evaluate("""async () => {
        const { listen } = await import("/static/js/live.js");
        window.heard = [];
        window.receivedTo = [];
        window.stop = listen("/events", { paid: (data) => heard.push(data.amount_vnd) }, {
            onTick: (eventId) => receivedTo.push(eventId),
        });
    }""")

    page.wait_for_function("() => heard.length >= 1")

    assert asked[2] == "last_event_id=2"
    assert page.evaluate("receivedTo") == ["2"]
    page.evaluate("stop()")


@pytest.mark.parametrize(
    ("happens", "query"),
    [
        ("dispatchEvent(new Event('online'))", "last_event_id=1&may_replace=false"),
        ("document.dispatchEvent(new Event('visibilitychange'))", "last_event_id=1"),
    ],
)
def test_replaced_page_says_so_and_takes_a_place_back_only_when_somebody_looks_at_it(
    new_page: OpenPage, static_site: StaticSite, happens: str, query: str
) -> None:
    asked: list[str] = []

    def stream(query: str) -> tuple[int, str, str]:
        asked.append(query)
        if len(asked) == 1:
            return 200, STREAM, "retry: 50\n\n" + event(1) + "event: replaced\ndata: {}\n\n"
        return 200, STREAM, "retry: 60000\n\n" + event(2)

    static_site.answer("/events", stream)
    page = new_page()
    page.goto(static_site.put("/replaced", "<!doctype html><title>Live</title>"))
    page.evaluate("""async () => {
        const { listen } = await import("/static/js/live.js");
        window.heard = [];
        window.tooMany = [];
        window.stop = listen("/events", { paid: (data) => heard.push(data.amount_vnd) }, {
            onTooMany: (isTooMany) => tooMany.push(isTooMany),
        });
    }""")
    page.wait_for_function("() => tooMany.at(-1) === true")
    page.wait_for_timeout(3_000)  # a lost line is opened again within 1.3 s
    assert len(asked) == 1

    page.evaluate(happens)
    page.wait_for_function("() => heard.length === 2")
    assert asked[1] == query
    assert page.evaluate("tooMany").count(True) == 1
    page.wait_for_function("() => tooMany.at(-1) === false")
    page.evaluate("stop()")
