"""Lines of an account: listed by days, and exactly those as an Excel or CSV file."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response, StreamingResponse

from api.finance.page_context import Before, FinanceContext, TheFinance
from api.finance.statement import LineRow, present_line
from api.finance.statements import ACCOUNTS_OFFERED
from api.http.deps import requires
from api.http.i18n import translate
from api.http.middleware import no_store
from api.http.paging import read_cursor, write_cursor
from api.pages.spreadsheets import BOM, CSV_TYPE, XLSX_TYPE, Cell, Sheet, write_csv
from api.pages.staff_context import PAGE_ROWS, Errors
from core.audit import record_change
from core.clock import hanoi_day
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.payees.views import list_accounts
from payments.statements.queries_lines import count_account_lines, list_account_lines
from payments.statements.rules import LineFilter

router = APIRouter(prefix="/finance/lines", include_in_schema=False)

DAYS_SHOWN: Final = 31  # where nobody chose others
DAYS_MAX: Final = 366
BATCH_ROWS: Final = 5_000
XLSX_ROWS_MAX: Final = 50_000  # a file of some 5 MB, made while somebody waits
CSV_ROWS_MAX: Final = 1_000_000  # sent as it is read
YEARS: Final = range(2000, 2101)  # no bank's line is of another one
COLUMNS: Final = (
    *("day", "time", "in", "out", "balance", "reference", "memo"),
    *("other_name", "other_account", "other_bank", "line_no", "statement"),
)
Line = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class AskedLines:
    """What the form asks for, as it was sent and as it is read."""

    account: str
    first: date
    last: date
    direction: str
    is_too_long: bool

    @property
    def wanted(self) -> LineFilter | None:
        """The filter; None: no account is chosen, or the days are too many."""
        try:
            account_id = UUID(self.account)
        except ValueError:
            return None
        if self.is_too_long:
            return None
        return LineFilter(
            account_id=account_id,
            first=self.first,
            last=self.last,
            direction=self.direction or None,
        )

    @property
    def query(self) -> dict[str, str]:
        """The same as an address has it."""
        return {
            "account": self.account,
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "direction": self.direction,
        }


@dataclass(frozen=True, kw_only=True)
class LinesPage:
    """Everything templates/statement_lines.html may use, already worded."""

    accounts: tuple[tuple[str, str], ...]
    account: str
    first: str
    last: str
    directions: tuple[tuple[str, str], ...]
    direction: str
    rows: tuple[tuple[LineRow, str], ...]  # with the path of its statement
    older: str
    count: str  # "" where nothing is asked for
    xlsx_path: str  # "" where there are too many
    csv_path: str
    errors: Errors


async def read_asked(
    finance: TheFinance,
    account: Annotated[str, Query(max_length=40)] = "",
    first: Annotated[str, Query(alias="from", max_length=10)] = "",
    last: Annotated[str, Query(alias="to", max_length=10)] = "",
    direction: Annotated[str, Query(max_length=3)] = "",
) -> AskedLines:
    """Read the form; a day that is none is the usual one."""
    today = hanoi_day(finance.now)
    until = _read_day(last) or today
    since = _read_day(first) or until - timedelta(days=DAYS_SHOWN - 1)
    return AskedLines(
        account=account,
        first=min(since, until),
        last=until,
        direction=direction if direction in ("in", "out") else "",
        is_too_long=(until - since).days >= DAYS_MAX,
    )


TheLines = Annotated[AskedLines, Depends(read_asked)]


@router.get("", dependencies=[requires(Permission.LEDGER_READ)])
async def show_lines(finance: TheFinance, asked: TheLines, before: Before = None) -> Response:
    """List an account's lines of some days, newest first."""
    wanted, errors = asked.wanted, {}
    if asked.is_too_long:
        errors["to"] = translate(finance.lang, "statement_lines.too_long", days=DAYS_MAX)
    found: list[Line] = []
    count = 0
    async with open_org_transaction(finance.database, finance.org_id) as tx:
        offered = await list_accounts(tx, finance.org_id, limit=ACCOUNTS_OFFERED)
        if wanted is not None:
            count = await count_account_lines(tx, finance.org_id, wanted, limit=XLSX_ROWS_MAX + 1)
            found = await list_account_lines(
                tx,
                finance.org_id,
                wanted,
                before_id=read_cursor(before),
                limit=PAGE_ROWS + 1,
            )
    is_few = 0 < count <= XLSX_ROWS_MAX
    more = len(found) > PAGE_ROWS
    page = LinesPage(
        accounts=tuple((str(one.id), finance.name_account(one)) for one in offered),
        account=asked.account,
        first=asked.first.isoformat(),
        last=asked.last.isoformat(),
        directions=tuple(
            (one, translate(finance.lang, f"statement_lines.direction.{one or 'both'}"))
            for one in ("", "in", "out")
        ),
        direction=asked.direction,
        rows=tuple(
            (present_line(finance, one), _path_of(finance, one)) for one in found[:PAGE_ROWS]
        ),
        older=finance.path("/lines", **asked.query, before=write_cursor(found[PAGE_ROWS - 1]["id"]))
        if more
        else "",
        count=_say_count(finance, count) if wanted else "",
        xlsx_path=finance.path("/lines/export.xlsx", **asked.query) if is_few else "",
        csv_path=finance.path("/lines/export.csv", **asked.query) if count else "",
        errors=errors,
    )
    return finance.render("statement_lines.html", page, here="lines", status=422 if errors else 200)


