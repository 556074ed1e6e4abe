"""Paging by cursor: pages of a list, newest first."""

from core.errors import HubError, Kind


class BadCursor(HubError):
    """The page cursor was not made by this list."""

    kind, code, title = Kind.INVALID, "bad_cursor", "The cursor cannot be read"

    def __init__(self) -> None:
        super().__init__("Use the `next_cursor` of the previous page unchanged, or leave it out.")
