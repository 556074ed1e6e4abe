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


class CreditChanged(HubError):
    """A credit is explained otherwise by now than its correction assumes."""

    kind, code, title = Kind.CONFLICT, "credit_changed", "The payment was changed meanwhile"

    def __init__(self) -> None:
        super().__init__("Somebody, or its bill, has explained this payment meanwhile.")


class RestNeedsBills(HubError):
    """What a payment over several bills leaves is not a sale of all of it."""

    kind, code, title = Kind.CONFLICT, "rest_needs_bills", "The rest is for bills"

    def __init__(self) -> None:
        super().__init__("Bills take part of this payment. Name a bill, or several, for the rest.")
