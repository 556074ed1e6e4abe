"""Errors of shifts."""

from uuid import UUID

from core.errors import HubError, Kind


class ShiftNotFound(HubError):
    """No such shift in this organisation, or not one that the caller may see."""

    kind, code, title = Kind.NOT_FOUND, "shift_not_found", "Shift not found"

    def __init__(self, shift_id: UUID) -> None:
        super().__init__(f"No shift {shift_id} was found.")


class ShiftIdTaken(HubError):
    """A client-made id names another shift already."""

    kind, code, title = Kind.CONFLICT, "shift_id_taken", "The id names another shift"

    def __init__(self, shift_id: UUID) -> None:
        super().__init__(f"The id {shift_id} belongs to another shift. Make a new id.")


class ShiftAlreadyOpen(HubError):
    """A person has one shift at a time."""

    kind, code, title = Kind.CONFLICT, "shift_already_open", "Another shift is open"

    def __init__(self) -> None:
        super().__init__("Your last shift is still open. Close it first.")


class NoOpenShift(HubError):
    """What is collected belongs to a shift that runs."""

    kind, code, title = Kind.CONFLICT, "no_open_shift", "No shift is open"

    def __init__(self) -> None:
        super().__init__("You have no open shift at this lot. Open one first.")


class ShiftClosed(HubError):
    """The shift was closed with another count."""

    kind, code, title = Kind.CONFLICT, "shift_closed", "The shift is closed"

    def __init__(self) -> None:
        super().__init__("The shift was closed with another count. What was counted stays.")


class NothingToDeposit(HubError):
    """The shift has paid nothing on behalf that is not deposited yet."""

    kind, code, title = Kind.CONFLICT, "nothing_to_deposit", "Nothing to deposit"

    def __init__(self) -> None:
        super().__init__("Nothing of this shift is left to deposit.")
