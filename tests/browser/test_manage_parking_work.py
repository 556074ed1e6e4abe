"""Managers of lots at work: reviews, joins, ticket books, posters, toll contracts, lot keys."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from core.clock import HANOI, read_clock
from core.db import Database
from core.tenancy import open_org_transaction
from identity.people.rules import Role
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import sign_in
from tests.world.lots import CAR
from tests.world.parking_sessions import Gate, a_stay, an_attendant, as_stall, open_a_shift
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser

HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Work:
    """A running city with a lot whose shift is open, and its manager."""

    city: RunningCity
    lot: StaffedLot
    gate: Gate

    def let_in(self, *, hours_ago: float = 1, **facts: object) -> UUID:
        """Let a vehicle be inside."""
        entered_at = read_clock() - hours_ago * HOUR
        return self.city.do(
            lambda database: a_stay(database, self.gate, entered_at=entered_at, **facts)  # type: ignore[arg-type]
        )


@pytest.fixture(scope="module")
def work(city: RunningCity) -> Work:
    city.employ("admin", Role.ADMIN)
    lot = open_lot(city)

    async def start(database: Database) -> Gate:
        attendant = await an_attendant(database, lot.lot)
        async with open_org_transaction(database, lot.lot.org.id) as session:
            shift_id = await open_a_shift(session, lot.lot, attendant, now=read_clock() - 4 * HOUR)
        stall = await as_stall(database, lot.lot)
        return Gate(lot=lot.lot, attendant=attendant, shift_id=shift_id, stall=stall)

    return Work(city=city, lot=lot, gate=city.do(start))


@pytest.fixture
def boss(work: Work, new_page: OpenPage) -> Page:
    page = new_page(width=360, height=640, locale="vi-VN")
    sign_in(work.city, page, "admin")
    page.wait_for_url("**/manage")
    return page


def check(page: Page) -> None:
    """Anybody can use the page, and it fits the screen."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


def test_stays_under_review_are_decided_each_in_its_way(work: Work, boss: Page) -> None:
    owing = work.let_in(hours_ago=100, plate="30A11111", vehicle_class=CAR)
    never = work.let_in(hours_ago=99, ticket="R00001")
    work.city.sql(
        "UPDATE parking_sessions SET status = 'review' WHERE id = ANY(%(ids)s)",
        ids=[owing, never],
    )
    boss.goto(f"{work.city.url}/manage/reviews")
    check(boss)
    car = boss.locator("li.panel", has_text="30A-111.11")
    car.locator("summary").click()
    car.get_by_label("Đã ra mà chưa trả").check()
    car.get_by_label("Lý do").fill("Camera thấy xe ra")
    car.get_by_role("button", name="Lưu kết luận").click()
    expect(car).to_contain_text("Ghi giờ xe ra")
    query = "SELECT entered_at FROM parking_sessions WHERE id = %(id)s"
    ((entered_at,),) = work.city.sql(query, id=owing)
    left_at = (entered_at + 3 * HOUR).astimezone(HANOI)  # three hours, however long this takes
    car.get_by_label("Ra bãi lúc").fill(f"{left_at:%Y-%m-%dT%H:%M}")
    car.get_by_role("button", name="Lưu kết luận").click()
    expect(boss.locator("main")).to_contain_text("Đã lưu kết luận.")
    ticket = boss.locator("li.panel", has_text="R00001")
    ticket.locator("summary").click()
    ticket.get_by_label("Chưa từng vào").check()
    ticket.get_by_label("Lý do").fill("Bấm nhầm")
    ticket.get_by_role("button", name="Lưu kết luận").click()
    expect(boss.locator("main")).to_contain_text("Không còn lượt nào cần xem lại")

    rows = work.city.sql(
        "SELECT status, arrears_vnd FROM parking_sessions WHERE id = ANY(%(ids)s) ORDER BY id",
        ids=[owing, never],
    )
    assert rows == [("left", 75_000), ("voided", 0)]


