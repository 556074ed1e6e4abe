"""Grammar of plates by position: which characters a reader mistook, and what each mistake costs.

The networks do not know plates: they read 0 for D and 8 for B. Where a row of a plate has a digit
or a letter is fixed, so a letter where a digit belongs is read as the digit that looks like it.
Source of the confusions: contracts of the field, counted over six readers on real plates.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final

# What a reader writes → what stands on the plate, where a digit (a letter) belongs.
TO_DIGIT: Final = dict(zip("OQDĐUCILJZASGTYBE", "00000011124567786", strict=True)) | {"L": "4"}
TO_LETTER: Final = dict(zip("01245678", "DTZASGTB", strict=True))
# The alphabet of the network has no Đ, so that an electric motorbike's MĐ comes as something else.
TO_MD: Final = {"M": "MNHW", "Đ": "ĐD0OQE"}
CORRECTED_FACTOR: Final = 0.9
DROPPED_FACTOR: Final = 0.8  # a screw or the rim, read as a character
SEPARATOR_FACTOR: Final = 0.8  # 51H-O40.73 is not 51HO-4073
INVALID_FACTOR: Final = 0.5
CORRECTIONS_MAX: Final = 3

# 9 is a digit, A a letter, M and Đ themselves; the bar parts head and number.
# Two rows are parted where the plate is; what a car has in one row it also has in two.
CARS: Final = ("99A|99999", "99A|9999", "99AA|99999", "99AA|9999")
MOTORBIKES: Final = ("99A9|99999", "99A9|9999", "99MĐ9|99999")
# Others (military, diplomats') are taken only as they are read: six digits would be made one.
TWO_ROWS: Final = (*CARS, *MOTORBIKES)
NOT_ON_PLATES: Final = re.compile(r"[^0-9A-ZĐ]")


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """One way to read the rows of a plate: before the number, and the number."""

    head: str
    number: str
    factor: float  # 1 where nothing had to be mended


def correct_rows(rows: tuple[str, ...]) -> list[Corrected]:
    """Return the ways in which one or two rows of text are a plate, with the least mended.

    An empty list: no plate is written so, even with CORRECTIONS_MAX characters mended.
    """
    assert len(rows) in (1, 2)
    cleaned = [clean(row) for row in rows]
    found: dict[tuple[str, str], float] = {}
    for shape in CARS if len(rows) == 1 else TWO_ROWS:
        head, number = shape.split("|")
        parts = (head, number) if len(rows) == 2 else (head + number,)
        parted = 1.0 if len(rows) == 2 or _is_parted(rows[0], len(head)) else SEPARATOR_FACTOR
        for mended, factor in _fit_all(cleaned, parts):
            if factor < CORRECTED_FACTOR**CORRECTIONS_MAX:
                continue
            key = (mended[: len(head)], mended[len(head) :])
            found[key] = max(factor * parted, found.get(key, 0.0))
    least_mended = max(found.values(), default=0.0)
    return [
        Corrected(head=head, number=number, factor=factor)
        for (head, number), factor in found.items()
        if factor == least_mended
    ]


def clean(text: str) -> str:
    """Return what of a text can stand on a plate, in capitals."""
    return NOT_ON_PLATES.sub("", text.upper())


def _is_parted(row: str, head_length: int) -> bool:
    """Whether a row's first separator does not speak against a head of this length."""
    pieces = NOT_ON_PLATES.sub(" ", row.upper()).split()
    return len(pieces) < 2 or len(pieces[0]) not in (3, 4) or len(pieces[0]) == head_length


def _fit_all(rows: list[str], shapes: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """Yield the rows fitted to their shapes; a row may lose its first or its last character."""
    fits = [_fit_or_drop(row, shape) for row, shape in zip(rows, shapes, strict=True)]
    for chosen in product(*fits):
        yield "".join(text for text, _ in chosen), prod(factor for _, factor in chosen)


def _fit_or_drop(row: str, shape: str) -> list[tuple[str, float]]:
    if len(row) == len(shape):
        fit = _fit(row, shape)
        return [fit] if fit else []
    if len(row) == len(shape) + 1:
        fits = (_fit(row[1:], shape), _fit(row[:-1], shape))
        return [(fit[0], fit[1] * DROPPED_FACTOR) for fit in fits if fit]
    return []


def _fit(row: str, shape: str) -> tuple[str, float] | None:
    """Return the row with a digit and a letter where the shape has one, and what that cost."""
    mended, factor = "", 1.0
    for character, wanted in zip(row, shape, strict=True):
        likely = _mend(character, wanted)
        if likely is None:
            return None
        mended += likely
        if likely != character and (likely, character) != ("Đ", "D"):
            factor *= CORRECTED_FACTOR
    return mended, factor


def _mend(character: str, wanted: str) -> str | None:
    """Return the character that is meant where the shape has `wanted`; None: nothing like it."""
    if wanted in TO_MD:
        return wanted if character in TO_MD[wanted] else None
    if character.isdigit() == (wanted == "9"):
        return character
    return (TO_DIGIT if wanted == "9" else TO_LETTER).get(character)
