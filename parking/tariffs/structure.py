"""The parts of a tariff, in the words of APDS 4.0 (ISO/TS 5206-1).

Clock times are minutes of a Hà Nội day (0 to 1,440), durations are minutes, prices are whole
đồng with tax. docs/tariffs.md explains every field; `reading` makes these from a document.
"""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from parking.places.rules import PaymentTiming
from parking.vehicles import VehicleClass

DAY_MINUTES: Final = 1440


class DayType(StrEnum):
    """APDS SpecialDayTypeEnum as far as tariffs here need it, and the days of the week."""

    PUBLIC_HOLIDAY = "publicHoliday"
    DAY_BEFORE_PUBLIC_HOLIDAY = "dayBeforePublicHoliday"
    IN_LIEU_OF_PUBLIC_HOLIDAY = "inLieuOfPublicHoliday"
    PUBLIC_EVENT_DAY = "publicEventDay"
    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


ORDINARY_DAY: Final = "ordinary"  # of a special day: takes a holiday of the calendar away
WEEKDAYS: Final = tuple(DayType)[-7:]


class RateLineType(StrEnum):
    """APDS RateLineTypeEnum."""

    FLAT_RATE = "flatRate"  # once, when the line begins
    FLAT_RATE_TIER = "flatRateTier"  # what the whole stay costs once it reaches this line
    INCREMENTING_RATE = "incrementingRate"  # at the start of each increment
    PER_UNIT = "perUnit"  # as flatRate, for each space that the vehicle takes


class BlockRounding(StrEnum):
    """When an increment is charged."""

    STARTED = "started"  # once it has started
    NEAREST = "nearest"  # once half of it is over
    COMPLETE = "complete"  # once all of it is over


class AmountRounding(StrEnum):
    """How the sum is rounded to `amount_step_vnd`, once."""

    UP = "up"
    NEAREST = "nearest"
    DOWN = "down"


class FreeMinutesRule(StrEnum):
    """What a stay costs that is longer than the free minutes."""

    WHOLE_STAY = "whole_stay"  # charged from its first minute
    REST_ONLY = "rest_only"  # charged from the end of the free minutes


class DayRule(StrEnum):
    """Which day's rate table holds."""

    START = "start"  # that of the entry, and at each reset that of the new period's start
    CLOCK = "clock"  # from midnight to midnight


class BoundaryRule(StrEnum):
    """What becomes of an increment that runs when a window, a day or a period ends."""

    FINISH_BLOCK = "finish_block"  # it is finished; what follows begins after it
    CUT = "cut"  # it ends there, and the next one begins


class LostTicketRule(StrEnum):
    """What is due without the ticket where the entry is known."""

    ADDED = "added"  # the stay, and the price of a lost ticket
    INSTEAD = "instead"  # the price of a lost ticket alone
    AT_LEAST = "at_least"  # the stay, but not less than that


class MonthlyScope(StrEnum):
    """The hours that a monthly price covers."""

    DAY = "day"
    NIGHT = "night"
    DAY_AND_NIGHT = "day_and_night"


@dataclass(frozen=True, slots=True)
class Window:
    """A part of each day, over midnight where it ends before it starts (18:00 to 06:00)."""

    start: int
    end: int

    def has(self, minute: int) -> bool:
        """Say whether a minute of the day (0 to 1,439) lies in it; the end does not."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def write(self) -> str:
        """Return it as documents write it, "18:00-06:00"."""
        return f"{write_clock(self.start)}-{write_clock(self.end)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLine:
    """One step of a ladder: what begins to be owed between two durations."""

    type: RateLineType
    value_vnd: int
    duration_start: int = 0
    duration_end: int | None = None  # None: however long it takes
    increment: int = 0  # of incrementingRate
    blocks: int = 1  # of flatRate: "overnight counts as six"
    window: Window | None = None
    name: str = ""
    name_en: str = ""


@dataclass(frozen=True, slots=True)
class Ladder:
    """The lines of one window, by duration. The first ladder whose window fits is taken."""

    window: Window | None
    lines: tuple[RateLine, ...]

    def step_vnd(self, position: int) -> int:
        """Return what one line adds each time; a tier adds what it costs more than the last."""
        line = self.lines[position]
        if line.type is RateLineType.FLAT_RATE_TIER and position:
            return line.value_vnd - self.lines[position - 1].value_vnd
        return line.value_vnd * line.blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLineCollection:
    """Lines under one cap, which counts anew at each reset."""

    ladders: tuple[Ladder, ...]
    max_value_vnd: int | None = None
    reset_time: int | None = None  # at this time of each day
    reset_after: int | None = None  # or every so many minutes after the stay began
    restarts_each_window: bool = True  # False: the ladder goes on where it stood
    name: str = ""  # of what the cap means: "cả ngày và đêm"
    name_en: str = ""


@dataclass(frozen=True, slots=True)
class MonthlyPrice:
    """What a pass costs a month."""

    scope: MonthlyScope
    value_vnd: int


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of each day in which one ladder holds, or none (unpaid hours)."""

    start: int
    length: int  # as long as a day: always
    collection: RateLineCollection | None
    ladder: Ladder | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RateTable:
    """The rates of some vehicles, on some days; an empty condition fits everything."""

    collections: tuple[RateLineCollection, ...]
    vehicle_classes: frozenset[VehicleClass] = frozenset()
    zones: frozenset[str] = frozenset()
    user_groups: frozenset[str] = frozenset()
    days: frozenset[DayType] = frozenset()
    entry_window: Window | None = None  # early bird: for those who come between
    monthly: tuple[MonthlyPrice, ...] = ()
    name: str = ""
    name_en: str = ""
    hours: tuple[Hours, ...] = field(init=False)  # of the day, in order

    def __post_init__(self) -> None:
        object.__setattr__(self, "hours", _plan_hours(self.collections))

    def hours_at(self, minute: int) -> tuple[Hours, int]:
        """Return what holds at a minute of the day, and for how many minutes more."""
        for hours in self.hours:
            since = (minute - hours.start) % DAY_MINUTES
            if since < hours.length:
                return hours, hours.length - since
        raise AssertionError("the hours of a table cover the day")


