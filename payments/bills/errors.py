"""Errors of bills, and of requests for them."""

from uuid import UUID

from core.errors import HubError, Kind


class BillNotFound(HubError):
    """No such bill in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "bill_not_found", "Bill not found"

    def __init__(self, name: object) -> None:
        super().__init__(f"No bill {str(name)!r} was found.")


class BillIdTaken(HubError):
    """A client-made id names another bill already."""

    kind, code, title = Kind.CONFLICT, "bill_id_taken", "The id names another bill"

    def __init__(self, bill_id: UUID) -> None:
        super().__init__(f"The id {bill_id} belongs to a bill with other facts. Make a new id.")


class BillNotCancellable(HubError):
    """Only what is not settled can be cancelled."""

    kind, code, title = Kind.CONFLICT, "bill_not_cancellable", "The bill cannot be cancelled"

    def __init__(self, status: str) -> None:
        super().__init__(f"The bill is {status}; only an open or part-paid bill can be cancelled.")


class BillTooLong(HubError):
    """A bill that a person keys is open for 24 hours at most, one of dues or a pass two years."""

    kind, code, title = Kind.INVALID, "bill_too_long", "The bill would be open for too long"

    def __init__(self, *, is_owned: bool) -> None:
        super().__init__(f"The bill may be open for {'two years' if is_owned else '24 hours'}.")


class CashNotOwed(HubError):
    """Cash is taken for just the rest of a part-paid bill, and that is another amount by now."""

    kind, code, title = Kind.CONFLICT, "cash_not_owed", "The bill does not owe this cash"

    def __init__(self, status: str, rest_vnd: int | None) -> None:
        super().__init__(
            f"The bill is {status}; only the rest of a part-paid bill is taken in cash."
            if rest_vnd is None
            else f"The bill owes {rest_vnd} ₫ by now."
        )


class PaymentIdTaken(HubError):
    """A client-made id names another payment already."""

    kind, code, title = Kind.CONFLICT, "payment_id_taken", "The id names another payment"

    def __init__(self, payment_id: UUID) -> None:
        super().__init__(f"The id {payment_id} belongs to another payment. Make a new id.")


class CashNotFound(HubError):
    """The bill has no cash with this id."""

    kind, code, title = Kind.NOT_FOUND, "cash_not_found", "No such cash"

    def __init__(self, payment_id: UUID) -> None:
        super().__init__(f"No cash with the id {payment_id} was recorded for this bill.")


class CashNotReversible(HubError):
    """Cash is taken back by who recorded it, on the same day."""

    kind, code, title = Kind.CONFLICT, "cash_not_reversible", "The cash cannot be taken back"


class BillNotPayable(HubError):
    """A settled or cancelled bill has no code any more: it would ask for the money again."""

    kind, code, title = Kind.CONFLICT, "bill_not_payable", "Nothing is to be paid"

    def __init__(self, status: str) -> None:
        super().__init__(f"The bill is {status}; there is nothing to pay, and so no code.")


class BillCodePending(HubError):
    """The rail's provider has not answered yet: there is no code to show."""

    kind, code, title = Kind.CONFLICT, "bill_code_pending", "The code is not ready yet"

    def __init__(self) -> None:
        super().__init__("The provider is preparing the code. Try again in a moment.")


class BillCodeFailed(HubError):
    """The rail's provider opened nothing for this bill, or nothing that still holds."""

    kind, code, title = Kind.CONFLICT, "bill_code_failed", "The bill has no code"

    def __init__(self) -> None:
        super().__init__("The provider has no code for this bill. Cancel it and open another.")


class ReferencesUsedUp(HubError):
    """An organisation's codes have no references left: the operator adds a code (`add-code`)."""

    kind, code, title = Kind.CONFLICT, "references_used_up", "No references left"

    def __init__(self, org_code: str) -> None:
        super().__init__(
            f"{org_code} has used every reference of its codes. The operator must add a code:"
            f" ./phopay add-code {org_code} NEWCODE"
        )


class ReferenceBlockTaken(HubError):
    """The id that a phone made for its block of references is another phone's."""

    kind, code, title = Kind.CONFLICT, "reference_block_taken", "The block's id is taken"

    def __init__(self, block_id: UUID) -> None:
        super().__init__(f"The block {block_id} is another device's. Make a new id.")


class ReferenceNotIssued(HubError):
    """A bill that was drawn without a network carries a reference that its device does not have."""

    kind, code, title = Kind.CONFLICT, "reference_not_issued", "Not this device's reference"

    def __init__(self, reference: str) -> None:
        super().__init__(
            f"The reference {reference!r} lies in no block of this device, or its time is over."
        )


class ReferenceUsed(HubError):
    """Another bill has the reference."""

    kind, code, title = Kind.CONFLICT, "reference_used", "The reference is used"

    def __init__(self, reference: str) -> None:
        super().__init__(f"Another bill has the reference {reference!r}.")
