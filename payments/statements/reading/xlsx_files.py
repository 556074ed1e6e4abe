"""XLSX workbooks, sheet by sheet and row by row.

The parts of the zip are parsed by expat as they are unpacked, so memory holds the shared texts
and one chunk, whatever a sheet says of its size. Numbers stay exact: they are text in the file.
Formulas give the value that was last computed; nothing is computed here.
"""

import posixpath
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import BinaryIO, Final, NamedTuple
from xml.parsers import expat

from payments.statements.reading.cells import Cell, CellFault, Row, index_of
from payments.statements.reading.days import DAYS_OF_1904
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.rows import Source
from payments.statements.reading.survey import survey
from payments.statements.reading.table import TableReader
from payments.statements.reading.types import (
    CELL_CHARS_MAX,
    COLUMNS_MAX,
    EXPANDED_BYTES_MAX,
    EXPANSION_RATIO_MAX,
    Item,
    ReadingOptions,
    RowFault,
    StatementFormat,
)

CHUNK_BYTES: Final = 64 * 1024
PARTS_MAX: Final = 2_000
SHEETS_MAX: Final = 100
# All texts that cells share; a million memos of 100 letters are a tenth of a gibibyte.
SHARED_TEXTS_MAX: Final = 4_000_000
SHARED_CHARS_MAX: Final = 128 * 1024 * 1024
SMALL_BYTES: Final = 1024 * 1024  # a part that stays below this is no bomb, whatever its ratio
WORKBOOK: Final = "xl/workbook.xml"
NUMBER_CHARS_MAX: Final = 40


class _Sheet(NamedTuple):
    name: str
    relation: str


class _Workbook(NamedTuple):
    sheets: list[tuple[str, str]]  # name and part
    texts: list[str]
    counts_from_1904: bool


def read_xlsx(file: BinaryIO, options: ReadingOptions) -> Iterator[Item]:
    """Read a workbook; see types.py for what a reader promises."""
    with _opened(file) as archive:
        book = _open_workbook(archive)
        offset = DAYS_OF_1904 if book.counts_from_1904 else 0
        source = Source(format=StatementFormat.XLSX, days_offset=offset)
        thousands = survey(_read_rows(archive, book), options)
        yield from TableReader(source, options, thousands).read(_read_rows(archive, book))


def list_xlsx_rows(file: BinaryIO, _: ReadingOptions) -> Iterator[Row]:
    """Yield a workbook's rows as they stand."""
    with _opened(file) as archive:
        yield from _read_rows(archive, _open_workbook(archive))


