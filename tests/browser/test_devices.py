"""Phones at a gate: enrolled from a manager's screen, with a key that never leaves them."""

import re
from base64 import b64decode
from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
import zxingcpp
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, Route, expect

from core.clock import read_clock
from core.db import Database
from identity.devices.signatures import verify_movement
from identity.people.rules import Role
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import sign_in
from tests.browser.gate_steps import use_own_network
from tests.world.lots import LotFacts, a_lot
from tests.world.running_city import RunningCity

pytestmark = pytest.mark.browser
PIN = "739204"
IMPORT = "const device = await import('/static/js/device.js');"


@pytest.fixture(scope="module", autouse=True)
def people(city: RunningCity) -> None:
    """One lot and an attendant, besides the manager."""

    async def add(database: Database) -> LotFacts:
        return await a_lot(database, org=city.org, now=read_clock())

    city.do(add)
    city.employ("tuan", Role.ATTENDANT)


def open_devices(city: RunningCity, new_page: OpenPage, **options: Any) -> Page:
    """Sign the manager in and open the page of phones."""
    boss = new_page(**{"width": 1280, "height": 900, "locale": "vi-VN", **options})
    sign_in(city, boss, "boss")
    boss.wait_for_url("**/manage")
    boss.goto(f"{city.url}/manage/devices")
    return boss


def make_code(boss: Page, name: str) -> str:
    """Make a code on the manager's page, and return it."""
    boss.locator("#name").fill(name)
    boss.get_by_role("button", name="Tạo mã gắn máy").click()
    return boss.locator("[data-code] [data-text]").inner_text()


def a_phone(city: RunningCity, new_page: OpenPage, **options: Any) -> Page:
    """Open the page that enrols, on a small phone."""
    phone = new_page(**{"width": 360, "height": 640, "locale": "vi-VN", **options})
    use_own_network(phone)
    phone.goto(f"{city.url}/gate/enrol")
    phone.locator("#enrol[data-ready=yes]").wait_for()
    return phone


def enrol(phone: Page, code: str) -> None:
    """Type a code and wait until the phone is a device."""
    phone.locator("#code").fill(code)
    phone.get_by_role("button", name="Gắn máy này").click()
    phone.locator("[data-step=done]").wait_for()


def read_qr(page: Page) -> str:
    """Read the QR on a page with another program than ours, as a camera would."""
    picture = Image.open(BytesIO(page.locator("[data-code] .qr").screenshot()))
    found = zxingcpp.read_barcodes(picture)
    assert len(found) == 1
    return str(found[0].text)


