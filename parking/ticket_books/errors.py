"""Errors of ticket books."""

from uuid import UUID

from core.errors import HubError, Kind


class TicketBookNotFound(HubError):
    """No such ticket book in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "ticket_book_not_found", "Ticket book not found"

    def __init__(self, book_id: UUID) -> None:
        super().__init__(f"No ticket book {book_id} was found.")


class TicketBookIdTaken(HubError):
    """A client-made id names another ticket book already."""

    kind, code, title = Kind.CONFLICT, "ticket_book_id_taken", "The id names another ticket book"

    def __init__(self, book_id: UUID) -> None:
        super().__init__(f"The id {book_id} belongs to another ticket book. Make a new id.")


class TicketsIssued(HubError):
    """Some of these numbers are in a book that was given out before."""

    kind, code, title = Kind.CONFLICT, "tickets_issued", "Given out before"

    def __init__(self, first: str, last: str) -> None:
        super().__init__(f"The tickets {first} to {last} were given out before.")


class TicketBookReturned(HubError):
    """The book was handed back before, or with another last number."""

    kind, code, title = Kind.CONFLICT, "ticket_book_returned", "Handed back before"

    def __init__(self) -> None:
        super().__init__("The book was handed back before. What was said then stays.")


class ShiftOver(HubError):
    """Tickets are given out to a shift that runs."""

    kind, code, title = Kind.CONFLICT, "shift_over", "The shift is over"

    def __init__(self) -> None:
        super().__init__("The shift is closed. Give the book out to one that runs.")