def test_two_stays_of_one_vehicle_are_joined_from_the_page_of_one_and_parted_again(
    work: Work, boss: Page
) -> None:
    by_ticket = work.let_in(hours_ago=2, ticket="V00017")
    by_plate = work.let_in(hours_ago=1, plate="29AA55555")
    boss.goto(f"{work.city.url}/manage/stays/{by_plate}")
    boss.get_by_role("link", name="Ghép hoặc tách lượt gửi").click()
    check(boss)
    other = boss.locator("li.panel", has_text="V00017")
    other.get_by_text("Ghép với lượt này").click()
    other.get_by_label("Lý do").fill("Một xe, hai làn")
    other.get_by_role("button", name="Ghép hai lượt").click()
    boss.wait_for_url(f"**/manage/stays/{by_ticket}?done=stays_joined")
    expect(boss.locator("h1")).to_contain_text("29AA 555.55")
    expect(boss.locator("main")).to_contain_text("Một lượt khác đã ghép vào đây")
    check(boss)

    boss.get_by_role("link", name="Ghép hoặc tách lượt gửi").click()
    boss.get_by_label("Vé của xe thứ hai").fill("v00017")
    boss.locator("form", has_text="Tách thành hai lượt").get_by_label("Lý do").fill("Hai xe thật")
    boss.get_by_role("button", name="Tách thành hai lượt").click()
    expect(boss.locator("h1")).to_contain_text("V00017")
    expect(boss.locator("main")).to_contain_text("Tách ra từ lượt khác")
    inside = work.city.sql(
        "SELECT count(DISTINCT session_id) FROM inside WHERE lot_id = %(lot)s"
        " AND credential IN ('V00017', 'motorbike:29AA55555')",
        lot=work.lot.lot.id,
    )
    assert inside == [(2,)]


def test_a_ticket_book_is_given_out_taken_back_and_another_one_lost(work: Work, boss: Page) -> None:
    work.let_in(ticket="B0002")
    boss.goto(f"{work.city.url}/manage/ticket-books")
    for first, last in (("B0001", "B0050"), ("B0051", "b0100")):
        boss.locator("#first").fill(first)
        boss.locator("#last").fill(last)
        boss.get_by_role("button", name="Giao quyển này").click()
        expect(boss.locator("main")).to_contain_text("Đã giao quyển vé.")
    boss.locator("#first").fill("B0100")
    boss.locator("#last").fill("B0110")
    boss.get_by_role("button", name="Giao quyển này").click()
    expect(boss.locator("#last-error")).to_contain_text("đã giao trước đó")
    check(boss)

    book = boss.locator("li.panel", has_text="B0001–B0050")
    book.locator("summary", has_text="Nhận lại").click()
    book.get_by_label("Vé cuối đã xé").fill("B0003")
    book.get_by_role("button", name="Đã nhận lại quyển").click()
    book = boss.locator("li.panel", has_text="B0001–B0050")
    expect(book).to_contain_text("Thiếu 2 vé")
    expect(book).to_contain_text("B0001, B0003")
    lost = boss.locator("li.panel", has_text="B0051–B0100")
    lost.locator("summary", has_text="Báo mất").click()
    lost.get_by_label("Lý do").fill("Rơi dọc đường")
    lost.get_by_role("button", name="Ghi là mất quyển").click()
    expect(boss.locator("li.panel", has_text="B0051–B0100")).to_contain_text("Thiếu 50 vé")


def test_a_poster_is_made_shows_what_came_in_for_the_running_shift_and_is_taken_down(
    work: Work, boss: Page
) -> None:
    path = f"{work.city.url}/manage/lots/{work.gate.lot.id}/poster"
    boss.goto(path)
    boss.get_by_role("button", name="Tạo mã dán").click()
    expect(boss.locator(".poster .qr svg")).to_be_visible()
    work.city.transfer(work.lot.stall, 5_000, "gui xe")
    work.city.wait_for_credits(work.lot.stall, 1)
    sales = boss.locator("[aria-labelledby=sales]")
    for _ in range(40):
        boss.goto(path)
        if "5.000" in sales.inner_text():
            break
        boss.wait_for_timeout(250)
    expect(sales).to_contain_text("Ca của Anh Tú")
    check(boss)
    boss.emulate_media(media="print")
    expect(boss.locator(".poster")).to_be_visible()
    expect(sales).to_be_hidden()
    boss.emulate_media(media="screen")
    boss.get_by_text("Gỡ mã", exact=True).click()
    boss.get_by_role("button", name="Gỡ mã dán").click()
    expect(boss.locator("main")).to_contain_text("Bãi này chưa dán mã")


