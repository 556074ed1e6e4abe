"""Two attendants' phones at one lot: what one does the other sees, and of a race one wins."""

import time
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from core.clock import read_clock
from core.db import Database
from identity.people.rules import Role
from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import at_the_gate, buzzes, enter, type_plate
from tests.world.constants import BUSY_S
from tests.world.passes import a_watched_plate
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, employ_at, open_lot

pytestmark = pytest.mark.browser
SEEN_WITHIN_S = 10  # a page that looked by itself would do so every thirty seconds
RACE_IN_MS = 1500  # long enough for both pages to be ready


def two_phones(city: RunningCity, new_page: OpenPage, place: StaffedLot) -> tuple[Page, Page]:
    """Open the phones of two attendants of one lot, each with a shift of their own."""
    login = f"{place.attendant}2"

    async def employ(database: Database) -> None:
        await employ_at(database, place.lot, login, Role.ATTENDANT)

    city.do(employ)
    other = StaffedLot(lot=place.lot, stall=place.stall, attendant=login)
    return at_the_gate(city, new_page, place), at_the_gate(city, new_page, other)


def test_what_one_phone_lets_in_the_other_is_told_of(city: RunningCity, new_page: OpenPage) -> None:
    here, there = two_phones(city, new_page, place := open_lot(city))
    count = there.locator("[data-count]")
    before = count.inner_text()
    there.evaluate("""() => {
        new MutationObserver(() => { globalThis.seenAt ??= Date.now(); })
            .observe(document.querySelector("[data-count]"), { childList: true, subtree: true });
    }""")

    enter(here, "29AA12345")
    let_in_at = time.time()
    there.wait_for_function("() => globalThis.seenAt")

    assert there.evaluate("globalThis.seenAt") / 1000 - let_in_at < SEEN_WITHIN_S + BUSY_S
    assert count.inner_text() != before
    # And it can be found there when the network goes.
    assert city.sql("SELECT count(*) FROM inside WHERE lot_id = %(lot)s", lot=place.lot.id) == [
        (1,)
    ]


def test_a_crowd_at_another_gate_keeps_no_phone_from_looking_who_is_inside(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = at_the_gate(city, new_page, open_lot(city))
    page.clock.install()
    page.evaluate("""() => {
        globalThis.looks = 0;
        gate.offline.refresh = () => { globalThis.looks += 1; };
        let n = 0;
        setInterval(() => gate.receiveEntered(
            { session_id: `other-${n += 1}`, vehicle_class: "motorbike", inside_count: n }), 500);
    }""")

    page.clock.run_for(9_000)  # a vehicle every half second, and no pause

    assert 2 <= page.evaluate("globalThis.looks") <= 3


def test_a_phone_hears_nothing_of_another_lot(city: RunningCity, new_page: OpenPage) -> None:
    here = at_the_gate(city, new_page, open_lot(city))
    there = at_the_gate(city, new_page, open_lot(city))
    there.evaluate("""() => {
        globalThis.heard = [];
        gate.receiveEntered = (data) => globalThis.heard.push(data);
    }""")

    enter(here, "29AA12345")
    enter(there, "29AA54321")
    there.wait_for_function("() => globalThis.heard.length")
    there.wait_for_timeout(500)

    assert [one["plate"] for one in there.evaluate("globalThis.heard")] == ["29A***21"]


def test_a_watched_plate_is_told_to_every_phone_of_the_lot(
    city: RunningCity, new_page: OpenPage
) -> None:
    here, there = two_phones(city, new_page, place := open_lot(city))
    watch(city, place, "29AA66666")

    type_plate(here, "29AA66666")
    here.get_by_role("button", name="Cho vào").click()

    expect(there.locator("#problem")).to_contain_text("đang bị theo dõi")
    expect(there.locator("#problem")).to_contain_text("29A***66")
    expect(here.locator("[data-strip]")).to_contain_text("đang bị theo dõi")
    assert buzzes(there)


def test_of_two_phones_that_let_the_same_plate_in_at_once_one_does(
    city: RunningCity, new_page: OpenPage
) -> None:
    phones = two_phones(city, new_page, place := open_lot(city))
    for round_ in range(3):
        plate = f"29AA7777{round_}"
        for page in phones:
            type_plate(page, plate)
        at_ms = int(time.time() * 1000) + RACE_IN_MS
        for page in phones:
            page.evaluate(
                "at => { setTimeout(() =>"
                " document.querySelector('[data-enter]').click(), at - Date.now()); }",
                at_ms,
            )
        for page in phones:
            expect(page.locator("[data-strip] .plate")).to_contain_text(f"777.7{round_}")

        tones = sorted(str(p.locator("[data-strip]").get_attribute("data-tone")) for p in phones)
        assert tones == ["attention", "good"]
        loser = next(p for p in phones if p.locator("[data-strip][data-tone=attention]").count())
        expect(loser.locator("[data-strip]")).to_contain_text("đang ở trong bãi")
        loser.evaluate("gate.entering.clear()")
    query = "SELECT plate, count(*) FROM parking_sessions WHERE lot_id = %(lot)s GROUP BY plate"
    assert sorted(city.sql(query, lot=place.lot.id)) == [(f"29AA7777{n}", 1) for n in range(3)]


def watch(city: RunningCity, place: StaffedLot, plate: str) -> None:
    """Let two people put a plate on the watch list."""

    async def add(database: Database) -> None:
        await a_watched_plate(
            database,
            place.lot.org.id,
            plate,
            from_on=read_clock().date() - timedelta(days=1),
            expires_on=read_clock().date() + timedelta(days=30),
        )

    city.do(add)
