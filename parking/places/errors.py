"""Errors of lots."""

from core.errors import HubError, Kind


class LotNotFound(HubError):
    """No such lot in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "lot_not_found", "Lot not found"

    def __init__(self) -> None:
        super().__init__("There is no such lot here.")