def test_a_toll_contract_is_made_tried_given_another_key_and_ended(work: Work, boss: Page) -> None:
    boss.goto(f"{work.city.url}/manage/toll-contracts")
    boss.locator("#name").fill("Đơn vị giao thông")
    boss.locator("#client_id").fill("bai-xe")
    boss.locator("#secret").fill("ngắn")
    boss.get_by_role("button", name="Dùng hợp đồng này").click()
    expect(boss.locator("#secret-error")).to_be_visible()
    boss.locator("#secret").fill("a-secret-of-the-operator")
    boss.get_by_role("button", name="Dùng hợp đồng này").click()
    contract = boss.locator("li.panel", has_text="Đơn vị giao thông")
    contract.get_by_role("button", name="Thử kết nối").click()
    expect(contract).to_contain_text("Không có trả lời đúng chữ ký")
    check(boss)
    contract.get_by_text("Đổi khóa").click()
    contract.get_by_label("Khóa ký").fill("another-secret-of-theirs")
    contract.get_by_role("button", name="Lưu").click()
    expect(boss.locator("main")).to_contain_text("Đã đổi khóa.")
    assert "secret-of" not in boss.content()
    contract.get_by_text("Ngừng", exact=True).click()
    contract.get_by_role("button", name="Ngừng hợp đồng").click()
    expect(contract).to_contain_text("Đã ngừng")


def test_a_key_of_a_lane_controller_is_held_to_its_lot(work: Work, boss: Page) -> None:
    boss.goto(f"{work.city.url}/manage/keys")
    boss.locator("#name").fill("Barie lối ra")
    for usual in ("bills.open", "bills.read"):
        boss.locator(f"[name=scopes][value='{usual}']").uncheck()
    boss.locator("[name=scopes][value='lanes.serve']").check()
    boss.get_by_role("button", name="Tạo khóa").click()
    expect(boss.locator("#lot-error")).to_contain_text("phải gắn với một bãi xe")
    boss.locator("#lot").select_option(str(work.gate.lot.id))
    boss.get_by_role("button", name="Tạo khóa").click()
    expect(boss.locator("[data-secret]")).to_be_visible()
    expect(boss.locator("table.sheet")).to_contain_text("Bãi xe: ")
    assert work.city.sql("SELECT lot_id FROM api_keys WHERE name = 'Barie lối ra'") == [
        (work.gate.lot.id,)
    ]


def test_data_for_the_tax_office_is_asked_for_and_its_columns_are_changed(boss: Page) -> None:
    boss.goto(boss.url.partition("/manage")[0] + "/manage/tax-exports")
    check(boss)
    expect(boss.locator("main")).to_contain_text("chưa phải mẫu 01/TTGD")
    boss.get_by_role("button", name="Xuất dữ liệu").click()
    expect(boss.locator("main")).to_contain_text("Đang chờ")
    check(boss)

    boss.locator("summary", has_text="Các cột của tệp").click()
    check(boss)
    boss.locator("#place-buyer").fill("")
    boss.locator("#head-amount_vnd").fill("Số tiền")
    boss.get_by_role("button", name="Lưu").click()
    expect(boss.locator("main")).to_contain_text("Đã lưu các cột.")

    boss.locator("summary", has_text="Các cột của tệp").click()
    expect(boss.locator("#place-buyer")).to_have_value("")
    expect(boss.locator("#head-amount_vnd")).to_have_value("Số tiền")
