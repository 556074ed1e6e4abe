"""Statements as SWIFT MT940, one message a day.

No MT940 file of a Vietnamese bank was found: this profile is unproven (docs/sandbox.md).
Fields: SWIFT Standards, category 9, MT 940 Customer Statement Message, as PyPI mt-940 5.1.1 quotes
their patterns; that library reads what is written here (tests/sandbox).
"""

import re
from collections.abc import Iterator
from typing import Final

from sandbox.statements.statement import Statement, StatementDay, StatementLine
from sandbox.statements.wording import without_marks

MEMO_ROWS: Final = 6  # of 65 characters
MEMO_WIDTH: Final = 65
REFERENCE_MAX: Final = 16
# Character set X of SWIFT; everything else becomes a full stop.
_NOT_X: Final = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]")


def write_mt940(statement: Statement) -> str:
    """Write one message for every day with lines, each opening with the balance of the last."""
    return "".join(
        row + "\r\n"
        for number, day in enumerate(statement.days, 1)
        for row in _message(statement, day, number)
    )


def _message(statement: Statement, day: StatementDay, number: int) -> Iterator[str]:
    yield f":20:ST{day.booked_on:%y%m%d}{number:03d}"
    yield f":25:{statement.bin}/{statement.number}"
    yield f":28C:{day.booked_on:%j}/1"
    yield f":60F:{_balance(day, day.opening_vnd)}"
    for line in day.lines:
        yield _entry(line)
        yield from _memo(line.memo)
    yield f":62F:{_balance(day, day.closing_vnd)}"
    yield "-"


def _balance(day: StatementDay, amount_vnd: int) -> str:
    mark = "C" if amount_vnd >= 0 else "D"
    return f"{mark}{day.booked_on:%y%m%d}VND{abs(amount_vnd)},"


def _entry(line: StatementLine) -> str:
    mark = "C" if line.signed_vnd > 0 else "D"
    reference = _in_x(line.reference)[:REFERENCE_MAX]
    days = f"{line.booked_on:%y%m%d}{line.booked_on:%m%d}"
    return f":61:{days}{mark}{abs(line.signed_vnd)},NTRFNONREF//{reference}"


def _memo(memo: str) -> Iterator[str]:
    text = _in_x(memo)
    rows: list[str] = []
    while text and len(rows) < MEMO_ROWS:
        if text[0] in ":-":  # a row may begin with neither: they start a field and end a message
            text = f" {text}"
        rows.append(text[:MEMO_WIDTH])
        text = text[MEMO_WIDTH:]
    yield ":86:" + "\r\n".join(rows)


def _in_x(text: str) -> str:
    return _NOT_X.sub(".", without_marks(text))