@dataclass(frozen=True, slots=True)
class SpecialDay:
    """A day that the tariff itself names; no type means an ordinary day."""

    on: date
    type: DayType | None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Seller:
    """The seller that receipts name."""

    name: str
    address: str
    tax_code: str


@dataclass(frozen=True, slots=True)
class Rounding:
    """How time and money are rounded; money once, at the end."""

    blocks: BlockRounding = BlockRounding.STARTED
    amount: AmountRounding = AmountRounding.UP
    amount_step_vnd: int = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tariff:
    """One version of a tariff, for all vehicles that it prices."""

    code: str
    name: str
    name_en: str
    legal_basis: str
    seller: Seller
    valid_from_on: date
    valid_until_on: date | None  # the first day on which it does not hold
    payment_timing: PaymentTiming
    rate_tables: tuple[RateTable, ...]
    source: str = ""
    is_unverified_sample: bool = False
    tax_rate_bps: int | None = None  # None: no value-added tax on it
    free_minutes: int = 0  # on entry
    free_minutes_rule: FreeMinutesRule = FreeMinutesRule.WHOLE_STAY
    exit_grace_minutes: int = 0  # after paying
    rounding: Rounding = field(default_factory=Rounding)
    minimum_vnd: int = 0
    lost_ticket_vnd: int | None = None
    lost_ticket_rule: LostTicketRule = LostTicketRule.ADDED
    day_rule: DayRule = DayRule.START
    boundary_rule: BoundaryRule = BoundaryRule.FINISH_BLOCK
    special_days: tuple[SpecialDay, ...] = ()

    @property
    def has_day_rates(self) -> bool:
        """Say whether the day of the stay matters."""
        return any(table.days for table in self.rate_tables)

    def holds_on(self, day: date) -> bool:
        """Say whether this version is in force on a day."""
        return self.valid_from_on <= day and (
            self.valid_until_on is None or day < self.valid_until_on
        )


def write_clock(minute: int) -> str:
    """Return a minute of the day as a clock shows it: 1080 → "18:00"."""
    return f"{minute // 60:02}:{minute % 60:02}"


def _plan_hours(collections: tuple[RateLineCollection, ...]) -> tuple[Hours, ...]:
    ladders = [(c, ladder) for c in collections for ladder in c.ladders]
    windows = [ladder.window for _, ladder in ladders if ladder.window]
    cuts = sorted({edge % DAY_MINUTES for window in windows for edge in (window.start, window.end)})

    def choose(minute: int) -> tuple[RateLineCollection | None, Ladder | None]:
        for collection, ladder in ladders:
            if ladder.window is None or ladder.window.has(minute):
                return collection, ladder
        return None, None

    # Cuts at which nothing changes are none; where nothing ever changes, one choice holds always.
    changing = [cut for cut in cuts if choose(cut)[1] is not choose((cut - 1) % DAY_MINUTES)[1]]
    if not changing:
        return (Hours(0, DAY_MINUTES, *choose(0)),)
    ends = [*changing[1:], changing[0] + DAY_MINUTES]
    return tuple(
        Hours(start, end - start, *choose(start)) for start, end in zip(changing, ends, strict=True)
    )
