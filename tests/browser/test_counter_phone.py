"""The counter in what a phone's browser leaves of the screen, and under a keyboard."""

import pytest
from playwright.sync_api import FloatRect, Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import key, make_code, sign_in
from tests.world.running_city import RunningCity, StaffedStall

pytestmark = pytest.mark.browser

SIZES = [(360, 640), (390, 664)]


def open_counter(
    city: RunningCity, new_page: OpenPage, stall: StaffedStall, width: int = 360, height: int = 640
) -> Page:
    page = new_page(width, height, locale="vi-VN")
    sign_in(city, page, stall.owner)
    page.locator("#signal[data-live=yes]").wait_for()
    return page


def is_seen_whole(page: Page, part: Locator) -> bool:
    """Whether all of it lies between the bar and the tabs of the first screen."""
    page.evaluate("scrollTo(0, 0)")
    bar, tabs = box_of(page.locator(".counter-bar")), box_of(page.locator(".tabs-bar"))
    box = box_of(part)
    is_below_bar = box["y"] >= bar["y"] + bar["height"]
    return is_below_bar and box["y"] + box["height"] <= tabs["y"]


def box_of(part: Locator) -> FloatRect:
    box = part.bounding_box()
    assert box is not None
    return box


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("is_all_said", [True, False])
def test_keys_and_whole_code_are_on_the_first_screen(
    city: RunningCity, new_page: OpenPage, width: int, height: int, is_all_said: bool
) -> None:
    """With the speaker off and news of the account above, and without."""
    page = open_counter(city, new_page, city.open_stall(is_seen=not is_all_said), width, height)
    if not is_all_said:
        page.locator("[data-sound=unlock]").click()
        page.locator(".speaker-off").first.wait_for(state="hidden")
    assert page.locator("#banner summary").count() == int(is_all_said)
    assert box_of(page.locator(".counter-bar"))["height"] <= 48

    key(page, "45")
    for part in (".amount-display", ".amount-words", ".quick", ".keypad", ".keying-send .btn-tall"):
        assert is_seen_whole(page, page.locator(part)), part
    for one in page.locator(".keypad .key").all():
        assert box_of(one)["height"] >= 44
    make_code(page, "")
    assert is_seen_whole(page, page.locator(".bill .qr"))
    assert is_seen_whole(page, page.locator(".bill-amount .money"))
    assert box_of(page.locator(".bill .qr svg"))["width"] >= 250
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("where", ["amount", "note", "key"])
def test_enter_makes_the_code_of_the_amount_that_is_shown(
    city: RunningCity, new_page: OpenPage, where: str
) -> None:
    page = open_counter(city, new_page, city.open_stall())
    key(page, "45")
    if where == "note":
        page.locator(".keying-note summary").click()
        page.locator("#note").fill("bàn 3")
    elif where == "amount":
        page.locator("#amount").focus()

    page.keyboard.press("Enter")

    expect(page.locator("[data-state=open] .money").first).to_have_text("45.000\u00a0₫")


def test_enter_without_an_amount_does_nothing(city: RunningCity, new_page: OpenPage) -> None:
    page = open_counter(city, new_page, city.open_stall())
    page.locator("#amount").focus()

    page.keyboard.press("Enter")

    page.wait_for_timeout(300)
    expect(page.locator("[data-amount]")).to_have_text("0\u00a0₫")
    assert page.locator("[data-keying]").count() == 1


@pytest.mark.parametrize("where", ["#amount", "#note"])
def test_enter_without_scripts_opens_the_typed_amount(
    city: RunningCity, new_page: OpenPage, where: str
) -> None:
    page = new_page(360, 640, locale="vi-VN", java_script_enabled=False)
    sign_in(city, page, city.open_stall().owner)
    page.locator("#amount").fill("45")
    page.locator(".keying-note summary").click()
    page.locator(where).press("Enter")

    expect(page.locator(".bill .money").first).to_have_text("45.000\u00a0₫")


def test_keyboard_types_an_amount_wherever_the_focus_is(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = open_counter(city, new_page, city.open_stall())

    page.keyboard.type("125")
    page.keyboard.press("Backspace")

    expect(page.locator("[data-amount]")).to_have_text("12.000\u00a0₫")


@pytest.mark.parametrize("pasted", ["20000.00", "20.5", "20,000.00", "1tr", "12.34.56", "1e3"])
def test_what_groups_nothing_is_refused_and_never_multiplied(
    city: RunningCity, new_page: OpenPage, pasted: str
) -> None:
    page = open_counter(city, new_page, city.open_stall())

    page.locator("#amount").fill(pasted)

    expect(page.locator("[data-words]")).to_contain_text("Số tiền chưa đúng")
    expect(page.locator("[data-amount]")).to_contain_text(pasted)
    expect(page.get_by_role("button", name="Tạo mã")).to_be_disabled()


def test_payment_that_comes_while_an_amount_is_keyed_does_not_wipe_it(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall()
    page = open_counter(city, new_page, stall)
    key(page, "45")
    city.transfer(stall, 7_000, "tra da")
    page.locator("#news .verdict").wait_for()

    page.get_by_role("link", name="Khách tiếp theo").click()

    page.locator("#news").wait_for(state="hidden")
    page.wait_for_timeout(500)  # a screen that was asked for would be here
    expect(page.locator("[data-amount]")).to_have_text("45.000\u00a0₫")


def test_new_owner_gets_past_the_news_of_their_first_account(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall(is_seen=False)
    before_all_logins = (
        "UPDATE payee_accounts SET proposed_at = '2020-01-01' WHERE payee_id = %(id)s"
    )
    city.sql(before_all_logins, id=stall.payee_id)
    page = open_counter(city, new_page, stall)
    expect(page.locator("#banner summary")).to_contain_text("Tiền của quầy vào")
    page.locator("#banner summary").click()
    expect(page.locator("#banner")).to_contain_text("chưa tính là xác nhận của quầy")

    page.get_by_role("button", name="Tôi đã thấy").click()

    expect(page.locator("#banner details")).to_have_count(0)
    assert page.get_by_role("alert").count() == 0


def test_person_finds_their_password_and_the_way_out_in_the_menu(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = open_counter(city, new_page, city.open_stall())
    page.locator(".corner-menu summary").click()
    page.get_by_role("link", name="Mật khẩu của tôi").click()
    page.get_by_label("Mật khẩu đang dùng").fill("bún chả Hàng Mành")
    page.get_by_label("Mật khẩu mới").fill("phở gà phố Quán Thánh")
    page.get_by_role("button", name="Đổi mật khẩu").click()
    expect(page.get_by_role("status")).to_contain_text("Đã đổi mật khẩu.")

    page.get_by_role("link", name="Về màn hình chính").click()
    page.locator(".corner-menu summary").click()
    page.get_by_role("button", name="Đăng xuất").click()

    page.wait_for_url("**/login")
