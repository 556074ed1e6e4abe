"""The counter's voice, listened to inside a real Chromium: the words, the energy, the queue."""

import json
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from playwright.sync_api import Page

from core.vnd_words import spell_number, spell_vnd
from tests.browser.static_site import API, StaticSite

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]

PAGE = """<!doctype html><html lang="vi"><title>Loa</title>
<button data-sound="unlock" data-sound-when="locked">Bật loa</button>
<button data-sound="mute" data-sound-when="ready" hidden>Tắt tiếng</button>
<script type="module" src="/static/js/sound.js"></script>"""
START = """async () => {
    const { Speaker } = await import("/static/js/sound.js");
    window.speaker = new Speaker();
    window.begun = 0;
    window.spoken = [];
    document.addEventListener("phopay:speaking", () => (begun += 1));
    document.addEventListener("phopay:spoken", (event) => spoken.push(event.detail));
    document.querySelector("button").addEventListener("click", () => speaker.unlock());
}"""


@pytest.fixture
def page(new_page: OpenPage, static_site: StaticSite) -> Page:
    """A page with a speaker that nobody has tapped yet."""
    opened = new_page()
    opened.goto(static_site.put("/sound", PAGE))
    opened.evaluate(START)
    return opened


def tap(page: Page) -> None:
    page.get_by_role("button", name="Bật loa").click()
    page.wait_for_function("() => speaker.state === 'ready'")


def announce(page: Page, *announcements: dict[str, Any]) -> None:
    page.evaluate("all => { for (const one of all) speaker.announce(one); }", list(announcements))


def wait_for_spoken(page: Page, count: int) -> list[dict[str, Any]]:
    page.wait_for_function("count => spoken.length >= count", arg=count, timeout=40_000)
    spoken: list[dict[str, Any]] = page.evaluate("spoken")
    return spoken


@pytest.mark.parametrize(
    ("amount_vnd", "words"),
    [
        (20_000, "đã nhận hai mươi nghìn đồng"),
        (1_005, "đã nhận một nghìn không trăm linh năm đồng"),
        (1_005_000, "đã nhận một triệu không trăm linh năm nghìn đồng"),
    ],
)
def test_payment_is_spoken_in_the_right_words_and_can_be_heard(
    page: Page, amount_vnd: int, words: str
) -> None:
    tap(page)
    announce(page, {"kind": "paid", "amountVnd": amount_vnd})

    [entry] = wait_for_spoken(page, 1)

    assert entry["words"] == words
    assert entry["chime"] == "success"
    assert entry["durationS"] > 1
    assert entry["rms"] > 0.02  # measured on the way to the loudspeaker


def test_rendered_speech_has_length_and_energy(page: Page) -> None:
    heard = page.evaluate("speaker.renderOffline({kind: 'paid', amountVnd: 20000})")

    assert 1 < heard["durationS"] < 5
    assert heard["rms"] > 0.02


def test_short_money_sounds_different_from_paid_money(page: Page) -> None:
    tap(page)
    announce(page, {"kind": "short", "amountVnd": 15_000})

    [entry] = wait_for_spoken(page, 1)

    assert entry["words"] == "thiếu tiền mới nhận mười lăm nghìn đồng"
    assert entry["chime"] == "short"


def test_announcements_wait_for_each_other(page: Page) -> None:
    tap(page)
    announce(page, *({"kind": "amount", "amountVnd": vnd} for vnd in (1_000, 2_000, 3_000)))

    spoken = wait_for_spoken(page, 3)

    assert [entry["words"].split()[2] for entry in spoken] == ["một", "hai", "ba"]
    for before, after in pairwise(spoken):
        assert after["startedAt"] >= before["startedAt"] + before["durationS"] - 0.01


def test_nothing_sounds_before_the_first_tap_and_recent_money_is_spoken_after_it(
    page: Page,
) -> None:
    announce(page, {"kind": "paid", "amountVnd": 20_000})
    page.wait_for_timeout(500)
    assert page.evaluate("[speaker.state, begun]") == ["locked", 0]

    tap(page)

    assert wait_for_spoken(page, 1)[0]["words"] == "đã nhận hai mươi nghìn đồng"


