"""One table of a parsed document: typed values out of it, and a fault for each that is wrong.

A value that is wrong is noted and read as its default, so that one reading finds all faults.
"""

import difflib
import re
from collections.abc import Sequence
from datetime import date, datetime, time
from enum import StrEnum
from typing import Any, Final, Literal, TypeVar, overload

from core.errors import Violation
from core.text import find_text_fault
from parking.tariffs.structure import DAY_MINUTES, Window

TEXT_CHARS_MAX: Final = 300
FAULTS_MAX: Final = 100
_CLOCK: Final = re.compile(r"(\d{2}):(\d{2})", re.ASCII)

Choice = TypeVar("Choice", bound=StrEnum)


class Part:
    """A table of the document, its path and the faults that the whole document shares."""

    def __init__(self, facts: dict[str, Any], path: str, faults: list[Violation]) -> None:
        self.faults = faults
        self._facts = facts
        self._path = path
        self._known: list[str] = []

    def fault(self, key: str, code: str, detail: str) -> None:
        """Note that a value is wrong, and what to write instead."""
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(Violation(field=self._path + key, code=code, detail=detail))

    def refuse_unknown_keys(self) -> None:
        """Note every key that nothing has read."""
        for key in self._facts:
            if key not in self._known:
                shown = "?" if find_text_fault(key) else key[:60]
                near = difflib.get_close_matches(key, self._known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(self._known)}"
                self.fault(shown, "unknown_key", f"There is no such field here; {hint}")

    def text(self, key: str, *, is_needed: bool = True, chars_max: int = TEXT_CHARS_MAX) -> str:
        """Return a text without spaces around it, "" where there is none."""
        value = self._take(key)
        if value is None:
            if is_needed:
                self.fault(key, "missing", "Write a text here.")
            return ""
        if not isinstance(value, str):
            self.fault(key, "wrong_type", "Write a text in quotes.")
            return ""
        written: str = value.strip()
        if is_needed and not written:
            self.fault(key, "blank", "The text is empty: write one.")
        elif len(written) > chars_max:
            self.fault(key, "too_long", f"The text is longer than {chars_max} characters.")
        elif find_text_fault(written):
            self.fault(key, "unseen", "The text has line breaks or characters that nobody sees.")
        return written

    @overload
    def number(
        self, key: str, *, most: int, least: int = 0, default: int = 0,
        is_needed: Literal[True] = True,
    ) -> int: ...  # fmt: skip
    @overload
    def number(
        self, key: str, *, most: int, least: int = 0, is_needed: Literal[False]
    ) -> int | None: ...
    def number(
        self,
        key: str,
        *,
        most: int,
        least: int = 0,
        default: int | None = None,
        is_needed: bool = True,
    ) -> int | None:
        """Return a whole number; a default makes it optional, and so does is_needed=False."""
        value = self._take(key)
        if value is None:
            if is_needed and default is None:
                self.fault(key, "missing", "Write a whole number here.")
            return default if default is not None or not is_needed else least
        if type(value) is not int:
            self.fault(key, "wrong_type", "Write a whole number, such as 25000, without quotes.")
            return least
        if not least <= value <= most:
            self.fault(key, "out_of_range", f"It must lie between {least} and {most}.")
            return least
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fault(key, "wrong_type", "Write true or false.")
            return default
        return value

    def day(self, key: str, *, is_needed: bool = True) -> date | None:
        """Return a day, of TOML's own type or written as 2026-11-28."""
        value = self._take(key)
        if value is None:
            if is_needed:
                self.fault(key, "missing", "Write a day, such as 2026-11-28.")
            return None
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        try:
            return date.fromisoformat(value)
        except (TypeError, ValueError):
            self.fault(key, "wrong_type", "Write a day, such as 2026-11-28.")
            return None

    def clock(self, key: str) -> int | None:
        """Return a time of day in minutes, None where there is none."""
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, time):
            value = value.strftime("%H:%M")
        minutes = _read_clock(value)
        if minutes is None:
            self.fault(key, "bad_value", 'Write a time of day, such as "06:00".')
        return minutes

    def window(self, key: str) -> Window | None:
        """Return hours of the day, None where there are none."""
        value = self._take(key)
        if value is None:
            return None
        edges = value.replace("–", "-").split("-") if isinstance(value, str) else []
        start, end = ([_read_clock(edge) for edge in edges] + [None, None])[:2]
        if len(edges) != 2 or start is None or end is None:
            self.fault(key, "bad_value", 'Write hours of the day, such as "18:00-06:00".')
            return None
        if start % DAY_MINUTES == end % DAY_MINUTES:
            self.fault(key, "bad_value", "It holds all day or never: leave the field out.")
            return None
        return Window(start % DAY_MINUTES, end)

    @overload
    def choice(self, key: str, choices: type[Choice]) -> Choice: ...
    @overload
    def choice(self, key: str, choices: type[Choice], *, default: Choice) -> Choice: ...
    def choice(self, key: str, choices: type[Choice], *, default: Choice | None = None) -> Choice:
        """Return a member of an enumeration."""
        if default is not None and key not in self._facts:
            self._known.append(key)
            return default
        written = self.one_of(key, [*choices])
        return choices(written) if written else next(iter(choices))

    def one_of(self, key: str, choices: Sequence[str], *, default: str | None = None) -> str:
        """Return one of some texts, "" where it is none of them."""
        value = self._take(key)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and value in choices:
            return str(value)
        self.fault(key, "bad_value", f"Write one of {', '.join(choices)}.")
        return ""

    def choices(self, key: str, choices: type[Choice]) -> frozenset[Choice]:
        """Return members of an enumeration, none where there is no list."""
        written = self.texts(key, most=len(choices))
        for one in written:
            if one not in set(choices):
                self.fault(key, "bad_value", f"Each must be one of {', '.join(choices)}.")
                return frozenset()
        return frozenset(map(choices, written))

    def texts(self, key: str, *, most: int) -> list[str]:
        """Return a list of texts, none where there is no list."""
        value = self._take(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self.fault(key, "wrong_type", 'Write a list of texts, such as ["car"].')
            return []
        if not 1 <= len(value) <= most or not all(0 < len(one) <= 60 for one in value):
            self.fault(key, "out_of_range", f"Give 1 to {most} texts of up to 60 characters.")
            return []
        if any(map(find_text_fault, value)):
            self.fault(key, "unseen", "A text has characters that nobody sees.")
            return []
        return value

    def part(self, key: str, *, is_needed: bool = True) -> "Part":
        """Return a table inside this one; an empty one where there is none."""
        value = self._take(key)
        if value is None and is_needed:
            self.fault(key, "missing", f"Add a table [{key}].")
        elif value is not None and not isinstance(value, dict):
            self.fault(key, "wrong_type", f"Make it a table: [{key}].")
        is_table = isinstance(value, dict)
        faults = self.faults if is_table or not is_needed else []
        return Part(value if is_table else {}, f"{self._path}{key}.", faults)

    def parts(self, key: str, *, most: int, least: int = 1) -> list["Part"]:
        """Return the tables of a list."""
        value = self._take(key)
        value = [] if value is None else value
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self.fault(key, "wrong_type", f"Make it a list of tables: [[{key}]].")
            return []
        if not least <= len(value) <= most:
            self.fault(key, "out_of_range", f"There must be {least} to {most} of [[{key}]].")
            value = value[:most]
        return [
            Part(one, f"{self._path}{key}[{index}].", self.faults)
            for index, one in enumerate(value)
        ]

    def _take(self, key: str) -> Any:
        self._known.append(key)
        return self._facts.get(key)


def read_part(facts: dict[str, Any]) -> Part:
    """Return the outermost table of a document."""
    return Part(facts, "", [])


def _read_clock(written: Any) -> int | None:
    found = _CLOCK.fullmatch(written.strip()) if isinstance(written, str) else None
    if found is None:
        return None
    hours, minutes = int(found[1]), int(found[2])
    is_time = (hours < 24 and minutes < 60) or (hours, minutes) == (24, 0)
    return hours * 60 + minutes if is_time else None
