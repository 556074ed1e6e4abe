"""Money on the attendant's phone while the line comes and goes: nothing is taken or asked twice."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import an_enrolled_phone, enter, find, go_offline, wait_for_yes
from tests.world.parking_sessions import a_tariff_document
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser
SENT_WITHIN_MS = 30_000


def a_phone_with_a_vehicle(
    city: RunningCity, new_page: OpenPage, place: StaffedLot, *, tone: str = "good"
) -> Page:
    page = an_enrolled_phone(city, new_page, place)
    enter(page, "29AA33333", tone=tone)
    wait_for_yes(page, "async () => (await gate.offline.find('333')).stays.length")
    wait_for_yes(page, "async () => gate.offline.posted.rates")
    return page


def open_known(page: Page) -> None:
    find(page, "333")
    page.locator(".gate-found").click()
    expect(page.locator("[data-screen=stay]")).to_be_visible()


def lose_the_answers_to_cash(page: Page) -> None:
    """Let the hub take the next cash, and cut the line before it can say so."""

    def cut(route: Route) -> None:
        route.fetch()
        page.context.set_offline(True)
        route.abort()

    page.route("**/collections", cut, times=1)


def cash_of(city: RunningCity, place: StaffedLot) -> list[tuple[object, ...]]:
    query = "SELECT rail, amount_vnd FROM collections WHERE lot_id = %(lot)s"
    return city.sql(query, lot=place.lot.id)


@pytest.mark.parametrize("is_reloaded", [False, True], ids=["same page", "reloaded"])
def test_cash_whose_answer_was_lost_is_recorded_once(
    city: RunningCity, new_page: OpenPage, is_reloaded: bool
) -> None:
    place = open_lot(city)
    page = a_phone_with_a_vehicle(city, new_page, place)
    open_known(page)
    lose_the_answers_to_cash(page)
    page.get_by_role("button", name="Tiền mặt").click()
    stay = page.locator("[data-screen=stay]")
    expect(stay).to_contain_text("Giá tạm tính")  # whether it was recorded the phone cannot know
    if is_reloaded:
        page.reload()
        open_known(page)

    page.get_by_role("button", name="Tiền mặt").click()
    verdict = page.locator("[data-screen=verdict]")
    expect(verdict).to_contain_text("Đã trả")
    page.get_by_role("button", name="Cho ra").click()
    expect(verdict).to_contain_text("Đã ra")
    page.context.set_offline(False)
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)

    query = "SELECT status, exit_reason FROM parking_sessions WHERE lot_id = %(lot)s"
    for _ in range(SENT_WITHIN_MS // 500):  # the hub applies exits after it has answered
        if (found := city.sql(query, lot=place.lot.id)) == [("left", "paid")]:
            break
        page.wait_for_timeout(500)
    assert found == [("left", "paid")]
    assert cash_of(city, place) == [("cash", 5_000)]


def test_cash_whose_answer_was_lost_on_the_way_in_is_recorded_once(
    city: RunningCity, new_page: OpenPage
) -> None:
    document = a_tariff_document(payment_timing="payOnEntry")
    place = open_lot(city, document=document, payment_timing="payOnEntry")
    page = a_phone_with_a_vehicle(city, new_page, place, tone="attention")  # its price is asked
    lose_the_answers_to_cash(page)
    page.locator("[data-strip] [data-action=cash]").click()
    expect(page.locator("#problem")).to_contain_text("Chưa có phản hồi")
    page.locator("#signal[data-live=no]").wait_for()

    page.locator("[data-strip] [data-action=qr]").click()  # to its stay
    page.locator("[data-screen=stay] [data-action=cash]").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã trả")
    page.context.set_offline(False)
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)
    wait_for_yes(page, "() => gate.queue.unsent().then((count) => count === 0)")

    page.wait_for_timeout(2_000)  # the hub applies it after it has answered
    assert cash_of(city, place) == [("cash", 5_000)]


def test_two_payments_of_one_stay_are_two_also_of_equal_amounts(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = a_phone_with_a_vehicle(city, new_page, open_lot(city))

    ids = page.evaluate("""async () => {
      const { all } = await import("/static/js/gate_store.js");
      const [stay] = await all("stays");
      const { offline } = gate;
      const id = await offline.collecting.idOf(stay.id);
      const again = await offline.collecting.idOf(stay.id);
      const other = await offline.collecting.idOf(crypto.randomUUID());
      await offline.collecting.settle(stay.id);
      return [id === again, id === other, id === (await offline.collecting.idOf(stay.id))];
    }""")

    assert ids == [True, False, False]


def test_a_driver_who_has_paid_leaves_as_paid_when_the_line_drops_then(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = a_phone_with_a_vehicle(city, new_page, place)
    open_known(page)

    def cut(route: Route) -> None:
        page.context.set_offline(True)
        route.abort()

    page.route("**/gate/lots/*/stays/**", cut)
    page.get_by_role("button", name="Tiền mặt").click()
    verdict = page.locator("[data-screen=verdict]")
    expect(verdict).to_contain_text("Đã trả")
    page.locator("#signal[data-live=no]").wait_for()
    known = "async () => (await gate.offline.read(gate.stays.stay.id))"
    assert page.evaluate(f"async () => (await ({known})()).due_vnd") == 0
    assert page.evaluate(f"async () => (await ({known})()).paid_vnd") == 5_000
    page.get_by_role("button", name="Cho ra").click()

    expect(verdict).to_contain_text("Đã ra")
    expect(verdict).not_to_contain_text("Chưa xác nhận tiền")
    used = "async () => (await import('/static/js/gate_store.js')).readFact('used_by_shift')"
    assert page.evaluate(used) is None
    page.context.set_offline(False)
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)
    query = "SELECT status, exit_reason FROM parking_sessions WHERE lot_id = %(lot)s"
    for _ in range(SENT_WITHIN_MS // 500):  # the hub applies exits after it has answered
        if (found := city.sql(query, lot=place.lot.id)) == [("left", "paid")]:
            break
        page.wait_for_timeout(500)
    assert found == [("left", "paid")]


def test_cash_that_was_taken_back_is_asked_for_again_without_a_network(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = a_phone_with_a_vehicle(city, new_page, open_lot(city))
    open_known(page)
    page.get_by_role("button", name="Tiền mặt").click()
    page.locator("[data-screen=verdict] [data-action=undo]").click()
    expect(page.locator("[data-screen=stay]")).to_be_visible()
    expect(page.locator("[data-screen=stay] [data-due]")).to_have_text("5.000\u00a0₫")

    go_offline(page)
    open_known(page)

    expect(page.locator("[data-screen=stay] [data-due]")).to_have_text("5.000\u00a0₫")
