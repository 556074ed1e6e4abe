"""The statement as a whole: whose account it is, what it states, what speaks against it.

Filled while rows stream by, from labels around the table, columns of account and currency, and
the row of sums.
"""

from datetime import date

from payments.statements.reading.amounts import read_vnd
from payments.statements.reading.cells import Row
from payments.statements.reading.header import Header
from payments.statements.reading.headings import AMOUNTS, IN_BRACKETS
from payments.statements.reading.labels import (
    Label,
    find_period,
    is_same_account,
    read_account,
    read_currency,
    read_labels,
)
from payments.statements.reading.rows import RowReader, Source
from payments.statements.reading.totals import Tally
from payments.statements.reading.types import (
    ColumnMeaning,
    FoundColumn,
    Problem,
    ProblemCode,
    ReadingOptions,
    RowFault,
    StatedTotals,
    StatementLine,
    StatementSummary,
)


class WholeStatement:
    """What has been learnt so far."""

    def __init__(self, options: ReadingOptions, thousands: str | None) -> None:
        self.tally = Tally()
        self.is_stopped = False  # lines of another account or in another currency are not read
        self._options = options
        self._thousands = thousands
        self._problems: list[Problem] = []
        self._account: str | None = None
        self._currency: str | None = None
        self._opening_vnd: int | None = None
        self._closing_vnd: int | None = None
        self._totals: dict[Label, int] = {}
        self._period: tuple[date | None, date | None] = (None, None)
        self._layout: str | None = None
        self._columns: tuple[FoundColumn, ...] = ()
        self._needs_signs = False

    def take_labels(self, row: Row, header: Header | None = None) -> bool:
        """Take what a row's labels say; True where it had any.

        In a table (header), a balance stands in the column of balances.
        """
        has_label = False
        for label, value in read_labels(row.cells):
            code = None
            if header is not None and label in (Label.OPENING, Label.CLOSING):
                value = header.find_cell(row, ColumnMeaning.BALANCE) or value
            if label is Label.ACCOUNT:
                number = read_account(value)
                has_label |= number is not None
                if number is not None:
                    self._meet_account(number)
            elif label is Label.CURRENCY:
                code = read_currency(value)
            else:
                vnd = read_vnd(value, self._thousands)
                if isinstance(vnd, int):
                    has_label = True
                    self._take_sum(label, vnd)
                elif vnd is RowFault.OTHER_CURRENCY:
                    code = read_currency(value)
            if code is not None:
                has_label = True
                self._meet_currency(code)
        first, last = find_period(row.cells)
        self._period = (self._period[0] or first, self._period[1] or last)
        return has_label

    def take_header(self, header: Header) -> None:
        """Take the columns of a table, and the currency of a heading such as "Số tiền (USD)"."""
        has_one_amount = ColumnMeaning.AMOUNT in header.columns
        self._needs_signs |= has_one_amount and ColumnMeaning.DIRECTION not in header.columns
        if not self._columns:
            self._columns = header.list_columns()
            self._layout = header.layout.code if header.layout else None
        for meaning in (*AMOUNTS, ColumnMeaning.BALANCE):
            for note in IN_BRACKETS.findall(header.find_heading(meaning)):
                code = read_currency(note[1:-1]) if len(note) <= 8 else None
                if code is not None:
                    self._meet_currency(code)

    def take_row(self, header: Header, row: Row) -> bool:
        """Take the row's own account and currency; False where they are not this statement's."""
        account = header.find_cell(row, ColumnMeaning.ACCOUNT)
        if account is not None and (number := read_account(account)):
            self._meet_account(number)
        currency = header.find_cell(row, ColumnMeaning.CURRENCY)
        if currency is not None and (code := read_currency(currency)):
            self._meet_currency(code)
        return not self.is_stopped

    def take_sums(self, reader: RowReader, row: Row) -> None:
        """Take the table's own sums from its last row."""
        for meaning, label in (
            (ColumnMeaning.DEBIT, Label.TOTAL_OUT),
            (ColumnMeaning.CREDIT, Label.TOTAL_IN),
        ):
            vnd = reader.read_vnd(row, meaning)
            if isinstance(vnd, int):
                self._totals[label] = abs(vnd)

    def take_line(self, line: StatementLine) -> None:
        """Count one line."""
        self.tally.add(line)
        first, last = self._period
        if (first and line.booked_on < first) or (last and line.booked_on > last):
            facts = {"booked_on": line.booked_on.isoformat()}
            self._add(Problem(code=ProblemCode.DATE_OUTSIDE_PERIOD, facts=facts, place=line.place))

    def sum_up(self, source: Source, *, has_signs: bool) -> StatementSummary:
        """Return the summary, with all problems."""
        tally = self.tally
        stated = StatedTotals(
            in_vnd=self._totals.get(Label.TOTAL_IN),
            out_vnd=self._totals.get(Label.TOTAL_OUT),
            lines=self._totals.get(Label.COUNT),
        )
        opening_vnd, closing_vnd = tally.fill(self._opening_vnd, self._closing_vnd)
        if not self.is_stopped:
            found = tally.find_problems(
                opening_vnd=self._opening_vnd, closing_vnd=self._closing_vnd, stated=stated
            )
            self._problems += found
        is_proven = None not in (opening_vnd, closing_vnd)
        if self._needs_signs and tally.lines and not has_signs and not is_proven:
            self._add(Problem(code=ProblemCode.DIRECTION_UNPROVEN))
        return StatementSummary(
            format=source.format,
            account_number=self._account,
            currency=self._currency,
            period_from=self._period[0],
            period_to=self._period[1],
            opening_vnd=opening_vnd,
            closing_vnd=closing_vnd,
            is_opening_stated=self._opening_vnd is not None,
            is_closing_stated=self._closing_vnd is not None,
            lines=tally.lines,
            in_vnd=tally.in_vnd,
            out_vnd=tally.out_vnd,
            row_errors=tally.row_errors,
            stated=stated,
            problems=tuple(self._problems),
            is_newest_first=tally.is_newest_first,
            encoding=source.encoding,
            layout=self._layout,
            columns=self._columns,
        )

    def _take_sum(self, label: Label, vnd: int) -> None:
        if label is Label.OPENING:
            # Of several sheets the first opens and the last closes.
            self._opening_vnd = vnd if self._opening_vnd is None else self._opening_vnd
        elif label is Label.CLOSING:
            self._closing_vnd = vnd
        else:
            self._totals[label] = abs(vnd)

    def _meet_account(self, number: str) -> None:
        expected = self._options.account_number
        if self._account is None:
            self._account = number
            if expected is not None and not is_same_account(number, expected):
                facts = {"found": number, "expected": expected}
                self._add(Problem(code=ProblemCode.OTHER_ACCOUNT, facts=facts))
        elif not is_same_account(self._account, number):
            self.is_stopped = True
            facts = {"first": self._account, "second": number}
            self._add(Problem(code=ProblemCode.SEVERAL_ACCOUNTS, facts=facts))

    def _meet_currency(self, code: str) -> None:
        if code != "VND":
            self.is_stopped = True
            self._currency = code
            self._add(Problem(code=ProblemCode.CURRENCY_NOT_VND, facts={"currency": code}))
        elif self._currency is None:
            self._currency = code

    def _add(self, problem: Problem) -> None:
        if all(one.code is not problem.code for one in self._problems):
            self._problems.append(problem)