@router.get("/export.xlsx", dependencies=[requires(Permission.LEDGER_READ)])
async def export_xlsx(finance: TheFinance, asked: TheLines) -> Response:
    """Send exactly these lines as an Excel file; too many are asked for as CSV."""
    wanted = asked.wanted
    async with open_org_transaction(finance.database, finance.org_id) as tx:
        count = (
            await count_account_lines(tx, finance.org_id, wanted, limit=XLSX_ROWS_MAX + 1)
            if wanted
            else 0
        )
    if wanted is None or count > XLSX_ROWS_MAX:
        return finance.redirect("/lines", **asked.query)
    await _record(finance, asked, "xlsx")
    name = translate(finance.lang, "statement_lines.sheet")
    sheet = await asyncio.to_thread(Sheet, name, _heads(finance))
    async for batch in _read_batches(finance, wanted, XLSX_ROWS_MAX):
        await asyncio.to_thread(sheet.add, [_cells(one) for one in batch])
    content = await asyncio.to_thread(sheet.close)
    return _as_file(Response(content, media_type=XLSX_TYPE), asked, "xlsx")


@router.get("/export.csv", dependencies=[requires(Permission.LEDGER_READ)])
async def export_csv(finance: TheFinance, asked: TheLines) -> Response:
    """Send exactly these lines as CSV, as they are read."""
    wanted = asked.wanted
    if wanted is None:
        return finance.redirect("/lines", **asked.query)
    await _record(finance, asked, "csv")

    async def write() -> AsyncIterator[str]:
        yield BOM + write_csv([_heads(finance)])
        async for batch in _read_batches(finance, wanted, CSV_ROWS_MAX):
            yield await asyncio.to_thread(write_csv, [_cells(one) for one in batch])

    return _as_file(StreamingResponse(write(), media_type=CSV_TYPE), asked, "csv")


async def _record(finance: FinanceContext, asked: AskedLines, kind: str) -> None:
    """Record that somebody takes lines out of the hub, before they do."""
    async with open_org_transaction(finance.database, finance.org_id) as tx:
        record_change(
            tx,
            org_id=finance.org_id,
            actor=finance.caller.actor,
            action="statement_lines.exported",
            object_kind="organisation",
            object_id=finance.org_id,
            after={"file": kind, "filters": ", ".join(f"{k}={v}" for k, v in asked.query.items())},
            now=finance.now,
        )


async def _read_batches(
    finance: FinanceContext, wanted: LineFilter, rows_max: int
) -> AsyncIterator[list[Line]]:
    """Read lines in batches, each in a transaction of its own: a client may be slow."""
    before_id, left = None, rows_max
    while left > 0:
        async with open_org_transaction(finance.database, finance.org_id) as tx:
            batch = await list_account_lines(
                tx, finance.org_id, wanted, before_id=before_id, limit=min(BATCH_ROWS, left)
            )
        if batch:
            yield batch
            before_id = batch[-1]["id"]
        left -= len(batch)
        if len(batch) < BATCH_ROWS:
            return


def _heads(finance: FinanceContext) -> list[str]:
    return [translate(finance.lang, f"statement_lines.column.{name}") for name in COLUMNS]


def _cells(line: Line) -> list[Cell]:
    is_in = line["direction"] == "in"
    has_time = line["transacted_at"] is not None and not line["is_date_only"]
    return [
        f"{line['booked_on']:%d/%m/%Y}",
        line["transacted_at"] if has_time else None,
        line["amount_vnd"] if is_in else None,
        None if is_in else line["amount_vnd"],
        line["balance_after_vnd"],
        line["bank_reference"],
        line["memo"],
        line["counterparty_name"],
        line["counterparty_account"],
        line["counterparty_bank"],
        line["line_no"],
        str(line["statement_id"]),
    ]


def _path_of(finance: FinanceContext, line: Line) -> str:
    path = finance.path(f"/statements/{line['statement_id']}", after=line["line_no"] - 1)
    return f"{path}#line-{line['line_no']}"


def _say_count(finance: FinanceContext, count: int) -> str:
    if count > XLSX_ROWS_MAX:
        shown = finance.present_count(XLSX_ROWS_MAX)
        return translate(finance.lang, "statement_lines.over", count=shown)
    shown = finance.present_count(count)
    return translate(finance.lang, "statement_lines.found", count=shown)


def _as_file(answer: Response, asked: AskedLines, kind: str) -> Response:
    name = f"sao-ke-{asked.first:%Y%m%d}-{asked.last:%Y%m%d}.{kind}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return no_store(answer)


def _read_day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year in YEARS else None
