"""Passes at the way out: said in word, sign and colour, and used where one came in without."""

from datetime import date, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from core.clock import hanoi_day, read_clock
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.passes.models import Pass, PassPlate
from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import at_the_gate, enter
from tests.browser.test_gate_screens import judge
from tests.browser.test_gate_ways import open_stay, other_way
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser

PLATE = "29AA77777"


def give_pass(
    city: RunningCity, place: StaffedLot, *, until: date | None = None, plate: str = PLATE
) -> date:
    """Give a motorbike a pass since a month ago, for another one unless a test says otherwise."""
    now = read_clock()
    today = hanoi_day(now)
    until = until or today + timedelta(days=30)
    facts: dict[str, Any] = {
        "org_id": place.lot.org.id,
        "id": new_id(),
        "lot_id": place.lot.id,
        "vehicle_class": "motorbike",
        "kind": "monthly",
        "holder_name": "Chị Nguyễn Hoa",
        "plates_max": 1,
        "price_vnd": 0,
        "valid_from": today - timedelta(days=30),
        "valid_until": until,
        "in_force_at": now,
        "created_by": new_id(),
        "created_at": now,
    }

    async def give(database: Database) -> None:
        async with open_org_transaction(database, place.lot.org.id) as session:
            session.add(Pass(**facts))
            await session.flush()
            known = {"org_id": facts["org_id"], "pass_id": facts["id"]}
            session.add(PassPlate(**known, plate=plate, vehicle_class="motorbike"))

    city.do(give)
    return until


def test_a_pass_is_said_at_the_way_out_with_its_holder_masked_and_its_last_day(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    until = give_pass(city, place)
    page = at_the_gate(city, new_page, place)
    enter(page, PLATE)
    open_stay(page, "777")

    line = page.locator("[data-screen=stay] .gate-pass")
    expect(line).to_have_text(f"Vé tháng: Chị N*** H***, đến hết {until:%d/%m/%Y}")
    expect(line.locator("svg")).to_be_visible()
    expect(page.locator(".gate-due")).to_have_attribute("data-due-tone", "none")
    assert "Hoa" not in page.locator("[data-screen=stay]").inner_text()
    judge(page)


def test_a_pass_that_came_after_the_vehicle_is_offered_and_used_at_the_way_out(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    enter(page, PLATE)
    give_pass(city, place)
    open_stay(page, "777")
    expect(page.locator("[data-screen=stay] .gate-pass")).to_contain_text("Xe có vé tháng")
    judge(page)
    page.locator("[data-action=more]").click()
    expect(page.locator("#sheet [data-action=cash]")).to_be_visible()  # it may be somebody else's
    page.locator("[data-close-sheet]").click()
    page.locator("[data-screen=stay] [data-action=pass]").click()

    verdict = page.locator("[data-screen=verdict]")
    expect(verdict.locator("h1")).to_have_text("Vé tháng")
    expect(verdict.locator("[data-amount]")).to_be_hidden()  # nobody paid
    page.get_by_role("button", name="Cho ra").click()
    expect(verdict).to_contain_text("Đã ra")
    exits = "SELECT exit_reason, paid_vnd FROM parking_sessions WHERE lot_id = %(lot)s"
    assert city.sql(exits, lot=place.lot.id) == [("pass", 0)]


def test_a_holder_who_came_in_on_a_ticket_names_the_plate_and_is_on_the_pass(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    give_pass(city, place)
    page = at_the_gate(city, new_page, place)
    page.locator("[data-ticket]").click()
    page.locator("#sheet input[name=said]").fill("A-0042")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("[data-strip]")).to_have_attribute("data-tone", "good")
    page.locator(".gate-tabs [data-go=find]").click()
    page.locator("#find").fill("A-0042")
    page.locator(".gate-found").click()
    expect(page.locator("[data-screen=stay] .gate-pass")).to_be_hidden()
    other_way(page, "correct")
    page.locator("#sheet input").fill(PLATE)
    page.keyboard.press("Enter")

    expect(page.locator("[data-screen=stay] .gate-pass")).to_contain_text("Vé tháng: Chị N***")
    expect(page.locator("[data-due-word]")).to_have_text("Vé tháng")


def test_a_pass_that_has_ended_is_not_offered(city: RunningCity, new_page: OpenPage) -> None:
    place = open_lot(city)
    give_pass(city, place, until=hanoi_day(read_clock()) - timedelta(days=1))
    page = at_the_gate(city, new_page, place)
    enter(page, PLATE)
    open_stay(page, "777")

    expect(page.locator("[data-screen=stay] .gate-pass")).to_be_hidden()
    expect(page.locator("[data-screen=stay] [data-action=pass]")).to_have_count(0)
