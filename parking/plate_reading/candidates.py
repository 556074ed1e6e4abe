"""Plates that lines of text may be: one line, or two of which one stands on the other."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from parking.plate_reading.rules import (
    CORRECTED_FACTOR,
    INVALID_FACTOR,
    NOT_ON_PLATES,
    clean,
    correct_rows,
)
from parking.plate_reading.types import Box, Candidate, TextLine
from parking.plates import Plate, read_plate

CANDIDATES_MAX: Final = 10
# Two rows of one plate: how much they may differ in height, width and slope, and how far apart.
HEIGHTS_RATIO_MAX: Final = 2.0
WIDTHS_RATIO_MAX: Final = 4.0
ANGLES_DIFFER_MAX: Final = 0.25
DOWN_MIN, DOWN_MAX = 0.45, 1.9
ASIDE_MAX: Final = 0.4
# Plates of the past are written otherwise: shown too, if they look like a plate at all.
FREE_DIGITS_MIN, FREE_LENGTHS = 4, range(5, 13)
# The plate that is meant is mostly the largest; a small one in the background loses a little.
SMALL_FACTOR: Final = 0.8


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """One line, or two with the upper one first, that may be one plate."""

    lines: tuple[TextLine, ...]

    @property
    def raw_text(self) -> str:
        return " ".join(line.text for line in self.lines)

    @property
    def score(self) -> float:
        """The mean over all characters."""
        characters = sum(len(line.text) for line in self.lines)
        return sum(line.score * len(line.text) for line in self.lines) / max(1, characters)

    @property
    def height(self) -> float:
        return max(line.box.height for line in self.lines)

    def weigh(self, tallest: float) -> float:
        """The score, a little less where the photo has larger plates."""
        return self.score * (SMALL_FACTOR + (1 - SMALL_FACTOR) * self.height / tallest)


def find_candidates(lines: Sequence[TextLine]) -> tuple[Candidate, ...]:
    """Return at most CANDIDATES_MAX plates that the lines of one photo may be, the best first."""
    pairs = list(_pairs(lines))
    singles = [_Rows(lines=(line,)) for line in lines]
    tallest = max((group.height for group in singles), default=1.0)
    best: dict[tuple[str, str], Candidate] = {}
    used: set[TextLine] = set()  # a row of a plate is no plate by itself
    for groups, plates_of in (
        (pairs, _plates_of),
        (singles, _plates_of),
        # What no grammar fits is offered only where nothing else was read.
        ([*pairs, *singles], _free_texts_of),
    ):
        free = [group for group in groups if not used & {*group.lines}]
        for group in free:
            for candidate in plates_of(group, tallest):
                _keep_better(best, candidate)
                if candidate.is_valid:
                    used |= {*group.lines}
    ranked = sorted(best.values(), key=lambda one: (one.is_valid, one.score), reverse=True)
    return tuple(ranked[:CANDIDATES_MAX])


def _pairs(lines: Sequence[TextLine]) -> Iterator[_Rows]:
    for upper in lines:
        for lower in lines:
            if upper is not lower and stands_on(upper.box, lower.box):
                yield _Rows(lines=(upper, lower))


def stands_on(upper: Box, lower: Box) -> bool:
    """Whether two lines of text may be the upper and the lower row of one plate."""
    if abs(upper.angle - lower.angle) > ANGLES_DIFFER_MAX:
        return False
    if not _is_alike(upper.height, lower.height, HEIGHTS_RATIO_MAX):
        return False
    if not _is_alike(upper.width, lower.width, WIDTHS_RATIO_MAX):
        return False
    angle = (upper.angle + lower.angle) / 2
    x, y = lower.x - upper.x, lower.y - upper.y
    aside = abs(x * math.cos(angle) + y * math.sin(angle))
    down = y * math.cos(angle) - x * math.sin(angle)
    height = (upper.height + lower.height) / 2
    is_below = DOWN_MIN * height < down < DOWN_MAX * height
    return is_below and aside < ASIDE_MAX * max(upper.width, lower.width)


def _plates_of(group: _Rows, tallest: float) -> Iterator[Candidate]:
    """Yield the plates that the rows are as they were read, or else with a little mended."""
    if as_read := [one for one in _free_texts_of(group, tallest) if one.is_valid]:
        yield from as_read
        return
    for way in correct_rows(tuple(line.text for line in group.lines)):
        yield from _name(f"{way.head}-{way.number}", group, group.weigh(tallest) * way.factor)


def _free_texts_of(group: _Rows, tallest: float) -> Iterator[Candidate]:
    """Yield the rows as they were read, if that is a plate or looks like one of the past."""
    text = NOT_ON_PLATES.sub(" ", group.raw_text.upper())
    characters = clean(text)
    if len(characters) not in FREE_LENGTHS:
        return
    is_like_a_plate = sum(map(str.isdigit, characters)) >= FREE_DIGITS_MIN
    for candidate in _name(text, group, group.weigh(tallest)):
        if candidate.is_valid or is_like_a_plate:
            yield candidate


def _name(text: str, group: _Rows, score: float) -> Iterator[Candidate]:
    """Yield every plate that a text with its separators may be; bikes have two rows."""
    plate = read_plate(text)
    named = plate.alternatives or (plate,)
    has_bikes_rows = len(group.lines) > 1
    for one in [one for one in named if has_bikes_rows or not one.is_two_wheeled] or named:
        yield Candidate(
            raw_text=group.raw_text,
            compact=one.compact,
            written=one.written,
            kind=one.kind,
            is_valid=one.is_valid,
            score=score
            * (1.0 if one.is_valid else INVALID_FACTOR)
            * (1.0 if _is_as_read(one, text) else CORRECTED_FACTOR),
        )


def _is_as_read(plate: Plate, text: str) -> bool:
    return plate.compact.replace("Đ", "D") == clean(text).replace("Đ", "D")


def _keep_better(best: dict[tuple[str, str], Candidate], candidate: Candidate) -> None:
    key = (candidate.written, candidate.kind)
    if key not in best or best[key].score < candidate.score:
        best[key] = candidate


def _is_alike(one: float, other: float, ratio_max: float) -> bool:
    return max(one, other) <= ratio_max * min(one, other)
