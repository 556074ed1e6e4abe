"""Days and times as banks write them: the day before the month, or ISO, or Excel's number.

28/11/2026 is read, 11/28/2026 is refused: nothing here guesses that a month stands first, and a
year of two digits is refused, too.
"""

import re
import unicodedata
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from core.clock import HANOI
from payments.statements.reading.cells import Cell, CellFault, text_of
from payments.statements.reading.types import YEAR_MAX, YEAR_MIN, RowFault

DAY_CHARS_MAX: Final = 60
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
CLOCK: Final = r"(?P<h>\d{1,2}):(?P<mi>\d{2})(?::(?P<s>\d{2})(?:[.,]\d{1,9})?)?"
DAY: Final = (
    r"(?:(?P<d>\d{1,2})(?P<m1>[/.-])(?P<m>\d{1,2})(?P=m1)(?P<y>\d{4})"
    r"|(?P<y2>\d{4})(?P<m2>[/.-])(?P<mo>\d{1,2})(?P=m2)(?P<d2>\d{1,2})"
    r"|(?P<d3>\d{1,2})[ -](?P<name>[a-z]{3})[ -](?P<y3>\d{4}))"
)
DAY_FIRST: Final = re.compile(rf"{DAY}(?:[ t,]+{CLOCK}(?P<zone>z|[+-]\d\d:?\d\d)?)?\Z", re.ASCII)
CLOCK_FIRST: Final = re.compile(rf"{CLOCK}[ ,]+{DAY}\Z", re.ASCII)
ONLY_CLOCK: Final = re.compile(rf"{CLOCK}\Z", re.ASCII)
COMPACT: Final = re.compile(r"(\d{4})(\d{2})(\d{2})\Z", re.ASCII)
SERIAL: Final = re.compile(r"\d{5}(?:\.\d{1,20})?\Z", re.ASCII)
DATE_LIKE: Final = re.compile(r"[\d\s/.:,-]{4,25}\Z", re.ASCII)
EPOCH: Final = datetime(1899, 12, 30)  # noqa: DTZ001 (Excel's days have no zone; Hà Nội's here)
DAYS_OF_1904: Final = 1462


class Moment:
    """A day, with a time where one is written."""

    __slots__ = ("day", "time")

    def __init__(self, day: date, clock: time | None) -> None:
        self.day = day
        self.time = clock


def read_moment(cell: Cell) -> Moment | RowFault | None:
    """Read a day, with or without a time; None for an empty cell."""
    if isinstance(cell, str):
        return _read_text(cell) if len(cell) <= DAY_CHARS_MAX else RowFault.DATE_UNREADABLE
    if isinstance(cell, Decimal):
        if COMPACT.match(text_of(cell)):
            return _read_text(text_of(cell))
        return _read_serial(cell)
    return cell.fault if isinstance(cell, CellFault) else None


def read_time(cell: Cell) -> time | RowFault | None:
    """Read a time of the day, as text or as Excel's part of a day; None for an empty cell."""
    if isinstance(cell, Decimal):
        if not cell.is_finite() or not 0 <= cell < 1:
            return RowFault.TIME_UNREADABLE
        seconds = int((cell * 86_400).to_integral_value())
        return (EPOCH + timedelta(seconds=min(seconds, 86_399))).time()
    if isinstance(cell, CellFault):
        return cell.fault
    plain = _plain(cell[:DAY_CHARS_MAX]) if cell else ""
    if not plain:
        return None
    match = ONLY_CLOCK.match(plain)
    clock = match and _clock(match)
    return clock if isinstance(clock, time) else RowFault.TIME_UNREADABLE


def split_day(text: str) -> tuple[str, str]:
    """Part "02/11/2026   5214 - 1" into the day (with its time) and what follows."""
    words = text.split(maxsplit=2)
    if len(words) > 1 and ONLY_CLOCK.match(words[1]):
        return " ".join(words[:2]), words[2] if len(words) > 2 else ""
    return (words[0], " ".join(words[1:])) if words else ("", "")


def looks_like_day(cell: Cell) -> bool:
    """Whether a cell was meant to be a day: digits and the marks between them, nothing else."""
    if isinstance(cell, str):
        return DATE_LIKE.match(cell.strip()) is not None
    return isinstance(cell, Decimal)


@lru_cache(maxsize=8192)
def _read_text(text: str) -> Moment | RowFault | None:
    plain = _plain(text)
    if not plain:
        return None
    if SERIAL.match(plain):
        return _read_serial(Decimal(plain))
    if match := COMPACT.match(plain):
        return _moment(int(match[1]), int(match[2]), int(match[3]), None)
    match = DAY_FIRST.match(plain) or CLOCK_FIRST.match(plain)
    if match is None:
        return RowFault.DATE_UNREADABLE
    parts = match.groupdict()
    if parts["name"]:
        if parts["name"] not in MONTHS:
            return RowFault.DATE_UNREADABLE
        month = MONTHS.index(parts["name"]) + 1
    else:
        month = int(parts["m"] or parts["mo"])
    clock = _clock(match)
    if isinstance(clock, RowFault):
        return RowFault.DATE_UNREADABLE
    year, day = parts["y"] or parts["y2"] or parts["y3"], parts["d"] or parts["d2"] or parts["d3"]
    moment = _moment(int(year), month, int(day), clock)
    zone = parts.get("zone")
    return _to_hanoi(moment, zone) if zone and isinstance(moment, Moment) else moment


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def _clock(match: re.Match[str]) -> time | RowFault | None:
    if match["h"] is None:
        return None
    try:
        return time(int(match["h"]), int(match["mi"]), int(match["s"] or 0))
    except ValueError:
        return RowFault.TIME_UNREADABLE


def _moment(year: int, month: int, day: int, clock: time | None) -> Moment | RowFault:
    if not YEAR_MIN <= year <= YEAR_MAX:
        return RowFault.DATE_ABSURD
    try:
        return Moment(date(year, month, day), clock)
    except ValueError:
        return RowFault.DATE_UNREADABLE


def _to_hanoi(moment: Moment, zone: str) -> Moment | RowFault:
    text = f"{moment.day.isoformat()}T{moment.time}{zone.upper()}"
    try:
        instant = datetime.fromisoformat(text).astimezone(HANOI)
    except (ValueError, OverflowError):
        return RowFault.DATE_UNREADABLE
    return _moment(instant.year, instant.month, instant.day, instant.time())


def _read_serial(number: Decimal) -> Moment | RowFault:
    if not number.is_finite() or not 0 < number < 100_000:
        return RowFault.DATE_ABSURD
    days = int(number)
    seconds = int(((number - days) * 86_400).to_integral_value())
    instant = EPOCH + timedelta(days=days, seconds=seconds)
    clock = instant.time() if seconds else None
    return _moment(instant.year, instant.month, instant.day, clock)
