"""Errors of credits and their correction."""

from uuid import UUID

from core.errors import HubError, Kind


class CreditNotFound(HubError):
    """No such credit in this organisation, or not of this payee."""

    kind, code, title = Kind.NOT_FOUND, "credit_not_found", "Payment not found"

    def __init__(self, credit_id: UUID) -> None:
        super().__init__(f"No payment {credit_id} was found.")


class CreditNotCorrectable(HubError):
    """The present explanation of a credit does not allow this correction."""

    kind, code, title = Kind.CONFLICT, "credit_not_correctable", "The payment cannot be changed"
