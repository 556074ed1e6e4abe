"""Codes that the phone draws without a network: paid meanwhile, and confirmed after the flush."""

import re

import pytest
from playwright.sync_api import Page, expect

from payments.bills.references import check_reference, make_reference
from payments.vietqr import bill_codes, parse
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import pay_in_app, read_code
from tests.browser.gate_steps import at_the_gate, enter, find, wait_for_yes
from tests.browser.test_gate_offline import SENT_WITHIN_MS, an_enrolled_phone, go_offline
from tests.payments.vietqr.vietqr_vectors import VALID
from tests.world.constants import MB
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot
from tests.world.waits import wait_until

pytestmark = pytest.mark.browser

LEFT_OF_BLOCK = """async () => {
    const { readFact } = await import('/static/js/gate_store.js');
    return ((await readFact('references'))?.blocks ?? []).map((one) => one.references.length);
}"""


def a_phone_with_a_block(city: RunningCity, new_page: OpenPage, place: StaffedLot) -> Page:
    page = an_enrolled_phone(city, new_page, place)
    wait_for_yes(page, f"async () => (await ({LEFT_OF_BLOCK})())[0] === 200")
    return page


def a_vehicle_inside(page: Page, plate: str) -> None:
    enter(page, plate)
    wait_for_yes(
        page, "async (tail) => (await gate.offline.find(tail)).stays.length", arg=plate[-3:]
    )
    wait_for_yes(page, "async () => gate.offline.posted.rates")


def draw_code(page: Page, digits: str) -> str:
    """Open a vehicle without a network, and read the code that is drawn for it."""
    find(page, digits)
    page.locator(".gate-found").click()
    page.locator("[data-screen=stay] [data-action=qr]").click()
    expect(page.locator("[data-screen=code]")).to_contain_text("Chưa xác nhận – chờ mạng")
    return read_code(page)


def test_a_code_drawn_without_network_is_confirmed_after_the_flush(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = a_phone_with_a_block(city, new_page, place)
    a_vehicle_inside(page, "29AA77777")
    go_offline(page)

    payload = draw_code(page, "777")

    code = parse(payload)
    reference = code.additional.purpose if code.additional else None
    assert reference is not None
    assert check_reference(reference)
    assert (code.bin, code.account, code.amount_vnd) == (MB, place.stall.account_number, 5_000)
    screen = page.locator("[data-screen=code]")
    expect(screen.locator("[data-reference]:visible")).to_have_text(reference)
    assert screen.evaluate("one => one.scrollWidth <= one.clientWidth")

    # The driver's own phone has a network: the money is here before the bill is.
    pay_in_app(city, new_page(), payload)
    city.wait_for_credits(place.stall, 1)
    verdicts = "SELECT verdict FROM matches m WHERE reversed_at IS NULL AND named = %(named)s"
    assert city.sql(verdicts, named=reference) == [("awaiting_sync",)]

    page.get_by_role("button", name="Cho ra, chưa xác nhận").click()
    page.locator("#camera[open] [data-shoot]").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")
    page.locator(".gate-tabs [data-go=shift]").click()
    drawn = page.locator("[data-drawn-list]")
    expect(drawn).to_contain_text("29AA 777.77: 5.000\u00a0₫ bằng mã QR, chưa xác nhận")

    page.context.set_offline(False)
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)
    expect(drawn).to_contain_text("29AA 777.77: đã nhận 5.000\u00a0₫", timeout=SENT_WITHIN_MS)
    stay = "SELECT status, paid_vnd, arrears_vnd FROM parking_sessions WHERE lot_id = %(lot)s"
    assert city.sql(stay, lot=place.lot.id) == [("left", 5_000, 0)]
    breaks = "SELECT count(*) FROM breaks WHERE org_id = %(org)s AND closed_at IS NULL"
    assert city.sql(breaks, org=city.org.id) == [(0,)]


