"""The price of a stay, line by line as an accountant would write it.

A line is a code with facts; sentences are made at the edge, in the reader's language
(api/pages/tariff_lines.py). The lines add up to the amount, always.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from parking.tariffs.charges import (
    STAY_DAYS_MAX,
    Charge,
    Stay,
    charges_of,
    day_of,
    instant_of,
    local_minute,
    pick_version,
)
from parking.tariffs.errors import StayNotPriceable
from parking.tariffs.structure import (
    DAY_MINUTES,
    AmountRounding,
    FreeMinutesRule,
    LostTicketRule,
    MonthlyScope,
    RateLineCollection,
    RateLineType,
    Tariff,
    write_clock,
)
from parking.vehicles import VehicleClass

STAY_MINUTES_MAX: Final = STAY_DAYS_MAX * DAY_MINUTES
POINTS_MAX: Final = 2_000
_BPS: Final = 10_000


class LineCode(StrEnum):
    """What a line of a price stands for; words/*/tariff_lines.toml has a sentence for each."""

    VISITS = "visits"  # a flat price, once or for several windows or periods
    BLOCKS = "blocks"  # started blocks of a ladder
    TIER = "tier"  # what a longer stay costs more
    UNITS = "units"  # a price for each space
    CAP = "cap"  # down to the most that is taken
    MINIMUM = "minimum"  # up to the least that is taken
    ROUNDING = "rounding"
    FREE_MINUTES = "free_minutes"  # nothing is due: the stay was short
    NOTHING_DUE = "nothing_due"  # outside the paid hours, or not one block is over
    LOST_TICKET = "lost_ticket"
    PAID = "paid"  # what was paid before
    WAIVED = "waived"  # by an exemption at the gate


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One line: what it is for, and how much."""

    code: LineCode
    amount_vnd: int  # negative for what is taken off
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a stay costs."""

    amount_vnd: int
    lines: tuple[PriceLine, ...]
    tax_vnd: int  # the value-added tax that the amount contains
    tax_rate_bps: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountDue:
    """What is still to be paid for a stay, or was paid too much."""

    amount_vnd: int
    price: Price
    lines: tuple[PriceLine, ...]  # of the price, and what was paid; they add up to the amount
    unused_vnd: int = 0  # paid beyond the price


def price_stay(tariff: Tariff, stay: Stay, *, left_at: datetime) -> Price:
    """Return the price of a stay from its entry to `left_at`, by one version of a tariff.

    Whole minutes count, and at least one: who comes and leaves in one minute has been here.

    Raises:
        NoRateForVehicle: no rate table fits.
        StayNotPriceable: it ends before it begins, or is longer than 366 days.
    """
    return _price(tariff, stay, left_at)


def price_stay_by_versions(versions: Sequence[Tariff], stay: Stay, *, left_at: datetime) -> Price:
    """Return the price of a stay by the version in force at its entry.

    Raises:
        TariffNotInForce: no version holds on the day of the entry.
        NoRateForVehicle, StayNotPriceable: as price_stay.
    """
    entered = local_minute(stay.entered_at or left_at)
    return _price(pick_version(versions, day_of(entered)), stay, left_at)


def price_on_entry(tariff: Tariff, stay: Stay) -> Price:
    """Return what is taken on entry (`payOnEntry`): the price of the first minute.

    When the stay grows past what it covers, `amount_due` has the rest.
    """
    assert stay.entered_at is not None
    return price_stay(tariff, stay, left_at=stay.entered_at)


def amount_due(
    tariff: Tariff,
    stay: Stay,
    *,
    now: datetime,
    paid_vnd: int = 0,
    paid_at: datetime | None = None,
) -> AmountDue:
    """Return what is due at `now`, after what has been paid.

    For `exit_grace_minutes` after a payment that was enough nothing more is due. After that it is
    the price from the entry on, less what was paid: the ladder goes on and never restarts.

    Raises:
        As price_stay.
    """
    until = now
    if paid_at is not None and now <= paid_at + timedelta(minutes=tariff.exit_grace_minutes):
        until = min(now, max(paid_at, stay.entered_at or paid_at))
    price = price_stay(tariff, stay, left_at=until)
    if until != now and price.amount_vnd > paid_vnd:
        price = price_stay(tariff, stay, left_at=now)
    due_vnd = price.amount_vnd - paid_vnd
    unused_vnd = max(0, -due_vnd)
    lines = list(price.lines)
    if paid_vnd:
        taken_vnd = paid_vnd - unused_vnd
        lines.append(PriceLine(LineCode.PAID, -taken_vnd, {"paid_vnd": paid_vnd}))
    return AmountDue(
        amount_vnd=max(0, due_vnd),
        price=price,
        lines=tuple(lines),
        unused_vnd=unused_vnd,
    )


def covered_until(
    tariff: Tariff, stay: Stay, *, paid_vnd: int, now: datetime, within: timedelta
) -> datetime | None:
    """Return until when a sum covers a stay; None: until `now + within` at least.

    Money buys time only where it is charged: what is paid at 23:00 for an hour that begins at
    07:00 covers until 08:00. A price of a lost ticket is not part of it.

    Raises:
        StayNotPriceable: the sum does not even cover the stay until `now`.
        NoRateForVehicle: as price_stay.
    """
    assert stay.entered_at is not None
    entered, asked = local_minute(stay.entered_at), local_minute(now)
    end = min(asked + within // timedelta(minutes=1), entered + STAY_MINUTES_MAX)
    for minute, amount_vnd in _steps(tariff, stay, entered, end):
        if amount_vnd > paid_vnd:
            if minute < asked:
                raise StayNotPriceable("The sum does not cover the stay until now.")
            return instant_of(minute)
    return None


def price_points(
    tariff: Tariff, stay: Stay, *, minutes: int, points_max: int = POINTS_MAX
) -> tuple[tuple[int, int], ...]:
    """Return the price by duration for a chart: (minutes, amount_vnd), each price's longest stay.

    A stay of up to so many minutes costs the amount; one minute more costs the next point's. The
    last point is the longest stay asked for, or the last that `points_max` leaves room for.

    Raises:
        NoRateForVehicle, StayNotPriceable: as price_stay.
    """
    assert stay.entered_at is not None
    entered = local_minute(stay.entered_at)
    if not 0 <= minutes <= STAY_MINUTES_MAX:
        raise StayNotPriceable(f"The duration must lie between 0 and {STAY_MINUTES_MAX} minutes.")
    points: list[tuple[int, int]] = []
    amount_vnd = 0
    for minute, next_vnd in _steps(tariff, stay, entered, entered + minutes):
        if minute > entered and next_vnd != amount_vnd:
            if len(points) == points_max - 1:
                return (*points, (minute - entered, amount_vnd))
            points.append((minute - entered, amount_vnd))
        amount_vnd = next_vnd
    return (*points, (minutes, amount_vnd))


def monthly_price_vnd(
    tariff: Tariff,
    vehicle_class: VehicleClass,
    *,
    scope: MonthlyScope,
    zone: str | None = None,
    user_group: str | None = None,
) -> int | None:
    """Return what a month costs for a vehicle; None where the tariff has no such price."""
    for table in tariff.rate_tables:
        if (
            (not table.vehicle_classes or vehicle_class in table.vehicle_classes)
            and (not table.zones or zone in table.zones)
            and (not table.user_groups or user_group in table.user_groups)
        ):
            for price in table.monthly:
                if price.scope is scope:
                    return price.value_vnd
    return None


def tax_in(amount_vnd: int, tax_rate_bps: int | None) -> int:
    """Return the value-added tax that an amount contains, rounded to the nearest đồng."""
    if not tax_rate_bps:
        return 0
    whole = _BPS + tax_rate_bps
    return (2 * amount_vnd * tax_rate_bps + whole) // (2 * whole)


def _steps(tariff: Tariff, stay: Stay, entered: int, until: int) -> Iterator[tuple[int, int]]:
    """Yield each moment after which a stay costs another amount, with that amount."""
    charges = charges_of(tariff, stay, _begin_of(tariff, entered), until)
    moments = heapq.merge(*(_moments_of(charge, until) for charge in charges), key=itemgetter(0))
    is_free = tariff.free_minutes_rule is FreeMinutesRule.WHOLE_STAY
    free_until = entered + tariff.free_minutes if is_free else entered
    sum_vnd = 0
    periods: dict[tuple[int, int], int] = {}
    for minute, due in groupby(moments, key=lambda moment: max(moment[0], free_until)):
        for _, charge in due:
            value_vnd = _value_of(charge, stay.units)
            cap_vnd = charge.collection.max_value_vnd
            if cap_vnd is not None:
                period = (id(charge.collection), charge.period)
                before_vnd = periods.get(period, 0)
                periods[period] = before_vnd + value_vnd
                value_vnd = min(cap_vnd, periods[period]) - min(cap_vnd, before_vnd)
            sum_vnd += value_vnd
        if minute < until:
            yield minute, _round_amount(tariff, max(sum_vnd, tariff.minimum_vnd))


def _moments_of(charge: Charge, until: int) -> Iterator[tuple[int, Charge]]:
    for step in range(charge.count_before(until)):
        yield charge.at + step * charge.every, charge


def _price(tariff: Tariff, stay: Stay, left_at: datetime) -> Price:
    lines: list[PriceLine] = []
    if stay.entered_at is not None:
        entered, left = local_minute(stay.entered_at), local_minute(left_at)
        if left < entered:
            raise StayNotPriceable("The stay ends before it begins: check both times.")
        if left - entered > STAY_MINUTES_MAX:
            raise StayNotPriceable(f"The stay is longer than {STAY_DAYS_MAX} days.")
        lines = _lines_of_stay(tariff, stay, entered, max(left, entered + 1))
    elif not stay.is_ticket_lost or tariff.lost_ticket_vnd is None:
        raise StayNotPriceable("The entry is not known, and there is no price of a lost ticket.")
    if stay.is_ticket_lost and tariff.lost_ticket_vnd is not None:
        lines = _with_lost_ticket(tariff, lines, tariff.lost_ticket_vnd)
    amount_vnd = sum(line.amount_vnd for line in lines)
    return Price(
        amount_vnd=amount_vnd,
        lines=tuple(lines),
        tax_vnd=tax_in(amount_vnd, tariff.tax_rate_bps),
        tax_rate_bps=tariff.tax_rate_bps,
    )


def _lines_of_stay(tariff: Tariff, stay: Stay, entered: int, left: int) -> list[PriceLine]:
    if left - entered <= tariff.free_minutes and tariff.free_minutes:
        return [PriceLine(LineCode.FREE_MINUTES, 0, {"minutes": tariff.free_minutes})]
    charges = charges_of(tariff, stay, _begin_of(tariff, entered), left)
    lines = _sum_up(charges, stay.units, left)
    if not lines:
        return [PriceLine(LineCode.NOTHING_DUE, 0)]
    sum_vnd = sum(line.amount_vnd for line in lines)
    if sum_vnd < tariff.minimum_vnd:
        facts = {"minimum_vnd": tariff.minimum_vnd}
        lines.append(PriceLine(LineCode.MINIMUM, tariff.minimum_vnd - sum_vnd, facts))
        sum_vnd = tariff.minimum_vnd
    if added_vnd := _round_amount(tariff, sum_vnd) - sum_vnd:
        facts = {"step_vnd": tariff.rounding.amount_step_vnd}
        lines.append(PriceLine(LineCode.ROUNDING, added_vnd, facts))
    return lines


def _begin_of(tariff: Tariff, entered: int) -> int:
    if tariff.free_minutes_rule is FreeMinutesRule.REST_ONLY:
        return entered + tariff.free_minutes
    return entered


def _sum_up(charges: Sequence[Charge], units: int, left: int) -> list[PriceLine]:
    """Gather the charges before `left` into one line for each of the tariff's lines and caps."""
    taken: dict[int, tuple[Charge, int]] = {}
    periods: dict[tuple[int, int], tuple[RateLineCollection, int]] = {}
    for charge in charges:
        count = charge.count_before(left)
        if not count:
            continue
        key = id(charge.line)
        taken[key] = (charge, taken[key][1] + count if key in taken else count)
        if charge.collection.max_value_vnd is not None:
            value_vnd = count * _value_of(charge, units)
            period = (id(charge.collection), charge.period)
            before_vnd = periods[period][1] if period in periods else 0
            periods[period] = (charge.collection, before_vnd + value_vnd)
    lines = [_line_of(charge, count, units) for charge, count in taken.values()]
    return lines + _caps_of(periods.values())


def _value_of(charge: Charge, units: int) -> int:
    is_by_unit = charge.line.type is RateLineType.PER_UNIT
    return charge.value_vnd * units if is_by_unit else charge.value_vnd


def _line_of(charge: Charge, count: int, units: int) -> PriceLine:
    line = charge.line
    facts: dict[str, Any] = {"count": count * line.blocks, "value_vnd": line.value_vnd}
    code = LineCode.VISITS
    if line.type is RateLineType.INCREMENTING_RATE:
        code = LineCode.BLOCKS
        facts["block_minutes"] = line.increment
    elif line.type is RateLineType.FLAT_RATE_TIER:
        code = LineCode.TIER
        facts["value_vnd"] = charge.value_vnd
    elif line.type is RateLineType.PER_UNIT:
        code = LineCode.UNITS
        facts["units"] = units
    facts["from_minutes"] = line.duration_start
    if line.duration_end is not None:
        facts["to_minutes"] = line.duration_end
    if line.window:
        facts["window"] = line.window.write()
    if line.name:
        facts["name"] = line.name
        facts["name_en"] = line.name_en or line.name
    return PriceLine(code, count * _value_of(charge, units), facts)


def _caps_of(periods: Iterable[tuple[RateLineCollection, int]]) -> list[PriceLine]:
    lines: dict[int, PriceLine] = {}
    for collection, sum_vnd in periods:
        cap_vnd = collection.max_value_vnd
        if cap_vnd is None or sum_vnd <= cap_vnd:
            continue
        known = lines.get(id(collection))
        count = known.facts["count"] + 1 if known else 1
        facts: dict[str, Any] = {"cap_vnd": cap_vnd, "count": count}
        if collection.reset_after is not None:
            facts["reset_after_minutes"] = collection.reset_after
        if collection.reset_time is not None:
            facts["reset_time"] = write_clock(collection.reset_time)
        if collection.name:
            facts["name"] = collection.name
            facts["name_en"] = collection.name_en or collection.name
        over_vnd = cap_vnd - sum_vnd + (known.amount_vnd if known else 0)
        lines[id(collection)] = PriceLine(LineCode.CAP, over_vnd, facts)
    return list(lines.values())


def _round_amount(tariff: Tariff, amount_vnd: int) -> int:
    step_vnd = tariff.rounding.amount_step_vnd
    if tariff.rounding.amount is AmountRounding.UP:
        return -(-amount_vnd // step_vnd) * step_vnd
    if tariff.rounding.amount is AmountRounding.NEAREST:
        amount_vnd += step_vnd // 2
    return amount_vnd // step_vnd * step_vnd


def _with_lost_ticket(tariff: Tariff, lines: list[PriceLine], lost_vnd: int) -> list[PriceLine]:
    lost = PriceLine(LineCode.LOST_TICKET, lost_vnd)
    if not lines or tariff.lost_ticket_rule is LostTicketRule.INSTEAD:
        return [lost]
    if tariff.lost_ticket_rule is LostTicketRule.ADDED:
        return [*lines, lost]
    sum_vnd = sum(line.amount_vnd for line in lines)
    if sum_vnd >= lost_vnd:
        return lines
    return [*lines, PriceLine(LineCode.LOST_TICKET, lost_vnd - sum_vnd, {"at_least_vnd": lost_vnd})]
