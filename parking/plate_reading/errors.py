"""Reasons why a photo is not read for a plate. A vehicle is never refused: its plate is typed."""

from core.errors import HubError, Kind


class PhotoTooLarge(HubError):
    """A photo has more bytes or more pixels than a phone's camera makes."""

    kind, code, title = Kind.TOO_LARGE, "photo_too_large", "Photo too large"

    def __init__(self, detail: str) -> None:
        super().__init__(f"The photo is too large: {detail}.")


class PhotoUnreadable(HubError):
    """A photo is no JPEG, PNG or WebP picture, is cut off or is too narrow to hold a plate."""

    kind, code, title = Kind.INVALID, "photo_unreadable", "Photo cannot be read"

    def __init__(self, detail: str) -> None:
        super().__init__(f"The photo cannot be read: {detail}.")


class PlateReadingTimedOut(HubError):
    """Reading the plate of a photo took longer than it may, and was stopped."""

    kind, code = Kind.UNAVAILABLE, "plate_reading_timed_out"
    title = "Plate reading took too long"

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"No plate was read within {timeout_s:g} s: type it, or try again.")
        self.timeout_s = timeout_s
