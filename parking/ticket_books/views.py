"""The report of ticket books: which numbers are neither used nor handed back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.ticket_books import queries
from parking.ticket_books.rules import (
    MISSING_MAX,
    TicketBookFacts,
    find_missing,
    read_numbers,
    write_ticket,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TicketBookReport:
    """A book, how many vehicles came in on its tickets, and which tickets are missing."""

    book: TicketBookFacts
    used_count: int
    missing_count: int
    missing: tuple[str, ...]  # as printed, the first hundred
    strays: tuple[str, ...]  # used though it was handed back, or reported lost; the first hundred

    @property
    def id(self) -> UUID:
        """The book's."""
        return self.book.id


async def read_reports(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    *,
    before_id: UUID | None,
    limit: int,
    now: datetime,
) -> list[TicketBookReport]:
    """Report on the books of a lot, newest first."""
    books = await queries.list_books(session, org_id, lot_id, before_id=before_id, limit=limit)
    return await report_on(session, org_id, lot_id, books, now=now)


async def report_on(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    books: Sequence[TicketBookFacts],
    *,
    now: datetime,
) -> list[TicketBookReport]:
    """Report on some books of a lot."""
    if not books:
        return []
    used = await queries.list_used(session, org_id, lot_id, books, now=now)
    closed = await queries.find_closed_shifts(session, org_id, [book.shift_id for book in books])
    reports = []
    for book in books:
        numbers = read_numbers(book, [ticket for ticket, was_out in used[book.id] if was_out])
        later = read_numbers(book, [ticket for ticket, _ in used[book.id]]) - numbers
        if book.returned_at is not None:  # given back unused, by what was said
            last = book.first_number - 1 if book.last_used is None else book.last_used
            later |= {n for n in numbers if n > last}
        missing = find_missing(book, numbers, is_shift_over=book.shift_id in closed)
        reports.append(
            TicketBookReport(
                book=book,
                used_count=len(numbers),
                missing_count=len(missing),
                missing=tuple(
                    write_ticket(book.prefix, book.digits, n) for n in missing[:MISSING_MAX]
                ),
                strays=tuple(
                    write_ticket(book.prefix, book.digits, n) for n in sorted(later)[:MISSING_MAX]
                ),
            )
        )
    return reports
