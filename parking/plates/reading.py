"""Reading of plates: a typed or photographed text in, what it is out.

The compact text alone does not name a vehicle: 30F12345 is the car 30F-123.45 and the motorbike
30-F1 2345. A vehicle's key is (compact, class). Where the class is not known and separators do
not decide either, every reading is among `alternatives`, and a person is asked.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from parking.plates import law
from parking.plates.errors import PlateTooLong
from parking.plates.formats import FORMATS, Format, PlateKind
from parking.plates.text import (
    CompactText,
    compact_text,
    has_accents,
    tidy_text,
    undo_keyboard,
)
from parking.vehicles import IS_TWO_WHEELED, VehicleClass


@dataclass(frozen=True, kw_only=True)
class Plate:
    """One plate, read."""

    kind: PlateKind
    compact: str  # the plate's part of the vehicle's key: no separators, Đ where it belongs
    written: str  # as the law writes it; a text that is no plate, as it was typed
    province: str | None  # where it was issued, in today's provinces
    is_valid: bool  # the format, the province, the letters and the number can have been issued
    is_two_wheeled: bool | None = None  # None: the plate does not say
    # Every way to read an ambiguous text, this one first; empty where there is only one.
    alternatives: tuple["Plate", ...] = ()


class _Reading:
    """One format that a text fits; its plate is built only if nothing speaks for another."""

    __slots__ = ("format", "is_valid", "pieces", "province", "typed")

    def __init__(self, format_: Format, found: re.Match[str], typed: CompactText) -> None:
        self.format = format_
        self.typed = typed
        self.pieces = found.groupdict("")
        series = self.pieces.get("s", "")
        if format_.has_stroke:
            series = self.pieces["s"] = f"{series[0]}Đ{series[2:]}"
        code = self.pieces.get("p")
        self.province = law.PROVINCES.get(code) if code else None
        self.is_valid = (
            (code is None or self.province is not None)
            and format_.series.fullmatch(series) is not None
            and bool(self.pieces["n"].strip("0"))
            and bool(self.pieces.get("c", "1").strip("0"))
        )

    def write(self) -> str:
        number = self.pieces["n"]
        return self.format.layout.format(**self.pieces, a=number[:-2], b=number[-2:])

    def count_contradictions(self) -> int:
        """Return how many separators were typed where this plate has none."""
        if not self.typed.breaks:
            return 0
        # After the province's code anyone may put one.
        return len(self.typed.breaks - compact_text(self.write()).breaks - {2})

    def build(self) -> Plate:
        chars = self.typed.chars
        if self.format.has_stroke:
            chars = f"{chars[:3]}Đ{chars[4:]}"
        return Plate(
            kind=self.format.kind,
            compact=chars,
            written=self.write(),
            province=self.province,
            is_valid=self.is_valid,
            is_two_wheeled=self.format.is_two_wheeled,
        )


# Letters that people type, and cameras read, for a digit; QT is a symbol.
_FOR_DIGITS: Final = {"O": "0", "I": "1", "Q": "0"}
_TYPED_LETTERS: Final = re.compile("[OI]|Q(?!T)")


def read_plate(text: str, vehicle_class: VehicleClass | None = None) -> Plate:
    """Read a plate; whatever no format fits is a plate of unknown kind.

    Args:
        text: as it was typed or photographed; two lines may have a line end between them.
        vehicle_class: what stands at the gate, where that is known: of several readings those of
            its class are kept. A plate of the other class alone is still read (`is_two_wheeled`).

    Raises:
        PlateEmpty: no letter and no digit.
        PlateTooLong: more than PLATE_CHARS_MAX characters.
        PlateNotText: a control character, or half a character.
    """
    tidied = tidy_text(text)
    typed = compact_text(tidied)
    two_wheeled = None if vehicle_class is None else IS_TWO_WHEELED.get(vehicle_class)
    kept: list[_Reading] = []
    for texts in _guesses(tidied, typed):
        readings = _keep_best([one for each in texts for one in _fit(each)], two_wheeled)
        if readings and readings[0].is_valid:
            kept = readings
            break
        # What nobody issued stays as it was typed: a guess would give it another key each time.
        kept = kept or [one for one in readings if one.typed is typed]
    # Two guesses may end in one plate.
    plates = tuple(dict.fromkeys(reading.build() for reading in kept))
    if not plates:
        return _unknown(tidied, typed)
    return plates[0] if len(plates) == 1 else replace(plates[0], alternatives=plates)


def format_plate(compact: str, vehicle_class: VehicleClass | None = None) -> str:
    """Return a stored plate as the law writes it: 30F12345 of a car is 30F-123.45.

    Raises:
        PlateError: as read_plate; never for what read_plate made.
    """
    return read_plate(compact, vehicle_class).written


def _guesses(tidied: str, typed: CompactText) -> Iterator[list[CompactText]]:
    """Yield what may have been meant, the likeliest first; later ones only if none is valid."""
    is_accented = has_accents(tidied)
    # No plate has accents: a keyboard made them of letters that stand on the plate.
    yield [*_undone(tidied), typed] if is_accented else [typed]
    if "Đ" in typed.chars:
        yield [*_undone(typed.chars if is_accented else tidied)]
    yield [replace(typed, chars=chars) for chars in _digits_for_letters(typed.chars)]


def _undone(tidied: str) -> Iterator[CompactText]:
    for undone in undo_keyboard(tidied):
        with suppress(PlateTooLong):  # each accent is a character more
            yield compact_text(undone)


def _digits_for_letters(chars: str) -> Iterator[str]:
    """Yield the text with 0 for O and 1 for I, but where the series has letters."""
    for start, end in ((2, 3), (2, 4), (0, 2)):
        before, series, after = chars[:start], chars[start:end], chars[end:]
        yield _to_digits(before) + series + _to_digits(after)


def _to_digits(chars: str) -> str:
    return _TYPED_LETTERS.sub(lambda found: _FOR_DIGITS[found[0]], chars)


def _fit(typed: CompactText) -> Iterator[_Reading]:
    for format_ in FORMATS:
        if found := format_.shape.fullmatch(typed.chars):
            yield _Reading(format_, found, typed)


def _keep_best(readings: list[_Reading], two_wheeled: bool | None) -> list[_Reading]:
    """Keep the readings that nothing speaks against: first the class, then law, then separators."""
    kept = [one for one in readings if one.format.is_two_wheeled is two_wheeled] or readings
    kept = [one for one in kept if one.is_valid] or kept
    if len(kept) < 2:
        return kept
    least = min(one.count_contradictions() for one in kept)
    return [one for one in kept if one.count_contradictions() == least]


def _unknown(tidied: str, typed: CompactText) -> Plate:
    return Plate(
        kind=PlateKind.UNKNOWN, compact=typed.chars, written=tidied, province=None, is_valid=False
    )
