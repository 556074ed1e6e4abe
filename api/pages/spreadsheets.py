"""Lists as files for a spreadsheet: CSV and XLSX whose texts are never formulas.

A plate, a ticket or a note may begin with "=": in XLSX texts are written as texts, and in CSV an
apostrophe goes before what a spreadsheet would calculate (OWASP, CSV injection).
"""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import Any, Final

import xlsxwriter

from core.clock import HANOI

Cell = str | int | datetime | None
CSV_TYPE: Final = "text/csv; charset=utf-8"
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BOM: Final = "\ufeff"  # without it Excel takes UTF-8 for the system's old code page
_CALCULATED: Final = ("=", "+", "-", "@", "\t", "\r")
_IN_MEMORY_BYTES: Final = 4 * 1024 * 1024


def write_csv(rows: Sequence[Sequence[Cell]]) -> str:
    """Return lines of CSV (RFC 4180)."""
    out = io.StringIO()
    csv.writer(out).writerows([_write_cell(cell) for cell in row] for row in rows)
    return out.getvalue()


class Sheet:
    """One sheet of an XLSX file, written row by row with little memory. Use it in a thread."""

    def __init__(self, name: str, heads: Sequence[str]) -> None:
        self._file: Any = SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 (read at the end)
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        self._book = xlsxwriter.Workbook(self._file, options)
        self._sheet = self._book.add_worksheet(name)
        bold = self._book.add_format({"bold": True})
        self._instant = self._book.add_format({"num_format": "dd/mm/yyyy hh:mm"})
        self._number = self._book.add_format({"num_format": "#,##0"})
        for column, head in enumerate(heads):
            self._sheet.write_string(0, column, head, bold)
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_column(0, len(heads) - 1, 18)
        self._row = 0

    def add(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Write more rows."""
        for cells in rows:
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
        self._book.close()
        self._file.seek(0)
        content: bytes = self._file.read()
        self._file.close()
        return content


def _write_cell(cell: Cell) -> str:
    if isinstance(cell, datetime):
        return f"{cell.astimezone(HANOI):%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, str) and cell.startswith(_CALCULATED):
        return f"'{cell}"
    return "" if cell is None else str(cell)
