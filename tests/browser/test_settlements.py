"""A settlement statement with two people, by clicking: terms, a draft, review, approval, files."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from core.clock import hanoi_day, read_clock
from core.db import Database
from core.tenancy import open_org_transaction
from identity.people.rules import Role
from ops.postgres.supervisor import Cluster
from payments.ledger.closing import close_day
from payments.settlements.queries_runs import list_runs
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import sign_in
from tests.core.jobs.steps import ended
from tests.world.bills import a_bill
from tests.world.constants import MANAGER
from tests.world.databases import open_database_at
from tests.world.notices import pay
from tests.world.running_city import RunningCity, running_city
from tests.world.settlements import drafting
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHONE = {"width": 360, "height": 640, "locale": "vi-VN"}


@pytest.fixture(scope="module")
def city(cluster: Cluster) -> Iterator[RunningCity]:
    """A hub with a manager, finance and an approver."""
    with running_city(cluster) as running:
        for login, role in (
            ("sep", Role.MANAGER),
            ("phuong", Role.FINANCE),
            ("duyet", Role.APPROVER),
        ):
            running.employ(login, role)
        yield running


@pytest.fixture(scope="module")
def stall(city: RunningCity) -> PayableStall:
    """A stall that was paid twice for one bill today, and a closed day."""
    opened = city.open_stall()

    async def sell_and_close(database: Database) -> None:
        bill = await a_bill(database, opened, amount_vnd=1_234_500, now=read_clock())
        for _ in range(2):
            await pay(database, opened, bill, now=read_clock())
        today = hanoi_day(read_clock())
        await close_day(database, opened.org.id, today, actor=MANAGER, now=read_clock())

    city.do(sell_and_close)
    return opened


def work_off(city: RunningCity) -> None:
    """Let a worker draft what was ordered."""
    settings = city.fresh_database.settings

    async def draft(database: Database) -> None:
        async with (
            open_database_at(city.fresh_database.worker_url, settings) as worker_database,
            drafting(database, worker_database),
        ):
            async with open_org_transaction(database, city.org.id) as session:
                (run,) = await list_runs(session, city.org.id, limit=1)
            assert isinstance(run.job_id, UUID)
            assert (await ended(database, run.job_id, org_id=city.org.id)).status == "done"

    city.do(draft)


def look_at(page: Page) -> None:
    """Hold a page to what everybody can use, and to its width."""
    report = Axe().run(page)
    assert report.violations_count == 0, report.generate_report()
    width = page.evaluate("document.documentElement.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_statement_takes_two_people_and_fits_a_phone(
    city: RunningCity, stall: PayableStall, new_page: OpenPage
) -> None:
    manager = new_page(width=1280, locale="vi-VN")
    finance = new_page(width=1280, locale="vi-VN")
    approver = new_page(**PHONE)
    for page, login in ((manager, "sep"), (finance, "phuong"), (approver, "duyet")):
        sign_in(city, page, login)
        page.wait_for_url("**/manage")
        page.goto(f"{city.url}/manage/settlements")
        look_at(page)

    manager.goto(f"{city.url}/manage/settlements/terms/{stall.payee_id}")
    today = hanoi_day(read_clock())
    first = (today - timedelta(days=20)).isoformat()
    manager.locator("#from_day").fill(first)
    manager.locator("#commission").fill("2,5")
    manager.locator("#charge_vietqr").fill("0,11")
    manager.locator("#share_name_0").fill("Ban quản lý chợ Đồng Xa và các đơn vị liên quan")
    manager.locator("#share_0").fill("15")
    manager.get_by_role("button", name="Lưu").click()
    expect(manager.get_by_text("Đã lưu điều khoản")).to_be_visible()
    look_at(manager)

    finance.locator("#run-first").fill(first)
    finance.locator("#run-last").fill(today.isoformat())
    finance.get_by_role("button", name="Lập bảng kê").click()
    expect(finance.get_by_text("Đang lập bảng kê")).to_be_visible()
    work_off(city)
    finance.goto(f"{city.url}/manage/settlements")
    look_at(finance)
    finance.locator("table a").first.click()
    look_at(finance)
    finance.get_by_role("button", name="Đã kiểm tra").click()
    expect(finance.get_by_text("Chờ duyệt")).to_be_visible()

    approver.reload()
    look_at(approver)
    approver.locator("table a").first.click()
    look_at(approver)
    approver.get_by_role("button", name="Duyệt").click()
    expect(approver.get_by_text("Đã duyệt")).to_be_visible()
    with approver.expect_download() as downloaded:
        approver.get_by_role("link", name="Tải PDF").click()
    assert downloaded.value.suggested_filename.startswith("quyet-toan-QT")
    look_at(approver)
    finance.reload()
    finance.get_by_role("button", name="Đánh dấu đã gửi").click()
    expect(finance.get_by_text("Đã gửi", exact=True)).to_be_visible()
    approver.goto(f"{city.url}/manage/settlements/terms/{stall.payee_id}")
    look_at(approver)
