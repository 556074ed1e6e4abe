"""Errors of the way in."""

from core.errors import HubError, Kind


class LotOrClassNotFound(HubError):
    """No such lot is the caller's, or it takes no vehicles of this class."""

    kind, code, title = Kind.NOT_FOUND, "lot_or_class_not_found", "No such lot, or not this class"

    def __init__(self, vehicle_class: str) -> None:
        super().__init__(f"There is no such lot here, or it takes no {vehicle_class}.")


class StayNotNameable(HubError):
    """The stay is not inside, or its vehicle has a plate already."""

    kind, code, title = Kind.CONFLICT, "stay_not_nameable", "The stay takes no plate"

    def __init__(self) -> None:
        super().__init__("This stay is not inside, or its vehicle has another plate already.")
