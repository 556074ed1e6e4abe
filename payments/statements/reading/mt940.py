"""Reader of SWIFT MT940, message by message, of which one file may have many.

No MT940 file of a Vietnamese bank was found: this profile is unproven. Field patterns: SWIFT
Standards, category 9, MT 940 Customer Statement Message, as the package mt-940 quotes them. That
package reads a file as a whole, knows no line numbers and drops what it does not understand, so
it is a witness in the tests and not the reader.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import BinaryIO, Final

from payments.providers.types import Direction
from payments.statements.reading.amounts import read_vnd
from payments.statements.reading.cells import BAD_CHARACTERS, quote
from payments.statements.reading.chained import ChainedStatements, check_size
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.types import (
    AMOUNT_VND_MAX,
    CELL_CHARS_MAX,
    ColumnMeaning,
    Item,
    Place,
    ReadingOptions,
    RowFault,
    StatedTotals,
    StatementFormat,
    StatementLine,
)

ENCODING: Final = "utf-8"  # SWIFT's own letters are ASCII; others are seen in it only
ROW_BYTES_MAX: Final = 4 * CELL_CHARS_MAX
ROW_WIDTH: Final = 65  # a row that is full goes on in the next without a space
DECIMAL_MARK_IS_COMMA: Final = "."  # what separates thousands, were they separated
TAG: Final = re.compile(r":(\d\d[A-Z]?|NS):")
ENDS: Final = ("-", "-}")
ENTRY: Final = re.compile(
    r"(?P<value>\d{6})(?P<booked>\d{4})?(?P<mark>R?[CD])(?P<funds>[A-Z])?"
    r"(?P<amount>\d{1,20},\d{0,9})(?P<type>[A-Z][A-Z0-9]{3})"
    r"(?P<own>(?:(?!//).)*)(?://(?P<bank>.*))?",
    re.ASCII,
)
BALANCE: Final = re.compile(r"(?P<mark>[CD])\d{6}(?P<currency>[A-Z]{3})(?P<amount>\d{1,20},\d*)")
NO_REFERENCE: Final = frozenset({"", "NONREF", "NOREF"})
HALF_A_YEAR_DAYS: Final = 183


@dataclass(slots=True)
class Field:
    """One field: its tag, the rows of its text, and the row of the file it begins in."""

    tag: str
    rows: list[str]
    row: int
    chars: int = 0
    is_too_long: bool = False

    def add(self, text: str) -> None:
        """Take a row, while there is room for it."""
        self.chars += len(text)
        self.is_too_long = self.chars > CELL_CHARS_MAX
        if not self.is_too_long:
            self.rows.append(text)

    @property
    def text(self) -> str:
        """The first row, which is all that most fields have."""
        return self.rows[0].strip() if self.rows else ""


def read_mt940(file: BinaryIO, options: ReadingOptions) -> Iterator[Item]:
    """Yield the lines of all messages, then one summary; see types.py for what is promised.

    A reversal (RC, RD) is a line of its own, in the direction the money went. Its memo is field
    86 as it stands, with its rows joined.
    """
    check_size(file)
    statements = ChainedStatements(StatementFormat.MT940, options)
    entry: Field | None = None
    memo: Field | None = None
    is_open = False  # a message has begun and not stated its closing balance
    place: Place | None = None
    for field in _fields(file):
        place = Place(row=field.row)
        if field.tag == "86" and entry is not None:
            memo = field
            continue
        yield from _take_entry(entry, memo, statements)
        entry = memo = None
        if field.tag == "25":
            statements.name_account(_account(field.text), place)
        elif field.tag == "61":
            entry = field
        is_open = is_open or field.tag in ("20", "60F", "60M", "61")
        if field.tag in ("60F", "60M", "62F", "62M"):
            balance_vnd = _read_balance(field.text, statements, place)
            if balance_vnd is None:
                meaning = ColumnMeaning.BALANCE
                fault, value = RowFault.BALANCE_UNREADABLE, quote(field.text)
                yield from statements.refuse(fault, place, field.tag, meaning, value=value)
            elif field.tag.startswith("60"):
                statements.open(balance_vnd, place)
            else:
                statements.close(balance_vnd, place)
                is_open = False
    yield from _take_entry(entry, memo, statements)
    if place is None:
        raise StatementError(Refusal.UNKNOWN_FORMAT)
    if is_open:
        statements.report_truncated(place)
    yield statements.sum_up(stated=StatedTotals(), encoding=ENCODING)


def _fields(file: BinaryIO) -> Iterator[Field]:
    """Yield the fields of all messages; what stands outside of them is left out."""
    field: Field | None = None
    row = 0
    while raw := file.readline(ROW_BYTES_MAX + 1):
        row += 1
        text = _decode(raw, row)
        if text.startswith("{"):  # SWIFT's envelope around a message
            text = text.partition("{4:")[2]
        if match := TAG.match(text):
            if field is not None:
                yield field
            field = Field(tag=match[1], rows=[], row=row)
            field.add(text[match.end() :])
        elif text.rstrip() in ENDS:
            if field is not None:
                yield field
            field = None
        elif field is not None:
            field.add(text)
    if field is not None:
        yield field


def _decode(raw: bytes, row: int) -> str:
    if len(raw) > ROW_BYTES_MAX:
        raise StatementError(Refusal.DAMAGED, format=StatementFormat.MT940, row=row)
    try:
        text = raw.decode(ENCODING)
    except UnicodeDecodeError as error:
        raise StatementError(Refusal.BAD_ENCODING, encoding=ENCODING, where=row) from error
    if "\0" in text:  # UTF-16 that names no byte order
        raise StatementError(Refusal.BAD_ENCODING, encoding=ENCODING, where=row)
    return text.removeprefix("\ufeff").rstrip("\r\n")


def _account(text: str) -> str:
    """Return the number of "BIC/number" or "number", without a currency behind it."""
    number = text.rpartition("/")[2].strip()
    return re.sub(r"\s*VND\Z", "", number)


def _read_balance(text: str, statements: ChainedStatements, place: Place) -> int | None:
    """Return the balance of C261120VND1234, or None; its currency is the statement's."""
    match = BALANCE.fullmatch(text)
    if match is None:
        return None
    statements.name_currency(match["currency"], place)
    amount_vnd = read_vnd(match["amount"], DECIMAL_MARK_IS_COMMA)
    if not isinstance(amount_vnd, int):
        return None
    return -amount_vnd if match["mark"] == "D" else amount_vnd