def test_what_happened_while_offline_is_counted_not_read_out(page: Page) -> None:
    tap(page)
    page.evaluate("""() => {
        for (const id of ["1", "2", "3"]) {
            speaker.announce({kind: "paid", amountVnd: 20000, id, at: Date.now() - 61_000});
        }
        speaker.announce({kind: "paid", amountVnd: 5000, id: "4", at: Date.now() - 10_000});
    }""")

    spoken = wait_for_spoken(page, 2)

    assert [entry["words"] for entry in spoken] == [
        "đã nhận năm nghìn đồng",
        "ba khoản lúc mất mạng",
    ]


def test_event_that_the_stream_repeats_is_spoken_once(page: Page) -> None:
    tap(page)
    again = {"kind": "paid", "amountVnd": 20_000, "id": "7"}
    announce(page, again, again, {"kind": "paid", "amountVnd": 1_000, "id": "8"})

    spoken = wait_for_spoken(page, 2)

    assert [entry["id"] for entry in spoken] == ["7", "8"]


def test_muted_speaker_is_silent_and_stays_muted_after_a_reload(page: Page) -> None:
    tap(page)
    page.evaluate("speaker.mute()")
    announce(page, {"kind": "paid", "amountVnd": 20_000})
    page.wait_for_timeout(800)
    assert page.evaluate("[speaker.state, begun]") == ["muted", 0]

    page.reload()
    page.evaluate(START)

    assert page.evaluate("speaker.isMuted")


def test_last_payment_can_be_heard_again(page: Page) -> None:
    tap(page)
    announce(page, {"kind": "paid", "amountVnd": 20_000, "id": "1"})
    page.evaluate("speaker.replay()")

    spoken = wait_for_spoken(page, 2)

    assert spoken[1]["words"] == spoken[0]["words"]


def test_clips_that_cannot_be_fetched_show_a_failed_speaker_that_recovers(page: Page) -> None:
    page.route("**/audio/vi/*", lambda route: route.abort())
    page.evaluate("""async () => {
        const { Speaker } = await import("/static/js/sound.js");
        window.speaker = new Speaker({ base: "/static/audio/vi/./" });
    }""")
    page.get_by_role("button", name="Bật loa").click()
    announce(page, {"kind": "paid", "amountVnd": 20_000})
    page.wait_for_function("() => speaker.state === 'failed'")

    page.unroute("**/audio/vi/*")

    assert wait_for_spoken(page, 1)[0]["words"] == "đã nhận hai mươi nghìn đồng"
    assert page.evaluate("speaker.state") == "ready"


def test_browser_and_hub_spell_every_amount_alike(page: Page) -> None:
    random = Random(20261121)
    numbers = [
        *range(1_200),
        *(random.randrange(10 ** random.randint(3, 15)) for _ in range(3_000)),
    ]

    spelled = page.evaluate(
        """async (numbers) => {
            const { wordsFor, SOUTH } = await import("/static/js/words.js");
            return numbers.map((n) => [wordsFor(n).join(" "), wordsFor(n, SOUTH).join(" ")]);
        }""",
        numbers,
    )

    expected = [[spell_vnd(n), spell_vnd(n, linh="lẻ", nghin="ngàn")] for n in numbers]
    assert spelled == expected


def test_every_word_of_money_has_its_clip() -> None:
    manifest = json.loads(
        (API / "counter/static/audio/vi/manifest.json").read_text(encoding="utf-8")
    )
    words = {word for n in range(1, 1_000) for word in spell_number(n).split()}
    words |= {"không", "lẻ", "nghìn", "ngàn", "triệu", "tỷ", "đồng"}

    assert words <= set(manifest["phrases"])
    files = [*manifest["phrases"].values(), *manifest["chimes"].values()]
    assert sum((API / "counter/static/audio/vi" / name).stat().st_size for name in files) < 120_000
