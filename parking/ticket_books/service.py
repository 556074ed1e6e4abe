"""Giving ticket books out for a shift, and taking them back."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import InvalidRequest, Violation
from core.text import check_lines
from parking.places.queries import lock_lot
from parking.shifts.queries import get_shift, share_shift
from parking.ticket_books import queries
from parking.ticket_books.errors import (
    ShiftOver,
    TicketBookIdTaken,
    TicketBookReturned,
    TicketsIssued,
)
from parking.ticket_books.rules import TicketBookFacts, check_book


async def issue_book(
    session: AsyncSession,
    org_id: UUID,
    book_id: UUID,
    *,
    shift_id: UUID,
    prefix: str,
    digits: int,
    first_number: int,
    last_number: int,
    actor: Actor,
    now: datetime,
) -> TicketBookFacts:
    """Give a book out to whoever has a shift. The same id again answers as the first time.

    Args:
        book_id: made by the client.
        prefix: printed before each number; letters count the same, small or large.

    Raises:
        ShiftNotFound, TicketBookIdTaken, InvalidRequest
        ShiftOver: the shift is closed.
        TicketsIssued: some of these numbers are out, or were used.
    """
    prefix = prefix.strip().upper()
    check_book(prefix=prefix, digits=digits, first_number=first_number, last_number=last_number)
    shift = await get_shift(session, org_id, shift_id)
    await lock_lot(session, org_id, shift.lot_id)  # of two with the same numbers one is refused
    book = TicketBookFacts(
        id=book_id,
        lot_id=shift.lot_id,
        shift_id=shift_id,
        issued_to=shift.staff_id,
        issued_by=actor.id,
        issued_at=now,
        prefix=prefix,
        digits=digits,
        first_number=first_number,
        last_number=last_number,
        last_used=None,
        returned_at=None,
        returned_by=None,
        lost_at=None,
        lost_by=None,
    )
    known = await queries.find_book(session, org_id, book_id)
    if known is not None:
        if _printed(known) != _printed(book):
            raise TicketBookIdTaken(book_id)
        return known
    if (await share_shift(session, org_id, shift_id)).closed_at is not None:
        raise ShiftOver
    first, last = book.first_ticket, book.last_ticket
    if await queries.is_issued(session, org_id, shift.lot_id, first=first, last=last):
        raise TicketsIssued(first, last)
    await queries.insert_book(session, org_id, book)
    after = {"shift_id": str(shift_id), "first": first, "last": last}
    _record(session, org_id, book_id, "ticket_book.issued", after, actor, now)
    return book


async def return_book(
    session: AsyncSession,
    org_id: UUID,
    book_id: UUID,
    *,
    last_used: int | None,
    actor: Actor,
    now: datetime,
) -> TicketBookFacts:
    """Take a book back: what lies after the last used number may be given out again.

    The same number again answers as the first time; the shift may be closed by then.

    Args:
        last_used: the last number that was torn off; None: none was.

    Raises:
        TicketBookNotFound, InvalidRequest
        TicketBookReturned: with another last number.
    """
    book = await queries.lock_book(session, org_id, book_id)
    if book.returned_at is not None:
        if book.last_used != last_used:
            raise TicketBookReturned
        return book
    if last_used is not None and not book.first_number <= last_used <= book.last_number:
        detail = f"The book has {book.first_ticket} to {book.last_ticket}."
        raise InvalidRequest(
            detail, violations=[Violation(field="last_used", code="out_of_range", detail=detail)]
        )
    await queries.mark_returned(session, org_id, book_id, last_used=last_used, by=actor.id, now=now)
    after = {"last_used": last_used}
    _record(session, org_id, book_id, "ticket_book.returned", after, actor, now)
    return await queries.lock_book(session, org_id, book_id)


async def report_lost(
    session: AsyncSession,
    org_id: UUID,
    book_id: UUID,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
) -> TicketBookFacts:
    """Write that a book is lost: whoever comes in on one of its tickets from now on is an alarm.

    Idempotent. It may be found and handed back later; its tickets stay out of use.

    Raises:
        TicketBookNotFound
        TicketBookReturned: it was handed back before.
    """
    check_lines(reason=reason)
    book = await queries.lock_book(session, org_id, book_id)
    if book.lost_at is not None:
        return book
    if book.returned_at is not None:
        raise TicketBookReturned
    await queries.mark_lost(session, org_id, book_id, by=actor.id, now=now)
    after = {"first": book.first_ticket, "last": book.last_ticket}
    _record(session, org_id, book_id, "ticket_book.lost", after, actor, now, reason=reason)
    return await queries.lock_book(session, org_id, book_id)


def _printed(book: TicketBookFacts) -> tuple[object, ...]:
    return book.shift_id, book.prefix, book.digits, book.first_number, book.last_number


def _record(
    session: AsyncSession,
    org_id: UUID,
    book_id: UUID,
    action: str,
    after: Mapping[str, object],
    actor: Actor,
    now: datetime,
    *,
    reason: str | None = None,
) -> None:
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action=action,
        object_kind="ticket_book",
        object_id=book_id,
        after=dict(after),
        reason=reason,
        now=now,
    )