def _take_entry(
    entry: Field | None, memo: Field | None, statements: ChainedStatements
) -> Iterator[Item]:
    """Yield the line of one field 61 with its field 86, or what is wrong with it."""
    if entry is None:
        return
    place = Place(row=entry.row)
    match = ENTRY.fullmatch(entry.text)
    if match is None:
        fault, value = RowFault.ROW_UNREADABLE, quote(entry.text)
        yield from statements.refuse(fault, place, "61", value=value)
        return
    booked_on = _read_day(match["value"], match["booked"])
    if isinstance(booked_on, RowFault):
        value = quote(match["value"] + (match["booked"] or ""))
        meaning = ColumnMeaning.BOOKED_ON
        yield from statements.refuse(booked_on, place, "61", meaning, value=value)
        return
    amount_vnd = _read_amount(match["amount"])
    if isinstance(amount_vnd, RowFault):
        facts: dict[str, str | int] = {"value": quote(match["amount"])}
        if amount_vnd is RowFault.AMOUNT_TOO_LARGE:
            facts["vnd_max"] = AMOUNT_VND_MAX
        yield from statements.refuse(amount_vnd, place, "61", ColumnMeaning.AMOUNT, **facts)
        return
    text = _join(memo.rows if memo else entry.rows[1:])
    bank_reference = (match["bank"] or "").strip()
    own_reference = match["own"].strip()
    if BAD_CHARACTERS.search(text + bank_reference + own_reference):
        yield from statements.refuse(RowFault.BAD_CHARACTERS, place, "86", ColumnMeaning.MEMO)
        return
    if entry.is_too_long or (memo is not None and memo.is_too_long):
        too_long = RowFault.CELL_TOO_LONG
        meaning = ColumnMeaning.MEMO
        yield from statements.refuse(too_long, place, "86", meaning, chars_max=CELL_CHARS_MAX)
        return
    given = "" if own_reference in NO_REFERENCE else own_reference
    yield from statements.add(
        StatementLine(
            place=place,
            booked_on=booked_on,
            transacted_at=None,
            is_date_only=True,
            # RC takes a credit back, so the money goes out.
            direction=Direction.IN if match["mark"] in ("C", "RD") else Direction.OUT,
            amount_vnd=amount_vnd,
            balance_after_vnd=None,
            bank_reference=bank_reference or given or None,
            line_id=None,
            memo=text,
            is_reversal=match["mark"].startswith("R"),
        )
    )


def _read_day(value: str, booked: str | None) -> date | RowFault:
    """Return the booking day: MMDD in the year of the value day, or of the one beside it."""
    try:
        value_on = date(2000 + int(value[:2]), int(value[2:4]), int(value[4:]))
        if booked is None:
            return value_on
        booked_on = date(value_on.year, int(booked[:2]), int(booked[2:]))
        apart_days = (booked_on - value_on).days
        if abs(apart_days) <= HALF_A_YEAR_DAYS:
            return booked_on
        return booked_on.replace(year=value_on.year + (1 if apart_days < 0 else -1))
    except ValueError:
        return RowFault.DATE_UNREADABLE


def _read_amount(text: str) -> int | RowFault:
    amount_vnd = read_vnd(text, DECIMAL_MARK_IS_COMMA)
    if amount_vnd is None:
        return RowFault.AMOUNT_MISSING
    return RowFault.AMOUNT_ZERO if amount_vnd == 0 else amount_vnd


def _join(rows: list[str]) -> str:
    """Join the rows of a text: a full one goes on without a space, a shorter one was a choice."""
    joined = ""
    last = ""
    for row in rows:
        joined += row if not joined or len(last) >= ROW_WIDTH else f" {row.lstrip()}"
        last = row
    return joined.rstrip()
