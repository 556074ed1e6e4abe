"""Errors of stored tariffs."""

from uuid import UUID

from core.errors import HubError, Kind


class TariffNotFound(HubError):
    """No such tariff in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "tariff_not_found", "Tariff not found"

    def __init__(self, tariff_id: UUID) -> None:
        super().__init__(f"No tariff {tariff_id} was found.")


class TariffVersionNotFound(HubError):
    """The tariff has no such version."""

    kind, code, title = Kind.NOT_FOUND, "tariff_version_not_found", "Version not found"

    def __init__(self, version_id: UUID) -> None:
        super().__init__(f"The tariff has no version {version_id}.")


class LotTariffNotFound(HubError):
    """The lot was never to take a tariff under this id."""

    kind, code, title = Kind.NOT_FOUND, "lot_tariff_not_found", "Assignment not found"

    def __init__(self, assignment_id: UUID) -> None:
        super().__init__(f"The lot has no tariff under the id {assignment_id}.")


class TariffInForce(HubError):
    """What is in force prices stays already: it is followed by another version, not withdrawn."""

    kind, code, title = Kind.CONFLICT, "tariff_in_force", "The tariff is in force"

    def __init__(self) -> None:
        super().__init__("It is in force already. Add a version, or another tariff, to follow it.")


class TariffFromThePast(HubError):
    """A price cannot begin before now: vehicles came in by the price that was posted."""

    kind, code, title = Kind.INVALID, "tariff_from_the_past", "The day has passed"

    def __init__(self) -> None:
        super().__init__("The day has passed. A price begins today at the earliest.")


class TariffIdTaken(HubError):
    """A client-made id names another tariff, version or assignment already."""

    kind, code, title = Kind.CONFLICT, "tariff_id_taken", "The id is taken"

    def __init__(self, id_: UUID) -> None:
        super().__init__(f"The id {id_} belongs to another tariff or version. Make a new id.")


class LotHasNoTariff(HubError):
    """The lot takes no tariff at this time, so nobody can say what a stay costs."""

    kind, code, title = Kind.CONFLICT, "lot_has_no_tariff", "The lot has no tariff"

    def __init__(self, lot_id: UUID) -> None:
        super().__init__(
            f"The lot {lot_id} has no tariff in force. A manager must assign one to it."
        )
