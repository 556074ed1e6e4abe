"""States of statements and their lines, and whose a day of an account is. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from payments.statements.reading.types import Problem, StatementSummary

FILE_NAME_CHARS_MAX: Final = 200
COMPARED_LINES_MAX: Final = 50_000  # of days that two files have; more takes too long to wait for
SUM_VND_MAX: Final = 2**62  # of all lines; the database counts to twice that
ERRORS_KEPT: Final = 200  # row errors that are shown; their count is whole
DAYS_MAX: Final = 800  # of one statement: two years and a little
FILES_A_DAY_MAX: Final = 200  # of one organisation; a city's board has a hundred accounts
READINGS_A_DAY_MAX: Final = 1_000  # of one organisation's files that were sent before
NEARLY_FULL: Final = (4, 5)  # of an organisation's room: people are told from there on
MAPPINGS_MAX: Final = 50  # of one account
HEADINGS_MAX: Final = 30  # cells of a heading that are compared
# Kinds of jobs.
READ: Final = "statements.read"
WRITE: Final = "statements.write"
PURGE: Final = "statements.purge"
MATCH: Final = "reconciliation.match"  # of an account, whose lines are there: the handler is above


class StatementStatus(StrEnum):
    """How far a statement has come."""

    UPLOADED = "uploaded"  # kept, not read yet
    STAGED = "staged"  # read without a fault: a person looks at it
    REFUSED = "refused"  # read with faults, or unreadable; kept as evidence
    ACCEPTED = "accepted"  # its days are its account's; its lines are being written
    VISIBLE = "visible"  # every line is written
    DISCARDED = "discarded"  # a person said that it is not to be used


class Explanation(StrEnum):
    """What a line is, once it is explained (docs/adr/0015)."""

    CREDIT = "credit"  # money in that callbacks reported: one credit, or several
    REFUND = "refund"  # money out that a refund sent back
    REFUND_BACK = "refund_back"  # money in: a refund that its bank sent back
    BANK_CHARGE = "bank_charge"
    INTEREST = "interest"
    OWN_TRANSFER = "own_transfer"  # between the organisation's own accounts
    NOT_THE_HUBS = "not_the_hubs"  # the holder's own money


class ImportProblem(StrEnum):
    """What keeps a file that was read without a fault from being accepted."""

    ACCOUNT_NOT_NAMED = "account_not_named"  # neither the file nor the person said which
    ACCOUNT_UNKNOWN = "account_unknown"  # number: none of this organisation has it
    ACCOUNT_AMBIGUOUS = "account_ambiguous"  # number: several banks' accounts have it
    NO_LINES = "no_lines"  # and no period: it says nothing
    TOO_MANY_DAYS = "too_many_days"  # days, days_max
    DATE_IN_FUTURE = "date_in_future"  # booked_on
    LINES_OUTSIDE_PERIOD = "lines_outside_period"  # first, last: of the lines
    PERIOD_REVERSED = "period_reversed"  # first, last, as the file states them
    SUM_TOO_LARGE = "sum_too_large"  # vnd_max


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What an organisation sent and had read again in a day, and how much it keeps."""

    files: int  # that were sent for the first time in the day
    readings: int  # in the day, of files that were sent before
    total_bytes: int  # of all files, each once, as they were sent

    def is_nearly_full(self, bytes_max: int) -> bool:
        """Whether so little room is left that people are to be told."""
        part, whole = NEARLY_FULL
        return self.total_bytes * whole >= bytes_max * part


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
    applied_mapping: Mapping[str, Any] | None  # a saved one, found by the file's headings


@dataclass(frozen=True, kw_only=True, slots=True)
class MappingFacts:
    """A saved mapping of an account's columns."""

    id: UUID
    receiving_account_id: UUID
    headings_sha256: bytes
    headings: Sequence[str]
    columns: Mapping[str, str]  # index from 0 → ColumnMeaning
    thousands_separator: str | None
    changed_by: UUID | None
    changed_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class DayBalance:
    """What an account's day began and ended with, by the statement that owns it."""

    day: date
    opening_vnd: int | None
    closing_vnd: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LineFilter:
    """Which written lines are listed."""

    account_id: UUID
    first: date  # booking day
    last: date
    direction: str | None = None  # "in", "out"


