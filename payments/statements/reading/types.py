"""Types that all readers of statements produce, whatever the format, and their limits.

A reader is a function of a seekable binary file and options. It yields lines and row errors in
the order of the file, as it reads, and exactly one StatementSummary as its last item. It holds no
more of the file than it must: a million lines are never a list. Where it raises StatementError
(errors.py), at once or mid-stream, nothing of the file may be kept. It raises nothing else,
whatever the bytes are, reads no clock, and trusts no file's name.

What is wrong with one row is a RowError, and reading goes on. What is wrong with the statement as
a whole is a Problem in the summary. A statement with either is not accepted as it is. Words for
all codes come from the edge.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import BinaryIO, Final, Protocol

from payments.providers.types import Direction

# A million lines of 250 bytes, twice over for UTF-16.
FILE_BYTES_MAX: Final = 512 * 1024 * 1024
# What stands as one whole in memory while it is read: XLS, HTML, PDF, MT940, camt.053.
WHOLE_FILE_BYTES_MAX: Final = 64 * 1024 * 1024
# Of a sheet of Excel there are 1,048,576; the rest is room for what stands around the lines.
ROWS_MAX: Final = 1_100_000
COLUMNS_MAX: Final = 256
CELL_CHARS_MAX: Final = 4_000  # banks' memos end below 1,000
# Rows in which a header may be looked for; what stands before it are address and account.
HEADER_ROWS_MAX: Final = 200
# After so many the file is read by the wrong columns, and nobody mends it row by row.
ROW_ERRORS_MAX: Final = 1_000
# Sheets compress to a tenth or a fiftieth; past this a part of a zip is a bomb.
EXPANSION_RATIO_MAX: Final = 200
EXPANDED_BYTES_MAX: Final = 2 * 1024 * 1024 * 1024
# Above this, numbers of Excel and of JavaScript lose their last digits.
AMOUNT_VND_MAX: Final = 2**53 - 1
# Banks have sold no statement from before, and nothing is booked so far ahead.
YEAR_MIN: Final = 2000
YEAR_MAX: Final = 2100
FACT_CHARS_MAX: Final = 80  # of a cell that is quoted in an error


class StatementFormat(StrEnum):
    """The form of a file, found by its content."""

    CSV = "csv"  # separated by comma, semicolon, tab or bar
    PASTED = "pasted"  # tab-separated rows from a clipboard
    XLSX = "xlsx"
    XLS = "xls"
    HTML = "html"  # what internet banking saves as .xls
    PDF = "pdf"
    MT940 = "mt940"
    CAMT053 = "camt053"


class ColumnMeaning(StrEnum):
    """The meaning of a column, or of the part of a line that an error is about."""

    BOOKED_ON = "booked_on"  # the day on which the bank booked it
    TRANSACTED_AT = "transacted_at"  # when it happened: a day, or a day and a time
    VALUE_ON = "value_on"  # used as the booking day only where there is no other
    TIME = "time"  # of the day that stands in another column
    DATE_AND_REFERENCE = "date_and_reference"  # "DD/MM/YYYY   DOCNO", one cell or two
    REFERENCE = "reference"
    LINE_ID = "line_id"
    DEBIT = "debit"  # money out, without a sign
    CREDIT = "credit"  # money in, without a sign
    AMOUNT = "amount"  # signed, or with its direction in another column
    DIRECTION = "direction"  # + or -, D or C, Nợ or Có
    BALANCE = "balance"  # after the line
    MEMO = "memo"
    COUNTERPARTY_ACCOUNT = "counterparty_account"
    COUNTERPARTY_NAME = "counterparty_name"
    COUNTERPARTY_BANK = "counterparty_bank"
    ACCOUNT = "account"  # the statement's own
    CURRENCY = "currency"
    ROW_NUMBER = "row_number"  # STT
    IGNORED = "ignored"


class RowFault(StrEnum):
    """The fault of a row; `value` among its facts is the cell as it stands, shortened."""

    DATE_MISSING = "date_missing"
    DATE_UNREADABLE = "date_unreadable"  # value
    DATE_ABSURD = "date_absurd"  # value, year_min, year_max
    TIME_UNREADABLE = "time_unreadable"  # value
    AMOUNT_MISSING = "amount_missing"
    AMOUNT_UNREADABLE = "amount_unreadable"  # value
    AMOUNT_AMBIGUOUS = "amount_ambiguous"  # value: 1.234, and the file does not say which it is
    AMOUNT_HAS_FRACTION = "amount_has_fraction"  # value: đồng have none
    AMOUNT_ZERO = "amount_zero"  # value
    AMOUNT_TOO_LARGE = "amount_too_large"  # value, vnd_max
    AMOUNT_NEGATIVE = "amount_negative"  # value: in a column whose heading says which way it goes
    AMOUNT_TWICE = "amount_twice"  # debit and credit are both filled in
    DIRECTION_UNREADABLE = "direction_unreadable"  # value
    BALANCE_UNREADABLE = "balance_unreadable"  # value
    OTHER_CURRENCY = "other_currency"  # value
    FORMULA_WITHOUT_VALUE = "formula_without_value"
    CELL_ERROR = "cell_error"  # value: #REF! and its kind
    CELL_TOO_LONG = "cell_too_long"  # chars_max
    BAD_CHARACTERS = "bad_characters"  # NUL and other controls, which no database keeps
    ROW_UNREADABLE = "row_unreadable"  # value: a record whose form is broken


class ProblemCode(StrEnum):
    """Something that keeps the whole statement from being accepted as it is."""

    CURRENCY_NOT_VND = "currency_not_vnd"  # currency; no line after it is yielded
    SEVERAL_ACCOUNTS = "several_accounts"  # first, second; no line after it is yielded
    OTHER_ACCOUNT = "other_account"  # found, expected
    CLOSING_DIFFERS = "closing_differs"  # expected_vnd, found_vnd: opening + lines ≠ closing
    BALANCE_BROKEN = "balance_broken"  # place, expected_vnd, found_vnd: the first of its kind
    TOTAL_IN_DIFFERS = "total_in_differs"  # expected_vnd (added up), found_vnd (stated)
    TOTAL_OUT_DIFFERS = "total_out_differs"  # the same
    COUNT_DIFFERS = "count_differs"  # expected, found
    DATE_OUTSIDE_PERIOD = "date_outside_period"  # place, booked_on: the first of its kind
    DIRECTION_UNPROVEN = "direction_unproven"  # one column of amounts, no sign, no balance
    TRUNCATED = "truncated"  # the form has an end, and it is not there


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The place of something in a file, as a person counts: all numbers from 1."""

    row: int  # of a sheet or table; the record of a CSV; the line of MT940; the entry of camt.053
    sheet: str | None = None  # where a workbook has several
    page: int | None = None  # of a PDF; row counts the rows of that page


