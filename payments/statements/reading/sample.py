"""The top of a table: what a person maps by hand, and what a saved mapping is found by.

A saved mapping belongs to an account and to the words of one row, the heading above the lines: a
bank that puts another line of address above its table has the same heading all the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import islice
from typing import BinaryIO, Final, Protocol

from payments.statements.reading.cells import BAD_CHARACTERS, Row, fold, text_of
from payments.statements.reading.delimited import list_csv_rows, list_pasted_rows
from payments.statements.reading.errors import StatementError
from payments.statements.reading.formats import detect_format
from payments.statements.reading.html_tables import list_html_rows
from payments.statements.reading.labels import Label, is_same_account, read_account, read_labels
from payments.statements.reading.types import (
    HEADER_ROWS_MAX,
    ColumnMapping,
    ColumnMeaning,
    FileSample,
    ReadingOptions,
    SampleRow,
    SavedMapping,
    StatementFormat,
)
from payments.statements.reading.xls_files import list_xls_rows
from payments.statements.reading.xlsx_files import list_xlsx_rows

SAMPLE_ROWS: Final = 40
SAMPLE_COLUMNS: Final = 30
SAMPLE_CHARS: Final = 60  # of a cell


class RowLister(Protocol):
    """A function that yields a table's rows as they stand, whatever they mean."""

    def __call__(self, file: BinaryIO, options: ReadingOptions, /) -> Iterator[Row]:
        """Yield rows.

        Raises:
            StatementError
        """
        ...


TABLES: Final[Mapping[StatementFormat, RowLister]] = {
    StatementFormat.CSV: list_csv_rows,
    StatementFormat.PASTED: list_pasted_rows,
    StatementFormat.XLSX: list_xlsx_rows,
    StatementFormat.XLS: list_xls_rows,
    StatementFormat.HTML: list_html_rows,
}


def take_sample(file: BinaryIO, options: ReadingOptions) -> FileSample | None:
    """Return the top of a file's table; None: it is no table, or nothing of it can be read."""
    rows: list[Row] = []
    try:
        form = StatementFormat.PASTED if options.is_pasted else detect_format(file)
        if form in TABLES:
            rows.extend(islice(_keep_until_broken(TABLES[form](file, options)), HEADER_ROWS_MAX))
    except StatementError:
        return None
    return _sum_up(rows) if rows else None


def apply_saved(options: ReadingOptions, sample: FileSample | None) -> ReadingOptions:
    """Return the options with the saved mapping that a file's heading asks for, if one does.

    A mapping by hand comes first. Where the account is not known, all mappings of the heading must
    say the same.
    """
    if options.mapping is not None or sample is None:
        return options
    found = [one for one in options.saved if one.headings_sha256 in sample.headings]
    number = options.account_number or sample.account_number
    if number is not None:
        found = [one for one in found if is_same_account(one.account_number, number)]
    if not found or any(_says(one) != _says(found[0]) for one in found[1:]):
        return options
    mapping = ColumnMapping(
        columns=found[0].columns,
        first_row=sample.headings[found[0].headings_sha256] + 1,
        thousands_separator=found[0].thousands_separator,
    )
    return replace(options, mapping=mapping)


def fingerprint(headings: Sequence[str]) -> str:
    """Return what tells one row of headings from another, in hexadecimal; "" of an empty one.

    Case, marks, spaces and empty cells at its end do not count.
    """
    words = [fold(_show(one)) for one in headings[:SAMPLE_COLUMNS]]
    while words and not words[-1]:
        words.pop()
    return sha256("\x1f".join(words).encode()).hexdigest() if any(words) else ""


def _keep_until_broken(rows: Iterator[Row]) -> Iterator[Row]:
    """Yield rows up to the first that cannot be read: those before it are worth a look."""
    is_begun = False
    try:
        for row in rows:
            is_begun = True
            yield row
    except StatementError:
        if not is_begun:
            raise


def _sum_up(rows: Sequence[Row]) -> FileSample:
    shown = [
        SampleRow(
            number=row.number,
            cells=tuple(_show(text_of(cell)) for cell in row.cells[:SAMPLE_COLUMNS]),
            sheet=row.sheet,
        )
        for row in rows
    ]
    headings: dict[str, int] = {}
    for row in shown:
        if mark := fingerprint(row.cells):
            headings.setdefault(mark, row.number)
    numbers = [
        number
        for row in rows
        for label, value in read_labels(row.cells)
        if label is Label.ACCOUNT and (number := read_account(value))
    ]
    return FileSample(
        rows=tuple(shown[:SAMPLE_ROWS]),
        account_number=numbers[0] if numbers else None,
        headings=headings,
    )


def _show(text: str) -> str:
    plain = " ".join(BAD_CHARACTERS.sub("\ufffd", text[: 4 * SAMPLE_CHARS]).split())
    return plain if len(plain) <= SAMPLE_CHARS else plain[: SAMPLE_CHARS - 1] + "…"


def _says(saved: SavedMapping) -> tuple[dict[int, ColumnMeaning], str | None]:
    return dict(saved.columns), saved.thousands_separator
