"""XLS workbooks of Excel 5 to 2003 (BIFF), read by xlrd: pure Python, so no file can crash it."""

import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO, Final

import xlrd

from payments.statements.reading.cells import Cell, CellFault, Row
from payments.statements.reading.days import DAYS_OF_1904
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.rows import Source
from payments.statements.reading.survey import survey
from payments.statements.reading.table import TableReader
from payments.statements.reading.types import (
    CELL_CHARS_MAX,
    COLUMNS_MAX,
    WHOLE_FILE_BYTES_MAX,
    Item,
    ReadingOptions,
    RowFault,
    StatementFormat,
)

OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# The stream in which Excel keeps an XLSX that has a password.
ENCRYPTED_PART: Final = "EncryptedPackage".encode("utf-16-le")


def read_xls(file: BinaryIO, options: ReadingOptions) -> Iterator[Item]:
    """Read a workbook; see types.py for what a reader promises."""
    book = _open_workbook(file)
    offset = DAYS_OF_1904 if book.datemode else 0
    source = Source(format=StatementFormat.XLS, days_offset=offset)
    rows = _collect(book)
    yield from TableReader(source, options, survey(rows, options)).read(rows)


def list_xls_rows(file: BinaryIO, _: ReadingOptions) -> Iterator[Row]:
    """Yield a workbook's rows as they stand."""
    yield from _collect(_open_workbook(file))


def _open_workbook(file: BinaryIO) -> Any:
    file.seek(0)
    content = file.read(WHOLE_FILE_BYTES_MAX + 1)
    if len(content) > WHOLE_FILE_BYTES_MAX:
        facts = {"bytes": len(content), "bytes_max": WHOLE_FILE_BYTES_MAX}
        raise StatementError(Refusal.TOO_LARGE, **facts)
    if content.startswith(OLE) and ENCRYPTED_PART in content:
        raise StatementError(Refusal.ENCRYPTED)
    try:
        # What it prints about odd files goes nowhere.
        return xlrd.open_workbook(file_contents=content, logfile=io.StringIO(), ragged_rows=True)
    except xlrd.XLRDError as problem:
        if "encrypted" in str(problem).lower():
            raise StatementError(Refusal.ENCRYPTED) from None
        raise StatementError(Refusal.DAMAGED, format="xls") from None
    except Exception:  # a broken file makes it fail anywhere: struct, index, assert, decoding
        raise StatementError(Refusal.DAMAGED, format="xls") from None


def _collect(book: Any) -> list[Row]:
    """Return the rows of all visible sheets: of a sheet there are 65,536."""
    rows = []
    for sheet in book.sheets():
        if sheet.visibility != 0:
            continue
        for number in range(sheet.nrows):
            cells = [_read_cell(book, one) for one in sheet.row(number)]
            while cells and cells[-1] in (None, ""):
                cells.pop()
            if len(cells) > COLUMNS_MAX:
                facts = {"row": number + 1, "columns_max": COLUMNS_MAX}
                raise StatementError(Refusal.TOO_MANY_COLUMNS, **facts)
            rows.append(Row(number + 1, cells, sheet.name[:100]))
    return rows


def _read_cell(book: Any, cell: Any) -> Cell:
    if cell.ctype in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
        number = Decimal(repr(cell.value))
        return number if number.is_finite() else CellFault(RowFault.CELL_ERROR, str(number))
    if cell.ctype == xlrd.XL_CELL_TEXT:
        text: str = cell.value
        return text if len(text) <= CELL_CHARS_MAX else CellFault(RowFault.CELL_TOO_LONG)
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return CellFault(RowFault.CELL_ERROR, xlrd.error_text_from_code.get(cell.value, "#"))
    return str(bool(cell.value)).upper() if cell.ctype == xlrd.XL_CELL_BOOLEAN else None
