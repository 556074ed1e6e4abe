"""Ticket books: given out for a shift, handed back, and which tickets are missing."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, next_cursor, read_cursor
from api.v1.lots.routes import check_own_lot
from api.v1.ticket_books.schemas import (
    TicketBookCreate,
    TicketBookLoss,
    TicketBookPage,
    TicketBookRead,
    TicketBookReturn,
    write_book,
)
from core.errors import InvalidRequest, Violation
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.places.errors import LotNotFound
from parking.places.queries import get_lot
from parking.sessions.rules import check_entry_id
from parking.shifts.errors import ShiftNotFound
from parking.shifts.queries import get_shift
from parking.ticket_books import queries, service, views
from parking.ticket_books.errors import (
    ShiftOver,
    TicketBookIdTaken,
    TicketBookNotFound,
    TicketBookReturned,
    TicketsIssued,
)
from parking.ticket_books.rules import TicketBookFacts

router = APIRouter(prefix="/v1/ticket-books", tags=["parking"])

Manager = Annotated[Caller, requires(Permission.PARKING_MANAGE)]
BOOKS_MAX = 20  # of a page: each is compared with the stays of its time


@router.post(
    "",
    status_code=201,
    responses=may_answer(ShiftNotFound, LotNotFound, TicketBookIdTaken, ShiftOver, TicketsIssued),
)
async def issue_book(body: TicketBookCreate, caller: Manager, tx: Tx, now: Now) -> TicketBookRead:
    """Give a book out for a shift that runs. What was used or is out is not given out again."""
    if fault := check_entry_id(body.id, now=now):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])
    check_own_lot(caller, (await get_shift(tx, caller.org_id, body.shift_id)).lot_id)
    book = await service.issue_book(
        tx,
        caller.org_id,
        body.id,
        shift_id=body.shift_id,
        prefix=body.prefix,
        digits=body.digits,
        first_number=body.first_number,
        last_number=body.last_number,
        actor=caller.actor,
        now=now,
    )
    return await _show(tx, caller, book, now)


@router.get("", responses=may_answer(LotNotFound, BadCursor))
async def list_books(
    lot_id: UUID,
    caller: Manager,
    tx: Tx,
    now: Now,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=BOOKS_MAX, description="Most items of a page.")] = 20,
) -> TicketBookPage:
    """List a lot's books, newest first, with the tickets that are neither used nor handed back."""
    check_own_lot(caller, lot_id)
    await get_lot(tx, caller.org_id, lot_id)
    found = await views.read_reports(
        tx, caller.org_id, lot_id, before_id=read_cursor(cursor), limit=limit + 1, now=now
    )
    return TicketBookPage(
        ticket_books=[write_book(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.get("/{book_id}", responses=may_answer(TicketBookNotFound))
async def show_book(book_id: UUID, caller: Manager, tx: Tx, now: Now) -> TicketBookRead:
    """Show a book with the tickets that are missing."""
    return await _show(tx, caller, await _find_own(tx, caller, book_id), now)


@router.post("/{book_id}/return", responses=may_answer(TicketBookNotFound, TicketBookReturned))
async def return_book(
    book_id: UUID, body: TicketBookReturn, caller: Manager, tx: Tx, now: Now
) -> TicketBookRead:
    """Take a book back by the last number that was torn off; the same again answers the same."""
    await _find_own(tx, caller, book_id)
    book = await service.return_book(
        tx, caller.org_id, book_id, last_used=body.last_used, actor=caller.actor, now=now
    )
    return await _show(tx, caller, book, now)


@router.post("/{book_id}/lost", responses=may_answer(TicketBookNotFound, TicketBookReturned))
async def report_lost(
    book_id: UUID, body: TicketBookLoss, caller: Manager, tx: Tx, now: Now
) -> TicketBookRead:
    """Report a book lost: each vehicle that comes in on its tickets afterwards is an alarm."""
    await _find_own(tx, caller, book_id)
    book = await service.report_lost(
        tx, caller.org_id, book_id, reason=body.reason, actor=caller.actor, now=now
    )
    return await _show(tx, caller, book, now)


async def _find_own(tx: AsyncSession, caller: Caller, book_id: UUID) -> TicketBookFacts:
    book = await queries.find_book(tx, caller.org_id, book_id)
    if book is None:
        raise TicketBookNotFound(book_id)
    check_own_lot(caller, book.lot_id)
    return book


async def _show(
    tx: AsyncSession, caller: Caller, book: TicketBookFacts, now: datetime
) -> TicketBookRead:
    (report,) = await views.report_on(tx, caller.org_id, book.lot_id, [book], now=now)
    return write_book(report)