def test_the_code_stays_the_same_while_the_vehicle_owes_the_same(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = a_phone_with_a_block(city, new_page, place)
    a_vehicle_inside(page, "29AA88888")
    a_vehicle_inside(page, "29AA99999")
    go_offline(page)

    first = draw_code(page, "888")
    page.locator("[data-code-back]").click()
    page.locator("[data-screen=stay] [data-action=qr]").click()
    assert read_code(page) == first
    page.reload()
    assert draw_code(page, "888") == first
    assert draw_code(page, "999") != first
    assert page.evaluate(LEFT_OF_BLOCK) == [198]
    expect(page.locator("[data-unsent]")).to_contain_text("2 lượt")


def test_a_phone_without_codes_left_says_so_and_takes_the_next_block_once_it_can(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = a_phone_with_a_block(city, new_page, place)
    a_vehicle_inside(page, "29AA12121")
    page.evaluate("""async () => {
        const { changeFact } = await import('/static/js/gate_store.js');
        await changeFact('references', (all) => (
            { ...all, blocks: all.blocks.map((one) => ({ ...one, references: [] })) }));
    }""")
    go_offline(page)
    find(page, "121")
    page.locator(".gate-found").click()
    page.locator("[data-screen=stay] [data-action=qr]").click()
    expect(page.locator("#problem")).to_contain_text("Máy đã hết mã QR")

    page.context.set_offline(False)
    wait_for_yes(page, f"async () => (await ({LEFT_OF_BLOCK})()).join() === '0,200'")


def test_cash_instead_of_the_code_that_was_drawn(city: RunningCity, new_page: OpenPage) -> None:
    place = open_lot(city)
    page = a_phone_with_a_block(city, new_page, place)
    a_vehicle_inside(page, "29AA34343")
    go_offline(page)
    draw_code(page, "343")

    page.locator("[data-code-cash]").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã trả")
    page.get_by_role("button", name="Cho ra").click()
    page.context.set_offline(False)
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)

    query = (
        "SELECT b.status, s.paid_vnd, s.exit_reason FROM bills b"
        " JOIN parking_sessions s ON s.id = b.owner_id WHERE s.lot_id = %(lot)s"
    )
    wait_until(lambda: city.sql(query, lot=place.lot.id) == [("cancelled", 5_000, "paid")])


def test_what_was_paid_by_a_code_is_not_asked_for_again(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = a_phone_with_a_block(city, new_page, place)
    a_vehicle_inside(page, "29AA56565")
    go_offline(page)
    pay_in_app(city, new_page(), draw_code(page, "565"))
    city.wait_for_credits(place.stall, 1)
    page.context.set_offline(False)
    expect(page.locator("[data-unsent]")).to_be_hidden(timeout=SENT_WITHIN_MS)
    page.locator(".gate-tabs [data-go=shift]").click()
    drawn = page.locator("[data-drawn-list]")
    expect(drawn).to_contain_text("29AA 565.65: đã nhận", timeout=SENT_WITHIN_MS)

    go_offline(page)
    find(page, "565")
    page.locator(".gate-found").click()
    stay = page.locator("[data-screen=stay]")
    expect(stay.locator("[data-due-word]")).to_contain_text("Đã trả")
    expect(stay.locator("[data-action=qr]")).to_have_count(0)


def test_what_the_hub_says_was_paid_is_not_asked_for_without_network(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = a_phone_with_a_block(city, new_page, place)
    a_vehicle_inside(page, "29AA67676")
    paid = "UPDATE parking_sessions SET paid_vnd = 5000 WHERE lot_id = %(lot)s RETURNING 1"
    assert city.sql(paid, lot=place.lot.id) == [(1,)]
    page.evaluate("() => gate.offline.refresh()")

    go_offline(page)
    find(page, "676")
    page.locator(".gate-found").click()
    stay = page.locator("[data-screen=stay]")
    expect(stay.locator("[data-due-word]")).to_contain_text("Đã trả")


@pytest.mark.parametrize("why", ["cash", "age"])
def test_a_code_that_is_worth_nothing_any_more_is_not_shown_again(
    city: RunningCity, new_page: OpenPage, why: str
) -> None:
    """Cash was taken instead, or its bill may be over; the vehicle owes the same amount again."""
    place = open_lot(city)
    page = a_phone_with_a_block(city, new_page, place)
    a_vehicle_inside(page, "29AA78787")
    go_offline(page)
    first = draw_code(page, "787")
    if why == "cash":
        page.locator("[data-code-cash]").click()
        expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã trả")
        page.evaluate("""async () => {
            const { all, put, readFact } = await import('/static/js/gate_store.js');
            const posted = await readFact('posted');
            posted.rates[0].plans.motorbike.ladders[0].lines[0][3] = 10_000;
            await put('facts', posted, 'posted');
            for (const stay of await all('stays')) {  // the time to leave in is over, too
                await put('stays', { ...stay, paid_until: 0 });
            }
        }""")
    else:
        page.evaluate("""async () => {
            const { all, put } = await import('/static/js/gate_store.js');
            for (const { code, ...stay } of await all('stays')) {
                await put('stays', { ...stay, code: { ...code, drawn_at: code.drawn_at - 864e5 } });
            }
        }""")

    assert draw_code(page, "787") != first


def test_the_phone_writes_codes_as_the_hub_does(city: RunningCity, new_page: OpenPage) -> None:
    """Published checksums first, then whole codes of both, and what is refused."""
    page = at_the_gate(city, new_page, open_lot(city))
    texts = [payload[:-4] for payload, _, _ in VALID]
    script = """async (texts) => {
        const { crc16 } = await import('/static/js/gate_code.js');
        return texts.map(crc16);
    }"""
    assert page.evaluate(script, texts) == [payload[-4:].upper() for payload, _, _ in VALID]

    bills = [
        {"bin": bin_, "account": account, "amountVnd": amount_vnd, "reference": reference}
        for bin_, account in (("970422", "0352350917"), ("970418", "V3CASLHRE4GFPY5"))
        for amount_vnd in (1, 5_000, 12_345_678, 499_999_999)
        for reference in (make_reference("HNDX", 0), make_reference("ZZZZ", 728_999_999))
    ]
    script = """async (bills) => {
        const { writeVietQr } = await import('/static/js/gate_code.js');
        return bills.map((bill) => {
            try { return writeVietQr(bill); } catch (error) { return error.message; }
        });
    }"""
    expected = [
        bill_codes.write_bill_code(
            bin_=str(one["bin"]),
            account=str(one["account"]),
            amount_vnd=int(str(one["amountVnd"])),
            reference=str(one["reference"]),
        )
        for one in bills
    ]
    assert page.evaluate(script, bills) == expected
    wrong = [
        bills[0] | {"amountVnd": 0},
        bills[0] | {"amountVnd": 1.5},
        bills[0] | {"amountVnd": 500_000_000},
        bills[0] | {"bin": "97042"},
        bills[0] | {"account": "0352 350"},
        bills[0] | {"reference": "pp"},
    ]
    names = ["amountVnd"] * 3 + ["bin", "account", "reference"]
    assert page.evaluate(script, wrong) == names
    assert re.fullmatch(r"[ -~]+", expected[0])
