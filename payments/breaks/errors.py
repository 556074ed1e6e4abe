"""Errors of breaks."""

from uuid import UUID

from core.errors import HubError, Kind


class BreakNotFound(HubError):
    """No such break in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "break_not_found", "Break not found"

    def __init__(self, break_id: UUID) -> None:
        super().__init__(f"This organisation has no break {break_id}.")


class BreakClosed(HubError):
    """A break is closed once; its resolution stays."""

    kind, code, title = Kind.CONFLICT, "break_closed", "Already resolved"

    def __init__(self) -> None:
        super().__init__("This break was resolved before.")


class BreakHeld(HubError):
    """The money that a break is about is on its way; the end of that closes it, and no words do."""

    kind, code, title = Kind.CONFLICT, "break_held", "Its money is on its way"

    def __init__(self) -> None:
        super().__init__("Its money is on its way. It closes by itself once that is certain.")


class BreakNotDecidable(HubError):
    """This decision does not fit what the break is about."""

    kind, code, title = Kind.CONFLICT, "break_not_decidable", "Not to be decided so"

    def __init__(self) -> None:
        super().__init__("This break is not about money that could be decided about in this way.")
