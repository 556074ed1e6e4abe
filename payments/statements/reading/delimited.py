"""CSV files, and rows pasted from a spreadsheet or a bank's page.

Commas, semicolons, tabs and bars part cells; the mark under which the first rows have the better
heading is the file's. Records stream: nothing is kept but the record that is read.
"""

import csv
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

from payments.statements.reading.cells import Cell, Row, unwrap_formula
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.header import Header
from payments.statements.reading.rows import Source
from payments.statements.reading.survey import survey
from payments.statements.reading.table import TableReader
from payments.statements.reading.text_files import detect_encoding, read_text_lines
from payments.statements.reading.types import (
    Item,
    ReadingOptions,
    StatementFormat,
)

DELIMITERS: Final = (",", ";", "\t", "|")
SAMPLE_LINES: Final = 1_000  # a record may have several
SAMPLE_CHARS: Final = 1024 * 1024


def read_csv(file: BinaryIO, options: ReadingOptions) -> Iterator[Item]:
    """Read a CSV file; see types.py for what a reader promises."""
    encoding = detect_encoding(file)
    delimiter = _find_delimiter(file, encoding, options)
    yield from _read(file, options, StatementFormat.CSV, encoding, delimiter)


def read_pasted(file: BinaryIO, options: ReadingOptions) -> Iterator[Item]:
    """Read rows from a clipboard: UTF-8, cells parted by tabs, as Excel and browsers copy them."""
    yield from _read(file, options, StatementFormat.PASTED, "utf-8-sig", "\t")


def list_csv_rows(file: BinaryIO, options: ReadingOptions) -> Iterator[Row]:
    """Yield a CSV file's rows as they stand."""
    encoding = detect_encoding(file)
    yield from _read_rows(file, encoding, _find_delimiter(file, encoding, options))


def list_pasted_rows(file: BinaryIO, _: ReadingOptions) -> Iterator[Row]:
    """Yield rows from a clipboard as they stand."""
    yield from _read_rows(file, "utf-8-sig", "\t")


def _read(
    file: BinaryIO,
    options: ReadingOptions,
    form: StatementFormat,
    encoding: str,
    delimiter: str,
) -> Iterator[Item]:
    thousands = survey(_read_rows(file, encoding, delimiter), options)
    reader = TableReader(Source(format=form, encoding=encoding), options, thousands)
    yield from reader.read(_read_rows(file, encoding, delimiter))


def _read_rows(file: BinaryIO, encoding: str, delimiter: str) -> Iterator[Row]:
    yield from _parse(read_text_lines(file, encoding), delimiter)


def _parse(lines: Iterable[str], delimiter: str) -> Iterator[Row]:
    number = 0
    try:
        for number, record in enumerate(csv.reader(lines, delimiter=delimiter, strict=True), 1):
            cells: list[Cell] = [
                unwrap_formula(cell) if cell.startswith('="') else cell for cell in record
            ]
            yield Row(number, cells)
    except csv.Error as problem:
        # A quote that is never closed swallows all that follows: no row after it can be trusted.
        raise StatementError(
            Refusal.DAMAGED, format="csv", row=number + 1, detail=str(problem)
        ) from None


def _find_delimiter(file: BinaryIO, encoding: str, options: ReadingOptions) -> str:
    sample: list[str] = []
    chars = 0
    for line in read_text_lines(file, encoding):
        sample.append(line)
        chars += len(line)
        if len(sample) >= SAMPLE_LINES or chars >= SAMPLE_CHARS:
            break
    return max(DELIMITERS, key=lambda one: _score(sample, one, options))


def _score(sample: list[str], delimiter: str, options: ReadingOptions) -> tuple[int, int]:
    """Return how many columns are known under this mark, and how many rows are alike in width."""
    header, widths = Header(options.mapping), []
    try:
        for row in _parse(sample, delimiter):
            header.takes(row)
            widths.append(len(row.cells))
    except StatementError:  # the sample may end inside quotes
        pass
    wide = [width for width in widths if width > 1]
    usual = max(wide, key=wide.count, default=0)
    known = len(header.columns)
    if options.mapping:
        known = sum(width > max(options.mapping.columns) for width in wide)
    return known, wide.count(usual)
