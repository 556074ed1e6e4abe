"""One or several statements of an account that stand one after another in a file.

MT940 has a message a day and camt.053 may have several statements. They are read as one, from the
first opening balance to the last closing balance, and each must open where the last one closed.
"""

import os
from collections.abc import Iterator, Mapping
from datetime import date
from typing import BinaryIO

from payments.providers.types import Direction
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.labels import is_same_account
from payments.statements.reading.totals import Tally
from payments.statements.reading.types import (
    ROW_ERRORS_MAX,
    ROWS_MAX,
    WHOLE_FILE_BYTES_MAX,
    ColumnMeaning,
    Place,
    Problem,
    ProblemCode,
    ReadingOptions,
    RowError,
    RowFault,
    StatedTotals,
    StatementFormat,
    StatementLine,
    StatementSummary,
)

VND = "VND"


def check_size(file: BinaryIO) -> None:
    """Refuse a file that is empty, or larger than what is held as one whole.

    Raises:
        StatementError: Refusal.EMPTY or TOO_LARGE.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size == 0:
        raise StatementError(Refusal.EMPTY)
    if size > WHOLE_FILE_BYTES_MAX:
        raise StatementError(Refusal.TOO_LARGE, bytes=size, bytes_max=WHOLE_FILE_BYTES_MAX)


class ChainedStatements:
    """What is known of the statements read so far. `is_stopped`: no further line counts."""

    def __init__(self, form: StatementFormat, options: ReadingOptions) -> None:
        self.form = form
        self.options = options
        self.tally = Tally()
        self.problems: list[Problem] = []
        self.account: str | None = None
        self.currency: str | None = None
        self.period_from: date | None = None
        self.period_to: date | None = None
        self.opening_vnd: int | None = None
        self.closing_vnd: int | None = None
        self.is_stopped = False
        self._period: tuple[date, date] | None = None  # of the statement being read
        self._expected_vnd: int | None = None  # the balance by all lines so far
        # A closing balance that is not yet known to be the last: expected, found, where.
        self._unproven: tuple[int | None, int, Place] | None = None

    def name_account(self, number: str, place: Place) -> None:
        """Take the account of the next statement; another one than before ends the reading."""
        number = "".join(number.split())
        if self.account is None:
            self.account = number
            wanted = self.options.account_number
            if wanted is not None and not is_same_account(wanted, number):
                facts = {"found": number, "expected": wanted}
                self._report(ProblemCode.OTHER_ACCOUNT, facts, place)
        elif not is_same_account(self.account, number):
            self._stop(
                ProblemCode.SEVERAL_ACCOUNTS, {"first": self.account, "second": number}, place
            )

    def name_currency(self, currency: str, place: Place) -> None:
        """Take a currency that the file names; another one than VND ends the reading."""
        if self.currency in (None, VND):
            self.currency = currency
        if currency != VND:
            self._stop(ProblemCode.CURRENCY_NOT_VND, {"currency": currency}, place)

    def name_period(self, first: date, last: date) -> None:
        """Take the days of the next statement; a line booked on another day is a problem."""
        self._period = (first, last)
        self.period_from = min(first, self.period_from or first)
        self.period_to = max(last, self.period_to or last)

    def open(self, balance_vnd: int, place: Place) -> None:
        """Take the balance before the next lines; it must be the one that the last ended with."""
        if self.is_stopped:
            return
        if self._unproven is not None:
            self._compare(*self._unproven)
        if self.opening_vnd is None and self.tally.lines == 0:
            self.opening_vnd = balance_vnd
        else:
            self._compare(self._expected_vnd, balance_vnd, place)
        self._expected_vnd = balance_vnd
        self._unproven = None

    def close(self, balance_vnd: int, place: Place) -> None:
        """Take the balance after the lines so far. The file's last one is compared by the sums."""
        if self.is_stopped:
            return
        self._unproven = (self._expected_vnd, balance_vnd, place)
        self.closing_vnd = self._expected_vnd = balance_vnd

    def add(self, line: StatementLine) -> Iterator[StatementLine]:
        """Count a line and yield it, unless the reading has ended before.

        Raises:
            StatementError: more lines than any statement has.
        """
        if self.is_stopped:
            return
        self.tally.add(line)
        if self.tally.lines > ROWS_MAX:
            raise StatementError(Refusal.TOO_MANY_ROWS, rows_max=ROWS_MAX)
        if self._period and not self._period[0] <= line.booked_on <= self._period[1]:
            facts = {"booked_on": line.booked_on.isoformat()}
            self._report(ProblemCode.DATE_OUTSIDE_PERIOD, facts, line.place)
        if self._expected_vnd is not None:
            is_in = line.direction is Direction.IN
            self._expected_vnd += line.amount_vnd if is_in else -line.amount_vnd
        yield line

    def refuse(
        self,
        fault: RowFault,
        place: Place,
        column: str,
        meaning: ColumnMeaning | None = None,
        **facts: str | int,
    ) -> Iterator[RowError]:
        """Count and yield what is wrong with one line.

        Raises:
            StatementError: so much is wrong that the file is no statement of this form.
        """
        if self.is_stopped:
            return
        self.tally.row_errors += 1
        if self.tally.row_errors > ROW_ERRORS_MAX:
            raise StatementError(Refusal.TOO_MANY_ERRORS, errors_max=ROW_ERRORS_MAX)
        yield RowError(place=place, column=column, meaning=meaning, fault=fault, facts=facts)

    def report_truncated(self, place: Place) -> None:
        """Take note that the file ends before its form does."""
        self._report(ProblemCode.TRUNCATED, {}, place)

    def sum_up(self, *, stated: StatedTotals, encoding: str | None) -> StatementSummary:
        """Return the summary, with everything that does not add up."""
        tally = self.tally
        opening_vnd, closing_vnd = tally.fill(self.opening_vnd, self.closing_vnd)
        if not self.is_stopped:
            self.problems += tally.find_problems(
                opening_vnd=self.opening_vnd, closing_vnd=self.closing_vnd, stated=stated
            )
        return StatementSummary(
            format=self.form,
            account_number=self.account,
            currency=self.currency,
            period_from=self.period_from,
            period_to=self.period_to,
            opening_vnd=opening_vnd,
            closing_vnd=closing_vnd,
            is_opening_stated=self.opening_vnd is not None,
            is_closing_stated=self.closing_vnd is not None,
            lines=tally.lines,
            in_vnd=tally.in_vnd,
            out_vnd=tally.out_vnd,
            row_errors=tally.row_errors,
            stated=stated,
            problems=tuple(self.problems),
            is_newest_first=tally.is_newest_first,
            encoding=encoding,
        )

    def _compare(self, expected_vnd: int | None, found_vnd: int, place: Place) -> None:
        if expected_vnd not in (None, found_vnd):
            facts = {"expected_vnd": expected_vnd or 0, "found_vnd": found_vnd}
            self._report(ProblemCode.BALANCE_BROKEN, facts, place)

    def _stop(self, code: ProblemCode, facts: Mapping[str, str | int], place: Place) -> None:
        if not self.is_stopped:
            self._report(code, facts, place)
        self.is_stopped = True

    def _report(self, code: ProblemCode, facts: Mapping[str, str | int], place: Place) -> None:
        """Keep a problem, the first of its kind only."""
        if all(problem.code is not code for problem in self.problems):
            self.problems.append(Problem(code=code, facts=facts, place=place))
