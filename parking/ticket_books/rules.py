"""Numbers of a ticket book, and which of them are neither used nor handed back. Pure."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from core.errors import InvalidRequest, Violation

TICKETS_MAX: Final = 1_000  # in one book
DIGITS_MAX: Final = 8
MISSING_MAX: Final = 100  # that a report names; their count is whole
_IS_PREFIX: Final = re.compile(r"[A-Z0-9./-]{0,10}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TicketBookFacts:
    """A ticket book as it is stored."""

    id: UUID
    lot_id: UUID
    shift_id: UUID
    issued_to: UUID
    issued_by: UUID | None
    issued_at: datetime
    prefix: str
    digits: int
    first_number: int
    last_number: int
    last_used: int | None
    returned_at: datetime | None
    returned_by: UUID | None
    lost_at: datetime | None
    lost_by: UUID | None

    @property
    def good_until(self) -> datetime | None:
        """When its tickets stopped to be good: it was handed back, or reported lost; None: not."""
        ends = [at for at in (self.returned_at, self.lost_at) if at is not None]
        return min(ends, default=None)

    @property
    def first_ticket(self) -> str:
        """Its first ticket, as printed."""
        return write_ticket(self.prefix, self.digits, self.first_number)

    @property
    def last_ticket(self) -> str:
        """Its last ticket, as printed."""
        return write_ticket(self.prefix, self.digits, self.last_number)


def write_ticket(prefix: str, digits: int, number: int) -> str:
    """Write a ticket as it is printed."""
    return f"{prefix}{number:0{digits}d}"


def read_numbers(book: TicketBookFacts, tickets: Iterable[str]) -> set[int]:
    """Return the numbers of those tickets that are of the book."""
    found = set()
    for ticket in tickets:
        digits = ticket.removeprefix(book.prefix)
        if len(digits) == book.digits and digits.isascii() and digits.isdecimal():
            found.add(int(digits))
    return {n for n in found if book.first_number <= n <= book.last_number}


def find_missing(book: TicketBookFacts, used: Collection[int], *, is_shift_over: bool) -> list[int]:
    """Return the numbers that no vehicle came in on and that nobody handed back.

    Of a book that is out in a running shift it is what was skipped: the rest is still to be used.

    Args:
        used: while the book was out; what came in on a ticket later had no right to it.
    """
    if book.returned_at is not None:
        last = book.first_number - 1 if book.last_used is None else book.last_used
    elif is_shift_over or book.lost_at is not None:
        last = book.last_number
    else:
        last = max(used, default=book.first_number - 1)
    return [n for n in range(book.first_number, last + 1) if n not in used]


def check_book(*, prefix: str, digits: int, first_number: int, last_number: int) -> None:
    """Check what is printed on a book.

    Raises:
        InvalidRequest
    """
    if not _IS_PREFIX.fullmatch(prefix):
        _refuse("prefix", "bad_prefix", "A prefix has up to 10 of A–Z, 0–9, '.', '/' and '-'.")
    if not 1 <= digits <= DIGITS_MAX:
        _refuse("digits", "out_of_range", f"A number has 1 to {DIGITS_MAX} digits.")
    if not 0 <= first_number <= last_number < 10**digits:
        _refuse("last_number", "out_of_range", f"Numbers go up and have {digits} digits.")
    if last_number - first_number >= TICKETS_MAX:
        _refuse("last_number", "too_many", f"A book has at most {TICKETS_MAX:,} tickets.")


def _refuse(field: str, code: str, detail: str) -> None:
    raise InvalidRequest(detail, violations=[Violation(field=field, code=code, detail=detail)])
