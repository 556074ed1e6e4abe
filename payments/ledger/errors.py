"""Errors of the books' days."""

from datetime import date
from uuid import UUID

from core.errors import HubError, Kind


class BooksNotFound(HubError):
    """The organisation has no books."""

    kind, code, title = Kind.NOT_FOUND, "books_not_found", "No books"

    def __init__(self, org_id: UUID) -> None:
        super().__init__(f"The organisation {org_id} has no books.")


class DayClosed(HubError):
    """A day is closed once, and never opened again."""

    kind, code, title = Kind.CONFLICT, "day_closed", "The day is closed"

    def __init__(self, day: date) -> None:
        super().__init__(f"{day:%d/%m/%Y} is closed. What comes late falls in the open day.")


class DayNotNext(HubError):
    """Days are closed in their order, without a gap."""

    kind, code, title = Kind.CONFLICT, "day_not_next", "Another day comes first"

    def __init__(self, next_day: date) -> None:
        super().__init__(f"Close {next_day:%d/%m/%Y} first.")
        self.next_day = next_day


class DayAhead(HubError):
    """No day is closed before it has begun."""

    kind, code, title = Kind.CONFLICT, "day_ahead", "The day has not begun"

    def __init__(self, today: date) -> None:
        super().__init__(f"Today is {today:%d/%m/%Y}; later days cannot be closed.")


class BooksBusy(HubError):
    """Postings came without a pause, or somebody else closed a day, while the close waited."""

    kind, code, title = Kind.UNAVAILABLE, "books_busy", "The books are busy"

    def __init__(self) -> None:
        super().__init__("Payments are being posted without a pause. Try again in a moment.")
