"""Statements as workbooks: a sheet of totals, and one of postings up to a limit.

Texts are text cells: what begins with "=" is no formula. Amounts are numbers, so that they can be
summed; đồng of a statement are far below what Excel's numbers hold whole.
"""

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import xlsxwriter

from core.clock import HANOI
from payments.ledger.types import Leg
from payments.settlements.paper import Paper, name_cause
from payments.settlements.rules import EXCEL_ITEMS_MAX

WHOLE_MAX: Final = 2**53 - 1  # beyond, Excel's numbers lose digits
HEADS: Final = ("Ngày sổ", "Thời điểm", "Kênh", "Bút toán", "Số tiền (₫)", "Mã bút toán")


def write_workbook(
    paper: Paper, items: Sequence[tuple[Leg, str]], *, is_cut: bool, at: datetime
) -> bytes:
    """Write an XLSX file.

    Args:
        items: postings in the order of writing, each with its channel's name.
        is_cut: there are more than these.
        at: when it was approved, or is written: the file's own date.
    """
    out = io.BytesIO()
    book = xlsxwriter.Workbook(
        out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    book.set_properties({"created": at.astimezone(HANOI).replace(tzinfo=None)})
    _write_totals(book, paper)
    _write_items(book, items, is_cut=is_cut)
    book.close()
    return out.getvalue()


def _write_totals(book: Any, paper: Paper) -> None:
    bold = book.add_format({"bold": True})
    sheet = book.add_worksheet("Tổng hợp")
    sheet.set_column(0, 0, 46)
    sheet.set_column(1, 4, 20)
    row = 0
    for label, text in (
        (paper.organisation, paper.number_label),
        ("Bảng kê quyết toán", "BẢN NHÁP" if paper.is_draft else ""),
        ("Người thụ hưởng", paper.payee),
        ("Địa điểm", paper.place),
        (paper.period, paper.cut_off),
    ):
        sheet.write_string(row, 0, label, bold)
        sheet.write_string(row, 1, text)
        row += 1
    row += 1
    for column, head in enumerate(("Kênh", "Số bút toán", "Thu", "Điều chỉnh giảm", "Còn lại")):
        sheet.write_string(row, column, head, bold)
    for one in (*paper.channels, *paper.not_counted):
        row += 1
        for column, text in enumerate((one.name, one.postings, one.credited, one.debited, one.net)):
            sheet.write_string(row, column, text)
    row += 2
    money = book.add_format({"num_format": "#,##0"})
    bold_money = book.add_format({"num_format": "#,##0", "bold": True})
    for amount in paper.rows:
        sheet.write_string(row, 0, amount.name, bold if amount.is_sum else None)
        _write_vnd(sheet, row, 1, amount.amount_vnd, bold_money if amount.is_sum else money)
        row += 1
    sheet.write_string(row, 0, "Thực nhận bằng chữ", bold)
    sheet.write_string(row, 1, paper.words)
    row += 2
    for carried in paper.carried:
        for column, text in enumerate((carried.name, carried.since, carried.amount)):
            sheet.write_string(row, column, text)
        row += 1
    for person in paper.people:
        row += 1
        for column, text in enumerate((person.role, person.name, person.at)):
            sheet.write_string(row, column, text)


def _write_items(book: Any, items: Sequence[tuple[Leg, str]], *, is_cut: bool) -> None:
    bold = book.add_format({"bold": True})
    money = book.add_format({"num_format": "#,##0"})
    sheet = book.add_worksheet("Bút toán")
    sheet.set_column(0, 5, 20)
    for column, head in enumerate(HEADS):
        sheet.write_string(0, column, head, bold)
    row = 0
    for row, (leg, name) in enumerate(items, 1):
        when = leg.effective_at.astimezone(HANOI)
        sheet.write_string(row, 0, f"{leg.day:%d/%m/%Y}")
        sheet.write_string(row, 1, f"{when:%d/%m/%Y %H:%M:%S}")
        sheet.write_string(row, 2, name)
        sheet.write_string(row, 3, name_cause(leg.cause_kind))
        _write_vnd(sheet, row, 4, leg.amount_vnd if leg.is_credit else -leg.amount_vnd, money)
        sheet.write_string(row, 5, str(leg.id))
    if is_cut:
        shown = f"{EXCEL_ITEMS_MAX:,}".replace(",", ".")
        sheet.write_string(row + 1, 0, f"Chỉ nêu {shown} bút toán đầu; lấy đủ qua API.", bold)


def _write_vnd(sheet: Any, row: int, column: int, amount_vnd: int, style: Any) -> None:
    if abs(amount_vnd) > WHOLE_MAX:
        sheet.write_string(row, column, str(amount_vnd))
    else:
        sheet.write_number(row, column, amount_vnd, style)
