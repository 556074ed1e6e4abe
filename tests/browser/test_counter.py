"""The vendor's counter in a real browser, with a real hub, a real bank app and real callbacks."""

import json

import pytest
from playwright.sync_api import Route, expect

from core.clock import read_clock
from core.ids import new_id
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import (
    at_the_counter,
    key,
    last_announced,
    make_code,
    pay_in_app,
    read_code,
    reference_of,
    sign_in_by_hand,
    wait_for_words,
    words_spoken,
)
from tests.world.running_city import RunningCity

pytestmark = pytest.mark.browser

# At the next load only: (name, text) for the page's session.
REMEMBER_ONCE = """
    if (!sessionStorage.isRemembered) {
        sessionStorage.isRemembered = "yes";
        sessionStorage.setItem(%s, %s);
    }
"""


def test_keyed_amount_is_scanned_paid_shown_green_and_spoken(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = at_the_counter(city, new_page, city.open_stall())
    expect(page.locator("#today")).to_contain_text("0\u00a0₫")

    key(page, "20")
    expect(page.locator("[data-words]")).to_have_text("hai mươi nghìn đồng")
    page.get_by_role("button", name="Tạo mã").click()
    page.locator("[data-state=open] .qr svg").wait_for()
    pay_in_app(city, new_page(), read_code(page))

    verdict = page.locator("#stage .verdict[data-status=paid]")
    verdict.wait_for()
    expect(verdict).to_contain_text("Đã nhận")
    expect(verdict.locator(".money")).to_have_text("20.000\u00a0₫")
    assert wait_for_words(page, "số tiền hai mươi nghìn đồng")
    heard = wait_for_words(page, "đã nhận hai mươi nghìn đồng")
    assert heard["chime"] == "success"
    assert heard["rms"] > 0.02  # measured on the way to the loudspeaker
    expect(page.locator("#today")).to_contain_text("20.000\u00a0₫")
    expect(page.locator("#today")).to_contain_text("1 khoản")

    page.get_by_role("link", name="Khách tiếp theo").click()
    page.locator("[data-keying]").wait_for()
    assert page.evaluate("speaker.state") == "ready"  # the next customer is heard too


def test_short_money_is_amber_and_asks_for_the_rest_with_a_new_code(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall()
    page = at_the_counter(city, new_page, stall)
    reference = make_code(page)

    city.transfer(stall, 15_000, reference)

    verdict = page.locator("#stage .verdict[data-status=part_paid]")
    verdict.wait_for()
    expect(verdict).to_contain_text("Thiếu tiền")
    expect(verdict).to_contain_text("Còn thiếu 5.000\u00a0₫")
    assert last_announced(page) == ("short", 15_000)
    page.locator("[data-code-vnd='5000'] .qr svg").wait_for()

    pay_in_app(city, new_page(), read_code(page))

    page.locator("#stage .verdict[data-status=paid]").wait_for()
    expect(page.locator("#stage")).to_contain_text("Đã đủ 20.000\u00a0₫")
    expect(page.locator("#today")).to_contain_text("20.000\u00a0₫")


def test_bill_paid_twice_says_so_and_counts_once(city: RunningCity, new_page: OpenPage) -> None:
    stall = city.open_stall()
    page = at_the_counter(city, new_page, stall)
    reference = make_code(page)
    city.transfer(stall, 20_000, reference)
    page.locator("#stage .verdict[data-status=paid]").wait_for()

    city.transfer(stall, 20_000, reference)

    verdict = page.locator("#stage .verdict[data-status=repeated]")
    verdict.wait_for()
    expect(verdict).to_contain_text("Trả hai lần")
    expect(verdict).to_contain_text("Trả lại khách")
    assert last_announced(page) == ("repeated", 20_000)
    expect(page.locator("#today")).to_contain_text("20.000\u00a0₫")


def test_expired_code_offers_a_new_one_and_the_old_ones_money_is_late(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall()
    page = at_the_counter(city, new_page, stall)
    reference = make_code(page)
    city.sql(
        "UPDATE bills SET created_at = now() - interval '5 min',"
        " expires_at = now() + interval '2 s' WHERE reference = %(reference)s",
        reference=reference,
    )
    page.reload()
    page.locator("[data-sound=unlock]").click()

    page.get_by_role("button", name="Tạo mã mới 20.000").click()  # waits for the ring's end

    page.locator("[data-state=open] .qr svg").wait_for()
    assert reference_of(page) != reference
    city.sql(  # banks tell whole seconds
        "UPDATE bills SET expires_at = expires_at - interval '1 min' WHERE reference = %(it)s",
        it=reference,
    )

    city.transfer(stall, 20_000, reference)

    strip = page.locator("#strip")  # the new code may be being scanned: it is not covered
    expect(strip).to_contain_text("Đã nhận, trả muộn")
    assert last_announced(page) == ("late", 20_000)
    assert page.locator("[data-state=open] .qr svg").is_visible()


def test_wrong_login_is_answered_in_plain_words(city: RunningCity, new_page: OpenPage) -> None:
    stall = city.open_stall()
    page = new_page(locale="vi-VN")

    sign_in_by_hand(city, page, stall.owner, "not the password")

    expect(page.get_by_role("alert")).to_contain_text("Sai tên đăng nhập hoặc mật khẩu.")
    expect(page.get_by_role("alert")).to_contain_text("khóa 15 phút")
    assert page.locator("#login").input_value() == stall.owner
    assert page.url.endswith("/login")


def test_every_device_of_the_stall_sees_and_hears_a_payment(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall()
    first = at_the_counter(city, new_page, stall)
    second = at_the_counter(city, new_page, stall)
    key(second, "7")
    reference = make_code(first)

    city.transfer(stall, 20_000, reference)

    first.locator("#stage .verdict[data-status=paid]").wait_for()
    second.locator("#news .verdict[data-status=paid]").wait_for()
    for page in (first, second):
        assert wait_for_words(page, "đã nhận hai mươi nghìn đồng")
        expect(page.locator("#today")).to_contain_text("20.000\u00a0₫")
    second.get_by_role("link", name="Khách tiếp theo").click()
    second.locator("#news").wait_for(state="hidden")


def test_payment_missed_while_the_hub_restarted_appears_once(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall()
    page = at_the_counter(city, new_page, stall)
    reference = make_code(page)
    page.get_by_role("link", name="Về bàn phím").click()
    page.locator("[data-keying]").wait_for()
    # Something was heard before, so that the stream has a place to go on from.
    city.transfer(stall, 3_000, "tien tra da")
    page.locator("#news .verdict").wait_for()
    page.keyboard.press("Escape")

    def refuse(route: Route) -> None:
        route.abort()

    page.route("**/counter/events*", refuse)  # the phone's network is slower than the hub
    city.stop_hub()
    expect(page.locator("#signal")).to_have_text("Mất kết nối")
    city.start_hub()
    city.transfer(stall, 20_000, reference)
    city.wait_for_credits(stall, 2)
    page.unroute("**/counter/events*", refuse)

    expect(page.locator("#signal")).to_have_text("Đã kết nối", timeout=30_000)
    expect(page.locator("#missed h2")).to_have_text("Lúc mất mạng có 1 khoản")
    expect(page.locator("#missed li")).to_contain_text("20.000\u00a0₫")
    assert wait_for_words(page, "đã nhận hai mươi nghìn đồng")
    expect(page.locator("#today")).to_contain_text("23.000\u00a0₫")
    assert words_spoken(page).count("đã nhận hai mươi nghìn đồng") == 1
    assert words_spoken(page).count("đã nhận ba nghìn đồng") == 1


def test_bill_on_the_screen_is_read_again_after_the_line_was_down(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall()
    page = at_the_counter(city, new_page, stall)
    reference = make_code(page)

    city.stop_hub()
    city.start_hub()
    city.transfer(stall, 20_000, reference)

    page.locator("#stage .verdict[data-status=paid]").wait_for(timeout=30_000)
    expect(page.locator("#today")).to_contain_text("20.000\u00a0₫")


def test_lost_callback_is_found_by_asking_the_bank(city: RunningCity, new_page: OpenPage) -> None:
    stall = city.open_stall()
    page = at_the_counter(city, new_page, stall)
    reference = make_code(page)
    page.get_by_role("button", name="Kiểm tra giao dịch").click()
    expect(page.get_by_role("alert").first).to_contain_text("Chưa thấy tiền cho khoản này.")
    profile = {"drop_percent": 100}
    subscriptions = city.sandbox.get("/control/subscriptions").json()["subscriptions"]
    faults = {"subscription": subscriptions[-1]["id"], "profile": profile}
    city.sandbox.post("/control/faults", json=faults).raise_for_status()
    city.transfer(stall, 20_000, reference)

    page.get_by_role("button", name="Kiểm tra giao dịch").click()

    page.locator("#stage .verdict[data-status=paid]").wait_for(timeout=5_000)


def test_counter_that_is_told_to_reload_begins_anew_and_does_so_once(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = at_the_counter(city, new_page, city.open_stall())
    heard = str(new_id())
    stored = json.dumps({"seen": [heard], "since": 0})
    name = page.evaluate("`phopay.counter.${counter.dataset.events}`")
    # Between two pages: the one that is left keeps what it receives until its end.
    page.add_init_script(REMEMBER_ONCE % (json.dumps(name), json.dumps(stored)))
    told = []

    def answer(route: Route) -> None:
        # A new account's news reopens the stream with an id of its own: only the old one counts.
        if heard not in route.request.url:
            route.continue_()
            return
        told.append(route.request.url)
        now = json.dumps({"now": read_clock().isoformat()})
        tick = f"id: {heard}\nevent: tick\ndata: {now}\n\n"  # it is not kept
        body = f"retry: 60000\nevent: reload\ndata: {{}}\n\n{tick}"
        route.fulfill(content_type="text/event-stream", body=body)

    page.route("**/counter/events*", answer)
    with page.expect_request(lambda one: "/counter/events" in one.url and heard not in one.url):
        page.reload()

    expect(page.locator("#signal")).to_have_attribute("data-live", "yes")
    page.wait_for_timeout(1_000)
    expect(page.locator("#signal")).to_have_attribute("data-live", "yes")
    assert len(told) == 1


def test_silent_counter_that_is_opened_again_reads_on_from_where_it_was(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = at_the_counter(city, new_page, city.open_stall())
    heard_to = str(new_id())
    opened = []

    def answer(route: Route) -> None:
        opened.append(route.request.url)
        body = f"retry: 60000\nid: {heard_to}\nevent: tick\ndata: {{}}\n\n"
        route.fulfill(content_type="text/event-stream", body=body)

    page.route("**/counter/events*", answer)
    page.reload()
    page.wait_for_function(
        "id => Object.values(sessionStorage).some((kept) => kept.includes(id))", arg=heard_to
    )
    assert heard_to not in opened[0]

    with page.expect_request(lambda one: f"last_event_id={heard_to}" in one.url):
        page.reload()

    expect(page.locator("#stage [data-keying]")).to_be_visible()


def test_changed_account_opens_a_stream_that_receives_the_new_one(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = at_the_counter(city, new_page, city.open_stall())
    opened = []

    def answer(route: Route) -> None:
        opened.append(route.request.url)
        if len(opened) > 1:
            route.continue_()
            return
        # The browser's own next try is a minute away.
        body = f"retry: 60000\nid: {new_id()}\nevent: account.changed\ndata: {{}}\n\n"
        route.fulfill(content_type="text/event-stream", body=body)

    page.route("**/counter/events*", answer)
    page.reload()

    expect(page.locator("#signal")).to_have_attribute("data-live", "yes")
    assert len(opened) == 2
