"""Charges: what becomes due, and when, from the entry of a vehicle on.

All of it follows from the entry alone. A stay owes the charges whose moment lies before its end,
so its price cannot fall while it grows, and an extension goes on where the ladder stood.
Moments are local minutes: minutes of Hà Nội's clock since the first day of year 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from core.clock import HANOI
from parking.tariffs.calendar import types_of_day
from parking.tariffs.errors import NoRateForVehicle, StayNotPriceable, TariffNotInForce
from parking.tariffs.structure import (
    DAY_MINUTES,
    BlockRounding,
    BoundaryRule,
    DayRule,
    DayType,
    Ladder,
    RateLine,
    RateLineCollection,
    RateLineType,
    RateTable,
    Tariff,
)
from parking.vehicles import VehicleClass

STAY_DAYS_MAX: Final = 366
_FOREVER: Final = 10**12  # minutes: later than any moment
_MINUTE: Final = timedelta(minutes=1)
_START: Final = datetime(1, 1, 1)  # noqa: DTZ001 (Hà Nội's clock, which is never set back)
_FIRST_YEAR: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """What the price of a stay depends on besides its end."""

    vehicle_class: VehicleClass
    entered_at: datetime | None  # None: not known, the ticket is lost
    zone: str | None = None
    user_group: str | None = None
    units: int = 1  # spaces that the vehicle takes
    is_ticket_lost: bool = False


class Charge(NamedTuple):
    """`times` equal charges, the first at `at` and one more every `every` minutes."""

    at: int
    every: int
    times: int
    value_vnd: int
    line: RateLine
    collection: RateLineCollection
    period: int  # of the collection's cap

    def count_before(self, end: int) -> int:
        """Return how many of them are due for a stay that ends at `end`."""
        if end <= self.at:
            return 0
        if self.times == 1:
            return 1
        return min(self.times, -((self.at - end) // self.every))


def local_minute(instant: datetime) -> int:
    """Return the whole minute of an instant: tickets show no seconds, prices count none.

    Raises:
        StayNotPriceable: the year is before 2000 or there is no such time in Hà Nội.
    """
    assert instant.tzinfo is not None
    try:
        local = instant.astimezone(HANOI).replace(tzinfo=None)
    except OverflowError:
        local = _START
    if local.year < _FIRST_YEAR:
        raise StayNotPriceable(f"The time lies before the year {_FIRST_YEAR}: check the clock.")
    return (local - _START) // _MINUTE


def instant_of(minute: int) -> datetime:
    """Return the instant of a local minute, in Hà Nội's time."""
    return (_START + minute * _MINUTE).replace(tzinfo=HANOI)


