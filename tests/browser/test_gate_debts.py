"""Debts of earlier visits on the attendant's phone: met at the gate, collected, seen settled."""

from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from core.audit import Actor
from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.rules import ExitReason
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import pay_in_app, read_code
from tests.browser.gate_steps import at_the_gate, buzzes, enter, find, go_offline, type_plate
from tests.browser.test_gate_screens import judge
from tests.browser.test_gate_two_phones import two_phones
from tests.world.parking_sessions import a_tariff_document
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser

PLATE, WRITTEN = "29AA12345", "29AA 123.45"
OWED = "5.000\u00a0₫"


def stays_of(city: RunningCity, place: StaffedLot) -> list[tuple[UUID, str, int, int]]:
    query = "SELECT id, status, paid_vnd, arrears_vnd FROM parking_sessions"
    return city.sql(f"{query} WHERE lot_id = %(lot)s ORDER BY id", lot=place.lot.id)


def let_out_owing(city: RunningCity, place: StaffedLot) -> None:
    """Let out unpaid who came in last."""
    guard = Actor(kind="staff", id=new_id(), name="Anh Tú")
    stay_id = stays_of(city, place)[-1][0]
    gone = LeaveRequest(
        session_id=stay_id, actor=guard, forced=ExitReason.ARREARS, words="Khách bỏ chạy"
    )

    async def let_out(database: Database) -> None:
        async with open_org_transaction(database, place.lot.org.id) as session:
            await leave(session, place.lot.org.id, [gone], now=read_clock())

    city.do(let_out)


def come_back(page: Page) -> None:
    """Let the motorbike in again, which owes, and open its stay from the strip that says so."""
    type_plate(page, PLATE)
    page.get_by_role("button", name="Cho vào").click()
    strip = page.locator("[data-strip]")
    expect(strip).to_contain_text(f"Còn nợ {OWED}")
    expect(strip).to_have_attribute("data-tone", "attention")
    judge(page)
    strip.locator("[data-action=debt]").click()
    expect(page.locator("[data-screen=stay] [data-debt]")).to_be_visible()


def open_debt(page: Page) -> None:
    page.locator("[data-debt]").click()
    expect(page.locator("[data-due-word]")).to_have_text("Nợ lần trước")
    expect(page.locator("[data-debt]")).to_be_hidden()


