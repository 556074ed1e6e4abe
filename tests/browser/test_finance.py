"""Finance in a browser: a broken statement is sent, mapped, mended by a second file, accepted."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from core.clock import hanoi_day, read_clock
from identity.people.rules import Role
from ops.postgres.supervisor import Cluster
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import sign_in
from tests.world.running_city import RunningCity, StaffedStall, running_city
from tests.world.statement_files import HEADINGS, FileLine, write_csv

pytestmark = [pytest.mark.browser, pytest.mark.slow]

D1, D2 = (hanoi_day(read_clock()) - timedelta(days=n) for n in (3, 2))
STRANGE = "Ngày giờ,Mã,Ra,Vào,Còn lại,Lời nhắn"
MEANINGS = {
    "A": "booked_on", "B": "reference", "C": "debit", "D": "credit", "E": "balance", "F": "memo"
}  # fmt: skip


@pytest.fixture(scope="module")
def city(cluster: Cluster) -> Iterator[RunningCity]:
    """A hub with somebody of finance, and a worker."""
    with running_city(cluster) as running:
        running.employ("phuong", Role.FINANCE)
        command = [sys.executable, "-c", "import worker.app; worker.app.main()"]
        environment = {**os.environ, **running.fresh_database.environment}
        with tempfile.TemporaryFile() as log:
            worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            yield running
            worker.terminate()
            worker.wait(60)


@pytest.fixture(scope="module")
def stall(city: RunningCity) -> StaffedStall:
    """A stall whose account the statements are of."""
    return city.open_stall()


def look_at(page: Page, name: str) -> None:
    """Hold a page to what everybody can use, and to its width, on a desktop and on a phone."""
    report = Axe().run(page)
    assert report.violations_count == 0, report.generate_report()
    size = page.viewport_size
    assert size is not None
    for width, height in ((360, 640), (size["width"], size["height"])):
        page.set_viewport_size({"width": width, "height": height})
        inner = page.evaluate("document.documentElement.clientWidth")
        assert page.evaluate("document.documentElement.scrollWidth") <= inner, (name, width)


def write_strange(stall: StaffedStall, *, closing_vnd: int | None = None) -> bytes:
    """Write a file whose headings no bank is known to write."""
    lines = [
        FileLine(day=D1, amount_vnd=20_000, memo="CT tu NGUYEN THI LAN mua rau", reference="FT1"),
        FileLine(day=D1, amount_vnd=-3_300, memo="phí SMS", reference="FT2"),
        FileLine(day=D2, amount_vnd=1_250_000, memo="tiền sạp tháng 11", reference="FT3"),
    ]
    content = write_csv(stall.account_number, lines, closing_vnd=closing_vnd).decode()
    return content.replace(HEADINGS, STRANGE).encode()


def send(page: Page, city: RunningCity, name: str, content: bytes) -> None:
    page.goto(f"{city.url}/finance/statements")
    file = {"name": name, "mimeType": "text/csv", "buffer": content}
    page.get_by_label("Tệp sao kê").set_input_files(file)
    page.get_by_role("button", name="Gửi và đọc").click()
    page.wait_for_url("**/finance/statements/*")


def test_a_broken_statement_is_mapped_mended_by_a_second_file_and_accepted(
    city: RunningCity, stall: StaffedStall, new_page: OpenPage
) -> None:
    page = new_page(width=1280, height=900, locale="vi-VN")
    sign_in(city, page, "phuong")
    page.wait_for_url("**/manage")
    page.get_by_role("link", name="Tài chính").click()
    page.wait_for_url("**/finance/statements")
    look_at(page, "statements-empty")

    send(page, city, "sao-ke.csv", write_strange(stall, closing_vnd=9_999_999))
    main = page.locator("main")
    expect(main).to_contain_text("Không nhận ra tiêu đề các cột")  # it shows itself
    look_at(page, "statement-unread")
    page.get_by_role("link", name="Chọn cột bằng tay").click()
    for letter, meaning in MEANINGS.items():
        page.locator(f"#column_{letter}").select_option(meaning)
    page.get_by_label("dòng 6", exact=True).check()
    expect(page.get_by_label("Nhớ cách đọc này")).to_be_checked()
    look_at(page, "statement-columns")
    page.get_by_role("button", name="Đọc theo các cột này").click()
    expect(main).to_contain_text("Tính ra cuối kỳ 2.266.700")
    expect(main).to_contain_text("nhưng sao kê ghi 9.999.999")
    look_at(page, "statement-wrong-total")
    page.locator("summary", has_text="Bỏ, không dùng").click()
    page.get_by_label("Lý do").fill("Tệp bị sửa")
    page.get_by_role("button", name="Bỏ sao kê này").click()
    expect(main).to_contain_text("Đã bỏ sao kê này")

    send(page, city, "sao-ke-dung.csv", write_strange(stall))
    expect(main).to_contain_text("Đọc theo cột đã lưu")
    expect(main).to_contain_text("Chờ nhận")
    expect(page.locator("[data-chain]")).to_contain_text("Khớp")
    expect(page.locator("[data-lines]")).to_contain_text("tiền sạp tháng 11")
    look_at(page, "statement-staged")
    page.locator("summary", has_text="Nhận vào sổ").click()
    expect(main).to_contain_text("Nhận 3 dòng của")
    page.get_by_role("button", name="Nhận 3 dòng").click()
    expect(main).to_contain_text("Đã vào sổ")
    look_at(page, "statement-visible")

    page.keyboard.press("/")  # no box is here: it leads to the page that has one
    page.wait_for_url("**/finance/search")
    page.locator("h1").click()
    page.keyboard.press("/")
    page.keyboard.type("TIEN sap")
    page.keyboard.press("Enter")
    expect(page.locator("[data-found]")).to_contain_text("tiền sạp tháng 11")
    look_at(page, "search")
    page.get_by_role("link", name="FT3").click()
    expect(page.locator("#line-3")).to_contain_text("tiền sạp tháng 11")

    page.goto(f"{city.url}/finance/lines")
    page.locator("#account").select_option(index=1)
    page.get_by_role("button", name="Lọc").click()
    expect(main).to_contain_text("3 dòng")
    look_at(page, "lines")
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="Excel").click()
    assert downloaded.value.suggested_filename.endswith(".xlsx")

    page.goto(f"{city.url}/finance/mappings")
    look_at(page, "mappings")
    page.locator("summary", has_text="Xóa").click()
    page.get_by_role("button", name="Xóa cách đọc này").click()
    expect(main).to_contain_text("Chưa lưu cách đọc nào")


def test_pasted_rows_with_bad_cells_are_named_and_a_conflict_names_its_days(
    city: RunningCity, stall: StaffedStall, new_page: OpenPage
) -> None:
    page = new_page(width=1280, height=900, locale="vi-VN")
    sign_in(city, page, "phuong")
    page.goto(f"{city.url}/finance/statements")
    page.locator("summary", has_text="Hoặc dán").click()
    rows = [
        "Ngày giao dịch\tSố tham chiếu\tPhát sinh nợ\tPhát sinh có\tSố dư\tNội dung",
        f"{D1:%d/%m/%Y}\tFT9\t\t5o.000\t\tmua phở",
        "32/13/2026\tFT10\t\t10000\t\tmua bún",
    ]
    page.get_by_label("Các dòng sao kê").fill("\n".join(rows))
    page.locator("#account_id").select_option(index=1)
    page.get_by_role("button", name="Gửi và đọc").click()
    errors = page.locator("[data-row-errors]")
    expect(errors).to_contain_text("dòng 2")
    expect(errors).to_contain_text("D · Ghi có (tiền vào)")
    expect(errors).to_contain_text("“5o.000” không phải số tiền")
    expect(errors).to_contain_text("“32/13/2026” không phải ngày")
    look_at(page, "statement-row-errors")

    other = [FileLine(day=D1, amount_vnd=7_000)]
    send(page, city, "khac.csv", write_csv(stall.account_number, other))
    expect(page.locator("main")).to_contain_text("1 ngày đã có sao kê khác")
    expect(page.locator("[data-days-apart]")).to_contain_text(f"{D1:%d/%m/%Y}")
    look_at(page, "statement-conflict")
    page.locator("summary", has_text="Nhận vào sổ").click()
    page.get_by_role("button", name="Nhận 1 dòng").click()
    expect(page.locator("main")).to_contain_text("1 dòng chỉ có ở tệp này")
    send(
        page,
        city,
        "thieu.csv",
        write_csv(
            stall.account_number,
            [FileLine(day=D2 + timedelta(days=1), amount_vnd=5_000)],
            opening_vnd=1,
        ),
    )
    expect(page.locator("main")).to_contain_text("Số dư không nối tiếp")
    look_at(page, "statement-not-chained")
    page.goto(f"{city.url}/finance/statements")
    look_at(page, "statements")
