"""Errors of toll accounts."""

from uuid import UUID

from core.errors import HubError, Kind


class TollNotAvailable(HubError):
    """The organisation has no contract with a toll operator in force."""

    kind, code, title = Kind.CONFLICT, "toll_not_available", "Toll accounts cannot be charged"

    def __init__(self) -> None:
        super().__init__("No contract with a toll operator is in force. Take another payment.")


class TollUnderWay(HubError):
    """A charge of the same stay is not decided yet: a second one could charge the driver twice."""

    kind, code, title = Kind.CONFLICT, "toll_under_way", "A toll charge is under way"

    def __init__(self) -> None:
        super().__init__("A charge of this stay is not decided yet. Take another payment.")


class TollIdTaken(HubError):
    """The id names a charge of another stay, amount or account."""

    kind, code, title = Kind.CONFLICT, "toll_id_taken", "The id names another charge"

    def __init__(self, charge_id: UUID) -> None:
        super().__init__(f"{charge_id} names another toll charge.")


class TollChargeNotFound(HubError):
    """No such charge to a toll account in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "toll_charge_not_found", "Toll charge not found"

    def __init__(self, charge_id: UUID) -> None:
        super().__init__(f"No toll charge {charge_id} was found.")


class TollNotRefundable(HubError):
    """All that was charged was kept or refunded, or nothing was charged."""

    kind, code, title = Kind.CONFLICT, "toll_not_refundable", "Nothing is to be refunded"

    def __init__(self) -> None:
        super().__init__("Nothing of this toll charge is left to refund.")


class TollContractNotFound(HubError):
    """No such contract with a toll operator in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "toll_contract_not_found", "Toll contract not found"

    def __init__(self, contract_id: UUID) -> None:
        super().__init__(f"No toll contract {contract_id} was found.")


class TollContractInForce(HubError):
    """One contract with a toll operator is in force at a time."""

    kind, code, title = Kind.CONFLICT, "toll_contract_in_force", "A toll contract is in force"

    def __init__(self) -> None:
        super().__init__("Another toll contract is in force. Revoke it first.")


class BadTollUrl(HubError):
    """The address is none that the hub's operator allows for toll requests."""

    kind, code, title = Kind.INVALID, "bad_toll_url", "The toll operator's address is not allowed"

    def __init__(self) -> None:
        super().__init__("The hub's operator names the addresses that toll requests may go to.")
