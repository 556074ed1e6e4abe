"""Errors of stored tariffs."""

from uuid import UUID

from core.errors import HubError, Kind


class TariffNotFound(HubError):
    """No such tariff in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "tariff_not_found", "Tariff not found"

    def __init__(self, tariff_id: UUID) -> None:
        super().__init__(f"No tariff {tariff_id} was found.")


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
