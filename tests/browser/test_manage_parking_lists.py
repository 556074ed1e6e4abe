"""Passes, exemptions, the watch list by two people, and a lot's dashboard that shows them live."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from core.clock import read_clock
from core.db import Database
from core.tenancy import open_org_transaction
from identity.people.rules import Role
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import sign_in
from tests.world.lots import CAR, MOTORBIKE
from tests.world.parking_sessions import Gate, a_stay, an_attendant, as_stall, open_a_shift
from tests.world.passes import with_monthly_prices
from tests.world.running_city import RunningCity
from tests.world.running_lots import open_lot

pytestmark = pytest.mark.browser


@dataclass(frozen=True, kw_only=True)
class Lists:
    """A running city with a lot that may take two cars and has room for four."""

    city: RunningCity
    gate: Gate

    def let_in(self, plate: str) -> None:
        """Let a car be inside."""
        at = read_clock() - timedelta(minutes=5)

        async def enter(database: Database) -> None:
            await a_stay(database, self.gate, vehicle_class=CAR, plate=plate, entered_at=at)

        self.city.do(enter)


@pytest.fixture(scope="module")
def lists(city: RunningCity) -> Lists:
    city.employ("second", Role.APPROVER)
    staffed = open_lot(
        city,
        document=with_monthly_prices(),
        capacity={CAR: 4, MOTORBIKE: 10},
        licensed={CAR: 2, MOTORBIKE: 10},
    )

    async def start(database: Database) -> Gate:
        attendant = await an_attendant(database, staffed.lot)
        async with open_org_transaction(database, staffed.lot.org.id) as session:
            shift_id = await open_a_shift(
                session, staffed.lot, attendant, now=read_clock() - timedelta(hours=4)
            )
        stall = await as_stall(database, staffed.lot)
        return Gate(lot=staffed.lot, attendant=attendant, shift_id=shift_id, stall=stall)

    return Lists(city=city, gate=city.do(start))


def sign_in_as(lists: Lists, new_page: OpenPage, login: str) -> Page:
    page = new_page(width=360, height=640, locale="vi-VN")
    sign_in(lists.city, page, login)
    page.wait_for_url("**/manage")
    return page


def test_a_pass_is_sold_with_its_code_and_an_exemption_is_given(
    lists: Lists, new_page: OpenPage
) -> None:
    boss = sign_in_as(lists, new_page, "boss")
    boss.goto(f"{lists.city.url}/manage/passes/new")
    boss.locator("#holder_name").fill("Chị Hoa")
    boss.locator("#plates").fill("29-A1 12345\n29-A1 54321")
    boss.locator("#lot_id").select_option(str(lists.gate.lot.id))
    boss.get_by_role("button", name="Bán vé tháng").click()
    expect(boss.locator("main")).to_contain_text("Chưa trả tiền")
    expect(boss.locator("main")).to_contain_text("120.000")

    boss.goto(f"{lists.city.url}/manage/passes/new?kind=exempt")
    boss.locator("#holder_name").fill("Anh Bình")
    boss.locator("#plates").fill("29-A1 77777")
    boss.locator("#lot_id").select_option(str(lists.gate.lot.id))
    boss.locator("#reason").fill("Cư dân ngõ 12, sổ 45")
    boss.get_by_role("button", name="Thêm xe miễn phí").click()
    expect(boss.locator("main")).to_contain_text("Đang dùng")
    expect(boss.locator("main")).to_contain_text("Miễn phí")


def test_a_watched_plate_takes_two_people_and_the_dashboard_shows_it_and_the_licence_at_once(
    lists: Lists, new_page: OpenPage
) -> None:
    boss, second = [sign_in_as(lists, new_page, login) for login in ("boss", "second")]
    path = f"{lists.city.url}/manage/watched-plates"
    boss.goto(path)
    boss.locator("#vehicle_class").select_option("car")
    boss.locator("#plate").fill("30A-999.99")
    boss.locator("[aria-labelledby=add] #reason").fill("Xe bị báo mất")
    boss.locator("#source").fill("Công an phường, công văn 45")
    boss.get_by_role("button", name="Đề nghị theo dõi").click()
    expect(boss.locator("main")).to_contain_text("Bạn đã đề nghị, nên cần người khác duyệt.")
    expect(boss.get_by_role("button", name="Duyệt")).to_have_count(0)
    second.goto(path)
    second.get_by_role("button", name="Duyệt").click()
    expect(second.locator("main")).to_contain_text("Đang theo dõi")

    boss.goto(f"{lists.city.url}/manage/lots/{lists.gate.lot.id}")
    expect(boss.locator("[aria-labelledby=inside]")).not_to_contain_text("Vượt giấy phép")
    for plate in ("30A99999", "30A11111", "30A22222"):
        lists.let_in(plate)
    boss.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # who looks again
    expect(boss.locator("[aria-labelledby=inside]")).to_contain_text("Vượt giấy phép")
    alarms = boss.locator("[aria-labelledby=alarms]")
    expect(alarms).to_contain_text("Xe bị báo mất")
    alarms.get_by_role("link").first.click()
    expect(boss.locator("h1")).to_contain_text("30A-999.99")
