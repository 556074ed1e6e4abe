"""The first look through a file: what separates thousands in its amounts."""

from collections.abc import Iterable
from typing import Final

from payments.statements.reading.amounts import find_thousands
from payments.statements.reading.cells import Row
from payments.statements.reading.header import Header
from payments.statements.reading.headings import AMOUNTS
from payments.statements.reading.labels import Label, read_labels
from payments.statements.reading.types import ColumnMeaning, ReadingOptions

# Where numbers are numbers, text in a column of amounts is rare: no need to look through it all.
SURVEY_ROWS_MAX: Final = 1_000


def survey(rows: Iterable[Row], options: ReadingOptions) -> str | None:
    """Return what separates thousands in a file, by the first cell that leaves no doubt."""
    mapping = options.mapping
    by_hand = options.thousands_separator or (mapping.thousands_separator if mapping else None)
    if by_hand is not None:
        return by_hand
    header, sheet = Header(options.mapping), None
    has_text, seen = False, 0
    thousands = None
    for row in rows:
        if row.sheet != sheet:
            header, sheet = Header(options.mapping), row.sheet
        for label, value in read_labels(row.cells) if not header.is_found else ():
            if label in (Label.OPENING, Label.CLOSING) and (found := find_thousands(value)):
                return found
        if header.is_given_up or header.takes(row):
            continue
        if thousands is None and header.layout is not None:
            thousands = header.layout.thousands_separator
        for meaning in (*AMOUNTS, ColumnMeaning.BALANCE):
            cell = header.find_cell(row, meaning)
            if isinstance(cell, str):
                has_text = True
                if found := find_thousands(cell):
                    return found
        seen += 1
        if seen >= SURVEY_ROWS_MAX and not has_text:
            break
    return thousands
