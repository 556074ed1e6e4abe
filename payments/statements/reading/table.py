"""The reader of tables: rows of any tabular format in, lines, row errors and a summary out.

The heading is looked for in the first rows of each sheet; labels are read around the table. After
it, a row with a day and an amount is a line. A row with one of the two is an error. A row with
neither is text (a signature, a note) and is passed over, once it gave its labels.
"""

from collections.abc import Iterable, Iterator

from payments.statements.reading.cells import CellFault, Row, text_of
from payments.statements.reading.days import Moment, looks_like_day
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.header import Header, is_heading
from payments.statements.reading.labels import is_sum_row
from payments.statements.reading.rows import RowReader, Source
from payments.statements.reading.types import (
    COLUMNS_MAX,
    ROW_ERRORS_MAX,
    ROWS_MAX,
    Item,
    ReadingOptions,
    RowError,
    RowFault,
    StatementLine,
)
from payments.statements.reading.whole import WholeStatement


class TableReader:
    """One reading of one file's rows."""

    def __init__(self, source: Source, options: ReadingOptions, thousands: str | None) -> None:
        self._source = source
        self._options = options
        self._thousands = thousands
        self._whole = WholeStatement(options, thousands)
        self._header = Header(options.mapping)
        self._reader: RowReader | None = None  # of the table that runs; None before its first row
        self._has_table = False
        self._has_signs = False

    def read(self, rows: Iterable[Row]) -> Iterator[Item]:
        """Yield lines and row errors, then the summary.

        Raises:
            StatementError: no table is there, or a limit is passed.
        """
        sheet: str | None = None
        for count, row in enumerate(rows, start=1):
            if count > ROWS_MAX:
                raise StatementError(Refusal.TOO_MANY_ROWS, rows_max=ROWS_MAX)
            if len(row.cells) > COLUMNS_MAX:
                facts = {"row": row.number, "columns_max": COLUMNS_MAX}
                raise StatementError(Refusal.TOO_MANY_COLUMNS, **facts)
            if row.sheet != sheet:
                sheet = row.sheet
                self._close_table()
                self._header = Header(self._options.mapping)
            if self._header.is_given_up or self._takes_header(row):
                continue
            reader = self._reader or self._open_table()
            if not self._whole.is_stopped:
                yield from self._read_row(reader, row)
        self._close_table()
        if not self._has_table:
            raise StatementError(Refusal.NO_HEADER)
        yield self._whole.sum_up(self._source, has_signs=self._has_signs)

    def _takes_header(self, row: Row) -> bool:
        if self._reader is not None:
            return False
        if not self._header.takes(row):
            return False
        self._has_table |= self._header.is_found
        if not self._header.is_found or self._options.mapping:
            self._whole.take_labels(row)
        return True

    def _open_table(self) -> RowReader:
        self._has_table = True
        self._whole.take_header(self._header)
        self._reader = RowReader(self._source, self._header, self._thousands)
        return self._reader

    def _close_table(self) -> None:
        if self._header.is_found:  # a heading with nothing below it is a table, too
            reader = self._reader or self._open_table()
            self._has_signs |= reader.has_signs
            self._reader = None

    def _read_row(self, reader: RowReader, row: Row) -> Iterator[StatementLine | RowError]:
        moment = reader.read_day(row)
        amounts = reader.list_amounts(row)
        if isinstance(moment, Moment) and amounts:
            if not self._whole.take_row(self._header, row):
                return
            read = reader.read_line(row, moment, amounts)
            if isinstance(read, StatementLine):
                self._whole.take_line(read)
                yield read
            else:
                yield from self._count(read)
        elif self._is_text(reader, row):
            return
        else:
            yield from self._count(self._explain(reader, row, moment, has_amount=bool(amounts)))

    def _is_text(self, reader: RowReader, row: Row) -> bool:
        """Whether a row is nothing to be read as a line: empty, a heading, a label or the sums."""
        has_fault = any(isinstance(one, CellFault) for one in row.cells)
        if not has_fault and not any(text_of(one).strip() for one in row.cells):
            return True
        if is_heading(row) or self._whole.take_labels(row, self._header):
            return True
        if is_sum_row(row.cells):
            self._whole.take_sums(reader, row)
            return True
        return False

    def _explain(
        self, reader: RowReader, row: Row, moment: object, *, has_amount: bool
    ) -> Iterator[RowError]:
        """Yield why a row that looks like a line is none; nothing for a row that is only text."""
        meaning = self._header.day_meaning
        if isinstance(moment, Moment):
            yield reader.make_error(row, None, RowFault.AMOUNT_MISSING)
        elif isinstance(moment, RowFault):
            if has_amount or looks_like_day(self._header.find_cell(row, meaning)):
                yield reader.make_error(row, meaning, moment)
        elif has_amount:
            yield reader.make_error(row, meaning, RowFault.DATE_MISSING)

    def _count(self, errors: Iterable[RowError]) -> Iterator[RowError]:
        for error in errors:
            self._whole.tally.row_errors += 1
            if self._whole.tally.row_errors > ROW_ERRORS_MAX:
                raise StatementError(Refusal.TOO_MANY_ERRORS, errors_max=ROW_ERRORS_MAX)
            yield error
