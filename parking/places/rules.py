"""Lots: kinds, when they are paid, what a licence covers. Pure."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from core.errors import Violation
from parking.vehicles import VehicleClass


class LotKind(StrEnum):
    """Where a lot is."""

    OFF_STREET = "off_street"
    ON_STREET = "on_street"  # on the roadbed ("lòng đường")
    SIDEWALK = "sidewalk"  # "vỉa hè"


class PaymentTiming(StrEnum):
    """When a stay is paid. Source: APDS 4.0, PaymentTimingEnum, without payAfterExit."""

    PAY_ON_ENTRY = "payOnEntry"
    PAY_PRIOR_TO_EXIT = "payPriorToExit"
    PAY_AND_EXIT = "payAndExit"
    PREPAY = "prepay"


class Direction(StrEnum):
    """Which way a lane leads."""

    IN = "in"
    OUT = "out"
    BOTH = "both"


CAPACITY_MAX: Final = 100_000
ACCESSES_MAX: Final = 40  # of a lot; one site has about 20 lanes
AREAS_MAX: Final = 100
LICENCE_WARNED_BEFORE: Final = timedelta(days=30)
# 10 digits of an enterprise, 13 of its branch, 12 of a person (thông tư 86/2024/TT-BTC).
TAX_CODE: Final = re.compile(r"\d{10}(-?\d{3})?|\d{12}")
LATITUDE_E6: Final = range(8_000_000, 24_000_001)  # Việt Nam
LONGITUDE_E6: Final = range(102_000_000, 118_000_001)


class LicenceState(StrEnum):
    """Whether a lot's licence covers a day."""

    NONE = "none"
    NOT_YET = "not_yet"
    VALID = "valid"
    ENDS_SOON = "ends_soon"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """What a lot's licence says."""

    number: str | None
    issuer: str | None
    from_on: date | None
    until_on: date | None  # the last day


@dataclass(frozen=True, kw_only=True, slots=True)
class Occupied:
    """How full a lot is with vehicles of one class."""

    vehicle_class: VehicleClass
    capacity: int
    licensed_capacity: int
    inside_count: int

    @property
    def free(self) -> int:
        """How many more may come in."""
        return max(0, self.capacity - self.inside_count)

    @property
    def is_over_licence(self) -> bool:
        """Whether more vehicles are inside than the licence allows."""
        return self.inside_count > self.licensed_capacity


def judge_licence(licence: Licence, today: date) -> LicenceState:
    """Say whether a licence covers a day; one without an end does not run out."""
    if licence.number is None:
        return LicenceState.NONE
    if licence.from_on is not None and today < licence.from_on:
        return LicenceState.NOT_YET
    if licence.until_on is None:
        return LicenceState.VALID
    if today > licence.until_on:
        return LicenceState.ENDED
    is_near = licence.until_on - today < LICENCE_WARNED_BEFORE
    return LicenceState.ENDS_SOON if is_near else LicenceState.VALID


def check_lot(
    *,
    licence: Licence,
    latitude_e6: int | None,
    longitude_e6: int | None,
) -> list[Violation]:
    """Say what is wrong with a lot's facts."""
    found = []
    if licence.from_on and licence.until_on and licence.until_on < licence.from_on:
        detail = "The licence ends before it begins."
        found.append(Violation(field="licence_until", code="dates_in_order", detail=detail))
    if licence.number is None and (licence.issuer or licence.from_on or licence.until_on):
        detail = "Say the number of the licence, too."
        found.append(Violation(field="licence_number", code="missing", detail=detail))
    if (latitude_e6 is None) != (longitude_e6 is None):
        detail = "A position has a latitude and a longitude, or neither."
        found.append(Violation(field="latitude_e6", code="position_whole", detail=detail))
    elif latitude_e6 is not None and not (
        latitude_e6 in LATITUDE_E6 and longitude_e6 in LONGITUDE_E6
    ):
        detail = "The position is not in Việt Nam. Are latitude and longitude swapped?"
        found.append(Violation(field="latitude_e6", code="position_elsewhere", detail=detail))
    return found


def check_tax_code(tax_code: str) -> list[Violation]:
    """Say what is wrong with a tax code."""
    if TAX_CODE.fullmatch(tax_code):
        return []
    detail = "A tax code has 10 digits, 13 for a branch, or 12 for a person."
    return [Violation(field="tax_code", code="tax_code_not_valid", detail=detail)]
