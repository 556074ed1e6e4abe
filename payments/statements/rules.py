"""States of statements and their lines, and whose a day of an account is. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from payments.statements.reading.types import Problem, StatementSummary

FILE_NAME_CHARS_MAX: Final = 200
ERRORS_KEPT: Final = 200  # row errors that are shown; their count is whole
DAYS_MAX: Final = 800  # of one statement: two years and a little
# Kinds of jobs.
READ: Final = "statements.read"
WRITE: Final = "statements.write"
TIDY: Final = "statements.tidy"


class StatementStatus(StrEnum):
    """How far a statement has come."""

    UPLOADED = "uploaded"  # kept, not read yet
    STAGED = "staged"  # read without a fault: a person looks at it
    REFUSED = "refused"  # read with faults, or unreadable; kept as evidence
    ACCEPTED = "accepted"  # its days are its account's; its lines are being written
    VISIBLE = "visible"  # every line is written
    DISCARDED = "discarded"  # a person said that it is not to be used


class ImportProblem(StrEnum):
    """What keeps a file that was read without a fault from being accepted."""

    ACCOUNT_NOT_NAMED = "account_not_named"  # neither the file nor the person said which
    ACCOUNT_UNKNOWN = "account_unknown"  # number: none of this organisation has it
    ACCOUNT_AMBIGUOUS = "account_ambiguous"  # number: several banks' accounts have it
    NO_LINES = "no_lines"  # and no period: it says nothing
    TOO_MANY_DAYS = "too_many_days"  # days, days_max
    DATE_IN_FUTURE = "date_in_future"  # booked_on
    OPENING_NOT_CHAINED = "opening_not_chained"  # day, expected_vnd, found_vnd


@dataclass(frozen=True, kw_only=True, slots=True)
class StatementFacts:
    """A statement as it is stored."""

    id: UUID
    receiving_account_id: UUID | None
    file_sha256: bytes
    file_name: str
    file_bytes: int
    is_pasted: bool
    mapping: Mapping[str, Any] | None
    status: StatementStatus
    job_id: UUID | None
    format: str | None
    period_from: date | None
    period_to: date | None
    opening_vnd: int | None
    closing_vnd: int | None
    in_vnd: int
    out_vnd: int
    line_count: int
    repeat_count: int
    error_count: int
    summary: Mapping[str, Any] | None
    problems: Sequence[Mapping[str, Any]]
    row_errors: Sequence[Mapping[str, Any]]
    created_by: UUID | None
    created_at: datetime
    read_at: datetime | None
    decided_by: UUID | None
    decided_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class DayBalance:
    """What an account's newest day before another one ended with."""

    day: date
    closing_vnd: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """Lines of days that an earlier statement owns, compared as a multiset."""

    days: int = 0  # of this statement that another one owns
    repeats: int = 0  # lines that the earlier one has, too
    extra: int = 0  # lines that only this one has
    missing: int = 0  # lines that only the earlier one has

    @property
    def is_plain(self) -> bool:
        """Whether both say the same of the days that they share."""
        return self.extra == self.missing == 0


def list_days(first: date, last: date) -> list[date]:
    """List every day from the first to the last."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def find_period(
    summary: StatementSummary, first_line: date | None, last_line: date | None
) -> tuple[date, date] | None:
    """Return the first and last day that a statement speaks of; None: it says nothing.

    What it states counts, widened by its lines where it states one end only.
    """
    known = [day for day in (summary.period_from, summary.period_to, first_line, last_line) if day]
    if not known:
        return None
    first = summary.period_from or min(known)
    last = summary.period_to or max(known)
    return (first, last) if first <= last else None


def judge(
    summary: StatementSummary,
    period: tuple[date, date] | None,
    before: DayBalance | None,
    *,
    today: date,
) -> list[Problem | tuple[ImportProblem, dict[str, str | int]]]:
    """List what keeps a statement from being accepted, the reader's own problems first.

    Args:
        before: the account's newest owned day before the period.
    """
    found: list[Problem | tuple[ImportProblem, dict[str, str | int]]] = [*summary.problems]
    if period is None:
        return [*found, (ImportProblem.NO_LINES, {})]
    first, last = period
    days = (last - first).days + 1
    if days > DAYS_MAX:
        found.append((ImportProblem.TOO_MANY_DAYS, {"days": days, "days_max": DAYS_MAX}))
    if last > today:
        found.append((ImportProblem.DATE_IN_FUTURE, {"booked_on": last.isoformat()}))
    if (
        before is not None
        and before.day == first - timedelta(days=1)
        and before.closing_vnd is not None
        and summary.opening_vnd is not None
        and before.closing_vnd != summary.opening_vnd
    ):
        facts: dict[str, str | int] = {
            "day": before.day.isoformat(),
            "expected_vnd": before.closing_vnd,
            "found_vnd": summary.opening_vnd,
        }
        found.append((ImportProblem.OPENING_NOT_CHAINED, facts))
    return found


def close_days(
    days: Sequence[date],
    moved_vnd: Mapping[date, tuple[int, int, int]],
    opening_vnd: int | None,
) -> list[tuple[date, int, int, int, int | None]]:
    """Return (day, lines, in_vnd, out_vnd, closing_vnd) of each day.

    Args:
        days: in order.
        moved_vnd: day → (lines, in_vnd, out_vnd); a day without lines is left out.
        opening_vnd: before the first day; None: no day's closing is known.
    """
    rows: list[tuple[date, int, int, int, int | None]] = []
    balance_vnd = opening_vnd
    for day in days:
        lines, in_vnd, out_vnd = moved_vnd.get(day, (0, 0, 0))
        if balance_vnd is not None:
            balance_vnd += in_vnd - out_vnd
        rows.append((day, lines, in_vnd, out_vnd, balance_vnd))
    return rows