def test_a_debt_met_at_the_way_in_is_collected_in_cash_and_the_visit_goes_on(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    enter(page, PLATE)
    let_out_owing(city, place)
    come_back(page)
    box, due = page.locator("[data-debt]"), page.locator("[data-screen=stay] [data-due]")
    expect(box.locator("[data-debt-sum]")).to_have_text(OWED)
    judge(page)
    assert len(set(buzzes(page))) > 1

    open_debt(page)
    expect(due).to_have_text(OWED)
    expect(page.locator("[data-screen=stay] [data-since]")).to_contain_text("chưa trả")
    judge(page)
    page.locator("[data-screen=stay] [data-action=cash]").click()
    verdict = page.locator("[data-screen=verdict]")
    expect(verdict).to_contain_text("Đã trả nợ")
    expect(verdict).to_contain_text("Phiếu thu PT")
    expect(verdict.locator("[data-action=leave]")).to_have_count(0)
    judge(page)
    verdict.get_by_role("button", name="Tiếp tục").click()

    expect(page.locator("[data-screen=stay] [data-plate]")).to_have_text(WRITTEN)
    expect(box).to_be_hidden()
    expect(page.locator("[data-due-word]")).to_have_text("Phải thu")
    page.locator("[data-screen=stay] [data-action=cash]").click()
    page.get_by_role("button", name="Cho ra").click()
    expect(verdict).to_contain_text("Đã ra")
    assert [row[1:] for row in stays_of(city, place)] == [("left", 5_000, 0)] * 2


def test_a_debt_paid_by_mistake_is_taken_back_and_stands_again(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    enter(page, PLATE)
    let_out_owing(city, place)
    come_back(page)
    open_debt(page)
    page.locator("[data-screen=stay] [data-action=cash]").click()
    page.locator("[data-screen=verdict] [data-action=undo]").click()

    expect(page.locator("[data-due-word]")).to_have_text("Nợ lần trước")
    page.locator("[data-action=later]").click()
    expect(page.locator("[data-debt]")).to_be_visible()
    assert [row[1:] for row in stays_of(city, place)] == [("left", 0, 5_000), ("inside", 0, 0)]


def test_a_debt_met_at_the_way_out_is_paid_by_a_code_and_the_screen_turns_by_itself(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    enter(page, PLATE)
    let_out_owing(city, place)
    enter_again(page)
    let_out_owing(city, place)
    enter_again(page)
    find(page, "345")
    page.locator(".gate-found").click()
    expect(page.locator("[data-debt-word]")).to_have_text("Còn nợ 2 lần trước")
    expect(page.locator("[data-debt-sum]")).to_have_text("10.000\u00a0₫")
    open_debt(page)
    page.get_by_role("button", name="Mã QR").click()
    read_code(page)
    page.locator("[data-code-back]").click()
    expect(page.locator("[data-due-word]")).to_have_text("Nợ lần trước")
    page.get_by_role("button", name="Mã QR").click()
    payload = read_code(page)

    pay_in_app(city, new_page(), payload)

    verdict = page.locator("[data-screen=verdict]")
    expect(verdict).to_contain_text("Đã trả nợ")
    verdict.get_by_role("button", name="Tiếp tục").click()
    expect(page.locator("[data-debt-word]")).to_have_text("Còn nợ 1 lần trước")
    assert [row[1:] for row in stays_of(city, place)] == [
        ("left", 5_000, 0),
        ("left", 0, 5_000),
        ("inside", 0, 0),
    ]


def test_a_debt_that_another_phone_has_just_collected_is_not_taken_again(
    city: RunningCity, new_page: OpenPage
) -> None:
    here, there = two_phones(city, new_page, place := open_lot(city))
    enter(here, PLATE)
    let_out_owing(city, place)
    enter_again(here)
    for page in (here, there):
        find(page, "345")
        page.locator(".gate-found").click()
        open_debt(page)
    there.evaluate("gate.stays.receivePaid = () => {}")  # its line is slow

    here.locator("[data-screen=stay] [data-action=cash]").click()
    expect(here.locator("[data-screen=verdict]")).to_contain_text("Đã trả nợ")
    there.locator("[data-screen=stay] [data-action=cash]").click()

    expect(there.locator("#problem")).to_contain_text("vừa được trả ở máy khác")
    expect(there.locator("[data-debt]")).to_be_hidden()
    expect(there.locator("[data-due-word]")).to_have_text("Phải thu")
    taken = "SELECT count(*) FROM collections WHERE lot_id = %(lot)s"
    assert city.sql(taken, lot=place.lot.id) == [(1,)]


def test_a_debt_that_cannot_be_read_for_want_of_a_network_is_not_said_to_be_paid(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    enter(page, PLATE)
    let_out_owing(city, place)
    come_back(page)
    word, problem = page.locator("[data-due-word]"), page.locator("#problem")
    go_offline(page)
    page.locator("[data-debt]").click()
    expect(problem).to_contain_text("Chưa có phản hồi")
    expect(page.locator("[data-debt]")).to_be_visible()
    expect(word).to_have_text("Phải thu")
    go_online(page)
    open_debt(page)
    page.get_by_role("button", name="Mã QR").click()
    expect(page.locator(".qr svg")).to_be_visible()

    go_offline(page)
    page.locator("[data-code-back]").click()
    expect(problem).to_contain_text("Chưa có phản hồi")
    expect(word).to_have_text("Nợ lần trước")
    for name in ("cash", "later"):
        page.evaluate("gate.screens.clearProblem()")
        page.locator(f"[data-screen=stay] [data-action={name}]").click()
        expect(problem).to_contain_text("Chưa có phản hồi")
        expect(word).to_have_text("Nợ lần trước")
        expect(page.locator("[data-screen=stay] [data-due]")).to_have_text(OWED)

    go_online(page)
    page.locator("[data-screen=stay] [data-action=cash]").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã trả nợ")
    assert [row[1:] for row in stays_of(city, place)] == [("left", 5_000, 0), ("inside", 0, 0)]


def test_a_debt_is_told_beside_a_price_that_is_paid_on_the_way_in(
    city: RunningCity, new_page: OpenPage
) -> None:
    document = a_tariff_document(payment_timing="payOnEntry")
    place = open_lot(city, document=document, payment_timing="payOnEntry")
    page = at_the_gate(city, new_page, place)
    type_plate(page, PLATE)
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("[data-strip]")).to_contain_text("Thu 5.000")
    let_out_owing(city, place)
    come_back(page)

    expect(page.locator("[data-screen=stay] [data-due]")).to_have_text(OWED)
    expect(page.locator("[data-debt-sum]")).to_have_text(OWED)


def enter_again(page: Page) -> None:
    page.locator(".gate-tabs [data-go=enter]").click()
    type_plate(page, PLATE)
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("[data-strip] [data-action=debt]")).to_be_visible()


def go_online(page: Page) -> None:
    page.context.set_offline(False)
    page.locator("#signal[data-live=yes]").wait_for()
