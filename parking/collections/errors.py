"""Errors of collections."""

from uuid import UUID

from core.errors import HubError, Kind


class CollectionNotFound(HubError):
    """No such collection in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "collection_not_found", "Collection not found"

    def __init__(self, collection_id: UUID) -> None:
        super().__init__(f"No collection {collection_id} was found.")


class CollectionIdTaken(HubError):
    """A client-made id names another collection already."""

    kind, code, title = Kind.CONFLICT, "collection_id_taken", "The id names another collection"

    def __init__(self, collection_id: UUID) -> None:
        super().__init__(f"The id {collection_id} belongs to another collection. Make a new id.")


class CollectionNotReversible(HubError):
    """What was counted with its shift, or paid by the shift's deposit, stays as it is."""

    kind, code, title = Kind.CONFLICT, "collection_not_reversible", "It cannot be taken back"


class ApprovalNeeded(HubError):
    """An attendant alone may not do this: it takes somebody with the permission to override."""

    kind, code, title = Kind.FORBIDDEN, "approval_needed", "Somebody else must approve this"
