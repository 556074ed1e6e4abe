"""Sums of a statement's lines while they stream by, and whether they chain.

Balances may run down the file (oldest line first) or up it. Both are followed at once, and the
one with fewer breaks is the file's; so nothing but a few numbers is kept.
"""

from dataclasses import dataclass

from payments.providers.types import Direction
from payments.statements.reading.types import (
    Place,
    Problem,
    ProblemCode,
    StatedTotals,
    StatementLine,
)


@dataclass(kw_only=True, slots=True)
class _Chain:
    """Breaks of one order of the running balances."""

    breaks: int = 0
    first: Problem | None = None

    def compare(self, line: StatementLine, expected_vnd: int) -> None:
        if line.balance_after_vnd == expected_vnd:
            return
        self.breaks += 1
        if self.first is None:
            found_vnd = line.balance_after_vnd or 0
            facts = {"expected_vnd": expected_vnd, "found_vnd": found_vnd}
            self.first = Problem(code=ProblemCode.BALANCE_BROKEN, facts=facts, place=line.place)


class Tally:
    """Sums and balances of the lines added so far."""

    def __init__(self) -> None:
        self.lines = 0
        self.in_vnd = 0
        self.out_vnd = 0
        self.row_errors = 0
        self._oldest_first = _Chain()
        self._newest_first = _Chain()
        self._first_balance: tuple[Place, int, int, int] | None = None
        self._last_balance_vnd = 0
        self._from_last_vnd = 0  # of the line with the last balance and those after it
        self._after_last_vnd = 0  # of those after it

    @property
    def has_balances(self) -> bool:
        """Whether any line said the balance after it."""
        return self._first_balance is not None

    def add(self, line: StatementLine) -> None:
        """Count one line, in the order of the file."""
        signed_vnd = line.amount_vnd if line.direction is Direction.IN else -line.amount_vnd
        before_vnd = self.in_vnd - self.out_vnd
        self.lines += 1
        if signed_vnd > 0:
            self.in_vnd += signed_vnd
        else:
            self.out_vnd -= signed_vnd
        balance_vnd = line.balance_after_vnd
        if balance_vnd is None:
            self._from_last_vnd += signed_vnd
            self._after_last_vnd += signed_vnd
            return
        if self._first_balance is None:
            self._first_balance = (line.place, balance_vnd, before_vnd, signed_vnd)
        else:
            last_vnd = self._last_balance_vnd
            self._oldest_first.compare(line, last_vnd + self._after_last_vnd + signed_vnd)
            self._newest_first.compare(line, last_vnd - self._from_last_vnd)
        self._last_balance_vnd = balance_vnd
        self._from_last_vnd = signed_vnd
        self._after_last_vnd = 0

    @property
    def is_newest_first(self) -> bool:
        """Whether the balances chain from the last row up."""
        return self._newest_first.breaks < self._oldest_first.breaks

    def running_balances(self) -> tuple[int, int] | None:
        """Return opening and closing by the first and last balance; None where there is none."""
        if self._first_balance is None:
            return None
        _, first_vnd, before_vnd, signed_vnd = self._first_balance
        if self.is_newest_first:
            return self._last_balance_vnd - self._from_last_vnd, first_vnd + before_vnd
        opening_vnd = first_vnd - signed_vnd - before_vnd
        return opening_vnd, self._last_balance_vnd + self._after_last_vnd

    def find_problems(
        self, *, opening_vnd: int | None, closing_vnd: int | None, stated: StatedTotals
    ) -> list[Problem]:
        """Compare the sums with what the file states; None is what it does not state."""
        found = []
        chain = self._newest_first if self.is_newest_first else self._oldest_first
        if chain.first is not None:
            found.append(chain.first)
        running = self.running_balances()
        if running is not None and opening_vnd not in (None, running[0]) and not chain.breaks:
            assert self._first_balance is not None
            facts = {"expected_vnd": opening_vnd or 0, "found_vnd": running[0]}
            place = self._first_balance[0]
            found.append(Problem(code=ProblemCode.BALANCE_BROKEN, facts=facts, place=place))
        opening_vnd, closing_vnd = self.fill(opening_vnd, closing_vnd)
        if opening_vnd is not None and closing_vnd is not None:
            expected_vnd = opening_vnd + self.in_vnd - self.out_vnd
            _compare(found, ProblemCode.CLOSING_DIFFERS, expected_vnd, closing_vnd)
        _compare(found, ProblemCode.TOTAL_IN_DIFFERS, self.in_vnd, stated.in_vnd)
        _compare(found, ProblemCode.TOTAL_OUT_DIFFERS, self.out_vnd, stated.out_vnd)
        if stated.lines not in (None, self.lines):
            facts = {"expected": self.lines, "found": stated.lines or 0}
            found.append(Problem(code=ProblemCode.COUNT_DIFFERS, facts=facts))
        return found

    def fill(
        self, opening_vnd: int | None, closing_vnd: int | None
    ) -> tuple[int | None, int | None]:
        """Return opening and closing, by the running balances where they are not stated."""
        running = self.running_balances()
        if running is None:
            return opening_vnd, closing_vnd
        return (
            running[0] if opening_vnd is None else opening_vnd,
            running[1] if closing_vnd is None else closing_vnd,
        )


def _compare(
    found: list[Problem], code: ProblemCode, expected_vnd: int, found_vnd: int | None
) -> None:
    if found_vnd not in (None, expected_vnd):
        facts = {"expected_vnd": expected_vnd, "found_vnd": found_vnd or 0}
        found.append(Problem(code=code, facts=facts))
