"""Plates that lines of text may be: one line, or two of which one stands on the other."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from parking.plate_reading.rules import INVALID_FACTOR, clean, correct_rows
from parking.plate_reading.types import Box, Candidate, TextLine

CANDIDATES_MAX: Final = 10
# Two rows of one plate: how much they may differ in height, width and slope, and how far apart.
HEIGHTS_RATIO_MAX: Final = 2.0
WIDTHS_RATIO_MAX: Final = 4.0
ANGLES_DIFFER_MAX: Final = 0.25
DOWN_MIN, DOWN_MAX = 0.45, 1.9
ASIDE_MAX: Final = 0.4
# Plates of the past are written otherwise: shown too, if they look like a plate at all.
FREE_DIGITS_MIN, FREE_LENGTH_MIN, FREE_LENGTH_MAX = 4, 6, 10
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


def find_candidates(lines: Sequence[TextLine]) -> tuple[Candidate, ...]:
    """Return at most CANDIDATES_MAX plates that the lines of one photo may be, the best first."""
    groups = [*_pairs(lines), *(_Rows(lines=(line,)) for line in lines)]
    tallest = max((group.height for group in groups), default=1.0)
    best: dict[tuple[str, str], Candidate] = {}
    used: set[int] = set()
    for group in groups:
        for candidate in _plates_of(group, tallest):
            used |= {id(line) for line in group.lines}
            _keep_better(best, candidate)
    for group in groups:
        if not used & {id(line) for line in group.lines}:
            for candidate in _free_texts_of(group, tallest):
                _keep_better(best, candidate)
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
    size_factor = SMALL_FACTOR + (1 - SMALL_FACTOR) * group.height / tallest
    for way in correct_rows(tuple(line.text for line in group.lines)):
        yield name_plate(
            way.head,
            way.number,
            raw_text=group.raw_text,
            score=group.score * way.factor * size_factor,
        )


def _free_texts_of(group: _Rows, tallest: float) -> Iterator[Candidate]:
    text = clean(group.raw_text)
    is_long_enough = FREE_LENGTH_MIN <= len(text) <= FREE_LENGTH_MAX
    if is_long_enough and sum(map(str.isdigit, text)) >= FREE_DIGITS_MIN:
        size_factor = SMALL_FACTOR + (1 - SMALL_FACTOR) * group.height / tallest
        yield Candidate(
            raw_text=group.raw_text,
            compact=text,
            written=text,
            kind="unknown",
            is_valid=False,
            score=group.score * INVALID_FACTOR * size_factor,
        )


def _keep_better(best: dict[tuple[str, str], Candidate], candidate: Candidate) -> None:
    key = (candidate.written, candidate.kind)
    if key not in best or best[key].score < candidate.score:
        best[key] = candidate


def _is_alike(one: float, other: float, ratio_max: float) -> bool:
    return max(one, other) <= ratio_max * min(one, other)


def name_plate(head: str, number: str, *, raw_text: str, score: float) -> Candidate:
    """Return the plate that a head and a number are, as it is written."""
    digits = f"{number[:3]}.{number[3:]}" if len(number) == 5 else number
    return Candidate(
        raw_text=raw_text,
        compact=head + number,
        written=f"{head}-{digits}",
        kind="unknown",
        is_valid=True,
        score=score,
    )
