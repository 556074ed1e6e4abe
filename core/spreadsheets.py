"""Lists as files for a spreadsheet: CSV and XLSX whose texts are never formulas.

A plate, a ticket or a note may begin with "=": in XLSX texts are written as texts, and in CSV an
apostrophe goes before what a spreadsheet would calculate (OWASP, CSV injection).
"""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

import xlsxwriter

from core.clock import HANOI

Cell = str | int | datetime | None
CSV_TYPE: Final = "text/csv; charset=utf-8"
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BOM: Final = "\ufeff"  # without it Excel takes UTF-8 for the system's old code page
_CALCULATED: Final = ("=", "+", "-", "@", "\t", "\r")
_IN_MEMORY_BYTES: Final = 4 * 1024 * 1024
SHEET_ROWS_MAX: Final = 1_000_000  # a sheet of Excel's has 1,048,576 lines; the rest has its own


def write_csv(rows: Sequence[Sequence[Cell]]) -> str:
    """Return lines of CSV (RFC 4180)."""
    out = io.StringIO()
    csv.writer(out).writerows([_write_cell(cell) for cell in row] for row in rows)
    return out.getvalue()


class Sheet:
    """An XLSX file, written row by row with little memory. Use it in a thread.

    It has one sheet, and one more for each million rows.
    """

    def __init__(self, name: str, heads: Sequence[str]) -> None:
        self._file: Any = SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 (read at the end)
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        self._book = xlsxwriter.Workbook(self._file, options)
        self._bold = self._book.add_format({"bold": True})
        self._instant = self._book.add_format({"num_format": "dd/mm/yyyy hh:mm"})
        self._number = self._book.add_format({"num_format": "#,##0"})
        self._name, self._heads, self._sheets = name, heads, 0
        self._begin_sheet()

    def add(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Write more rows."""
        for cells in rows:
            if self._row == SHEET_ROWS_MAX:
                self._begin_sheet()
            self._row += 1
            for column, cell in enumerate(cells):
                if isinstance(cell, datetime):
                    local = cell.astimezone(HANOI).replace(tzinfo=None)
                    self._sheet.write_datetime(self._row, column, local, self._instant)
                elif isinstance(cell, int):
                    self._sheet.write_number(self._row, column, cell, self._number)
                elif cell:
                    self._sheet.write_string(self._row, column, cell)

    def close(self) -> bytes:
        """Return the file."""
        with self.close_file() as file:
            return file.read()

    def close_file(self) -> IO[bytes]:
        """Return the file, open at its beginning: a long one is on the disk."""
        self._book.close()
        self._file.seek(0)
        file: IO[bytes] = self._file
        return file

    def _begin_sheet(self) -> None:
        self._sheets += 1
        name = self._name if self._sheets == 1 else f"{self._name} ({self._sheets})"
        self._sheet = self._book.add_worksheet(name)
        for column, head in enumerate(self._heads):
            self._sheet.write_string(0, column, head, self._bold)
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_column(0, len(self._heads) - 1, 18)
        self._row = 0


def _write_cell(cell: Cell) -> str:
    if isinstance(cell, datetime):
        return f"{cell.astimezone(HANOI):%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, str) and cell.startswith(_CALCULATED):
        return f"'{cell}"
    return "" if cell is None else str(cell)
