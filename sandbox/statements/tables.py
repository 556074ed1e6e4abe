"""Statements as CSV in two layouts, and as HTML that calls itself an Excel file."""

import csv
import io
from collections.abc import Iterator
from html import escape

from sandbox.statements import wording
from sandbox.statements.statement import Statement, StatementLine

TWO_COLUMNS = ("Ngày GD", "Số CT", "Mô tả", "Phát sinh Nợ", "Phát sinh Có", "Số dư")
SIGNED = ("Ngày hiệu lực", "Số tham chiếu", "Diễn giải", "Số tiền")
BILINGUAL = (
    "STT/No.",
    "Ngày giao dịch/Date",
    "Số CT/Doc no",
    "Số tiền ghi nợ/Debit",
    "Số tiền ghi có/Credit",
    "Số dư/Balance",
    "Nội dung/Description",
)


def write_csv(statement: Statement) -> str:
    """Write a preamble, amounts in two columns with commas, totals and the closing balance.

    Layout: the columns that a guide gives for Vietcombank (docs/sandbox.md).
    """
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow([wording.TITLE])
    rows.writerows(wording.preamble(statement))
    rows.writerow([])
    rows.writerow(TWO_COLUMNS)
    for line in statement.lines:
        rows.writerow(
            [
                f"{line.booked_on:%d/%m/%Y}",
                line.reference,
                line.memo,
                wording.debit(line.signed_vnd),
                wording.credit(line.signed_vnd),
                wording.grouped(line.balance_vnd),
            ]
        )
    debit, credit = wording.grouped(statement.debit_vnd), wording.grouped(statement.credit_vnd)
    rows.writerow([wording.TOTAL, "", "", debit, credit, ""])
    rows.writerow([wording.CLOSING, f"{wording.grouped(statement.closing_vnd)} VND"])
    return out.getvalue()


def write_signed_csv(statement: Statement) -> str:
    """Write one signed amount a line with dots, between semicolons; no balances at all.

    Layout: the columns that a guide gives for BIDV (docs/sandbox.md).
    """
    out = io.StringIO()
    rows = csv.writer(out, delimiter=";")
    rows.writerow(SIGNED)
    for line in statement.lines:
        sign = "+" if line.signed_vnd > 0 else ""
        amount = sign + wording.grouped(line.signed_vnd, ".")
        rows.writerow([f"{line.booked_on:%d/%m/%Y}", line.reference, line.memo, amount])
    return out.getvalue()


def write_html(statement: Statement, encoding: str) -> str:
    """Write the table as HTML, which a bank saves as .xls and Excel opens."""
    return "".join(_html(statement, encoding))


def _html(statement: Statement, encoding: str) -> Iterator[str]:
    yield f'<html><head><meta charset="{encoding}"></head><body><table border="1">\r\n'
    yield f'<tr><td colspan="7"><b>{wording.TITLE}</b></td></tr>\r\n'
    for name, value in wording.preamble(statement):
        yield f'<tr><td colspan="3">{name}</td><td colspan="4">{escape(value)}</td></tr>\r\n'
    yield _row(BILINGUAL, "th")
    for number, line in enumerate(statement.lines, 1):
        yield _row(_cells(number, line), "td")
    debit, credit = wording.grouped(statement.debit_vnd), wording.grouped(statement.credit_vnd)
    yield (
        f'<tr><td colspan="3">{wording.TOTAL}</td><td>{debit}</td><td>{credit}</td>'
        "<td></td><td></td></tr>\r\n"
    )
    closing = f"{wording.grouped(statement.closing_vnd)} VND"
    yield f'<tr><td colspan="3">{wording.CLOSING}</td><td colspan="4">{closing}</td></tr>\r\n'
    yield f"</table><p>{wording.FOOTER}</p></body></html>\r\n"


def _row(cells: tuple[str, ...], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>\r\n"


def _cells(number: int, line: StatementLine) -> tuple[str, ...]:
    return (
        str(number),
        f"{line.booked_on:%d/%m/%Y}",
        line.reference,
        wording.debit(line.signed_vnd),
        wording.credit(line.signed_vnd),
        wording.grouped(line.balance_vnd),
        line.memo,
    )
