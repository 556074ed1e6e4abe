"""Errors of lots and their parts."""

from uuid import UUID

from core.errors import HubError, Kind


class OperatorNotFound(HubError):
    """No such parking operator in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "parking_operator_not_found", "Operator not found"

    def __init__(self, operator_id: UUID) -> None:
        super().__init__(f"This organisation has no parking operator {operator_id}.")


class LotNotFound(HubError):
    """No such lot in this organisation, or none that the caller works at."""

    kind, code, title = Kind.NOT_FOUND, "lot_not_found", "Lot not found"

    def __init__(self, lot_id: UUID) -> None:
        super().__init__(f"This organisation has no lot {lot_id}.")


class LotClosed(HubError):
    """A closed lot takes no vehicles and is not changed any more."""

    kind, code, title = Kind.CONFLICT, "lot_closed", "The lot is closed"

    def __init__(self) -> None:
        super().__init__("This lot is closed. Vehicles that are inside can still leave.")


class LotNotEmpty(HubError):
    """A class of vehicles cannot be removed from a lot while some are inside."""

    kind, code, title = Kind.CONFLICT, "lot_not_empty", "Vehicles are inside"

    def __init__(self, inside_count: int) -> None:
        super().__init__(
            f"{inside_count} vehicles are inside. Let them leave, or correct their stays, first."
        )


class AccessNotFound(HubError):
    """No such lane at this lot."""

    kind, code, title = Kind.NOT_FOUND, "parking_access_not_found", "Lane not found"

    def __init__(self, access_id: UUID) -> None:
        super().__init__(f"This lot has no lane {access_id}.")


class TooManyParts(HubError):
    """A lot has as many lanes or areas as it may."""

    kind, code, title = Kind.CONFLICT, "too_many_lot_parts", "Too many parts"

    def __init__(self, what: str, most: int) -> None:
        super().__init__(f"A lot has at most {most} {what}. Close one that is not used.")
