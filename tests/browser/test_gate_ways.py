"""The attendant's phone beyond the usual way: cash, slips, photos, tickets, the shift."""

import pytest
from playwright.sync_api import Page, Route, expect

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.passes.models import Pass, PassPlate
from parking.tariffs.reading import read_sample_document
from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import at_the_gate, buzzes, enter, find, type_plate
from tests.world.lots import MOTORBIKE
from tests.world.parking_sessions import a_tariff_document
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser


def open_stay(page: Page, digits: str) -> None:
    find(page, digits)
    page.locator(".gate-found").first.click()
    expect(page.locator("[data-screen=stay]")).to_be_visible()


def other_way(page: Page, name: str) -> None:
    page.locator("[data-action=more]").click()
    page.locator(f"#sheet [data-action={name}]").click()


def status_of(city: RunningCity, place: StaffedLot) -> list[tuple[object, ...]]:
    query = "SELECT status, exit_reason, paid_vnd, arrears_vnd FROM parking_sessions"
    return city.sql(f"{query} WHERE lot_id = %(lot)s ORDER BY id", lot=place.lot.id)


def test_cash_gives_a_numbered_receipt_and_the_count_at_the_end_is_blind(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    enter(page, "29AA12345")
    open_stay(page, "345")
    page.get_by_role("button", name="Tiền mặt").click()
    verdict = page.locator("[data-screen=verdict]")
    expect(verdict).to_contain_text("Phiếu thu PT")
    verdict.get_by_role("button", name="In phiếu").click()
    paper = page.locator(".paper")
    expect(paper).to_contain_text("năm nghìn đồng")
    page.locator("[data-back]").click()

    open_stay(page, "345")
    page.get_by_role("button", name="Cho ra").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã trả đủ")
    page.locator(".gate-tabs [data-go=shift]").click()
    expect(page.locator("[data-figure=left]")).to_have_text("1")
    assert "5.000" not in page.locator("[data-screen=shift]").inner_text()
    page.get_by_role("button", name="Chốt ca").click()
    page.locator("#counted").fill("4000")
    page.locator("[data-screen=close] [data-look=main]").click()

    report = page.locator("[data-screen=report]")
    expect(report.locator("[data-variance]")).to_have_text("Thiếu 1.000\u00a0₫")
    expect(report.locator("[data-row=cash] dd")).to_have_text("1 lượt · 5.000\u00a0₫")
    assert status_of(city, place) == [("left", "paid", 5_000, 0)]


def test_slips_are_taken_back_within_ten_seconds(city: RunningCity, new_page: OpenPage) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    enter(page, "29AA12354")
    page.locator("[data-strip] [data-action=undo]").click()
    expect(page.locator("[data-strip]")).to_contain_text("Đã hoàn tác")
    expect(page.locator("#plate")).to_have_value("29AA 123.54")
    page.locator("[data-key=back]:visible").first.click()
    page.locator("[data-key=back]:visible").first.click()
    enter(page, "45")

    open_stay(page, "345")
    page.get_by_role("button", name="Tiền mặt").click()
    page.locator("[data-screen=verdict] [data-action=undo]").click()
    expect(page.locator("[data-screen=stay] [data-due]")).to_have_text("5.000\u00a0₫")
    page.get_by_role("button", name="Tiền mặt").click()
    page.get_by_role("button", name="Cho ra").click()
    page.locator("[data-screen=verdict] [data-action=undo]").click()
    expect(page.get_by_role("button", name="Cho ra")).to_be_visible()

    assert [row[0] for row in status_of(city, place)] == ["voided", "inside"]


def test_a_payment_is_not_taken_back_while_its_vehicle_is_let_out(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    enter(page, "29AA12345")
    open_stay(page, "345")
    page.get_by_role("button", name="Tiền mặt").click()
    undo = page.locator("[data-screen=verdict] [data-action=undo]")
    expect(undo).not_to_have_attribute("inert", "")
    held: list[Route] = []
    page.route("**/exit", lambda route: held.append(route))
    with page.expect_request("**/exit"):
        page.get_by_role("button", name="Cho ra").click()

    expect(undo).to_have_attribute("inert", "")
    held[0].continue_()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")
    assert status_of(city, place) == [("left", "paid", 5_000, 0)]


def test_inside_already_full_and_a_pass_look_and_feel_different(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city, capacity={MOTORBIKE: 2})

    async def give_pass(database: Database) -> None:
        async with open_org_transaction(database, place.lot.org.id) as session:
            today, pass_id = read_clock().date(), new_id()
            facts = {"valid_from": today.replace(day=1), "valid_until": today.replace(year=2099)}
            session.add(
                Pass(
                    org_id=place.lot.org.id,
                    id=pass_id,
                    lot_id=place.lot.id,
                    vehicle_class="motorbike",
                    kind="monthly",
                    holder_name="Chị Hoa",
                    plates_max=1,
                    price_vnd=0,
                    in_force_at=read_clock(),
                    created_by=new_id(),
                    created_at=read_clock(),
                    **facts,
                )
            )
            await session.flush()
            session.add(
                PassPlate(
                    org_id=place.lot.org.id,
                    pass_id=pass_id,
                    plate="29AA77777",
                    vehicle_class="motorbike",
                )
            )

    city.do(give_pass)
    page = at_the_gate(city, new_page, place)
    strip = page.locator("[data-strip]")
    enter(page, "29AA77777")
    expect(strip).to_contain_text("Vé tháng")
    type_plate(page, "29AA77777")
    page.get_by_role("button", name="Cho vào").click()
    expect(strip).to_have_attribute("data-tone", "attention")
    expect(strip).to_contain_text("đang ở trong bãi")
    for _ in range(9):
        page.locator("[data-key=back]:visible").first.click()
    enter(page, "29AA11111")
    type_plate(page, "29AA22222")
    page.get_by_role("button", name="Cho vào").click()
    expect(strip).to_have_attribute("data-tone", "bad")
    expect(strip).to_contain_text("Hết chỗ")
    assert len(set(buzzes(page))) == 4

    open_stay(page, "777")
    expect(page.locator("[data-due-word]")).to_have_text("Vé tháng")
    page.get_by_role("button", name="Cho ra").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Vé tháng")


def test_photo_holds_what_the_guide_frame_showed_and_nothing_else(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    page.locator("[data-photo].gate-key").click()
    page.locator("#camera[open] video").wait_for()
    page.locator("[data-shoot]").click()
    expect(page.locator("[data-photo-word]")).to_have_text("Có ảnh")
    enter(page, "29AA12345")

    [(width, height)] = city.sql(
        "SELECT width, height FROM photos WHERE lot_id = %(lot)s", lot=place.lot.id
    )
    # 86 % × 42 % of a screen of 360 × 640.
    assert abs(width / height - (0.86 * 360) / (0.42 * 640)) < 0.05
    open_stay(page, "345")
    picture = page.locator("[data-screen=stay] [data-photo] img")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == width


def test_crowd_takes_a_ticket_and_cash_in_two_taps(city: RunningCity, new_page: OpenPage) -> None:
    document = a_tariff_document(payment_timing="payOnEntry")
    place = open_lot(city, document=document, payment_timing="payOnEntry", is_crowd_mode=True)
    page = at_the_gate(city, new_page, place)

    page.locator("[data-ticket]").click()
    page.locator("#sheet input[name=said]").fill("a-0042")
    page.keyboard.press("Enter")
    strip = page.locator("[data-strip]")
    expect(strip).to_contain_text("Thu 5.000")
    strip.locator("[data-action=cash]").click()
    expect(strip).to_contain_text("Đã thu 5.000")

    page.locator(".gate-tabs [data-go=find]").click()
    page.locator("#find").fill("A-0042")
    page.locator(".gate-found").click()
    page.get_by_role("button", name="Cho ra").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")
    assert status_of(city, place) == [("left", "paid", 5_000, 0)]


def test_lost_ticket_costs_more_and_a_vehicle_leaves_with_its_debt_on_a_reason(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city, document=a_tariff_document(lost_ticket_vnd=20_000))
    page = at_the_gate(city, new_page, place)
    enter(page, "29AA12345")
    open_stay(page, "345")
    other_way(page, "lost")
    camera = page.locator("#camera[open]")
    expect(camera).to_contain_text("Chụp giấy tờ xe")
    camera.locator("video").wait_for()
    camera.locator("[data-shoot]").click()
    expect(page.locator("[data-screen=stay] [data-due]")).to_have_text("25.000\u00a0₫")
    expect(page.locator("[data-lines]")).to_contain_text("Mất vé")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    kept = """
        SELECT u.subject_kind FROM photo_uses u
        JOIN parking_sessions s ON (s.org_id, s.id) = (u.org_id, u.subject_id)
        WHERE s.lot_id = %(lot)s"""
    assert city.sql(kept, lot=place.lot.id) == [("lost_ticket",)]

    open_stay(page, "345")
    other_way(page, "arrears")
    page.locator("[data-no-photo]").click()
    page.locator("#sheet").get_by_role("button", name="Xe đã chạy mất").click()
    page.locator("#sheet").get_by_role("button", name="Khách không trả").click()
    verdict = page.locator("[data-screen=verdict]")
    expect(verdict).to_have_attribute("data-tone", "attention")
    expect(verdict).to_contain_text("Còn nợ 25.000")
    enter_again = page.locator(".gate-tabs [data-go=enter]")
    enter_again.click()
    type_plate(page, "29AA12345")
    page.get_by_role("button", name="Cho vào").click()
    expect(page.locator("[data-strip]")).to_contain_text("Còn nợ 25.000")
    open_stay(page, "345")
    expect(page.locator("[data-debt-sum]")).to_have_text("25.000\u00a0₫")


def test_lost_ticket_without_a_photo_takes_a_manager(city: RunningCity, new_page: OpenPage) -> None:
    place = open_lot(city, document=a_tariff_document(lost_ticket_vnd=20_000))
    page = at_the_gate(city, new_page, place)
    enter(page, "29AA12345")
    open_stay(page, "345")
    other_way(page, "lost")
    page.locator("[data-no-photo]").click()
    page.locator("#sheet").get_by_role("button", name="Máy ảnh hỏng").click()

    expect(page.locator("#problem")).to_contain_text("cần quản lý duyệt")
    expect(page.locator("[data-screen=stay] [data-due]")).to_have_text("5.000\u00a0₫")
    city_rows = city.sql(
        "SELECT count(*) FROM lost_tickets l JOIN parking_sessions s"
        " ON (s.org_id, s.id) = (l.org_id, l.session_id) WHERE s.lot_id = %(lot)s",
        lot=place.lot.id,
    )
    assert city_rows == [(0,)]


def test_own_typing_is_corrected_and_another_plate_at_the_way_out_is_compared(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    enter(page, "29AA12340")
    open_stay(page, "340")
    other_way(page, "correct")
    page.locator("#sheet input").fill("29AA12345")
    page.keyboard.press("Enter")
    expect(page.locator("[data-screen=stay] [data-plate]")).to_have_text("29AA 123.45")

    page.get_by_role("button", name="Tiền mặt").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã trả")
    page.locator(".gate-tabs [data-go=find]").click()
    page.locator("#find").fill("29AA12346")  # no such plate is inside: a similar one is
    page.locator(".gate-found").click()
    page.get_by_role("button", name="Cho ra").click()
    sheet = page.locator("#sheet[open]")
    expect(sheet).to_contain_text("29AA 123.45")
    expect(sheet).to_contain_text("29AA 123.46")
    sheet.locator("[data-action=confirm]").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Đã ra")


def test_paid_on_behalf_and_exempt_are_recorded_and_the_float_is_deposited(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    enter(page, "29AA11111")
    enter(page, "29AA22222")
    open_stay(page, "111")
    other_way(page, "float")
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Nhân viên trả hộ")
    open_stay(page, "222")
    other_way(page, "exempt")
    page.locator("#sheet").get_by_role("button", name="Xe công vụ").click()
    expect(page.locator("[data-screen=verdict]")).to_contain_text("Xe công vụ")

    page.locator(".gate-tabs [data-go=shift]").click()
    page.locator("[data-deposit]").click()
    expect(page.locator("#sheet[open] .qr svg")).to_be_visible()


def test_papers_are_made_for_the_roll_and_the_wall(city: RunningCity, new_page: OpenPage) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    enter(page, "29AA12345")
    open_stay(page, "345")
    other_way(page, "ticket")
    expect(page.locator(".paper .qr svg")).to_be_visible()
    expect(page.locator(".paper")).to_contain_text("29AA 123.45")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.emulate_media(media="print")
    assert page.locator(".paper").bounding_box()["width"] <= 190  # 48 mm at 96 dpi, and rounding
    page.emulate_media(media="screen")
    page.goto(f"{city.url}/gate/lots/{place.lot.id}/price")
    expect(page.locator(".paper")).to_contain_text("123/GP-SXD")
    expect(page.locator(".posted-class", has_text="Xe máy")).to_contain_text("5.000")


def test_posted_sheet_tells_day_night_and_steps_on_one_page(
    city: RunningCity, new_page: OpenPage
) -> None:
    """Of a lot for cars, motorbikes and bicycles: whatever the hour at which it is printed."""
    tables = [
        table
        for sample in ("hn-iparking-overnight", "hn-two-wheelers")
        for table in read_sample_document(sample)["rate_tables"]
    ]
    holiday = {"type": "flatRate", "value_vnd": 10_000}
    lines = {"rate_line_collections": [{"rate_lines": [holiday]}], "days": ["publicHoliday"]}
    tables.insert(0, {"vehicle_classes": ["motorbike"], **lines})
    place = open_lot(city, document=a_tariff_document(rate_tables=tables, lost_ticket_vnd=20_000))
    page = at_the_gate(city, new_page, place)
    page.goto(f"{city.url}/gate/lots/{place.lot.id}/price")

    cars = page.locator(".posted-class", has_text="Ô tô")
    expect(cars).to_contain_text("06:00–18:00")
    expect(cars).to_contain_text("6 giờ đầu, mỗi giờ")
    bikes = page.locator(".posted-class", has_text="Xe máy")
    expect(bikes).to_contain_text("Ngày lễ, Tết")
    expect(bikes).to_contain_text("8.000")
    expect(bikes).to_contain_text("Cả ngày và đêm: thu tối đa 12.000")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    sheet = page.pdf(prefer_css_page_size=True)
    assert sheet.count(b"/Type /Page\n") == 1


def test_lot_without_a_toll_contract_says_so_and_the_car_pays_otherwise(
    city: RunningCity, new_page: OpenPage
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    page.locator("[data-class=car]").click()
    enter(page, "30A12345")
    open_stay(page, "345")
    other_way(page, "toll")
    expect(page.locator("#problem")).to_contain_text("chưa có hợp đồng ETC")
    expect(page.locator("[data-screen=stay] [data-due]")).to_have_text("25.000\u00a0₫")
