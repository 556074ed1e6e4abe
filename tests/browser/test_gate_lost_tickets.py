"""Lost tickets on the attendant's phone, whatever is due, with a network and without."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import at_the_gate, enter, go_offline
from tests.browser.test_gate_exit_photos import CAMERA, shoot
from tests.browser.test_gate_offline_exits import a_phone_that_knows, wait_for
from tests.browser.test_gate_offline_passes import a_pass
from tests.browser.test_gate_ways import open_stay, other_way
from tests.world.parking_sessions import a_tariff_document
from tests.world.running_city import RunningCity
from tests.world.running_lots import open_lot

pytestmark = pytest.mark.browser

LOST_VND = 50_000


def test_a_lost_ticket_is_reported_of_who_owes_nothing_on_a_pass_or_after_paying(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city, document=a_tariff_document(lost_ticket_vnd=LOST_VND))
    a_pass(city, place, "29AA77777")
    page = at_the_gate(city, new_page, place, **CAMERA)
    enter(page, "29AA77777")
    enter(page, "29AA12345")
    open_stay(page, "345")
    page.get_by_role("button", name="Tiền mặt").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã trả")
    stay = page.locator("[data-screen=stay]")
    for digits, due in (("777", "50.000\u00a0₫"), ("345", "0\u00a0₫")):  # who paid may leave yet
        open_stay(page, digits)
        other_way(page, "lost")
        shoot(page)
        expect(stay.locator("[data-lines]")).to_contain_text("Mất vé")
        expect(stay.locator("[data-due]")).to_have_text(due)
        page.locator("[data-action=more]").click()
        expect(page.locator("#sheet [data-action=lost]")).to_have_count(0)
        page.locator("[data-close-sheet]").click()
    query = """
        SELECT l.photo IS NOT NULL FROM lost_tickets l
        JOIN parking_sessions s ON (s.org_id, s.id) = (l.org_id, l.session_id)
        WHERE s.lot_id = %(lot)s"""
    assert city.sql(query, lot=place.lot.id) == [(True,)] * 2


def test_a_lost_ticket_is_told_of_a_vehicle_that_leaves_unconfirmed_and_both_photos_follow(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city, document=a_tariff_document(lost_ticket_vnd=LOST_VND))
    page = a_phone_that_knows(city, new_page, place, "29AA33333")
    go_offline(page)
    open_stay(page, "333")
    page.locator("[data-screen=stay] [data-action=lost]").click()
    shoot(page)
    expect(page.locator("[data-screen=stay] [data-due]")).to_have_text("55.000\u00a0₫")
    page.locator("[data-screen=stay] [data-action=unconfirmed]").click()
    shoot(page)
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")

    page.context.set_offline(False)

    query = """
        SELECT s.exit_reason, s.price_vnd, l.photo IS NOT NULL, o.photo IS NOT NULL
        FROM parking_sessions s
        LEFT JOIN lost_tickets l ON (l.org_id, l.session_id) = (s.org_id, s.id)
        LEFT JOIN observations o ON (o.org_id, o.session_id) = (s.org_id, s.id)
         AND o.direction = 'out' AND o.photo IS NOT NULL
        WHERE s.lot_id = %(lot)s"""
    wait_for(page, city, query, place, [("unconfirmed", 55_000, True, True)])


def test_a_lost_ticket_of_who_owes_nothing_is_reported_without_a_network(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city, document=a_tariff_document(lost_ticket_vnd=LOST_VND))
    page = a_phone_that_knows(city, new_page, place, "29AA33333")
    go_offline(page)
    open_stay(page, "333")
    page.get_by_role("button", name="Tiền mặt").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã trả")
    open_stay(page, "333")
    page.locator("[data-screen=stay] [data-action=lost]").click()
    shoot(page)
    expect(page.locator("[data-screen=stay] [data-lines]")).to_contain_text("Mất vé")
    expect(page.locator("[data-screen=stay] [data-action=lost]")).to_have_count(0)
    page.get_by_role("button", name="Cho ra").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")

    page.context.set_offline(False)

    query = """
        SELECT s.status, s.paid_vnd, l.photo IS NOT NULL FROM parking_sessions s
        LEFT JOIN lost_tickets l ON (l.org_id, l.session_id) = (s.org_id, s.id)
        WHERE s.lot_id = %(lot)s"""
    wait_for(page, city, query, place, [("left", 5_000, True)])