def check_accessible(page: Page) -> None:
    """Let axe look at a page."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_phone_is_enrolled_by_scanning_the_managers_screen(
    city: RunningCity, new_page: OpenPage
) -> None:
    boss = open_devices(city, new_page)
    code = make_code(boss, "Cổng chính")
    link = read_qr(boss)
    assert link == f"{city.url}/gate/enrol#{code}"
    check_accessible(boss)

    phone = new_page(width=360, height=640, locale="vi-VN")
    use_own_network(phone)
    phone.goto(link)
    phone.locator("#enrol[data-ready=yes]").wait_for()
    expect(phone.locator("#code")).to_have_value(code)
    assert "#" not in phone.url
    check_accessible(phone)
    phone.get_by_role("button", name="Gắn máy này").click()

    expect(phone.locator("[data-step=done]")).to_contain_text("Máy đã gắn vào bãi xe.")
    expect(phone.locator("[data-step=done]")).to_contain_text("Cổng chính")
    boss.goto(f"{city.url}/manage/devices")
    expect(boss.locator("table")).to_contain_text("Cổng chính")
    expect(boss.locator("table")).to_contain_text("Đúng giờ")


@pytest.mark.parametrize("width", [360, 1280])
def test_everything_fits_the_width_of_the_screen(
    city: RunningCity, new_page: OpenPage, width: int
) -> None:
    boss = open_devices(city, new_page, width=width, height=640 if width == 360 else 900)
    make_code(boss, "Máy ca đêm có tên rất dài ở cổng phía đường Trần Nhật Duật")
    phone = a_phone(city, new_page, width=width)
    for page in (boss, phone):
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_key_never_leaves_the_phone_and_outlives_a_reload(
    city: RunningCity, new_page: OpenPage
) -> None:
    phone = a_phone(city, new_page)
    enrol(phone, make_code(open_devices(city, new_page), "Khóa"))

    phone.reload()

    found = phone.evaluate(f"""async () => {{
        {IMPORT}
        const me = await device.findDevice();
        const opening = indexedDB.open("phopay-device");
        const shelf = await new Promise((done) => {{
            opening.onsuccess = () => done(opening.result);
        }});
        const keys = await new Promise((done) => {{
            const request = shelf.transaction("device").objectStore("device").get("keys");
            request.onsuccess = () => done(request.result);
        }});
        const refused = await Promise.all(["pkcs8", "jwk", "raw"].map((form) =>
            crypto.subtle.exportKey(form, keys.privateKey).then(() => "given", () => "refused")));
        return {{ refused, extractable: keys.privateKey.extractable, token: await me.token() }};
    }}""")
    assert found["refused"] == ["refused"] * 3
    assert found["extractable"] is False
    assert found["token"].startswith("dt_")


def test_a_movement_that_the_phone_signs_is_verified_by_the_hub(
    city: RunningCity, new_page: OpenPage
) -> None:
    phone = a_phone(city, new_page)
    enrol(phone, make_code(open_devices(city, new_page), "Ký"))
    movement = '{"plate":"29A1-234.56","at":"2026-11-28T07:00:00+07:00","chữ":"được"}'

    device_id, signature = phone.evaluate(
        f"""async (movement) => {{
        {IMPORT}
        const me = await device.findDevice();
        return [me.deviceId, await me.signMovement(new TextEncoder().encode(movement))];
    }}""",
        movement,
    )

    ((key,),) = city.sql("SELECT public_key FROM devices WHERE id = %(id)s", id=UUID(device_id))
    assert verify_movement(key, movement.encode(), b64decode(signature))
    assert not verify_movement(key, movement.upper().encode(), b64decode(signature))


def test_pages_of_one_phone_take_turns_in_asking_for_a_token(
    city: RunningCity, new_page: OpenPage
) -> None:
    """A later challenge ends an earlier one: of two renewals at once one was refused."""
    phone = a_phone(city, new_page)
    enrol(phone, make_code(open_devices(city, new_page), "Hai trang"))
    other = phone.context.new_page()
    other.goto(phone.url)
    pages = (phone, other)
    for page in pages:
        page.evaluate(f"""() => {{
            globalThis.renewing = (async () => {{
                {IMPORT}
                const codes = [];
                for (let round = 0; round < 5; round += 1) {{
                    const me = await device.findDevice();
                    me.forgetToken();
                    const again = await device.findDevice();
                    await Promise.all([me, again].map((one) => one.token()))
                        .catch((error) => codes.push(error.code));
                }}
                return codes;
            }})();
        }}""")
    assert [page.evaluate("globalThis.renewing") for page in pages] == [[], []]


def test_an_answer_that_is_lost_makes_no_second_device(
    city: RunningCity, new_page: OpenPage
) -> None:
    phone = a_phone(city, new_page)
    code = make_code(open_devices(city, new_page), "Mất sóng")
    answers = []

    def lose_the_first(route: Route) -> None:
        answers.append(route.fetch())
        if len(answers) == 1:
            route.abort()
        else:
            route.fulfill(response=answers[-1])

    phone.route("**/v1/devices/enrol", lose_the_first)
    phone.locator("#code").fill(code)
    phone.get_by_role("button", name="Gắn máy này").click()
    expect(phone.locator("[data-error=no_answer]")).to_be_visible()
    phone.get_by_role("button", name="Gắn máy này").click()
    phone.locator("[data-step=done]").wait_for()

    assert len(answers) == 2
    query = "SELECT count(*) FROM devices WHERE org_id = %(org)s AND name = 'Mất sóng'"
    assert city.sql(query, org=city.org.id) == [(1,)]


@pytest.mark.parametrize("behind", [timedelta(hours=7), -timedelta(hours=7)])
def test_a_clock_that_is_hours_off_enrols_and_is_shown_to_the_manager(
    city: RunningCity, new_page: OpenPage, behind: timedelta
) -> None:
    phone = new_page(width=360, height=640, locale="vi-VN")
    phone.clock.install(time=read_clock() - behind)
    use_own_network(phone)
    phone.goto(f"{city.url}/gate/enrol")
    phone.locator("#enrol[data-ready=yes]").wait_for()
    boss = open_devices(city, new_page)
    name = f"Đồng hồ {behind // timedelta(hours=1)}"
    enrol(phone, make_code(boss, name))

    offset_ms = phone.evaluate(f"""async () => {{
        {IMPORT}
        const me = await device.findDevice();
        await me.token();
        return me.offsetMs;
    }}""")

    assert abs(timedelta(milliseconds=offset_ms) - behind) < timedelta(minutes=1)
    boss.goto(f"{city.url}/manage/devices")
    words = "Chậm" if behind > timedelta(0) else "Nhanh"
    expect(boss.locator("tr", has_text=name)).to_contain_text(re.compile(rf"{words} [67] giờ"))


def test_a_person_is_named_by_a_pin_that_the_manager_set(
    city: RunningCity, new_page: OpenPage
) -> None:
    boss = open_devices(city, new_page)
    tuan = boss.locator("li[data-person=Tuan]")
    tuan.locator("summary").click()
    tuan.locator("input[name=pin]").fill("123456")
    tuan.get_by_role("button").click()
    expect(boss.locator("li[data-person=Tuan]")).to_contain_text("quá dễ đoán")
    tuan.locator("input[name=pin]").fill(PIN)
    tuan.get_by_role("button").click()
    expect(boss.locator("li[data-person=Tuan]")).to_contain_text("Đã có PIN")

    phone = a_phone(city, new_page)
    enrol(phone, make_code(boss, "Nhận ca"))
    said = phone.evaluate(
        f"""async (pin) => {{
        {IMPORT}
        const me = await device.findDevice();
        const who = (await me.listPeople()).find((one) => one.has_pin);
        const wrong = await me.namePerson(who.staff_id, "582917").catch((error) => error.code);
        const made = await me.namePerson(who.staff_id, pin);
        const after = await me.forgetPerson();
        return [wrong, made.staff_name, after.staff_id];
    }}""",
        PIN,
    )
    assert said == ["pin_not_right", "Tuan", None]


def test_a_revoked_phone_learns_it_from_the_hub(city: RunningCity, new_page: OpenPage) -> None:
    boss = open_devices(city, new_page)
    phone = a_phone(city, new_page)
    enrol(phone, make_code(boss, "Bị mất"))
    boss.goto(f"{city.url}/manage/devices")
    row = boss.locator("tr", has_text="Bị mất")
    row.locator("summary").click()
    row.get_by_role("button", name="Thu hồi").click()
    expect(boss.locator("tr", has_text="Bị mất")).to_contain_text("Đã thu hồi")

    said = phone.evaluate(f"""async () => {{
        {IMPORT}
        const me = await device.findDevice();
        me.forgetToken();
        const said = await me.said();
        const refused = await me.listPeople().catch((error) => error.code);
        return [said.is_queue_only, refused];
    }}""")
    assert said == [True, "device_revoked"]


@pytest.mark.parametrize("code", ["", "abc", "{org}-2222-2222"])
def test_a_wrong_code_says_what_to_do(city: RunningCity, new_page: OpenPage, code: str) -> None:
    phone = a_phone(city, new_page)
    phone.locator("#code").fill(code.format(org=city.org.code))
    phone.get_by_role("button", name="Gắn máy này").click()

    expect(phone.locator("[data-error=enrolment_code_not_valid]")).to_be_visible()
    expect(phone.locator("#code")).to_be_focused()


def test_a_browser_that_cannot_keep_a_key_says_so(city: RunningCity, new_page: OpenPage) -> None:
    """As on plain http in a lot's network: there is no Web Crypto."""
    phone = new_page(width=360, height=640, locale="vi-VN")
    phone.add_init_script(
        "Object.defineProperty(globalThis, 'isSecureContext', { get: () => false })"
    )
    phone.goto(f"{city.url}/gate/enrol")

    expect(phone.locator("[data-step=cannot]")).to_be_visible()
    expect(phone.locator("[data-step=code]")).to_be_hidden()
