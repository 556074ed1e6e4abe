"""Errors of photos."""

from core.errors import HubError, Kind


class PhotoNotReadable(HubError):
    """What was sent is not a picture that the hub takes."""

    kind, code, title = Kind.INVALID, "photo_not_readable", "Not a picture"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)


class PhotoUsed(HubError):
    """This photo is the evidence of something else, or shows a way in: each act takes a new one."""

    kind, code, title = Kind.CONFLICT, "photo_used", "The photo was used before"

    def __init__(self) -> None:
        super().__init__("This photo was used for something else before. Take a new one.")


class PhotoNotFound(HubError):
    """No photo has this hash here, it was erased, or its link has ended."""

    kind, code, title = Kind.NOT_FOUND, "photo_not_found", "Photo not found"

    def __init__(self) -> None:
        super().__init__(
            "There is no such photo, it was erased after its retention, or this link has ended."
            " Open the page with the photo again."
        )
