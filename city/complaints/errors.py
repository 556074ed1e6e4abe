"""Errors of complaints."""

from uuid import UUID

from core.errors import HubError, Kind


class ComplaintNotFound(HubError):
    """No such complaint in this organisation, or the link opens none."""

    kind, code, title = Kind.NOT_FOUND, "complaint_not_found", "Complaint not found"

    def __init__(self, complaint_id: UUID | None = None) -> None:
        super().__init__(f"No complaint {complaint_id or '…'} was found.")


class ComplaintIdTaken(HubError):
    """A client-made id names another complaint already."""

    kind, code, title = Kind.CONFLICT, "complaint_id_taken", "The id names another complaint"

    def __init__(self, complaint_id: UUID) -> None:
        super().__init__(f"The id {complaint_id} names another complaint. Make a new id.")


class ComplaintAlreadyOpen(HubError):
    """The same is complained of already, and waits for its answer."""

    kind, code, title = Kind.CONFLICT, "complaint_already_open", "It waits for an answer already"

    def __init__(self) -> None:
        super().__init__("There is such a complaint about this, and it waits for its answer.")


class ComplaintSaysNothing(HubError):
    """A complaint of the category *other* needs words that say what it is about."""

    kind, code, title = Kind.INVALID, "complaint_says_nothing", "Say what went wrong"

    def __init__(self) -> None:
        super().__init__("Say in words what went wrong.")


class ComplaintResolved(HubError):
    """The complaint was resolved otherwise before; its outcome stays."""

    kind, code, title = Kind.CONFLICT, "complaint_resolved", "Already resolved"

    def __init__(self) -> None:
        super().__init__("This complaint was resolved before.")


class RefundNotFitting(HubError):
    """Money is given back for a complaint that is upheld, in whole or in part, and no other."""

    kind, code, title = Kind.INVALID, "refund_not_fitting", "No refund with this outcome"

    def __init__(self) -> None:
        super().__init__("A refund is proposed only for a complaint that is upheld.")