def day_of(minute: int) -> date:
    """Return the day of a local minute."""
    return date.fromordinal(minute // DAY_MINUTES + 1)


def pick_version(versions: Sequence[Tariff], day: date) -> Tariff:
    """Return the version that holds on a day; of several the one that began last.

    Raises:
        TariffNotInForce: none does.
    """
    holding = [version for version in versions if version.holds_on(day)]
    if not holding:
        raise TariffNotInForce(day.isoformat())
    return max(holding, key=lambda version: version.valid_from_on)


def charges_of(tariff: Tariff, stay: Stay, begin: int, until: int) -> list[Charge]:
    """Return the charges of a stay that is charged from `begin`, at least those before `until`.

    Args:
        tariff: the version that held at the entry; it prices the whole stay.
        stay: the vehicle.
        begin: the local minute from which on it is charged.
        until: the local minute up to which charges are wanted.

    Raises:
        NoRateForVehicle: no rate table fits the vehicle at `begin`.
    """
    walk = _Walk(_Rates(tariff, stay), begin)
    while walk.now < until:
        walk.advance(until)
    return walk.charges


def find_table(tariff: Tariff, stay: Stay, minute: int) -> RateTable | None:
    """Return the first rate table that fits a stay, or a period of it, that begins at a minute."""
    day = day_of(minute)
    for table in tariff.rate_tables:
        if (
            (not table.vehicle_classes or stay.vehicle_class in table.vehicle_classes)
            and (not table.zones or stay.zone in table.zones)
            and (not table.user_groups or stay.user_group in table.user_groups)
            and (not table.entry_window or table.entry_window.has(minute % DAY_MINUTES))
            and (not table.days or table.days & _day_types(tariff, day))
        ):
            return table
    return None


class _Rates:
    """The rate tables for one vehicle, moment by moment."""

    def __init__(self, tariff: Tariff, stay: Stay) -> None:
        self.rules = tariff
        self._stay = stay
        # Whether the moment decides nothing: one table holds for the whole stay.
        self.is_fixed = not any(table.days or table.entry_window for table in tariff.rate_tables)
        self._follows_days = tariff.day_rule is DayRule.CLOCK and tariff.has_day_rates

    def find_first(self, minute: int) -> RateTable:
        """Return the table of the entry.

        Raises:
            NoRateForVehicle: there is none.
        """
        if table := self.find(minute):
            return table
        day = day_of(minute).isoformat()
        raise NoRateForVehicle(self._stay.vehicle_class, self._stay.zone, day)

    def find(self, minute: int) -> RateTable | None:
        """Return the first table that fits a stay, or a period of it, that begins at a minute."""
        return find_table(self.rules, self._stay, minute)

    def end_of(self, table: RateTable, minute: int, until: int) -> int:
        """Return when another table begins to hold by the clock; not before `until` is enough."""
        if not self._follows_days:
            return _FOREVER
        midnight = minute - minute % DAY_MINUTES + DAY_MINUTES
        while midnight < until and self.find(midnight) in (table, None):
            midnight += DAY_MINUTES
        return midnight


class _Walk:
    """The way through a stay: from window to window, from period to period."""

    def __init__(self, rates: _Rates, begin: int) -> None:
        self.now = begin
        self.charges: list[Charge] = []
        self._rates = rates
        self._begin = begin
        self._table = rates.find_first(begin)
        self._table_end: int | None = None
        self._periods: dict[int, int] = {}  # by collection: the period it is in
        self._used: dict[int, int] = {}  # by ladder: how many minutes of it are over
        self._carried = 0  # minutes of the ladder that another table was on
        self._is_cut = rates.rules.boundary_rule is BoundaryRule.CUT
        self._blocks = rates.rules.rounding.blocks

    def advance(self, until: int) -> None:
        """Go on to the next boundary, and note what is charged on the way."""
        now = self.now
        if self._table_end is None or now >= self._table_end:
            if self._table_end is not None:
                self._table = self._rates.find(now) or self._table
            self._table_end = self._rates.end_of(self._table, now, until)
        hours, left = self._table.hours_at(now % DAY_MINUTES)
        collection, ladder = hours.collection, hours.ladder
        end = self._table_end
        if hours.length < DAY_MINUTES:
            end = min(end, now + left)
        if collection is None or ladder is None:
            self.now, self._carried = end, 0
            return
        period, period_end = _period_of(collection, self._begin, now)
        if self._is_other_table_due(collection, period):
            return
        end = min(end, period_end)
        self._climb(ladder, collection, period, end)
        is_carried = end == self._table_end and end != period_end
        self._carried = self._used[id(ladder)] if is_carried else 0

    def _is_other_table_due(self, collection: RateLineCollection, period: int) -> bool:
        """Enter the period of a cap; where it is a new one, the day's table is found anew."""
        known = self._periods.get(id(collection), period)
        self._periods[id(collection)] = period
        if known == period:
            return False
        for ladder in collection.ladders:
            self._used.pop(id(ladder), None)
        if self._rates.is_fixed or self._rates.rules.day_rule is DayRule.CLOCK:
            return False
        found = self._rates.find(self.now)
        if found is None or found is self._table:
            return False
        self._table, self._table_end, self._carried = found, None, 0
        return True

    def _climb(self, ladder: Ladder, collection: RateLineCollection, period: int, end: int) -> None:
        """Charge what one ladder asks for until `end`, or until its last block is finished."""
        now, position = self.now, self._carried
        if not collection.restarts_each_window:
            position = max(position, self._used.get(id(ladder), 0))
        for index, line in enumerate(ladder.lines):
            line_end = _FOREVER if line.duration_end is None else line.duration_end
            if position >= line_end:
                continue
            if now >= end:
                break
            span = min(end - now, line_end - position)
            every, times, at = 1, 0, now
            if line.type is RateLineType.INCREMENTING_RATE:
                every = line.increment
                delay = _delay_of(self._blocks, every)
                at += delay
                times = -(-span // every)
                span = times * every
                if self._is_cut:
                    times = max(0, min(times, -((delay - (end - now)) // every)))
                    span = min(span, end - now)
            elif position == line.duration_start:
                times = 1
            if times:
                value_vnd = ladder.step_vnd(index)
                self.charges.append(Charge(at, every, times, value_vnd, line, collection, period))
            now += span
            position += span
        if now < end:  # nothing more is charged
            position += end - now
            now = end
        self.now = now
        self._used[id(ladder)] = position


def _delay_of(blocks: BlockRounding, every: int) -> int:
    """Return after how many minutes of a block a stay that goes on owes it."""
    if blocks is BlockRounding.STARTED:
        return 0
    return (every + 1) // 2 - 1 if blocks is BlockRounding.NEAREST else every - 1


def _period_of(collection: RateLineCollection, begin: int, now: int) -> tuple[int, int]:
    """Return the number of the cap's period that a moment lies in, and when it ends."""
    if collection.reset_after is not None:
        period = (now - begin) // collection.reset_after
        return period, begin + (period + 1) * collection.reset_after
    if collection.reset_time is not None:
        period = (now - collection.reset_time) // DAY_MINUTES
        return period, (period + 1) * DAY_MINUTES + collection.reset_time
    return 0, _FOREVER


@lru_cache(maxsize=4096)
def _day_types(tariff: Tariff, day: date) -> frozenset[DayType]:
    return types_of_day(day, tariff.special_days)
