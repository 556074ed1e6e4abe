"""Errors of passes and watched plates."""

from uuid import UUID

from core.errors import HubError, Kind


class PassNotFound(HubError):
    """No such pass in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "pass_not_found", "Pass not found"

    def __init__(self, pass_id: UUID) -> None:
        super().__init__(f"This organisation has no pass {pass_id}.")


class NoMonthlyPrice(HubError):
    """No tariff of the lots that the pass is for has a monthly price, day and night."""

    kind, code, title = Kind.CONFLICT, "no_monthly_price", "There is no monthly price"

    def __init__(self, vehicle_class: str) -> None:
        super().__init__(
            f"The tariff in force has no monthly price by day and night for {vehicle_class}:"
            " add one to it, or choose another lot."
        )


class PassRevoked(HubError):
    """The pass was revoked, and nothing about it can be changed."""

    kind, code, title = Kind.CONFLICT, "pass_revoked", "The pass was revoked"

    def __init__(self) -> None:
        super().__init__("The pass was revoked. Sell another one if its vehicles are to park.")


class PassNotRenewable(HubError):
    """Only a monthly pass that is paid and not over can be renewed."""

    kind, code, title = Kind.CONFLICT, "pass_not_renewable", "The pass cannot be renewed"

    def __init__(self) -> None:
        super().__init__(
            "Only a monthly pass that is paid for and not over can be renewed: sell a new one."
        )


class NothingToPay(HubError):
    """Nothing of the pass waits to be paid: it is paid, given, or its unpaid months are over."""

    kind, code, title = Kind.CONFLICT, "pass_not_payable", "Nothing of the pass is to be paid"

    def __init__(self) -> None:
        super().__init__(
            "Nothing of this pass waits to be paid, or the months that wait are over."
            " Renew it, or sell another."
        )


class PassPriceDiffers(HubError):
    """The months that wait cost another amount than was taken for them."""

    kind, code, title = Kind.CONFLICT, "pass_price_differs", "The pass costs another amount"

    def __init__(self, price_vnd: int) -> None:
        super().__init__(f"The months that wait to be paid cost {price_vnd} ₫.")


class WatchedPlateNotFound(HubError):
    """No such entry of the watch list in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "watched_plate_not_found", "Not on the watch list"

    def __init__(self, watched_id: UUID) -> None:
        super().__init__(f"The watch list has no entry {watched_id}.")


class WatchNeedsSecondPerson(HubError):
    """Who proposed to watch a plate cannot approve it."""

    kind, code, title = Kind.FORBIDDEN, "watch_second_person_needed", "A second person is needed"

    def __init__(self) -> None:
        super().__init__(
            "You proposed to watch this plate, so another person with the right to approve"
            " must agree."
        )


class WatchNotApprovable(HubError):
    """The entry of the watch list was removed, or its last day is over."""

    kind, code, title = Kind.CONFLICT, "watch_not_approvable", "It cannot be approved any more"

    def __init__(self) -> None:
        super().__init__("This entry was removed, or its last day is over: propose it anew.")
