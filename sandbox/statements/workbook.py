"""Statements as Excel files, in the layout of a bank's business banking."""

import io
from typing import Any

import xlsxwriter

from sandbox.statements import wording
from sandbox.statements.statement import Statement

# "20/11/2026   FT26324…" stands in one cell over two columns.
DATE_AND_NUMBER = "DD/MM/YYYY   DOCNO"
LAST_COLUMN = 6
WIDTHS = (6, 13, 20, 18, 18, 20, 60)


def write_xlsx(statement: Statement) -> bytes:
    """Write a workbook of one sheet: preamble, table with merged cells, totals and a footer.

    Layout: Vietcombank's business banking as others' readers know it (docs/sandbox.md).
    Amounts are numbers, balances and preamble are texts.
    """
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet("VCBACCOUNTDETAIL")
    bold = book.add_format({"bold": True, "text_wrap": True})
    money = book.add_format({"num_format": "#,##0"})
    for column, width in enumerate(WIDTHS):
        sheet.set_column(column, column, width)
    sheet.merge_range(0, 0, 0, LAST_COLUMN, wording.TITLE, bold)
    row = 2
    for name, value in wording.preamble(statement):
        sheet.merge_range(row, 0, row, 1, name)
        sheet.write_string(row, 2, value)
        row += 1
    row = _write_header(sheet, row + 1, bold)
    for number, line in enumerate(statement.lines, 1):
        sheet.write_number(row, 0, number)
        sheet.merge_range(row, 1, row, 2, f"{line.booked_on:%d/%m/%Y}   {line.reference}")
        sheet.write_number(row, 3 if line.signed_vnd < 0 else 4, abs(line.signed_vnd), money)
        sheet.write_string(row, 5, wording.grouped(line.balance_vnd))
        sheet.write_string(row, 6, line.memo)
        row += 1
    sheet.merge_range(row, 0, row, 2, wording.TOTAL, bold)
    sheet.write_number(row, 3, statement.debit_vnd, money)
    sheet.write_number(row, 4, statement.credit_vnd, money)
    sheet.merge_range(row + 1, 0, row + 1, 2, wording.CLOSING, bold)
    sheet.write_string(row + 1, 3, f"{wording.grouped(statement.closing_vnd)} VND")
    sheet.merge_range(row + 3, 0, row + 3, LAST_COLUMN, wording.FOOTER)
    book.close()
    return out.getvalue()


def _write_header(sheet: Any, row: int, bold: Any) -> int:
    """Write the table's two header rows; returns the row below them."""
    names = ("Số tiền ghi nợ/ Debit", "Số tiền ghi có/ Credit", "Số dư/ Balance")
    sheet.merge_range(row, 0, row + 1, 0, "STT/ No.", bold)
    sheet.merge_range(row, 1, row, 2, "Ngày giao dịch/ Date - Số CT/ Doc no", bold)
    sheet.merge_range(row + 1, 1, row + 1, 2, DATE_AND_NUMBER, bold)
    for column, name in enumerate((*names, "Nội dung/ Description"), 3):
        sheet.merge_range(row, column, row + 1, column, name, bold)
    return row + 2
