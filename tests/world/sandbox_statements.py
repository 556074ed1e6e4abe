"""Statements of the sandbox's banks, as files and as the sandbox knows them."""

import io
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, BinaryIO

from payments.statements.reading.types import (
    Item,
    ReadingOptions,
    RowError,
    StatementLine,
    StatementSummary,
)
from sandbox.bank import Bank
from sandbox.statements.faults import StatementFaults
from sandbox.statements.formats import write
from sandbox.statements.statement import Statement, draw_up

FRIDAY_NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)  # 12:00 in Hà Nội
FRIDAY, SATURDAY, SUNDAY, MONDAY = (date(2026, 11, day) for day in (20, 21, 22, 23))
MB, ACCOUNT = "970422", "0988000111"
# Memos as banks leave them: long, with the hub's code inside, with Vietnamese letters, and empty.
MEMOS = (
    "MBVCB.3278907687.123456.PPMOXA234567K.CT tu 0011004070001 NGUYEN VAN A toi 0988000111 tai MB",
    "Thanh toán vé xe tháng 11, quầy 7 – cảm ơn",
    "",
    "TKThe :19036000000888, tai Techcombank. ND PPMOXA234567K -CTLNHIDI000012345678901234567890",
)

Read = Callable[[BinaryIO, ReadingOptions], Iterator[Item]]


def a_bank(opening_vnd: int = 1_000_000) -> Bank:
    """Open a bank with one receiving account, which changes no memos."""
    bank = Bank(1, lambda transit: transit.memo)
    bank.open_account(MB, ACCOUNT, "HO KINH DOANH QUẦY 7", balance_vnd=opening_vnd)
    return bank


def book(
    bank: Bank, amount_vnd: int = 20_000, memo: str = "", *, at: datetime, **facts: Any
) -> Any:
    """Book money from outside on the account."""
    return bank.book_raw(MB, ACCOUNT, amount_vnd, memo, at=at, **facts)


def a_statement(lines: int = 6, *, days: int = 1) -> Statement:
    """Draw up a statement of so many lines a day, the third of each day money out."""
    bank = a_bank()
    for number in range(lines * days):
        at = FRIDAY_NOON + timedelta(days=number // lines, seconds=number % lines)
        direction = "out" if number % lines == 2 else "in"
        memo = MEMOS[number % len(MEMOS)]
        book(bank, 20_000 + 1_000 * number, memo, at=at, direction=direction)
    return draw_up(bank, MB, ACCOUNT, FRIDAY, FRIDAY + timedelta(days=days + 1))


def a_file(statement: Statement, form: str, encoding: str = "", **faults: Any) -> io.BytesIO:
    """Write a statement as a file, with faults."""
    return io.BytesIO(write(statement, form, StatementFaults(**faults), encoding))


def read_all(
    read: Read, file: BinaryIO, **options: Any
) -> tuple[list[StatementLine], list[RowError], StatementSummary]:
    """Read a file to its end: lines, row errors and the summary, which must come last."""
    items = list(read(file, ReadingOptions(**options)))
    summary = items.pop()
    assert isinstance(summary, StatementSummary)
    lines = [item for item in items if isinstance(item, StatementLine)]
    errors = [item for item in items if isinstance(item, RowError)]
    assert len(lines) + len(errors) == len(items)
    return lines, errors, summary
