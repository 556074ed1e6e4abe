"""Versions in force: which one of which tariff holds at a lot at an instant. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class LotRate:
    """A version of a tariff that a lot takes, or took, or will take."""

    lot_id: UUID
    assignment_id: UUID
    from_at: datetime  # when the lot began to take the tariff
    tariff_id: UUID
    version_id: UUID
    version: int
    valid_from: datetime


def pick_rate(rates: Iterable[LotRate], at: datetime) -> LotRate | None:
    """Return what holds at an instant: of the lot's latest tariff, the latest version.

    Args:
        rates: of one lot, none of it withdrawn.
    """
    begun = [rate for rate in rates if rate.from_at <= at and rate.valid_from <= at]
    latest = max(
        (rate for rate in rates if rate.from_at <= at),
        key=lambda rate: (rate.from_at, rate.assignment_id),
        default=None,
    )
    if latest is None:
        return None
    return max(
        (rate for rate in begun if rate.assignment_id == latest.assignment_id),
        key=lambda rate: (rate.valid_from, rate.version),
        default=None,
    )
