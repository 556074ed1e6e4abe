"""Errors of decisions about the money of breaks."""

from uuid import UUID

from core.errors import HubError, Kind


class DecisionNotFound(HubError):
    """No such decision in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "decision_not_found", "Decision not found"

    def __init__(self, decision_id: UUID) -> None:
        super().__init__(f"This organisation has no decision {decision_id}.")


class DecisionIdTaken(HubError):
    """The id came with another decision before."""

    kind, code, title = Kind.CONFLICT, "decision_id_taken", "Id in use"

    def __init__(self, decision_id: UUID) -> None:
        super().__init__(f"The id {decision_id} names another decision. Make a new one.")


class DecisionWaits(HubError):
    """Another decision about this break waits for its second person."""

    kind, code, title = Kind.CONFLICT, "decision_waits", "Another decision waits"

    def __init__(self) -> None:
        super().__init__("Another decision about this break waits to be approved or refused.")


class DecisionTaken(HubError):
    """Somebody else was first: it is approved, refused or withdrawn by now."""

    kind, code, title = Kind.CONFLICT, "decision_taken", "Already decided"

    def __init__(self, status: str) -> None:
        super().__init__(f"This decision is {status} by now. Read it again.")
        self.status = status


class DecisionNotPossible(HubError):
    """The money is not what the decision says: less is left, or it has its explanation."""

    kind, code, title = Kind.CONFLICT, "decision_not_possible", "The money is something else by now"

    def __init__(self, left_vnd: int) -> None:
        super().__init__(f"{left_vnd} ₫ are left to decide about. Read the break again.")
        self.left_vnd = left_vnd


class DecisionNeedsAnother(HubError):
    """Another person does this: approves what one proposed, or withdraws what they proposed."""

    kind, code, title = Kind.FORBIDDEN, "decision_needs_another", "A second person is needed"

    def __init__(self) -> None:
        super().__init__(
            "Who approves, or reviews, did not propose it and did not open the bill; who withdraws"
            " proposed it."
        )


class DecisionNotUndoable(HubError):
    """Only what was approved can be undone, once, and while its money is where it was put."""

    kind, code, title = Kind.CONFLICT, "decision_not_undoable", "Not to be undone"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)


class BillNotShort(HubError):
    """A bill is short once it was paid in part and is owed the rest."""

    kind, code, title = Kind.CONFLICT, "bill_not_short", "The bill is not short"

    def __init__(self, status: str) -> None:
        super().__init__(f"The bill is {status}: no rest of it is owed that could be given up.")
        self.status = status
