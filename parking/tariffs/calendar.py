"""The types of Hà Nội days: weekdays, public holidays and a tariff's own special days.

Holidays are those of the `holidays` library for Việt Nam. The government decides each year which
days are off in lieu, often after a library was released: a tariff's special days come first.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from parking.tariffs.structure import WEEKDAYS, DayType, SpecialDay

_ONE_DAY: Final = timedelta(days=1)
# How the library names days off that are not the holiday itself.
_IN_LIEU: Final = ("(observed", "Day off (substituted")
_HOLIDAY_TYPES: Final = frozenset({DayType.PUBLIC_HOLIDAY, DayType.IN_LIEU_OF_PUBLIC_HOLIDAY})


@lru_cache(maxsize=64)
def public_holidays(year: int) -> dict[date, DayType]:
    """Return the public holidays of a year, those in lieu told from the holidays themselves."""
    # It costs half a second to load, which tariffs without holidays need not pay.
    import holidays

    known = holidays.country_holidays("VN", years=year, language="en_US")
    return {
        day: DayType.IN_LIEU_OF_PUBLIC_HOLIDAY
        if all(any(mark in part for mark in _IN_LIEU) for part in name.split("; "))
        else DayType.PUBLIC_HOLIDAY
        for day, name in known.items()
    }


def types_of_day(day: date, special_days: Iterable[SpecialDay] = ()) -> frozenset[DayType]:
    """Return all types that a day has, its weekday included.

    A special day of the tariff replaces what the calendar says of that day; an event is added to
    it, and a day without a type is ordinary. The day before a holiday follows by itself.
    """
    named: dict[date, set[DayType | None]] = {}
    for special in special_days:
        named.setdefault(special.on, set()).add(special.type)
    types = _special_types(day, named)
    is_eve = bool(_special_types(day + _ONE_DAY, named) & _HOLIDAY_TYPES)
    if is_eve and not types & _HOLIDAY_TYPES and None not in named.get(day, ()):
        types.add(DayType.DAY_BEFORE_PUBLIC_HOLIDAY)
    return frozenset({*types, WEEKDAYS[day.weekday()]})


def _special_types(day: date, named: dict[date, set[DayType | None]]) -> set[DayType]:
    own = named.get(day, set())
    types = {type_ for type_ in own if type_ is not None}
    holiday = public_holidays(day.year).get(day)
    if holiday and own <= {DayType.PUBLIC_EVENT_DAY}:
        types.add(holiday)
    return types
