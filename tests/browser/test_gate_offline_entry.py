"""The way in without a network: cash on entry, tickets and tokens, the limits of a shift."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import sign_in
from tests.browser.gate_steps import (
    PHONE,
    an_enrolled_phone,
    at_the_gate,
    enter,
    find,
    go_offline,
    type_plate,
    wait_for_yes,
)
from tests.world.parking_sessions import a_tariff_document
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser
SENT_WITHIN_MS = 30_000
IS_WHOLE = "one => one.scrollHeight <= one.parentElement.clientHeight"


def at_the_gate_again(city: RunningCity, new_page: OpenPage, place: StaffedLot) -> Page:
    """Open a second phone of the same person, whose shift runs."""
    page = new_page(*PHONE, locale="vi-VN")
    sign_in(city, page, place.attendant)
    page.locator("#signal[data-live=yes]").wait_for()
    return page


def open_paid_on_entry(city: RunningCity, **facts: object) -> StaffedLot:
    document = a_tariff_document(payment_timing="payOnEntry")
    return open_lot(city, document=document, payment_timing="payOnEntry", **facts)


def a_phone_that_knows_the_price(city: RunningCity, new_page: OpenPage, place: StaffedLot) -> Page:
    page = an_enrolled_phone(city, new_page, place)
    wait_for_yes(page, "() => Object.keys(gate.offline.posted).length")
    return page


def let_in(page: Page, plate: str) -> None:
    type_plate(page, plate)
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("#plate")).to_have_value("")


def read_like_a_reader(page: Page, number: str) -> None:
    """Type as a reader does: faster than a person, and Enter."""
    # One call for all keys: the machine of the tests may be slow, a reader is not.
    page.evaluate(
        """(keys) => {
            const target = document.activeElement ?? document.body;
            const facts = { bubbles: true, cancelable: true };
            for (const key of keys) {
                target.dispatchEvent(new KeyboardEvent("keydown", { key, ...facts }));
            }
        }""",
        [*number, "Enter"],
    )


def ask_for_number(page: Page, kind: str, number: str) -> None:
    page.locator("[data-ticket]").click()
    page.locator("#sheet").get_by_role("radio", name=kind).check()
    page.locator("#sheet input[name=said]").fill(number)
    page.keyboard.press("Enter")


def numbers_of(city: RunningCity, place: StaffedLot) -> list[tuple[object, ...]]:
    query = (
        "SELECT ticket_kind, ticket, plate FROM parking_sessions WHERE lot_id = %(lot)s ORDER BY id"
    )
    return city.sql(query, lot=place.lot.id)


def wait_until_sent(page: Page) -> None:
    page.context.set_offline(False)
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)


def test_cash_is_taken_on_entry_without_a_network_and_counts_for_its_stay(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_paid_on_entry(city)
    page = a_phone_that_knows_the_price(city, new_page, place)
    go_offline(page)
    let_in(page, "29AA11111")
    strip = page.locator("[data-strip]")
    expect(strip).to_contain_text("Thu 5.000\u00a0₫ (tạm tính)")
    assert strip.locator("p").evaluate(IS_WHOLE)
    assert page.evaluate("document.documentElement.scrollHeight") <= 640
    strip.locator("[data-action=cash]").click()
    expect(strip).to_contain_text("Đã thu 5.000\u00a0₫. Đã lưu trên máy, chưa gửi")
    expect(page.locator("[data-unsent]")).to_contain_text("2 lượt")
    find(page, "111")
    page.locator(".gate-found").click()
    expect(page.locator("[data-screen=stay] [data-due-word]")).to_have_text("Đã trả 5.000\u00a0₫")

    wait_until_sent(page)
    query = """
        SELECT s.status, s.paid_vnd, c.rail, c.amount_vnd, c.receipt_number IS NOT NULL
        FROM parking_sessions s
        JOIN collections c ON (c.org_id, c.session_id) = (s.org_id, s.id)
        WHERE s.lot_id = %(lot)s"""
    for _ in range(SENT_WITHIN_MS // 500):  # the hub applies collections after it has answered
        if found := city.sql(query, lot=place.lot.id):
            break
        page.wait_for_timeout(500)
    assert found == [("inside", 5_000, "cash", 5_000, True)]
    assert city.sql("SELECT reason FROM breaks WHERE org_id = %(org)s", org=city.org.id) == []


def test_cash_on_entry_stops_at_the_limit_of_the_shift_and_a_code_is_offered(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_paid_on_entry(city)
    city.sql("UPDATE lots SET offline_cash_max_vnd = 5000 WHERE id = %(id)s", id=place.lot.id)
    page = a_phone_that_knows_the_price(city, new_page, place)
    go_offline(page)
    strip = page.locator("[data-strip]")
    let_in(page, "29AA21111")
    strip.locator("[data-action=cash]").click()
    expect(strip).to_contain_text("Đã thu")

    let_in(page, "29AA22222")
    strip.locator("[data-action=cash]").click()
    expect(page.locator("#problem")).to_contain_text("Hết hạn mức")
    expect(page.locator("[data-unsent]")).to_contain_text("3 lượt")  # it is in all the same
    strip.locator("[data-action=qr]").click()
    expect(page.locator("[data-screen=stay] [data-due]")).to_have_text("5.000\u00a0₫")


def test_limits_are_counted_for_each_shift_of_a_phone_that_several_people_share(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_paid_on_entry(city)
    city.sql("UPDATE lots SET offline_cash_max_vnd = 5000 WHERE id = %(id)s", id=place.lot.id)
    page = a_phone_that_knows_the_price(city, new_page, place)
    go_offline(page)
    strip = page.locator("[data-strip]")
    own = page.evaluate("gate.shift")
    other = {**own, "id": "0193f3c4-0000-7000-8000-000000000001"}
    for shift, plate in ((own, "29AA31111"), (other, "29AA32222")):
        page.evaluate("(shift) => { gate.shift = shift; }", shift)
        let_in(page, plate)
        strip.locator("[data-action=cash]").click()
        expect(strip).to_contain_text("Đã thu")

    page.evaluate("(shift) => { gate.shift = shift; }", own)
    let_in(page, "29AA33333")
    strip.locator("[data-action=cash]").click()

    expect(page.locator("#problem")).to_contain_text("Hết hạn mức")


def test_a_token_is_told_from_a_numbered_ticket_and_comes_again(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city, is_crowd_mode=True)
    page = at_the_gate(city, new_page, place)
    strip = page.locator("[data-strip]")
    ask_for_number(page, "Vé giấy", "a-0042")
    expect(strip).to_contain_text("Vé A-0042")
    read_like_a_reader(page, "0012345678")
    expect(strip).to_contain_text("Vé 0012345678")  # this lot's readers read tickets
    page.locator("[data-ticket]").click()
    sheet = page.locator("#sheet[open]")
    expect(sheet.get_by_role("radio", name="Vé giấy")).to_be_checked()
    box = sheet.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    page.keyboard.press("Escape")

    ask_for_number(page, "Thẻ nhựa", "t-7")
    expect(strip).to_contain_text("Thẻ T-7")
    page.reload()
    expect(page.locator("[data-screen=enter]")).to_be_visible()
    page.locator("#signal[data-live=yes]").wait_for()
    read_like_a_reader(page, "0087654321")
    expect(strip).to_contain_text("Thẻ 0087654321")

    page.locator(".gate-tabs [data-go=find]").click()
    page.locator("#find").fill("0087654321")
    page.locator(".gate-found").click()
    page.get_by_role("button", name="Tiền mặt").click()
    page.get_by_role("button", name="Cho ra").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")
    page.locator(".gate-tabs [data-go=enter]").click()
    with page.expect_response("**/entries"):
        read_like_a_reader(page, "0087654321")
    expect(strip).to_have_attribute("data-tone", "good")

    assert numbers_of(city, place) == [
        ("ticket", "A-0042", None),
        ("ticket", "0012345678", None),
        ("token", "T-7", None),
        ("token", "0087654321", None),
        ("token", "0087654321", None),
    ]


def test_a_reader_is_believed_to_read_tokens_and_leaves_the_typed_plate_alone(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    type_plate(page, "29AA12345")

    read_like_a_reader(page, "0012345678")

    expect(page.locator("#plate")).to_have_value("29AA 123.45")
    expect(page.locator("[data-ticket]")).to_have_text("…345678")
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("[data-strip]")).to_contain_text("29AA 123.45 · Thẻ 0012345678")
    assert numbers_of(city, place) == [("token", "0012345678", "29AA12345")]
    page.locator("[data-strip] [data-action=undo]").click()
    expect(page.locator("[data-ticket]")).to_have_text("…345678")
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("[data-strip]")).to_have_attribute("data-tone", "good")
    assert [row[0] for row in numbers_of(city, place)] == ["token", "token"]


def test_a_person_who_types_a_plate_on_a_keyboard_is_no_reader(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)

    page.keyboard.type("29aa12345", delay=90)
    page.keyboard.press("Enter")

    expect(page.locator("[data-strip]")).to_contain_text("29AA 123.45")
    assert numbers_of(city, place) == [(None, None, "29AA12345")]


def test_tickets_and_tokens_are_kept_apart_without_a_network(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city, is_crowd_mode=True)
    page = an_enrolled_phone(city, new_page, place)
    go_offline(page)
    strip = page.locator("[data-strip]")
    ask_for_number(page, "Thẻ nhựa", "0012345678")
    expect(strip).to_contain_text("Thẻ 0012345678")
    ask_for_number(page, "Vé giấy", "A-0043")
    expect(strip).to_contain_text("Vé A-0043")
    page.locator(".gate-tabs [data-go=find]").click()
    page.locator("#find").fill("0012345678")
    expect(page.locator(".gate-found")).to_contain_text("0012345678")

    wait_until_sent(page)
    assert numbers_of(city, place) == [
        ("token", "0012345678", None),
        ("ticket", "A-0043", None),
    ]


def test_a_vehicle_that_the_phone_knows_inside_is_asked_about_and_not_let_in_twice_unseen(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city, is_crowd_mode=True)
    page = an_enrolled_phone(city, new_page, place)
    enter(page, "29AA41111")
    wait_for_yes(page, "async () => (await gate.offline.find('111')).stays.length")
    go_offline(page)
    strip = page.locator("[data-strip]")
    read_like_a_reader(page, "0012345678")
    expect(strip).to_contain_text("Đã lưu trên máy")

    type_plate(page, "29AA41111")
    page.get_by_role("button", name="Cho vào").click()
    expect(strip).to_contain_text("Đang trong bãi, vào ")
    assert strip.locator("p").evaluate(IS_WHOLE)
    expect(page.locator("#plate")).to_have_value("29AA 411.11")
    strip.locator("[data-action=see]").click()
    expect(page.locator("[data-screen=stay]")).to_contain_text("29AA 411.11")
    page.locator(".gate-tabs [data-go=enter]").click()
    for _ in range(len("29AA41111")):
        page.locator("[data-key=back]:visible").first.click()
    read_like_a_reader(page, "0012345678")
    expect(strip).to_contain_text("Đang trong bãi, vào ")
    expect(page.locator("[data-unsent]")).to_contain_text("1 lượt")

    strip.locator("[data-action=anyway]").click()  # the token was handed out again
    expect(strip).to_contain_text("Đã lưu trên máy")
    expect(page.locator("[data-unsent]")).to_contain_text("2 lượt")


def test_a_vehicle_that_went_out_past_another_phone_is_inside_no_longer(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = an_enrolled_phone(city, new_page, place)
    enter(page, "29AA51111")
    wait_for_yes(page, "async () => (await gate.offline.find('111')).stays.length")
    other = at_the_gate_again(city, new_page, place)
    find(other, "111")
    other.locator(".gate-found").click()
    other.get_by_role("button", name="Tiền mặt").click()
    other.get_by_role("button", name="Cho ra").click()
    expect(other.locator("[data-screen=verdict]")).to_contain_text("Đã ra")

    wait_for_yes(page, "async () => !(await gate.offline.find('111')).stays.length")
