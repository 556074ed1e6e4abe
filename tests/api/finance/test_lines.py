"""Finance's lists: lines of an account as pages and files, the search page, and who is let in."""

import csv
import io
import zipfile
from datetime import date
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from payments.statements.reading.cells import text_of as cell_text
from payments.statements.reading.types import ReadingOptions
from payments.statements.reading.xlsx_files import list_xlsx_rows
from tests.world.markets import Market
from tests.world.pages import let_in, text_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

DAY, NEXT = date(2026, 11, 20), date(2026, 11, 21)
MEMO = '=HYPERLINK("http://x","tiền")'
INSERT = (
    """INSERT INTO statements (org_id, id, receiving_account_id, file_sha256, file_name, file_bytes,
        is_pasted, status, period_from, period_to, created_at)
    VALUES (:org_id, :id, :account_id, '\\x01', 'sao-ke.csv', 1, false, 'visible', :day, :next,
        now())""",
    """INSERT INTO statement_lines (org_id, id, statement_id, receiving_account_id, open_vnd,
        line_no, booked_on, is_date_only, direction, amount_vnd, bank_reference, memo, is_reversal,
        counterparty_account)
    SELECT :org_id, gen_random_uuid(), :id, :account_id, 1000 + n, n,
        CASE WHEN n % 2 = 0 THEN CAST(:day AS date) ELSE CAST(:next AS date) END, true,
        CASE WHEN n % 3 = 0 THEN 'out' ELSE 'in' END, 1000 + n, 'FT' || n, CAST(:memo AS text),
        false, '0012345678901234567'
    FROM generate_series(1, CAST(:count AS int)) n""",
)


async def add_lines(owner: Database, market: Market, count: int) -> UUID:
    """Write a statement of the stall's account over two days."""
    id_ = new_id()
    values = {
        "org_id": market.stall.org.id,
        "id": id_,
        "account_id": market.stall.account_id,
        "day": DAY,
        "next": NEXT,
        "memo": MEMO,
        "count": count,
    }
    async with owner.begin() as session:
        for statement in INSERT:
            await session.execute(text(statement), values)
    return id_


def read_book(content: bytes) -> list[list[str]]:
    """Return the texts of a workbook's only sheet."""
    rows = list_xlsx_rows(io.BytesIO(content), ReadingOptions())
    return [[cell_text(one) for one in row.cells] for row in rows]


def asked(market: Market, **more: str) -> dict[str, str]:
    return {
        "account": str(market.stall.account_id),
        "from": DAY.isoformat(),
        "to": NEXT.isoformat(),
        **more,
    }


async def test_the_pages_of_a_filter_have_each_line_once_and_the_files_exactly_those(
    market: Market, owner_database: Database
) -> None:
    finance = await let_in(market, "finance")
    await add_lines(owner_database, market, 130)
    shown, path = [], "/finance/lines"
    answer = await finance.get(path, params=asked(market, direction="in"))
    assert "87 dòng" in text_of(answer)
    while True:
        shown += [one.split("<")[0] for one in answer.text.split('<span class="quiet">FT')[1:]]
        older = [one for one in answer.text.split('"') if "before=" in one and "/lines?" in one]
        if not older:
            break
        answer = await finance.get(older[0].replace("&amp;", "&"))
    wanted = sorted(n for n in range(1, 131) if n % 3)
    assert sorted(int(one.split(" ")[0]) for one in shown) == wanted

    book = await finance.get(f"{path}/export.xlsx", params=asked(market, direction="in"))
    rows = read_book(book.content)
    assert rows[0][:3] == ["Ngày hạch toán", "Giờ giao dịch", "Tiền vào"]
    assert sorted(int(row[5][2:]) for row in rows[1:]) == wanted
    sheet = await finance.get(f"{path}/export.csv", params=asked(market, direction="in"))
    lines = list(csv.reader(io.StringIO(sheet.text.removeprefix("\ufeff"))))
    assert sorted(int(line[5][2:]) for line in lines[1:]) == wanted
    # No memo becomes a formula, and no account number loses its zeros.
    with zipfile.ZipFile(io.BytesIO(book.content)) as parts:
        assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml")
    assert rows[1][6] == MEMO
    assert rows[1][8] == "0012345678901234567"
    assert lines[1][6] == f"'{MEMO}"


async def test_a_list_that_is_too_long_for_excel_is_offered_as_csv(
    market: Market, owner_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.finance.lines.XLSX_ROWS_MAX", 20)
    finance = await let_in(market, "finance")
    await add_lines(owner_database, market, 21)

    shown = await finance.get("/finance/lines", params=asked(market))
    refused = await finance.get("/finance/lines/export.xlsx", params=asked(market))
    whole = await finance.get("/finance/lines/export.csv", params=asked(market))
    long = await finance.get("/finance/lines", params=asked(market) | {"from": "2020-01-01"})

    assert "nhiều quá cho Excel" in text_of(shown)
    assert "export.xlsx" not in shown.text
    assert refused.status_code == 303
    assert whole.text.count("\n") == 22
    assert (long.status_code, "Chọn nhiều nhất 366 ngày" in text_of(long)) == (422, True)


@pytest.mark.parametrize("day", ["0001-01-05", "9999-12-31", "1999-12-31", "hôm nay"])
async def test_a_day_that_no_line_can_have_is_the_usual_one(market: Market, day: str) -> None:
    finance = await let_in(market, "finance")
    dates = {**asked(market), "from": "", "to": ""}
    for name in ("from", "to"):
        for page in ("", "/export.csv", "/export.xlsx"):
            answer = await finance.get(f"/finance/lines{page}", params={**dates, name: day})
            assert answer.status_code == 200, (name, page, answer.text[:200])
        shown = await finance.get("/finance/lines", params={**dates, name: day})
        assert f'value="{day}"' not in shown.text


async def test_the_search_page_leads_to_the_line_in_its_statement(
    market: Market, owner_database: Database
) -> None:
    finance = await let_in(market, "finance")
    statement_id = await add_lines(owner_database, market, 130)

    found = await finance.get("/finance/search", params={"q": "ft77"})
    none = await finance.get("/finance/search", params={"q": "không có gì"})

    link = f"/finance/statements/{statement_id}?after=76#line-77"
    assert f'href="{link}"' in found.text
    assert 'id="line-77"' in (await finance.get(link)).text
    assert "Không tìm thấy" in text_of(none)


async def test_finance_is_for_who_looks_after_the_money_of_the_whole_organisation(
    market: Market,
) -> None:
    pages = ("/finance/statements", "/finance/lines", "/finance/search", "/finance/mappings")
    for role in ("finance", "approver", "manager"):
        person = await let_in(market, role)
        assert (await person.get("/finance")).headers["location"] == "/finance/statements"
        for page in pages:
            assert (await person.get(page)).status_code == 200, (role, page)
    approver = await let_in(market, "approver", "duyet.hkxm")
    assert "Gửi và đọc" not in text_of(await approver.get("/finance/statements"))
    assert (await approver.post("/finance/statements")).status_code == 403
    cashier = await let_in(market, "cashier")
    for page in pages:
        assert (await cashier.get(page)).status_code == 403, page
    stranger = httpx.AsyncClient(base_url=market.hub.url)
    assert (await stranger.get("/finance/statements")).status_code in (303, 401)
    await stranger.aclose()
