"""Errors of recounts."""

from uuid import UUID

from core.errors import HubError, Kind


class RecountIdTaken(HubError):
    """A client-made id names another recount already."""

    kind, code, title = Kind.CONFLICT, "recount_id_taken", "The id names another recount"

    def __init__(self, recount_id: UUID) -> None:
        super().__init__(f"The id {recount_id} belongs to another recount. Make a new id.")
