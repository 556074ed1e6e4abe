"""Tables in HTML, as internet banking saves them under the name .xls.

lxml parses without building a tree, so nothing grows with the file; it fetches nothing and knows
no entities but HTML's own. Cells over several columns or rows are spread over empty ones.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO, Final, cast

from lxml import etree

from payments.statements.reading.cells import Cell, CellFault, Row
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.rows import Source
from payments.statements.reading.survey import survey
from payments.statements.reading.table import TableReader
from payments.statements.reading.text_files import (
    CHUNK_BYTES,
    detect_encoding,
    read_text_lines,
)
from payments.statements.reading.types import (
    CELL_CHARS_MAX,
    COLUMNS_MAX,
    Item,
    ReadingOptions,
    RowFault,
    StatementFormat,
)

ROWSPAN_MAX: Final = 100
DEPTH_MAX: Final = 200
CELLS: Final = ("td", "th")
BREAKS: Final = ("br", "p", "div")
UNSEEN: Final = ("script", "style", "head", "title")


def read_html(file: BinaryIO, options: ReadingOptions) -> Iterator[Item]:
    """Read the tables of an HTML page; see types.py for what a reader promises."""
    encoding = detect_encoding(file)
    thousands = survey(_read_rows(file, encoding), options)
    reader = TableReader(Source(format=StatementFormat.HTML, encoding=encoding), options, thousands)
    yield from reader.read(_read_rows(file, encoding))


def list_html_rows(file: BinaryIO, _: ReadingOptions) -> Iterator[Row]:
    """Yield the rows of an HTML page's tables as they stand."""
    yield from _read_rows(file, detect_encoding(file))


class _Rows:
    """The parser's target: it collects rows as they end. A table inside a cell has its own rows."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._count = 0
        self._open: list[list[Cell]] = []  # rows that have not ended, the innermost last
        self._cells: list[tuple[list[str], int, int]] = []  # texts, colspan, rowspan
        self._below: list[dict[int, int]] = [{}]  # by depth of tables: column → rows still covered
        self._unseen = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "table":
            self._check_depth()
            self._below.append({})
        elif tag == "tr":
            self._check_depth()
            self._open.append([])
        elif tag in CELLS and self._open:
            self._check_depth()
            columns = _read_span(attributes.get("colspan"), COLUMNS_MAX)
            rows = _read_span(attributes.get("rowspan"), ROWSPAN_MAX)
            self._cells.append(([], columns, rows))
        elif tag in UNSEEN:
            self._unseen += 1
        elif tag in BREAKS:
            self.data("\n")

    def data(self, text: str) -> None:
        if self._cells and not self._unseen:
            texts = self._cells[-1][0]
            if len(texts) <= CELL_CHARS_MAX:
                texts.append(text[: CELL_CHARS_MAX + 1])

    def end(self, tag: str) -> None:
        if tag in CELLS and self._cells and self._open:
            self._end_cell()
        elif tag == "tr" and self._open:
            self._end_row()
        elif tag == "table" and len(self._below) > 1:
            self._below.pop()
        elif tag in UNSEEN and self._unseen:
            self._unseen -= 1

    def close(self) -> None:
        """End without a result: rows are taken while they come."""

    def _check_depth(self) -> None:
        if len(self._open) + len(self._cells) + len(self._below) > DEPTH_MAX:
            raise StatementError(Refusal.DAMAGED, format="html")

    def _end_cell(self) -> None:
        texts, columns, rows = self._cells.pop()
        row, below = self._open[-1], self._below[-1]
        self._skip_covered(row, below)
        if len(row) + columns > COLUMNS_MAX:
            raise StatementError(
                Refusal.TOO_MANY_COLUMNS, row=self._count + 1, columns_max=COLUMNS_MAX
            )
        for index in range(len(row), len(row) + columns):
            if rows > 1:
                below[index] = rows
        row.append(_join(texts))
        row.extend([None] * (columns - 1))

    def _end_row(self) -> None:
        row, below = self._open.pop(), self._below[-1]
        self._skip_covered(row, below)
        self._below[-1] = {index: left - 1 for index, left in below.items() if left > 1}
        self._count += 1
        self.rows.append(Row(self._count, row))

    def _skip_covered(self, row: list[Cell], below: dict[int, int]) -> None:
        # A cell of this very row cannot cover its own end: its columns are filled by then.
        while len(row) in below and len(row) < COLUMNS_MAX:
            row.append(None)


def _read_rows(file: BinaryIO, encoding: str) -> Iterator[Row]:
    target = _Rows()
    # lxml looks for what the target has; its types want a comment(), too.
    listener = cast(Any, target)
    parser = etree.HTMLParser(target=listener, no_network=True, recover=True, encoding="utf-8")
    try:
        for text in _read_chunks(file, encoding):
            parser.feed(text)
            yield from target.rows
            target.rows.clear()
        parser.close()
    except etree.LxmlError:
        raise StatementError(Refusal.DAMAGED, format="html") from None
    yield from target.rows


def _read_chunks(file: BinaryIO, encoding: str) -> Iterator[bytes]:
    """Yield the text as UTF-8, in pieces; NULs would end it for the parser."""
    held: list[str] = []
    size = 0
    for line in read_text_lines(file, encoding):
        held.append(line)
        size += len(line)
        if size >= CHUNK_BYTES:
            yield _encode(held)
            held, size = [], 0
    if held:
        yield _encode(held)


def _encode(lines: list[str]) -> bytes:
    return "".join(lines).replace("\x00", "\ufffd").encode("utf-8", "replace")


def _read_span(value: str | None, most: int) -> int:
    text = (value or "").strip()
    is_number = text.isascii() and text.isdigit() and len(text) < 9
    return min(max(int(text), 1), most) if is_number else 1


def _join(texts: list[str]) -> Cell:
    # HTML shows any run of spaces as one; a line break that was a tag stays.
    lines = (" ".join(line.split()) for line in "".join(texts).splitlines())
    joined = "\n".join(line for line in lines if line)
    return joined if len(joined) <= CELL_CHARS_MAX else CellFault(RowFault.CELL_TOO_LONG)
