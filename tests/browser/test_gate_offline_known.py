"""The vehicles that a phone knows inside: the hub's list, and what it has not told the hub yet."""

import json
from datetime import timedelta

import pytest
from playwright.sync_api import Page, Route, expect

from core.clock import hanoi_day, read_clock
from core.db import Database
from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import (
    an_enrolled_phone,
    enter,
    find,
    go_offline,
    type_plate,
    wait_for_yes,
)
from tests.browser.test_gate_debts import let_out_owing
from tests.browser.test_gate_offline_passes import a_pass, a_phone_with_passes
from tests.world.parking_sessions import a_tariff, a_tariff_document
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser
SENT_WITHIN_MS = 30_000
KNOWS = "async (digits) => (await gate.offline.find(digits)).stays.length"
KNOWS_NOT = "async (digits) => (await gate.offline.find(digits)).stays.length === 0"


def a_phone_with_a_vehicle(city: RunningCity, new_page: OpenPage, place: StaffedLot) -> Page:
    page = an_enrolled_phone(city, new_page, place)
    enter(page, "29AA33333")
    wait_for_yes(page, KNOWS, "333")
    wait_for_yes(page, "async () => gate.offline.posted.rates")
    return page


def test_grace_and_a_lost_ticket_outlast_a_refresh_of_who_is_inside(
    city: RunningCity, new_page: OpenPage
) -> None:
    """A car that paid at 58 minutes leaves at 65 without paying again."""
    place = open_lot(city)
    page = a_phone_with_a_vehicle(city, new_page, place)
    known = page.evaluate("""async () => {
      const { all, put } = await import("/static/js/gate_store.js");
      const [stay] = await all("stays");
      const until = Date.now() + 600_000;
      const paid = { paid_vnd: 5000, paid_until: until, noted_at: Date.now() };
      await put("stays", { ...stay, ...paid, is_ticket_lost: true });
      await gate.offline.refresh();
      const [after] = await all("stays");
      return [after.paid_vnd, after.paid_until === until, after.is_ticket_lost];
    }""")

    assert known == [5_000, True, True]


def test_grace_of_a_payment_at_another_phone_is_known_without_a_network(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = a_phone_with_a_vehicle(city, new_page, place)
    city.sql(
        "UPDATE parking_sessions SET entered_at = now() - interval '65 minutes',"
        " vehicle_class = 'car', paid_vnd = 25000, paid_until = now() + interval '5 minutes'"
        " WHERE lot_id = %(lot)s",
        lot=place.lot.id,
    )
    page.evaluate("gate.offline.refresh()")
    wait_for_yes(page, "async () => (await gate.offline.find('333')).stays[0].paid_vnd === 25000")
    go_offline(page)

    due = """async () => {
      const { all } = await import("/static/js/gate_store.js");
      const [{ id }] = await all("stays");
      const { due_vnd, price_vnd } = await gate.offline.read(id);
      return [due_vnd, price_vnd];
    }"""
    assert page.evaluate(due) == [0, 50_000]


def test_a_vehicle_that_left_while_the_page_was_closed_is_not_inside_any_longer(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = a_phone_with_a_vehicle(city, new_page, place)
    page.goto("about:blank")
    let_out_owing(city, place)

    page.route("**/events**", lambda route: route.abort())  # that it left is told no longer
    page.goto(city.url + "/gate")

    page.wait_for_function("() => globalThis.gate?.queue.isReady")
    wait_for_yes(page, KNOWS_NOT, "333")
    go_offline(page)
    type_plate(page, "29AA33333")
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("[data-strip]")).to_contain_text("Đã lưu trên máy")


def test_what_waits_in_the_queue_is_neither_lost_nor_brought_back_by_a_refresh(
    city: RunningCity, new_page: OpenPage
) -> None:
    """As when the line is back for who is inside, and not yet for what is sent."""
    place = open_lot(city)
    page = a_phone_with_a_vehicle(city, new_page, place)
    page.evaluate("() => { SyncManager.prototype.register = async () => {}; }")
    go_offline(page)
    type_plate(page, "29AA44444")
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("[data-strip]")).to_contain_text("Đã lưu trên máy")
    find(page, "333")
    page.locator(".gate-found").click()
    page.get_by_role("button", name="Tiền mặt").click()
    page.get_by_role("button", name="Cho ra").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")
    page.route("**/movements", lambda route: route.abort())
    page.context.set_offline(False)

    page.evaluate("gate.offline.refresh()")

    assert page.evaluate(KNOWS, "444") == 1
    assert page.evaluate(KNOWS, "333") == 0
    page.unroute("**/movements")
    page.evaluate("gate.queue.flush()")
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)
    page.evaluate("gate.offline.refresh()")  # the hub may not have applied the exit yet
    assert page.evaluate(KNOWS, "444") == 1
    assert page.evaluate(KNOWS, "333") == 0


