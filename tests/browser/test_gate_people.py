"""Several attendants and one phone: each is named by their PIN, with a network and without."""

import pytest
from playwright.sync_api import Page, expect

from core.db import Database
from identity.people.rules import Role
from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import an_enrolled_phone, enter, go_offline, type_plate
from tests.browser.test_gate_screens import judge
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, employ_at, open_lot

pytestmark = pytest.mark.browser
PIN, HER_PIN, WRONG_PIN = "739204", "582917", "640185"
SENT_WITHIN_MS = 30_000


@pytest.fixture
def place(city: RunningCity) -> StaffedLot:
    """A lot with two attendants, who have PINs; one of them signed in on the phone."""
    made = open_lot(city)
    for login in (made.attendant, f"{made.attendant}.lan"):
        if login != made.attendant:

            async def employ(database: Database, login: str = login) -> None:
                await employ_at(database, made.lot, login, Role.ATTENDANT)

            city.do(employ)
        name = "Lan" if login.endswith("lan") else "Tú"
        city.sql("UPDATE staff SET display_name = %(n)s WHERE login = %(l)s", n=name, l=login)
    boss = city.client_of("boss")
    for login_, pin in ((made.attendant, PIN), (f"{made.attendant}.lan", HER_PIN)):
        body = {"pin": pin}
        boss.post(f"/v1/staff/{id_of(city, login_)}/pin", json=body).raise_for_status()
    return made


def id_of(city: RunningCity, login: str) -> str:
    ((id_,),) = city.sql("SELECT id FROM staff WHERE login = %(login)s", login=login)
    return str(id_)


def choose(page: Page, name: str) -> None:
    """Open the list of people and tap one."""
    page.locator(".gate-tabs [data-go=shift]").click()
    page.get_by_role("button", name="Đổi người").click()
    page.locator("#sheet [data-action=person]", has_text=name).click()


def type_pin(page: Page, pin: str) -> None:
    page.locator("#sheet input[name=pin]").fill(pin)
    page.get_by_role("button", name="Nhận máy").click()


def hand_over(page: Page, name: str, pin: str) -> None:
    """Let somebody else take the phone."""
    choose(page, name)
    type_pin(page, pin)
    expect(page.locator("#sheet")).to_be_hidden()


def entries_of(city: RunningCity, place: StaffedLot) -> list[tuple[object, ...]]:
    """Return whose each vehicle is: (plate, who let it in, whose shift it is)."""
    query = """
        SELECT s.plate, p.display_name, w.display_name FROM parking_sessions s
        LEFT JOIN staff p ON p.id = s.entry_by
        LEFT JOIN shifts h ON h.id = s.entry_shift_id LEFT JOIN staff w ON w.id = h.staff_id
        WHERE s.lot_id = %(lot)s ORDER BY s.plate"""
    return city.sql(query, lot=place.lot.id)


def test_a_phone_changes_hands_by_pin_and_each_works_in_an_own_shift(
    city: RunningCity, new_page: OpenPage, place: StaffedLot
) -> None:
    page = an_enrolled_phone(city, new_page, place)
    enter(page, "29AA11111")
    page.locator(".gate-tabs [data-go=shift]").click()
    judge(page)
    choose(page, "Lan")
    judge(page)
    type_pin(page, WRONG_PIN)
    expect(page.locator("#sheet [role=alert]")).to_contain_text("PIN chưa đúng")
    type_pin(page, HER_PIN)

    expect(page.locator("[data-screen=open]")).to_contain_text("Chào Lan")
    judge(page)
    page.get_by_role("button", name="Mở ca").click()
    expect(page.locator("[data-screen=enter]")).to_be_visible()
    enter(page, "29AA22222")
    page.reload()
    page.locator("#signal[data-live=yes]").wait_for()
    enter(page, "29AA33333")  # she stays named
    hand_over(page, "Tú", PIN)
    expect(page.locator("[data-screen=enter]")).to_be_visible()  # his shift runs on
    enter(page, "29AA44444")

    assert entries_of(city, place) == [
        ("29AA11111", "Tú", "Tú"),
        ("29AA22222", "Lan", "Lan"),
        ("29AA33333", "Lan", "Lan"),
        ("29AA44444", "Tú", "Tú"),
    ]
    # The browser is signed in as before: nobody had to give it up.
    assert page.request.get(f"{city.url}/gate").ok
    assert "PIN" not in str(page.evaluate("JSON.stringify(localStorage)"))