@dataclass(frozen=True, kw_only=True, slots=True)
class StatementLine:
    """One line of a statement: money that moved. Texts stand as in the file, not cleaned."""

    place: Place
    booked_on: date  # the bank's booking day in Hà Nội; the day of the books
    transacted_at: datetime | None  # aware UTC; None where the file gives the booking day only
    is_date_only: bool  # transacted_at is None, or the first instant of a day in Hà Nội
    direction: Direction
    amount_vnd: int  # 1 to AMOUNT_VND_MAX; the sign is in direction
    balance_after_vnd: int | None  # may be negative
    bank_reference: str | None  # evidence, never a key: it repeats and may be a filler
    line_id: str | None  # the bank's or provider's own id of the line
    memo: str  # untouched; "" where there is none
    counterparty_account: str | None = None
    counterparty_name: str | None = None
    counterparty_bank: str | None = None
    is_reversal: bool = False  # the bank says so; direction already is the way the money went


@dataclass(frozen=True, kw_only=True, slots=True)
class RowError:
    """One thing wrong with one row, which therefore is no line. A row may have several."""

    place: Place
    column: str | None  # "D", a tag such as "61" or "Amt"; None: the row as a whole
    meaning: ColumnMeaning | None
    fault: RowFault
    facts: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing wrong with the statement as a whole."""

    code: ProblemCode
    facts: Mapping[str, str | int] = field(default_factory=dict)
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StatedTotals:
    """What a statement itself says its lines add up to, part by part; None: it does not say."""

    in_vnd: int | None = None
    out_vnd: int | None = None
    lines: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundColumn:
    """One column of a table: for a preview, and to correct the mapping by hand."""

    index: int  # from 0
    name: str  # "D"
    heading: str  # as it stands in the file; "" where there is none
    meaning: ColumnMeaning | None  # None: not recognised, and not used


@dataclass(frozen=True, kw_only=True, slots=True)
class StatementSummary:
    """What a file says as a whole; the last item of every reader."""

    format: StatementFormat
    account_number: str | None  # as the file names it, without spaces
    currency: str | None  # "VND" or what the file names; None where it names none
    period_from: date | None  # as stated
    period_to: date | None
    # Stated, or else by the running balances of the first and last line; None: neither is there.
    opening_vnd: int | None
    closing_vnd: int | None
    is_opening_stated: bool
    is_closing_stated: bool
    # Added up by the reader, over the lines that it yielded.
    lines: int
    in_vnd: int
    out_vnd: int
    row_errors: int
    stated: StatedTotals = StatedTotals()
    problems: tuple[Problem, ...] = ()
    is_newest_first: bool = False  # the running balances chain from the last row up
    encoding: str | None = None  # of text files
    layout: str | None = None  # code of a known layout (layouts.py)
    columns: tuple[FoundColumn, ...] = ()  # of tables

    @property
    def is_acceptable(self) -> bool:
        """Whether the file can be taken as it is."""
        return not self.problems and not self.row_errors

    @property
    def is_chained(self) -> bool | None:
        """Whether opening + lines = closing; None where one of the two is not known."""
        if self.opening_vnd is None or self.closing_vnd is None:
            return None
        return self.opening_vnd + self.in_vnd - self.out_vnd == self.closing_vnd


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnMapping:
    """Meanings of columns, given by hand for a table whose headings are not known."""

    columns: Mapping[int, ColumnMeaning]  # index from 0
    first_row: int = 1  # the first row of lines, from 1; a heading above it is not read
    thousands_separator: str | None = None  # "," or "."; None: the file says it


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedMapping:
    """Meanings of columns that somebody gave for an account's files with these headings."""

    account_number: str
    headings_sha256: str  # sample.fingerprint of the row above the lines, in hexadecimal
    columns: Mapping[int, ColumnMeaning]
    thousands_separator: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleRow:
    """A row at the top of a table, as text that is cut short."""

    number: int  # from 1
    cells: tuple[str, ...]
    sheet: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSample:
    """The top of a table: for a preview, to map its columns, and to find a saved mapping."""

    rows: tuple[SampleRow, ...]
    account_number: str | None  # as a label above the table names it
    headings: Mapping[str, int]  # fingerprint of a row → its number, the first of its kind


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingOptions:
    """What the one who asks knows and the file may not say."""

    account_number: str | None = None  # another one in the file is a Problem
    mapping: ColumnMapping | None = None
    thousands_separator: str | None = None  # "," or ".", to decide what 1.234 is
    is_pasted: bool = False  # text from a clipboard, in UTF-8
    saved: tuple[SavedMapping, ...] = ()  # one whose headings the file has stands for `mapping`


Item = StatementLine | RowError | StatementSummary


class StatementReader(Protocol):
    """A reader of one format; see this module's docstring for what it promises."""

    def __call__(self, file: BinaryIO, options: ReadingOptions) -> Iterator[Item]:
        """Yield lines and row errors, then one summary."""
        ...
