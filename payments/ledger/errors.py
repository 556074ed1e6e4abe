"""Errors of the books' days."""

from datetime import date, datetime
from uuid import UUID

from core.clock import HANOI
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


class EarlierReleasePosts(HubError):
    """A hub of a release without books posted lately: what it posts next would be in no day."""

    kind, code, title = Kind.CONFLICT, "earlier_release_posts", "An earlier release still posts"

    def __init__(self, posted_at: datetime, *, until: datetime) -> None:
        super().__init__(
            f"A hub of an earlier release posted at {posted_at.astimezone(HANOI):%H:%M %d/%m/%Y}."
            " Stop all hubs of that release, and close the first day after"
            f" {until.astimezone(HANOI):%H:%M %d/%m/%Y}."
        )


class BooksBusy(HubError):
    """The close gave way to payments: they came without a pause, or it would have held them up."""

    kind, code, title = Kind.UNAVAILABLE, "books_busy", "The books are busy"

    def __init__(self, why: str = "Payments are being posted without a pause.") -> None:
        super().__init__(f"{why} Try again in a moment.")