def test_five_wrong_pins_lock_for_minutes_and_the_phone_says_so(
    city: RunningCity, new_page: OpenPage, place: StaffedLot
) -> None:
    page = an_enrolled_phone(city, new_page, place)
    choose(page, "Lan")
    said = page.locator("#sheet [role=alert]")
    for _ in range(5):
        type_pin(page, WRONG_PIN)
        expect(said).to_contain_text("PIN chưa đúng")
        page.locator("#sheet [role=alert]").evaluate("one => { one.textContent = ''; }")

    type_pin(page, HER_PIN)

    expect(said).to_contain_text("đang bị khóa")
    judge(page)
    page.locator("[data-close-sheet]").click()
    enter_tab = page.locator(".gate-tabs [data-go=enter]")
    enter_tab.click()
    enter(page, "29AA12345")  # who had the phone goes on
    assert entries_of(city, place) == [("29AA12345", "Tú", "Tú")]


def test_without_a_network_the_people_of_running_shifts_go_on_unchecked(
    city: RunningCity, new_page: OpenPage, place: StaffedLot
) -> None:
    page = an_enrolled_phone(city, new_page, place)
    hand_over(page, "Lan", HER_PIN)
    page.get_by_role("button", name="Mở ca").click()
    expect(page.locator("[data-screen=enter]")).to_be_visible()
    page.wait_for_function("() => gate.queue.isReady")
    go_offline(page)

    choose(page, "Tú")
    expect(page.locator("[data-screen=enter]")).to_be_visible()
    type_plate(page, "29AA55555")
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("[data-strip]")).to_contain_text("Đã lưu trên máy")
    page.context.set_offline(False)

    # As soon as there is a network, he types his PIN.
    expect(page.locator("#sheet h2")).to_have_text("PIN của Tú", timeout=SENT_WITHIN_MS)
    type_pin(page, PIN)
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)
    assert entries_of(city, place) == [("29AA55555", "Tú", "Tú")]
    query = "SELECT body ->> 'is_pin_checked' FROM movements WHERE lot_id = %(lot)s"
    assert city.sql(query, lot=place.lot.id) == [("false",)]


def test_who_is_named_no_more_is_asked_for_their_pin_before_a_shift_is_opened(
    city: RunningCity, new_page: OpenPage, place: StaffedLot
) -> None:
    """The morning after: no shift runs, so there is no line either."""
    page = an_enrolled_phone(city, new_page, place)
    hand_over(page, "Lan", HER_PIN)
    page.evaluate("""async () => {
        const { findDevice } = await import('/static/js/device.js');
        await (await findDevice()).forgetPerson();
    }""")
    page.reload()

    page.get_by_role("button", name="Mở ca").click()
    expect(page.locator("#sheet h2")).to_have_text("PIN của Lan")
    type_pin(page, HER_PIN)
    page.get_by_role("button", name="Mở ca").click()
    expect(page.locator("[data-screen=enter]")).to_be_visible()


def test_nobody_new_takes_a_phone_that_has_no_network(
    city: RunningCity, new_page: OpenPage, place: StaffedLot
) -> None:
    page = an_enrolled_phone(city, new_page, place)
    go_offline(page)
    page.locator(".gate-tabs [data-go=shift]").click()

    page.get_by_role("button", name="Đổi người").click()

    expect(page.locator("#problem")).to_contain_text("chưa có ai khác")


def test_who_was_removed_loses_the_phone_and_the_plate_stays_typed(
    city: RunningCity, new_page: OpenPage, place: StaffedLot
) -> None:
    page = an_enrolled_phone(city, new_page, place)
    hand_over(page, "Lan", HER_PIN)
    page.get_by_role("button", name="Mở ca").click()
    expect(page.locator("[data-screen=enter]")).to_be_visible()
    her_id = id_of(city, f"{place.attendant}.lan")
    boss = city.client_of("boss")
    boss.post(f"/v1/staff/{her_id}/pin", json={"pin": WRONG_PIN}).raise_for_status()
    type_plate(page, "29AA66666")
    page.wait_for_timeout(5_500)  # her token is out in every process

    page.get_by_role("button", name="Cho vào").click()

    expect(page.locator("#sheet h2")).to_have_text("PIN của Lan")
    expect(page.locator("#plate")).to_have_value("29AA 666.66")
    assert entries_of(city, place) == []
