"""The heading of a table, found row by row, and a mapping by hand in its place."""

import re
from typing import Final

from payments.statements.reading.cells import Cell, Row, fold, name_column, quote, text_of
from payments.statements.reading.days import Moment, read_moment
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.headings import (
    AMOUNTS,
    DATES,
    Meanings,
    is_table,
    read_headings,
    settle,
)
from payments.statements.reading.layouts import LAYOUTS, Layout, find_layout
from payments.statements.reading.types import (
    COLUMNS_MAX,
    HEADER_ROWS_MAX,
    ColumnMapping,
    ColumnMeaning,
    FoundColumn,
)

COLUMN_NUMBER: Final = re.compile(r"[(\[]?\d{1,2}[)\]]?\Z", re.ASCII)
# The day of the books is the first of these that a table has; VALUE_ON where it has none.
DAY_ORDER: Final = (
    ColumnMeaning.BOOKED_ON,
    ColumnMeaning.TRANSACTED_AT,
    ColumnMeaning.DATE_AND_REFERENCE,
)


def is_heading(row: Row) -> bool:
    """Whether a row is a heading, as printed tables repeat it on each page."""
    known = [*read_headings(row.cells).values()]
    return len(known) >= 2 and is_table(known)


class Header:
    """The heading of one table, fed row by row until it is whole."""

    def __init__(self, mapping: ColumnMapping | None) -> None:
        self.mapping = mapping
        self.columns: dict[ColumnMeaning, int] = {}
        self.headings: list[Cell] = []
        self.width = 0
        self.layout: Layout | None = None
        self._sheet: str | None = None
        self._meanings: Meanings = {}
        self._candidate: Row | None = None
        self._rows = 0
        self._may_go_on = False
        if mapping is not None:
            self._meanings = dict(mapping.columns)
            self._settle()

    @property
    def is_found(self) -> bool:
        """Whether columns are known."""
        return bool(self.columns)

    @property
    def is_given_up(self) -> bool:
        """Whether so many rows had none that the sheet has none."""
        return not self.columns and self._rows > HEADER_ROWS_MAX

    def takes(self, row: Row) -> bool:
        """Take a row as heading or what stands above it; False: it belongs to the table."""
        if self.mapping is not None:
            return row.number < self.mapping.first_row
        if self.columns:
            return self._go_on(row)
        self._rows += 1
        meanings = read_headings(row.cells)
        before = self._candidate
        if is_table(meanings.values()):
            self._find(row, meanings)
        elif before is not None and is_table({**self._meanings, **meanings}.values()):
            self._find(before, {**self._meanings, **meanings})
            self.headings = _join(before.cells, row.cells)
        elif before is not None and (layout := _find_by_form(before, row)):
            self._find(before, dict(layout.positions))
            self.layout = layout
            return False
        else:
            self._candidate = row if {*meanings.values()} & DATES else None
            self._meanings = meanings
        return True

    def find_cell(self, row: Row, meaning: ColumnMeaning | None) -> Cell:
        """Return a row's cell of this meaning; None where the row or the table has none."""
        index = self.columns.get(meaning) if meaning else None
        return row.cells[index] if index is not None and index < len(row.cells) else None

    def find_heading(self, meaning: ColumnMeaning) -> str:
        """Return the heading over the column of this meaning, or nothing."""
        index = self.columns.get(meaning)
        is_there = index is not None and index < len(self.headings)
        return text_of(self.headings[index]) if is_there and index is not None else ""

    @property
    def day_meaning(self) -> ColumnMeaning:
        """The column that says the booking day."""
        for meaning in DAY_ORDER:
            if meaning in self.columns:
                return meaning
        return ColumnMeaning.VALUE_ON

    def _find(self, row: Row, meanings: Meanings) -> None:
        self._meanings, self.headings, self._sheet = meanings, row.cells, row.sheet
        self._may_go_on = True
        self._settle()

    def _go_on(self, row: Row) -> bool:
        """Take what stands below the first row of headings: Nợ and Có, English, or (1) (2) (3)."""
        if not self._may_go_on:
            return False
        texts = [text for cell in row.cells if (text := text_of(cell).strip())]
        if len(texts) > 1 and all(COLUMN_NUMBER.match(text) for text in texts):
            return True
        self._may_go_on = False
        meanings = read_headings(row.cells)
        if len(meanings) < 2 or any(one.isdigit() for text in texts for one in text):
            return False
        more = {
            index: meaning
            for index, meaning in meanings.items()
            if self._meanings.get(index) in (None, ColumnMeaning.AMOUNT)
        }
        self._meanings = {**self._meanings, **more}
        self.headings = _join(self.headings, row.cells)
        self._may_go_on = True
        self._settle()
        return True

    def _settle(self) -> None:
        kept = settle(self._meanings)
        self._meanings = kept
        self.columns = {one: at for at, one in kept.items() if one is not ColumnMeaning.IGNORED}
        self.layout = find_layout(map(text_of, self.headings), self._sheet)
        self.width = max([len(self.headings), *(index + 1 for index in kept)])

    def list_columns(self) -> tuple[FoundColumn, ...]:
        """Return all columns, also those that mean nothing."""
        return tuple(
            FoundColumn(
                index=index,
                name=name_column(index),
                heading=quote(self.headings[index]) if index < len(self.headings) else "",
                meaning=self._meanings.get(index),
            )
            for index in range(self.width)
        )


def check_mapping(mapping: ColumnMapping | None) -> None:
    """Refuse a mapping by hand that gives no lines.

    Raises:
        StatementError: BAD_MAPPING.
    """
    if mapping is None:
        return
    meanings = [one for one in mapping.columns.values() if one is not ColumnMeaning.IGNORED]
    amounts = [one for one in meanings if one in AMOUNTS]
    is_sound = (
        is_table(meanings)
        and len(meanings) == len({*meanings})
        and all(0 <= index < COLUMNS_MAX for index in mapping.columns)
        and not (ColumnMeaning.AMOUNT in amounts and len(amounts) > 1)
        and mapping.first_row >= 1
    )
    if not is_sound:
        raise StatementError(Refusal.BAD_MAPPING)


def _join(upper: list[Cell], lower: list[Cell]) -> list[Cell]:
    joined: list[Cell] = []
    for index in range(max(len(upper), len(lower))):
        parts = [text_of(one[index]).strip() for one in (upper, lower) if index < len(one)]
        joined.append(" / ".join(dict.fromkeys(part for part in parts if part)))
    return joined


def _find_by_form(heading: Row, row: Row) -> Layout | None:
    """Return a layout whose columns are known by place, if the first line has their form."""
    first = fold(text_of(heading.cells[0])) if heading.cells else ""
    for layout in LAYOUTS:
        if not layout.positions or first not in layout.headings:
            continue
        signs = [at for at, one in layout.positions.items() if one is ColumnMeaning.DIRECTION]
        is_wide = len(row.cells) > max(layout.positions)
        is_dated = is_wide and isinstance(read_moment(row.cells[0]), Moment)
        if is_dated and all(text_of(row.cells[at]).strip() in ("+", "-") for at in signs):
            return layout
    return None