@contextmanager
def _opened(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """Open the zip; whatever breaks within the block says that it is damaged."""
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            _check_parts(archive)
            yield archive
    except (
        *(zipfile.BadZipFile, zlib.error, EOFError, OSError, expat.ExpatError, KeyError),
        *(NotImplementedError, RuntimeError, UnicodeError, ValueError),
    ):
        raise StatementError(Refusal.DAMAGED, format="xlsx") from None


def _check_parts(archive: zipfile.ZipFile) -> None:
    parts = archive.infolist()
    if len(parts) > PARTS_MAX:
        raise StatementError(Refusal.DAMAGED, format="xlsx")
    total_bytes = 0
    for part in parts:
        if part.flag_bits & 1:
            raise StatementError(Refusal.ENCRYPTED)
        total_bytes += part.file_size
        too_far = part.file_size > EXPANSION_RATIO_MAX * max(part.compress_size, 1)
        if (too_far and part.file_size > SMALL_BYTES) or total_bytes > EXPANDED_BYTES_MAX:
            raise StatementError(Refusal.EXPANDS_TOO_FAR, part=part.filename[-80:])


class _Target:
    """Base of what listens to expat: a part of the workbook, element by element."""

    def start(self, name: str, attributes: dict[str, str]) -> None: ...

    def end(self, name: str) -> None: ...

    def data(self, text: str) -> None: ...

    @property
    def is_done(self) -> bool:
        return False


def _parse(archive: zipfile.ZipFile, part: str, target: _Target) -> Iterator[None]:
    """Feed one part to the target, and stop after each piece for what it has collected."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = target.start
    parser.EndElementHandler = target.end
    parser.CharacterDataHandler = target.data
    parser.StartDoctypeDeclHandler = _refuse_doctype
    # zipfile gives no more bytes than the part's entry says, and checks them at the end.
    with archive.open(part) as opened:
        while chunk := opened.read(CHUNK_BYTES):
            parser.Parse(chunk, False)
            yield
            if target.is_done:
                return
    parser.Parse(b"", True)
    yield


def _refuse_doctype(*_: object) -> None:
    # Excel writes none. Only with one can a document name entities that grow without end.
    raise StatementError(Refusal.EXPANDS_TOO_FAR, part="DOCTYPE")


def _local(name: str) -> str:
    return name.rpartition(":")[2]


class _BookTarget(_Target):
    def __init__(self) -> None:
        self.sheets: list[_Sheet] = []
        self.counts_from_1904 = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = _local(name)
        if name == "workbookPr":
            self.counts_from_1904 = attributes.get("date1904", "0") in ("1", "true")
        elif name == "sheet" and attributes.get("state", "visible") == "visible":
            relation = next((v for k, v in attributes.items() if _local(k) == "id"), "")
            self.sheets.append(_Sheet(attributes.get("name", ""), relation))
            if len(self.sheets) > SHEETS_MAX:
                raise StatementError(Refusal.DAMAGED, format="xlsx")


class _RelationsTarget(_Target):
    def __init__(self) -> None:
        self.parts: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if _local(name) == "Relationship" and attributes.get("TargetMode") != "External":
            target = attributes.get("Target", "")
            part = target.lstrip("/") if target.startswith("/") else posixpath.join("xl", target)
            self.parts[attributes.get("Id", "")] = posixpath.normpath(part)


class _TextsTarget(_Target):
    """Shared texts: a text may be in runs of several fonts; readings aid (rPh) is no part of it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._chars = 0
        self._parts: list[str] = []
        self._is_text = False
        self._is_aid = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = _local(name)
        if name == "si":
            self._parts = []
        elif name == "rPh":
            self._is_aid = True
        elif name == "t":
            self._is_text = not self._is_aid

    def end(self, name: str) -> None:
        name = _local(name)
        if name == "t":
            self._is_text = False
        elif name == "rPh":
            self._is_aid = False
        elif name == "si":
            text = "".join(self._parts)
            self._chars += len(text)
            self.texts.append(text)
            if len(self.texts) > SHARED_TEXTS_MAX or self._chars > SHARED_CHARS_MAX:
                raise StatementError(Refusal.EXPANDS_TOO_FAR, part="xl/sharedStrings.xml")

    def data(self, text: str) -> None:
        if self._is_text and len(self._parts) <= CELL_CHARS_MAX:
            self._parts.append(text[: CELL_CHARS_MAX + 1])


class _SheetTarget(_Target):
    """Rows of one sheet, collected as they end."""

    def __init__(self, sheet: str | None, texts: list[str]) -> None:
        self.rows: deque[Row] = deque()
        self._sheet = sheet
        self._texts = texts
        self._number = 0
        self._cells: list[Cell] = []
        self._index = -1
        self._type = ""
        self._value: list[str] | None = None
        self._has_formula = False
        self._is_value = False
        self._is_done = False

    @property
    def is_done(self) -> bool:
        return self._is_done

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = _local(name)
        if name == "c":
            self._index = _find_index(attributes.get("r"), self._index + 1)
            self._type = attributes.get("t", "n")
            self._value, self._has_formula = None, False
        elif name == "v" or (name == "t" and self._type == "inlineStr"):
            self._is_value = True
            self._value = self._value or []
        elif name == "f":
            self._has_formula = True
        elif name == "row":
            number = attributes.get("r", "")
            is_number = number.isascii() and number.isdigit() and len(number) < 9
            self._number = int(number) if is_number else self._number + 1
            self._cells, self._index = [], -1

    def data(self, text: str) -> None:
        if self._is_value and self._value is not None and len(self._value) <= CELL_CHARS_MAX:
            self._value.append(text[: CELL_CHARS_MAX + 1])

    def end(self, name: str) -> None:
        name = _local(name)
        if name in ("v", "t"):
            self._is_value = False
        elif name == "c":
            self._end_cell()
        elif name == "row":
            self.rows.append(Row(self._number, self._cells, self._sheet))
        elif name == "sheetData":
            self._is_done = True

    def _end_cell(self) -> None:
        cell = self._read_cell()
        if cell is None or cell == "":
            return
        if self._index >= COLUMNS_MAX:
            raise StatementError(
                Refusal.TOO_MANY_COLUMNS, row=self._number, columns_max=COLUMNS_MAX
            )
        while len(self._cells) < self._index:
            self._cells.append(None)
        if self._index == len(self._cells):
            self._cells.append(cell)
        else:
            self._cells[self._index] = cell

    def _read_cell(self) -> Cell:
        if self._value is None:
            fault = CellFault(RowFault.FORMULA_WITHOUT_VALUE)
            return fault if self._has_formula else None
        value = "".join(self._value)
        if self._type == "s":
            index = int(value)
            if not 0 <= index < len(self._texts):
                raise StatementError(Refusal.DAMAGED, format="xlsx")
            value = self._texts[index]
        if self._type == "e":
            return CellFault(RowFault.CELL_ERROR, value)
        if self._type in ("n", ""):
            return _read_number(value)
        return value if len(value) <= CELL_CHARS_MAX else CellFault(RowFault.CELL_TOO_LONG)


def _read_number(value: str) -> Cell:
    text = value.strip()
    if not text:
        return None
    try:
        number = Decimal(text) if len(text) <= NUMBER_CHARS_MAX else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        return CellFault(RowFault.CELL_ERROR, text)
    return number


def _find_index(reference: str | None, following: int) -> int:
    """Return the column of "BC12", from 0; a cell without a name follows the one before it."""
    index = index_of((reference or "").rstrip("0123456789"))
    return following if index is None else index


def _open_workbook(archive: zipfile.ZipFile) -> _Workbook:
    book, relations, texts = _BookTarget(), _RelationsTarget(), _TextsTarget()
    for _ in _parse(archive, WORKBOOK, book):
        pass
    for _ in _parse(archive, "xl/_rels/workbook.xml.rels", relations):
        pass
    if "xl/sharedStrings.xml" in archive.NameToInfo:
        for _ in _parse(archive, "xl/sharedStrings.xml", texts):
            pass
    sheets = [
        (one.name, relations.parts[one.relation])
        for one in book.sheets
        if relations.parts.get(one.relation) in archive.NameToInfo
    ]
    return _Workbook(sheets, texts.texts, book.counts_from_1904)


def _read_rows(archive: zipfile.ZipFile, book: _Workbook) -> Iterator[Row]:
    for name, part in book.sheets:
        target = _SheetTarget(name[:100], book.texts)
        for _ in _parse(archive, part, target):
            while target.rows:
                yield target.rows.popleft()
