"""Errors of notices."""

from uuid import UUID

from core.errors import HubError, Kind


class NoticeNotFound(HubError):
    """No such message at this endpoint."""

    kind, code, title = Kind.NOT_FOUND, "notice_not_found", "Notice not found"

    def __init__(self, notice_id: UUID) -> None:
        super().__init__(f"This endpoint received no message {notice_id}.")
