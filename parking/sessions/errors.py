"""Errors of the way in."""

from uuid import UUID

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


class ParkingStayNotFound(HubError):
    """The lot has no such stay: it was never let in, or is another lot's."""

    kind, code, title = Kind.NOT_FOUND, "parking_stay_not_found", "Stay not found"

    def __init__(self, session_id: UUID) -> None:
        super().__init__(f"No stay {session_id} of this lot was found.")


class PhotoIdTaken(HubError):
    """The id names another photo, or another stay's."""

    kind, code, title = Kind.CONFLICT, "photo_id_taken", "The id names another photo"

    def __init__(self, photo_id: UUID) -> None:
        super().__init__(f"{photo_id} names another photo.")