def test_a_vehicle_that_leaves_while_the_list_is_on_its_way_is_not_brought_back(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = a_phone_with_a_vehicle(city, new_page, open_lot(city))

    page.evaluate("""async () => {
      const { all } = await import("/static/js/gate_store.js");
      const [{ id }] = await all("stays");
      const { hub } = gate;
      const get = hub.get.bind(hub);
      hub.get = async (path, ...more) => {
        const found = await get(path, ...more);
        if (path.includes("/inside")) await gate.offline.forget(id);
        return found;
      };
      await gate.offline.refresh();
    }""")

    assert page.evaluate(KNOWS, "333") == 0


def test_only_who_is_newer_than_the_oldest_of_a_list_that_is_cut_is_taken_out(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = a_phone_with_a_vehicle(city, new_page, place)

    def cut(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=json.dumps({**answer.json(), "is_complete": False}))

    page.route("**/inside?**", cut)
    left = page.evaluate("""async () => {
      const { all } = await import("/static/js/gate_store.js");
      const [{ id }] = await all("stays");
      const older = "00" + id.slice(2);
      const newer = "f" + id.slice(1);
      for (const one of [older, newer]) {
        const ticket = one.slice(0, 3);
        const entered_at = "2026-01-01T00:00:00Z";
        await gate.offline.remember({ id: one, vehicle_class: "car", ticket, entered_at });
      }
      await gate.offline.refresh();
      return (await all("stays")).map((one) => [older, id, newer].indexOf(one.id));
    }""")

    assert left == [0, 1]


def test_a_pass_that_the_phones_list_does_not_have_ends_as_the_hub_says(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    a_pass(city, place, "29AA33333", until=hanoi_day(read_clock()))
    page = a_phone_with_passes(city, new_page, place, clock_behind=timedelta())
    page.evaluate("""async () => {
      const { put, readFact } = await import("/static/js/gate_store.js");
      await put("facts", { ...(await readFact("passes")), passes: {}, plates: {} }, "passes");
    }""")
    enter(page, "29AA33333")
    wait_for_yes(page, KNOWS, "333")
    page.evaluate("gate.offline.refresh()")
    go_offline(page)

    page.clock.fast_forward(24 * 3_600_000)
    find(page, "333")
    page.locator(".gate-found").click()

    stay = page.locator("[data-screen=stay]")
    expect(stay.locator("[data-due-word]")).to_have_text("Phải thu")
    expect(stay.locator("[data-due]")).to_have_text("5.000\u00a0₫")


def test_a_list_of_passes_that_is_cut_says_so_and_charges_nobody_silently(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = an_enrolled_phone(city, new_page, place)
    wait_for_yes(page, "() => Object.keys(gate.offline.posted).length")
    page.evaluate("""async () => {
      const { put, readFact } = await import("/static/js/gate_store.js");
      await gate.passes.refresh();
      await put("facts", { ...(await readFact("passes")), isComplete: false }, "passes");
    }""")
    go_offline(page)

    type_plate(page, "29AA33333")
    page.get_by_role("button", name="Cho vào").click()

    words = "Danh sách vé tháng trên máy chưa đủ"
    expect(page.locator("[data-strip]")).to_contain_text(words)
    find(page, "333")
    page.locator(".gate-found").click()
    expect(page.locator("[data-screen=stay] [data-lines]")).to_contain_text(words)
    assert page.evaluate("document.documentElement.scrollHeight") <= 640


def test_after_a_pass_a_lost_ticket_and_grace_are_those_of_the_tariff_that_prices_the_stay(
    city: RunningCity, new_page: OpenPage
) -> None:
    now = read_clock()
    place = open_lot(city, document=a_tariff_document(lost_ticket_vnd=20_000))
    newer = a_tariff_document(lost_ticket_vnd=70_000, exit_grace_minutes=40)

    async def raise_prices(database: Database) -> None:
        await a_tariff(database, place.lot, newer, since=now - timedelta(days=2), now=now)

    city.do(raise_prices)
    page = an_enrolled_phone(city, new_page, place)
    wait_for_yes(page, "async () => gate.offline.posted.rates?.length === 2")
    go_offline(page)

    found = page.evaluate(
        """async ({ entered_at, pass_until }) => {
          const { read } = await import("/static/js/gate_store.js");
          const id = crypto.randomUUID();
          await gate.offline.remember({ id, vehicle_class: "motorbike", ticket: "V1", entered_at,
            is_pass: true, pass_id: crypto.randomUUID(), pass_until, settled_vnd: 0 });
          const stay = await gate.offline.read(id, { isTicketLost: true });
          await gate.offline.takeCash(stay);
          const { paid_until } = await read("stays", id);
          return [stay.price_vnd, Math.round((paid_until - Date.now()) / 60_000)];
        }""",
        {
            "entered_at": (now - timedelta(days=5)).isoformat(),
            "pass_until": (hanoi_day(now) - timedelta(days=1)).isoformat(),
        },
    )

    assert found == [75_000, 40]


def test_a_phone_that_slept_without_a_network_prices_the_hours_that_it_slept(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = an_enrolled_phone(city, new_page, open_lot(city))
    wait_for_yes(page, "async () => gate.offline.posted.rates")
    wait_for_yes(
        page,
        "async () => (await (await import('/static/js/gate_store.js')).readFact('offset_ms'))"
        " !== undefined",
    )
    go_offline(page)

    prices = page.evaluate("""async () => {
      const id = crypto.randomUUID();
      const entered_at = new Date(Date.now() - 10 * 60_000).toISOString();
      await gate.offline.remember({ id, vehicle_class: "car", ticket: "V1", entered_at });
      const before = (await gate.offline.read(id)).price_vnd;
      const { now } = Date;
      Date.now = () => now.call(Date) + 3 * 3_600_000; // performance.now() stood still
      const slept = (await gate.offline.read(id)).price_vnd;
      Date.now = () => now.call(Date) - 3_600_000; // a clock that is set back takes nothing back
      return [before, slept, (await gate.offline.read(id)).price_vnd];
    }""")

    assert prices == [25_000, 100_000, 100_000]
