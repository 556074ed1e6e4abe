"""A stall on payOS in a real browser: from the keyed amount to the voice, and what goes wrong."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import (
    at_the_counter,
    key,
    pay_in_app,
    read_code,
    reference_of,
    wait_for_words,
)
from tests.browser.payos_stall import count_orders, fail, open_payos_stall, subscription_of
from tests.browser.test_counter_phone import is_seen_whole
from tests.world.running_city import RunningCity, StaffedStall
from tests.world.waits import wait_until

pytestmark = pytest.mark.browser


def at_phone(city: RunningCity, new_page: OpenPage, stall: StaffedStall) -> Page:
    return at_the_counter(city, new_page, stall, width=360, height=640)


def press_make_code(page: Page, digits: str = "20") -> None:
    key(page, digits)
    page.get_by_role("button", name="Tạo mã").click()


def test_a_code_of_payos_is_scanned_paid_reported_shown_and_spoken(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = at_phone(city, new_page, open_payos_stall(city))
    press_make_code(page)
    page.locator("[data-state=open] .qr svg").wait_for()
    assert is_seen_whole(page, page.locator(".bill .qr"))
    assert is_seen_whole(page, page.locator(".bill-amount .money"))
    expect(page.locator(".fact", has_text="Qua")).to_contain_text("payOS")
    expect(page.locator(".fact", has_text="Tài khoản")).to_contain_text("VQRQ")
    assert wait_for_words(page, "số tiền hai mươi nghìn đồng")

    pay_in_app(city, new_page(), read_code(page))

    verdict = page.locator("#stage .verdict[data-status=paid]")
    verdict.wait_for()
    expect(verdict.locator(".money")).to_have_text("20.000\u00a0₫")
    assert wait_for_words(page, "đã nhận hai mươi nghìn đồng")
    expect(page.locator("#today")).to_contain_text("20.000\u00a0₫")


def test_a_part_paid_bill_shows_the_second_code_on_the_first_screen(
    city: RunningCity, new_page: OpenPage
) -> None:
    page = at_phone(city, new_page, open_payos_stall(city))
    press_make_code(page)
    page.locator("[data-state=open] .qr svg").wait_for()
    number = page.locator(".fact", has_text="Tài khoản").locator("dd").inner_text().split()[-1]
    body = {"bin": "970422", "number": number, "amount_vnd": 15_000, "memo": "tra"}
    city.sandbox.post("/control/transfer", json=body).raise_for_status()

    page.locator("[data-code-vnd='5000'] .qr svg").wait_for()

    for part in (".verdict", ".verdict-line", ".bill-amount .money", ".bill .qr"):
        assert is_seen_whole(page, page.locator(part).first), part
    box = page.locator(".bill .qr svg").bounding_box()
    assert box is not None
    assert box["width"] >= 220
    pay_in_app(city, new_page(), read_code(page))
    page.locator("#stage .verdict[data-status=paid]").wait_for()


def test_a_double_tap_on_a_slow_payos_makes_one_order_whose_code_comes_by_itself(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = open_payos_stall(city)
    page = at_phone(city, new_page, stall)
    before = count_orders(city)
    fail(city, stall, api_slow_ms=3_500, api_calls_left=1)
    key(page, "20")
    page.get_by_role("button", name="Tạo mã").dblclick()

    making = page.locator(".bill-making")
    making.wait_for()
    expect(making).to_contain_text("Đang gọi payOS")
    expect(making.locator(".time-ring")).to_be_visible()
    assert page.locator(".qr").count() == 0
    page.locator("[data-state=open] .qr svg").wait_for()

    assert count_orders(city) == before + 1
    assert wait_for_words(page, "số tiền hai mươi nghìn đồng")  # when there is a code to scan


def test_a_lost_answer_is_looked_up_and_no_code_is_shown_meanwhile(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = open_payos_stall(city)
    page = at_phone(city, new_page, stall)
    fail(city, stall, api_fault="error_after", api_calls_left=1)
    press_make_code(page)

    expect(page.locator(".bill-making")).to_contain_text("Chưa rõ payOS đã tạo mã hay chưa")
    expect(page.locator(".bill-making")).to_contain_text("Đang tra cứu ở payOS")
    assert page.locator(".qr").count() == 0
    assert is_seen_whole(page, page.get_by_role("button", name="Hủy khoản này"))
    due = """
        UPDATE rail_requests SET next_attempt_at = now()
        WHERE org_id = %(org)s AND status = %(was)s"""
    city.sql(due, org=city.org.id, was="unknown")
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.get_by_role("button", name="Kiểm tra giao dịch").click()  # as the worker does
    wait_until(lambda: city.sql(f"{due} RETURNING 1", org=city.org.id, was="pending"))
    page.locator("#counter:not([aria-busy])").wait_for()
    page.get_by_role("button", name="Kiểm tra giao dịch").click()

    page.locator("[data-state=open] .qr svg").wait_for()


def test_a_refused_bill_is_tried_again_or_paid_by_the_accounts_own_code(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = open_payos_stall(city)
    page = at_phone(city, new_page, stall)
    merchant: dict[str, Any] = subscription_of(city, stall)
    city.sandbox.delete(f"/control/subscriptions/{merchant['id']}")
    press_make_code(page)

    alert = page.get_by_role("alert").filter(has_text="payOS không tạo được mã")
    alert.wait_for()
    assert is_seen_whole(page, page.get_by_role("button", name="Thử lại với payOS"))
    page.get_by_role("button", name="Thử lại với payOS").click()
    page.wait_for_timeout(1_000)
    alert.wait_for()
    page.get_by_role("button", name="Dùng mã VietQR của tài khoản").click()

    page.locator("[data-state=open] .qr svg").wait_for()
    expect(page.locator("#stage")).to_contain_text("Hệ thống không nghe được tiền của mã này.")
    assert is_seen_whole(page, page.locator(".bill .qr"))
    expect(page.locator(".fact", has_text="Tài khoản")).to_contain_text(stall.account_number)


def test_news_that_comes_while_a_press_is_on_its_way_does_not_drop_its_answer(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = open_payos_stall(city)
    page = at_phone(city, new_page, stall)
    merchant = subscription_of(city, stall)
    city.sandbox.delete(f"/control/subscriptions/{merchant['id']}")
    press_make_code(page)
    direct = page.get_by_role("button", name="Dùng mã VietQR của tài khoản")
    direct.wait_for()
    reference_before = page.url

    page.evaluate(
        """() => {
            document.querySelector("form[action*='/direct'] button").click();
            document.dispatchEvent(new CustomEvent("phopay:expired"));
        }"""
    )

    page.locator("[data-state=open] .qr svg").wait_for()
    assert page.url != reference_before
    assert reference_of(page)


def test_cash_recorded_by_mistake_is_taken_back_on_the_phone(
    city: RunningCity, new_page: OpenPage
) -> None:
    stall = city.open_stall()
    page = at_phone(city, new_page, stall)
    press_make_code(page)
    page.locator("[data-state=open] .qr svg").wait_for()
    city.transfer(stall, 15_000, reference_of(page))
    page.locator("[data-code-vnd='5000'] .qr svg").wait_for()
    page.locator("[data-cash] summary").click()
    page.get_by_role("button", name="Đã nhận 5.000").click()
    expect(page.locator("#today")).to_contain_text("20.000\u00a0₫")

    page.locator("[data-cash-back] summary").click()
    page.get_by_role("button", name="Chưa nhận 5.000").click()

    page.locator("[data-code-vnd='5000'] .qr svg").wait_for()
    expect(page.locator("#today")).to_contain_text("15.000\u00a0₫")