@dataclass(frozen=True, kw_only=True, slots=True)
class DayPair:
    """A day that another statement owns, and what each says of it: (lines, in_vnd, out_vnd)."""

    day: date
    other_id: UUID
    own: tuple[int, int, int]
    other: tuple[int, int, int]

    @property
    def is_alike(self) -> bool:
        """Whether their sums are the same; their lines may differ all the same."""
        return self.own == self.other


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
    summary: StatementSummary, lines: tuple[date, date] | None, *, today: date
) -> tuple[date, date] | None:
    """Return the first and last day that a statement speaks of; None: it says nothing.

    What it states counts, and its lines where it states nothing. A month that is not over is stated
    whole by some banks: such a statement speaks of the days up to its last line.
    """
    stated_to = summary.period_to
    if stated_to is not None and stated_to > today:
        stated_to = lines[1] if lines else summary.period_from
    known = [day for day in (summary.period_from, stated_to, *(lines or ())) if day]
    if not known:
        return None
    return summary.period_from or min(known), stated_to or max(known)


def find_faults(
    summary: StatementSummary,
    lines: tuple[date, date] | None,
    period: tuple[date, date] | None,
    *,
    today: date,
) -> list[Problem | tuple[ImportProblem, dict[str, str | int]]]:
    """List what keeps a statement from being accepted, the reader's own problems first.

    Args:
        lines: the first and last booking day of its lines; None: it has none.
    """
    found: list[Problem | tuple[ImportProblem, dict[str, str | int]]] = [*summary.problems]
    if period is None:
        return [*found, (ImportProblem.NO_LINES, {})]
    first, last = period
    if first > last:
        return [*found, (ImportProblem.PERIOD_REVERSED, _name_days(first, last))]
    if lines is not None and not first <= lines[0] <= lines[1] <= last:
        found.append((ImportProblem.LINES_OUTSIDE_PERIOD, _name_days(*lines)))
    if max(summary.in_vnd, summary.out_vnd) > SUM_VND_MAX:
        found.append((ImportProblem.SUM_TOO_LARGE, {"vnd_max": SUM_VND_MAX}))
    days = (last - first).days + 1
    if days > DAYS_MAX:
        found.append((ImportProblem.TOO_MANY_DAYS, {"days": days, "days_max": DAYS_MAX}))
    if last > today:
        found.append((ImportProblem.DATE_IN_FUTURE, {"booked_on": last.isoformat()}))
    return found


def goes_on(
    owned: Sequence[DayBalance], *, newest: date | None, first: date, opening_vnd: int | None
) -> bool:
    """Whether a statement goes on, on the account's newest day, where the one before ended.

    Where nothing is left over at the end of that day, the opening says nothing: two files of the
    whole day begin alike, too.
    """
    if [one.day for one in owned] != [first] or newest != first or opening_vnd is None:
        return False
    return owned[0].closing_vnd == opening_vnd != owned[0].opening_vnd


def balances_of(
    rows: Iterable[tuple[date, int, int, int, int | None]],
) -> dict[date, DayBalance]:
    """Return what each day of `close_days` begins and ends with."""
    return {
        day: DayBalance(
            day=day,
            opening_vnd=None if closing_vnd is None else closing_vnd - in_vnd + out_vnd,
            closing_vnd=closing_vnd,
        )
        for day, _, in_vnd, out_vnd, closing_vnd in rows
    }


def find_break(
    days: Mapping[date, DayBalance], neighbours: Iterable[DayBalance]
) -> tuple[tuple[date, int], tuple[date, int]] | None:
    """Find where days do not go on as the days beside them ended, or end as these begin.

    Args:
        days: of one statement, all of them.
        neighbours: days of the account that others own: the ones just before and just after, and
            those that both have.

    Returns:
        (day, đồng) of the statement and of the other, the first that disagree; None: all is well,
        or no balance is known.
    """
    for other in neighbours:
        before, same, after = (days.get(other.day + timedelta(days=n)) for n in (-1, 0, 1))
        pairs = (
            (same, None if same is None else same.closing_vnd, other.closing_vnd),
            (after, None if after is None else after.opening_vnd, other.closing_vnd),
            (before, None if before is None else before.closing_vnd, other.opening_vnd),
        )
        for own, own_vnd, other_vnd in pairs:
            if own is None or own_vnd is None or other_vnd is None or own_vnd == other_vnd:
                continue
            return (own.day, own_vnd), (other.day, other_vnd)
    return None


def _name_days(first: date, last: date) -> dict[str, str | int]:
    return {"first": first.isoformat(), "last": last.isoformat()}


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
