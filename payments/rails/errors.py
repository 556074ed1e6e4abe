"""Errors of rails."""

from core.errors import HubError, Kind


class RailNotAvailable(HubError):
    """The payee's account has no connection for this rail."""

    kind, code, title = Kind.CONFLICT, "rail_not_available", "The payee cannot be paid so"

    def __init__(self, rail: str) -> None:
        super().__init__(
            f"The payee's account has no endpoint of {rail} with client id and API key that speaks"
            " for this account alone. Add them, or open the bill without a rail (VietQR)."
        )


class RailNeedsAmount(HubError):
    """This rail has no open amounts."""

    kind, code, title = Kind.INVALID, "rail_needs_amount", "An amount is needed"

    def __init__(self, rail: str) -> None:
        super().__init__(f"{rail} opens no request without an amount: say how much is owed.")


class DirectNotReported(HubError):
    """Nobody would report what is paid by VietQR direct."""

    kind, code, title = Kind.CONFLICT, "direct_not_reported", "Nobody would report the money"

    def __init__(self) -> None:
        super().__init__(
            "Only a provider of orders reports on this account, and it reports its own orders"
            " alone. Connect another provider first."
        )
