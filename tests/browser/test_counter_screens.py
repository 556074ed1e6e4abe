"""The counter's screens one by one: readable by everybody, on a phone, also without scripts."""

import json
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from identity.people.rules import Role
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import at_the_counter, key, make_code, sign_in, sign_in_by_hand
from tests.world.running_city import RunningCity, StaffedStall

pytestmark = pytest.mark.browser

PICTURES = Path(__file__).parents[2] / "docs/pictures"
PICTURE_BYTES_MAX = 150_000
AMOUNTS = Path(__file__).parents[1] / "data/counter_amounts.json"
CASES = json.loads(AMOUNTS.read_text("utf-8"))["cases"]


def quiet_counter(
    city: RunningCity, new_page: OpenPage, stall: StaffedStall, **options: object
) -> Page:
    """Open a vendor's phone whose speaker nobody has turned on."""
    page = new_page(**{"locale": "vi-VN", **options})
    sign_in(city, page, stall.owner)
    page.locator("#signal[data-live=yes]").wait_for()
    return page


def judge(page: Page) -> None:
    """Fail for what axe finds by day and by night, and for a page that must be pushed sideways."""
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no half-way colours
        report = Axe().run(page)
        assert report.violations_count == 0, report.generate_report()
    width = page.evaluate("document.documentElement.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_screen_is_accessible_on_a_phone(city: RunningCity, new_page: OpenPage) -> None:
    stall = city.open_stall(is_seen=False)
    page = new_page(locale="vi-VN")
    for path in ("/login", "/setup"):
        page.goto(f"{city.url}{path}")
        judge(page)
    sign_in_by_hand(city, page, stall.owner)
    page.locator("#signal[data-live=yes]").wait_for()
    judge(page)  # the keypad, under the news that the account has changed
    reference = make_code(page)
    judge(page)
    city.transfer(stall, 15_000, reference)
    page.locator("#stage .verdict[data-status=part_paid]").wait_for()
    page.locator("[data-code-vnd='5000']").wait_for()
    judge(page)
    city.transfer(stall, 5_000, reference)
    page.locator("#stage .verdict[data-status=paid]").wait_for()
    judge(page)
    city.transfer(stall, 70_000, "<b>tien an sang</b>")
    page.locator("#news .verdict").wait_for()
    judge(page)
    for path in ("/counter/sales", "/counter/code"):
        page.goto(f"{city.url}{path}")
        judge(page)


def test_keypad_and_hub_read_an_entry_alike(city: RunningCity, new_page: OpenPage) -> None:
    page = new_page()
    page.goto(f"{city.url}/login")
    entries = [typed for typed, _, _ in CASES]

    read = page.evaluate(
        """async (entries) => {
            const { readAmount } = await import("/static/js/counter_keypad.js");
            const both = (one) => [readAmount(one), readAmount(one, true)];
            return entries.map((one) => both(one).map((vnd) => (Number.isNaN(vnd) ? null : vnd)));
        }""",
        entries,
    )

    assert [list(one) for one in zip(entries, *zip(*read, strict=True), strict=True)] == CASES


def test_twenty_means_twenty_thousand_until_the_vendor_says_otherwise(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = quiet_counter(city, new_page, city.open_stall())

    key(page, "20")
    expect(page.locator("[data-amount]")).to_have_text("20.000\u00a0₫")
    page.get_by_role("button", name="Đổi thành 20").click()
    expect(page.locator("[data-amount]")).to_have_text("20\u00a0₫")
    expect(page.locator("[data-words]")).to_have_text("hai mươi đồng")
    page.get_by_role("button", name="Tạo mã").click()

    expect(page.locator("[data-state=open] .money").first).to_have_text("20\u00a0₫")


def test_usual_amount_is_a_code_in_two_taps(city: RunningCity, new_page: OpenPage) -> None:
    page = quiet_counter(city, new_page, city.open_stall())

    page.get_by_role("button", name="50.000").click()
    page.get_by_role("button", name="Tạo mã").click()

    expect(page.locator("[data-state=open] .money").first).to_have_text("50.000\u00a0₫")


def test_key_is_pressed_though_the_screen_is_loaded_again_under_the_finger(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = quiet_counter(city, new_page, city.open_stall())
    key_50 = page.get_by_role("button", name="50.000")
    key_50.hover()
    page.mouse.down()
    with page.expect_response("**/counter") as answer:
        page.evaluate("document.dispatchEvent(new Event('phopay:expired'))")
    answer.value.finished()
    page.locator("#counter:not([aria-busy])").wait_for()
    page.mouse.up()

    expect(page.locator("[data-amount]")).to_have_text("50.000\u00a0₫")


def test_shared_money_is_taken_by_one_stall_and_goes_from_the_other(
    city: RunningCity, new_page: OpenPage
) -> None:
    one = city.open_stall()
    other = city.open_stall(sharing=one)
    first, second = (quiet_counter(city, new_page, stall) for stall in (one, other))

    city.transfer(one, 35_000, "tien rau")
    for page in (first, second):
        page.locator("#news").get_by_role("button", name="Tiền của tôi").wait_for()
    first.locator("#news").get_by_role("button", name="Tiền của tôi").click()

    expect(first.locator("#today")).to_contain_text("35.000\u00a0₫")
    second.locator("#news").wait_for(state="hidden")
    expect(second.locator("#today")).to_contain_text("0\u00a0₫")
    second.get_by_role("link", name="Hôm nay").last.click()
    expect(second.locator("#stage")).to_contain_text("Hôm nay chưa có khoản nào")


def test_customer_who_wrote_another_memo_is_found_by_asking_the_vendor(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall()
    page = quiet_counter(city, new_page, stall)
    make_code(page, "41")
    page.get_by_role("link", name="Về bàn phím").click()
    page.locator("[data-keying]").wait_for()

    city.transfer(stall, 41_000, "chuyen tien")
    expect(page.locator("#news h2")).to_have_text("Của khách này?")
    page.get_by_role("button", name="Đúng, khách này").click()

    page.locator("#stage .verdict[data-status=paid]").wait_for()
    expect(page.locator("#today")).to_contain_text("41.000\u00a0₫")
    expect(page.locator("#today")).to_contain_text("1 khoản")


def test_family_money_goes_out_of_the_total_and_comes_back(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall()
    page = quiet_counter(city, new_page, stall)
    page.goto(f"{city.url}/counter/sales")
    city.transfer(stall, 500_000, "me gui")
    page.locator("#news .verdict").wait_for()
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Không phải tiền hàng").click()
    expect(page.locator("#today")).to_have_text("0\u00a0₫ · 0 khoản")
    page.get_by_role("button", name="Là tiền hàng").click()

    expect(page.locator("#today")).to_have_text("500.000\u00a0₫ · 1 khoản")


def test_changed_account_is_shown_until_the_owner_says_seen(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall(is_seen=False)
    cashier = new_page(locale="vi-VN")
    sign_in(city, cashier, stall.cashier)
    page = quiet_counter(city, new_page, stall)

    page.locator("#banner summary").click()
    city.transfer(stall, 5_000, "tra da")  # the page looks again for what is new
    expect(page.locator("#today")).to_contain_text("5.000")
    page.evaluate("document.dispatchEvent(new CustomEvent('phopay:expired'))")
    page.wait_for_load_state("networkidle")
    page.get_by_role("button", name="Tôi đã thấy").click()

    expect(page.locator("#banner .notice")).to_have_count(0)


def test_counter_works_without_scripts(city: RunningCity, new_page: OpenPage) -> None:
    stall = city.open_stall()
    page = new_page(locale="vi-VN", java_script_enabled=False)
    sign_in_by_hand(city, page, stall.owner)

    page.locator("#amount").fill("25")
    page.get_by_role("button", name="Tạo mã").click()
    expect(page.locator(".bill .money").first).to_have_text("25.000\u00a0₫")
    assert page.locator(".qr svg").is_visible()
    page.locator(".bill-more summary").click()
    page.get_by_role("button", name="Hủy khoản").click()

    expect(page.locator("#stage")).to_contain_text("Khoản này đã hủy")


def test_manager_chooses_a_stall_and_stays_at_it(city: RunningCity, new_page: OpenPage) -> None:
    stall = city.open_stall()
    city.employ("manager.one", Role.MANAGER)
    page = new_page(locale="vi-VN")
    sign_in(city, page, "manager.one")
    page.goto(f"{city.url}/counter")

    page.locator(f"a[href='/counter?payee={stall.payee_id}']").click()
    page.locator("#signal[data-live=yes]").wait_for()
    make_code(page, "20")
    page.get_by_role("link", name="Mã của quầy").click()

    expect(page.locator(".poster")).to_contain_text("Quét để trả tiền")
    assert f"payee={stall.payee_id}" in page.url


def test_english_counter_has_english_words(city: RunningCity, new_page: OpenPage) -> None:
    page = new_page(locale="en-GB")
    sign_in(city, page, city.open_stall().owner)

    page.get_by_role("button", name="Show code").wait_for()
    expect(page.locator("#signal")).to_have_text("Connected")


def test_pictures_of_the_readme_can_be_made_again(city: RunningCity, new_page: OpenPage) -> None:
    stall = city.open_stall()
    city.sql("UPDATE payees SET name = 'Bánh cuốn nóng' WHERE id = %(id)s", id=stall.payee_id)
    page = at_the_counter(city, new_page, stall)
    reference = make_code(page, "20")
    page.locator(".qr svg").wait_for()
    keep_picture(page, "counter-code.png")

    city.transfer(stall, 20_000, reference)
    page.locator("#stage .verdict[data-status=paid]").wait_for()
    page.wait_for_timeout(500)  # the tick has arrived
    keep_picture(page, "counter-paid.png")


def keep_picture(page: Page, name: str) -> None:
    """Write a picture of the README if it was deleted: that is how to make it anew."""
    page.evaluate("document.fonts.ready")
    taken = page.screenshot()
    assert len(taken) <= PICTURE_BYTES_MAX
    path = PICTURES / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(taken)
    with Image.open(path) as kept:
        assert kept.size == (390, 844)
