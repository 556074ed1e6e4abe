"""Errors of tariffs and quotes."""

from collections.abc import Sequence

from core.errors import HubError, Kind, Violation


class TariffNotReadable(HubError):
    """The document of a tariff has faults; `violations` names each with its path."""

    kind, code, title = Kind.INVALID, "tariff_not_readable", "The tariff has faults"

    def __init__(self, violations: Sequence[Violation]) -> None:
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        super().__init__(f"{first.field}: {first.detail}{more}", violations=violations)


class TariffSampleNotFound(HubError):
    """No tariff that ships with the product has this name."""

    kind, code, title = Kind.NOT_FOUND, "tariff_sample_not_found", "No such sample tariff"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"No sample is called {name[:60]!r}; there are {', '.join(known)}.")


class NoRateForVehicle(HubError):
    """The tariff has no rates for this vehicle, zone or day."""

    kind, code, title = Kind.INVALID, "no_rate_for_vehicle", "No price for this vehicle"

    def __init__(self, vehicle_class: str, zone: str | None, day: str) -> None:
        place = f" in zone {zone[:60]!r}" if zone else ""
        super().__init__(
            f"The tariff has no rates for the class {vehicle_class!r}{place} on {day}: "
            "add a rate table for it, or one without conditions."
        )


class TariffNotInForce(HubError):
    """No version of the tariff holds on the day of the entry."""

    kind, code, title = Kind.INVALID, "tariff_not_in_force", "The tariff is not in force"

    def __init__(self, day: str) -> None:
        super().__init__(f"No version of the tariff holds on {day}: check its dates.")


class StayNotPriceable(HubError):
    """The times of the stay cannot be right, or it is longer than a tariff can price."""

    kind, code, title = Kind.INVALID, "stay_not_priceable", "This stay cannot be priced"


class QuoteNotAuthentic(HubError):
    """The quote was not signed by this hub, or was changed since."""

    kind, code, title = Kind.INVALID, "quote_not_authentic", "The quote is not genuine"

    def __init__(self) -> None:
        super().__init__("The quote is not one of this hub, or was changed: ask for a new one.")


class QuoteExpired(HubError):
    """The quote's time is over: the price may have risen."""

    kind, code, title = Kind.CONFLICT, "quote_expired", "The quote has expired"

    def __init__(self) -> None:
        super().__init__("The quote has expired: ask for a new one.")


class QuoteAmountDiffers(HubError):
    """A bill, or what was taken, has another amount or session than its quote."""

    kind, code, title = Kind.CONFLICT, "quote_amount_differs", "Not what was quoted"

    def __init__(self) -> None:
        super().__init__("The amount or the parking session is not the quoted one.")
