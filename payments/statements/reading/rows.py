"""One row of a table read as a line of a statement, with everything that is wrong with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from core.clock import HANOI
from payments.providers.types import Direction
from payments.statements.reading.amounts import has_sign, read_vnd
from payments.statements.reading.cells import (
    BAD_CHARACTERS,
    Cell,
    CellFault,
    Row,
    fold,
    name_column,
    quote,
    text_of,
)
from payments.statements.reading.days import Moment, read_moment, read_time, split_day
from payments.statements.reading.header import Header
from payments.statements.reading.headings import AMOUNTS
from payments.statements.reading.types import (
    AMOUNT_VND_MAX,
    CELL_CHARS_MAX,
    YEAR_MAX,
    YEAR_MIN,
    ColumnMeaning,
    Place,
    RowError,
    RowFault,
    StatementFormat,
    StatementLine,
)

IN_WORDS: Final = frozenset(("+", "c", "cr", "co", "ghi co", "credit", "in", "tien vao", "thu"))
OUT_WORDS: Final = frozenset(("-", "d", "dr", "no", "ghi no", "debit", "out", "tien ra", "chi"))
# A line of text that ends before one of these was cut off.
NEEDED_IN_TEXT: Final = (*AMOUNTS, ColumnMeaning.BALANCE, ColumnMeaning.MEMO)
TEXTS: Final = (
    ColumnMeaning.MEMO,
    ColumnMeaning.REFERENCE,
    ColumnMeaning.LINE_ID,
    ColumnMeaning.DATE_AND_REFERENCE,
    ColumnMeaning.COUNTERPARTY_ACCOUNT,
    ColumnMeaning.COUNTERPARTY_NAME,
    ColumnMeaning.COUNTERPARTY_BANK,
)
# What an amount and a balance can both be; every other fault of a balance is that it is unreadable.
OF_ANY_NUMBER: Final = frozenset(
    {
        RowFault.AMOUNT_AMBIGUOUS,
        RowFault.AMOUNT_HAS_FRACTION,
        RowFault.AMOUNT_TOO_LARGE,
        RowFault.OTHER_CURRENCY,
        RowFault.FORMULA_WITHOUT_VALUE,
        RowFault.CELL_ERROR,
        RowFault.CELL_TOO_LONG,
    }
)
Amounts = list[tuple[ColumnMeaning, int | RowFault]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """What the reader of a format knows of the file beside its rows."""

    format: StatementFormat
    encoding: str | None = None
    days_offset: int = 0  # added to Excel's days: 1,462 where a workbook counts from 1904

    @property
    def is_text(self) -> bool:
        """Whether cells are parted by marks that a memo may hold, too."""
        return self.format in (StatementFormat.CSV, StatementFormat.PASTED)


class RowReader:
    """A reader of the rows under one heading."""

    def __init__(self, source: Source, header: Header, thousands: str | None) -> None:
        self._source = source
        self._header = header
        self._thousands = thousands
        self._amounts = tuple(one for one in AMOUNTS if one in header.columns)
        self._texts = tuple(one for one in TEXTS if one in header.columns)
        self._day = header.day_meaning
        needed = (header.columns[one] for one in NEEDED_IN_TEXT if one in header.columns)
        self._cells_min = max(needed, default=-1) + 1 if source.is_text else 0
        self._is_mapped = header.mapping is not None
        self.has_signs = False  # whether any amount carried a sign of its own

    def read_day(self, row: Row) -> Moment | RowFault | None:
        """Read the booking day; None where the cell is empty."""
        return self._moment(row, self._day)

    def list_amounts(self, row: Row) -> Amounts:
        """Return the amounts of a row; in one of two columns a zero is an empty cell."""
        found: Amounts = []
        for meaning in self._amounts:
            vnd = self.read_vnd(row, meaning)
            if vnd is not None and (vnd != 0 or len(self._amounts) == 1):
                found.append((meaning, vnd))
        return found

    def read_vnd(self, row: Row, meaning: ColumnMeaning) -> int | RowFault | None:
        """Read the number in the column of this meaning; None where it is empty."""
        cell = self._header.find_cell(row, meaning)
        return None if cell is None else read_vnd(cell, self._thousands)

    def read_line(
        self, row: Row, moment: Moment, amounts: Amounts
    ) -> StatementLine | list[RowError]:
        """Return the line, or all that is wrong with it."""
        errors = [*self._list_form_errors(row)]
        transacted_at, is_date_only = self._read_instant(row, moment, errors)
        direction, amount_vnd = self._read_amount(row, amounts, errors)
        balance_vnd = self._read_balance(row, errors)
        if errors:
            return errors
        return StatementLine(
            place=Place(row=row.number, sheet=row.sheet),
            booked_on=moment.day,
            transacted_at=transacted_at,
            is_date_only=is_date_only,
            direction=direction,
            amount_vnd=amount_vnd,
            balance_after_vnd=balance_vnd,
            bank_reference=self._reference(row),
            line_id=self._text(row, ColumnMeaning.LINE_ID),
            memo=text_of(self._header.find_cell(row, ColumnMeaning.MEMO)),
            counterparty_account=self._text(row, ColumnMeaning.COUNTERPARTY_ACCOUNT),
            counterparty_name=self._text(row, ColumnMeaning.COUNTERPARTY_NAME),
            counterparty_bank=self._text(row, ColumnMeaning.COUNTERPARTY_BANK),
        )

    def make_error(
        self, row: Row, meaning: ColumnMeaning | None, fault: RowFault, **facts: str | int
    ) -> RowError:
        """Return an error that names the row, the column and what stands there."""
        index = self._header.columns.get(meaning) if meaning else None
        cell = self._header.find_cell(row, meaning)
        if cell is not None:
            facts["value"] = quote(cell)
        if fault is RowFault.AMOUNT_TOO_LARGE:
            facts["vnd_max"] = AMOUNT_VND_MAX
        if fault is RowFault.DATE_ABSURD:
            facts |= {"year_min": YEAR_MIN, "year_max": YEAR_MAX}
        return RowError(
            place=Place(row=row.number, sheet=row.sheet),
            column=name_column(index) if index is not None else None,
            meaning=meaning,
            fault=fault,
            facts=facts,
        )

    def _list_form_errors(self, row: Row) -> Iterator[RowError]:
        """Yield what is wrong with the form of a row, and with cells whose text is kept."""
        header = self._header
        if self._source.is_text:
            is_long = any(text_of(one) for one in row.cells[header.width :])
            if len(row.cells) < self._cells_min or (is_long and not self._is_mapped):
                facts = {"cells": len(row.cells), "expected": header.width}
                yield self.make_error(row, None, RowFault.ROW_UNREADABLE, **facts)
        for meaning in self._texts:
            cell = header.find_cell(row, meaning)
            if isinstance(cell, CellFault):
                yield self.make_error(row, meaning, cell.fault)
            elif isinstance(cell, str):
                if len(cell) > CELL_CHARS_MAX:
                    facts = {"chars_max": CELL_CHARS_MAX}
                    yield self.make_error(row, meaning, RowFault.CELL_TOO_LONG, **facts)
                elif not cell.isprintable() and BAD_CHARACTERS.search(cell):
                    yield self.make_error(row, meaning, RowFault.BAD_CHARACTERS)

    def _text(self, row: Row, meaning: ColumnMeaning) -> str | None:
        return text_of(self._header.find_cell(row, meaning)).strip() or None

    def _moment(self, row: Row, meaning: ColumnMeaning) -> Moment | RowFault | None:
        cell: Cell = self._header.find_cell(row, meaning)
        if isinstance(cell, str):
            if meaning is ColumnMeaning.DATE_AND_REFERENCE:
                cell = split_day(cell)[0]
        elif cell is not None and not isinstance(cell, CellFault) and self._source.days_offset:
            cell += self._source.days_offset
        return read_moment(cell)

    def _read_instant(
        self, row: Row, booked: Moment, errors: list[RowError]
    ) -> tuple[datetime | None, bool]:
        """Return when it happened, None where only the booking day is known; and: a day only?"""
        happened: Moment | None = booked
        has_both = ColumnMeaning.TRANSACTED_AT in self._header.columns
        if self._day is ColumnMeaning.BOOKED_ON and has_both:
            read = self._moment(row, ColumnMeaning.TRANSACTED_AT)
            if isinstance(read, RowFault):
                errors.append(self.make_error(row, ColumnMeaning.TRANSACTED_AT, read))
            happened = read if isinstance(read, Moment) else None
        clock = self._read_clock(row, errors)
        is_booking_only = self._day in (ColumnMeaning.BOOKED_ON, ColumnMeaning.VALUE_ON)
        if happened is None or (happened is booked and is_booking_only):
            if booked.time is None and clock is None:
                return None, True
            happened = booked
        clock = happened.time or clock
        return _instant(happened.day, clock or time()), clock is None

    def _read_clock(self, row: Row, errors: list[RowError]) -> time | None:
        clock = read_time(self._header.find_cell(row, ColumnMeaning.TIME))
        if isinstance(clock, RowFault):
            errors.append(self.make_error(row, ColumnMeaning.TIME, clock))
            return None
        return clock

    def _read_amount(
        self,
        row: Row,
        amounts: Amounts,
        errors: list[RowError],
    ) -> tuple[Direction, int]:
        meaning, vnd = amounts[0]
        direction = Direction.OUT if meaning is ColumnMeaning.DEBIT else Direction.IN
        fault = None
        if len(amounts) > 1:
            fault = RowFault.AMOUNT_TWICE
        elif isinstance(vnd, RowFault):
            fault = vnd
        elif vnd == 0:
            fault = RowFault.AMOUNT_ZERO
        elif meaning is ColumnMeaning.AMOUNT:
            return self._read_signed(row, vnd, errors)
        elif vnd < 0:
            fault = RowFault.AMOUNT_NEGATIVE
        if fault is not None or isinstance(vnd, RowFault):
            errors.append(self.make_error(row, meaning, fault or RowFault.AMOUNT_UNREADABLE))
            return direction, 0
        return direction, vnd

    def _read_signed(self, row: Row, vnd: int, errors: list[RowError]) -> tuple[Direction, int]:
        if ColumnMeaning.DIRECTION not in self._header.columns:
            if not self.has_signs:
                self.has_signs = has_sign(self._header.find_cell(row, ColumnMeaning.AMOUNT))
            return (Direction.IN, vnd) if vnd > 0 else (Direction.OUT, -vnd)
        said = text_of(self._header.find_cell(row, ColumnMeaning.DIRECTION)).strip()
        said = said.replace("−", "-")
        word = said if said in ("+", "-") else fold(said[:40])
        if word in OUT_WORDS:
            return Direction.OUT, abs(vnd)
        if word not in IN_WORDS:
            errors.append(
                self.make_error(row, ColumnMeaning.DIRECTION, RowFault.DIRECTION_UNREADABLE)
            )
        elif vnd < 0:
            errors.append(self.make_error(row, ColumnMeaning.AMOUNT, RowFault.AMOUNT_NEGATIVE))
        return Direction.IN, vnd

    def _read_balance(self, row: Row, errors: list[RowError]) -> int | None:
        vnd = self.read_vnd(row, ColumnMeaning.BALANCE)
        if not isinstance(vnd, RowFault):
            return vnd
        fault = vnd if vnd in OF_ANY_NUMBER else RowFault.BALANCE_UNREADABLE
        errors.append(self.make_error(row, ColumnMeaning.BALANCE, fault))
        return None

    def _reference(self, row: Row) -> str | None:
        reference = self._text(row, ColumnMeaning.REFERENCE)
        both = self._header.columns.get(ColumnMeaning.DATE_AND_REFERENCE)
        if reference is not None or both is None:
            return reference
        if rest := split_day(text_of(row.cells[both]))[1]:
            return rest
        # Merged over two columns: the heading stands over the first, the number in the second.
        following = both + 1
        if following in self._header.columns.values() or following >= len(row.cells):
            return None
        return text_of(row.cells[following]).strip() or None


def _instant(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, tzinfo=HANOI).astimezone(UTC)
