"""Errors of notices, and of decisions about breaks."""

from uuid import UUID

from core.errors import HubError, Kind


class NoticeNotFound(HubError):
    """No such message at this endpoint."""

    kind, code, title = Kind.NOT_FOUND, "notice_not_found", "Notice not found"

    def __init__(self, notice_id: UUID) -> None:
        super().__init__(f"This endpoint received no message {notice_id}.")


class BreakNotDecidable(HubError):
    """This decision does not fit what the break is about."""

    kind, code, title = Kind.CONFLICT, "break_not_decidable", "Not to be decided so"

    def __init__(self) -> None:
        super().__init__("This break is not about money that could be decided about in this way.")
