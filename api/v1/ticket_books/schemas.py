"""Requests and answers about ticket books."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from api.http.fields import Body, Read, ReasonText
from parking.ticket_books.rules import DIGITS_MAX
from parking.ticket_books.views import TicketBookReport

Prefix = Annotated[str, StringConstraints(strip_whitespace=True, max_length=10)]
Number = Annotated[int, Field(strict=True, ge=0, lt=10**DIGITS_MAX)]


class TicketBookCreate(Body):
    """A book of pre-printed numbered tickets that is given out."""

    id: UUID = Field(description="A UUIDv7 of your own making. Repeating it answers the same.")
    shift_id: UUID = Field(description="Whose shift it is given out for; it runs.")
    prefix: Prefix = Field(default="", description="Printed before each number.", examples=["A"])
    digits: int = Field(strict=True, ge=1, le=DIGITS_MAX, description="Of a printed number.")
    first_number: Number = Field(examples=[1])
    last_number: Number = Field(examples=[100])


class TicketBookReturn(Body):
    """How far a book was used."""

    last_used: Number | None = Field(description="The last number torn off; null: none was.")


class TicketBookLoss(Body):
    """How a book was lost."""

    reason: ReasonText


class TicketBookRead(Read):
    """A ticket book with its report."""

    id: UUID
    lot_id: UUID
    shift_id: UUID
    issued_to: UUID
    issued_at: datetime
    first_ticket: str = Field(description="As printed.")
    last_ticket: str
    last_used: int | None
    returned_at: datetime | None
    lost_at: datetime | None = Field(description="When it was reported lost.")
    used_count: int = Field(description="Vehicles came in on so many of its tickets.")
    missing_count: int = Field(
        description="Neither used nor handed back. Of a book that is out in a running shift: what"
        " was skipped."
    )
    missing: list[str] = Field(description="The first hundred of them, as printed.")
    strays: list[str] = Field(
        description="Vehicles came in on them although the book was handed back with them unused,"
        " or reported lost: within a week after it, the first hundred."
    )


class TicketBookPage(Read):
    """A page of ticket books, newest first."""

    ticket_books: list[TicketBookRead]
    next_cursor: str | None


def write_book(report: TicketBookReport) -> TicketBookRead:
    """Return a book as the API shows it."""
    book = report.book
    return TicketBookRead(
        id=book.id,
        lot_id=book.lot_id,
        shift_id=book.shift_id,
        issued_to=book.issued_to,
        issued_at=book.issued_at,
        first_ticket=book.first_ticket,
        last_ticket=book.last_ticket,
        last_used=book.last_used,
        returned_at=book.returned_at,
        lost_at=book.lost_at,
        used_count=report.used_count,
        missing_count=report.missing_count,
        missing=list(report.missing),
        strays=list(report.strays),
    )
