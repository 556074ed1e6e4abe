"""Look-alikes: the plates inside that a misread or mistyped plate may have been.

Six readers were run on real plates, and their mistakes counted (docs/plates.md): 0 for D and Đ by
far the most, then 8 for B, 4 for L and their like. Vendors' tables add what is mistaken at a
glance. Two plates look alike where at most two characters differ, and at most one of them by
something else than such a confusion; a match is a proposal, and a person looks at the photo.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from operator import ne
from typing import Final

from parking.plates import law

# Of two groups a character may be in both: 4 looks like L and like 6, but L is never read as 6.
_STROKES: Final = ("0DĐOQ",)
_CONFUSED: Final = (
    *("4L", "8B", "32", "71", "G6", "46", "89", "MN", "MH", "MW", "5S", "2Z", "A4", "T7", "T1"),
    *("VY", "KX", "U0", "1I", "38B", "EF", "FP", "HKMR", "TY", "VTY"),
)
_COST_STROKE: Final = 1
_COST_CONFUSED: Final = 2
_COST_REPEATED: Final = 3  # glare doubles or swallows one of two equal characters
_COST_EDIT: Final = 5
_COST_OTHER_ORDER: Final = 1  # 80-011-NG-01 and 80-NG-011-01
_DIFFERENCES_MAX: Final = 2
_EDITS_MAX: Final = 1
# Below this a text says too little: any character of "AB" may be another.
_EDITED_CHARS_MIN: Final = 4

_CANDIDATES_MAX: Final = 20
_FOREIGN: Final = "|".join(law.FOREIGN_SYMBOLS)
_COUNTRY_FIRST: Final = re.compile(rf"(\d\d)(\d{{3}})({_FOREIGN})(\d{{2,3}})", re.ASCII)
_SYMBOL_FIRST: Final = re.compile(rf"(\d\d)({_FOREIGN})(\d{{3}})(\d{{2,3}})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class LookAlike:
    """A plate inside that may be the one looked for."""

    compact: str
    cost: int  # 0: the same; the smaller, the likelier. Only the order means something


def _costs() -> dict[tuple[str, str], int]:
    """Return what it costs to take one character for another, both ways."""
    found: dict[tuple[str, str], int] = {}
    for groups, cost in ((_CONFUSED, _COST_CONFUSED), (_STROKES, _COST_STROKE)):
        for group in groups:
            for one, other in combinations(group, 2):
                found[one, other] = found[other, one] = cost
    return found


def _folds() -> dict[int, str]:
    """Return one character for each set that confusions join, however far apart its ends are."""
    leader = {char: char for group in (*_STROKES, *_CONFUSED) for char in group}
    for group in (*_STROKES, *_CONFUSED):
        joined = {leader[char] for char in group}
        leader = {char: min(joined) if first in joined else first for char, first in leader.items()}
    return {ord(char): first for char, first in leader.items()}


_COSTS: Final = _costs()
_FOLDS: Final = _folds()


def look_alike_key(compact: str) -> str:
    """Return a plate with all its look-alikes folded into one: equal keys, likely one plate.

    It may be stored and indexed. Plates that differ by an edit have other keys: for these there
    is find_look_alikes.
    """
    return compact.translate(_FOLDS)


def find_look_alikes(
    compact: str, inside: Iterable[str], *, limit: int = _CANDIDATES_MAX
) -> list[LookAlike]:
    """Return the plates inside that look like one, the likeliest first, itself with cost 0.

    Args:
        compact: what was read or typed, as `Plate.compact`.
        inside: the compact plates in a lot; 10,000 take some hundredths of a second.
        limit: how many to return at most.
    """
    known = list(dict.fromkeys(inside))
    found: dict[str, int] = {}
    for wanted, extra in _orders(compact):
        for other in _rough_matches(wanted, known):
            cost = _compare(wanted, other, _DIFFERENCES_MAX, _edits_max(wanted, other))
            if cost is not None:
                found[other] = min(cost + extra, found.get(other, cost + extra))
    ranked = sorted(found.items(), key=lambda item: (item[1], item[0]))
    return [LookAlike(compact=other, cost=cost) for other, cost in ranked[:limit]]


def last_digits(compact: str, count: int = 3) -> str:
    """Return the last digits of a plate: what an attendant reads from afar, "345" of 30F12345."""
    return "".join(char for char in compact if char.isdecimal())[-count:]


def find_by_last_digits(digits: str, inside: Iterable[str]) -> list[str]:
    """Return the plates inside whose digits end in these, in the order they were given."""
    if not digits.isdecimal():
        return []
    return [compact for compact in inside if last_digits(compact, len(digits)) == digits]


def _orders(compact: str) -> Iterator[tuple[str, int]]:
    """Yield a plate, and a foreign one also as it reads in two lines; with what that costs."""
    yield compact, 0
    for order in (_COUNTRY_FIRST, _SYMBOL_FIRST):
        if found := order.fullmatch(compact):
            code, first, second, number = found.groups()
            yield f"{code}{second}{first}{number}", _COST_OTHER_ORDER


def _edits_max(one: str, other: str) -> int:
    return _EDITS_MAX if min(len(one), len(other)) >= _EDITED_CHARS_MIN else 0


def _rough_matches(wanted: str, known: list[str]) -> Iterator[str]:
    """Yield what is at most an edit away once look-alikes are folded; quick, and never too few.

    An edit, even of two neighbours, leaves one end of the plate as it was.
    """
    key = look_alike_key(wanted)
    length = len(key)
    kept = max((length - 2) // 2, 0)
    head, tail = key[:kept], key[length - kept :]
    for other in known:
        if abs(len(other) - length) > 1:
            continue
        folded = other.translate(_FOLDS)
        if not (folded.startswith(head) or folded.endswith(tail)):
            continue
        if len(folded) != length or sum(map(ne, folded, key)) <= _DIFFERENCES_MAX:
            yield other


def _compare(one: str, other: str, differences: int, edits: int) -> int | None:
    """Return the least cost to read one text as the other; None: too different.

    Args:
        one: what is left of the first text.
        other: what is left of the second.
        differences: how many more there may be.
        edits: how many of them may be no confusion of look-alikes.
    """
    at = 0
    while at < len(one) and at < len(other) and one[at] == other[at]:
        at += 1
    before, one, other = one[:at], one[at:], other[at:]
    if not one and not other:
        return 0
    if differences == 0:
        return None
    found = []
    for cost, is_edit, used, used_other in _steps(before[-1:], one, other):
        if not is_edit or edits:
            rest = _compare(one[used:], other[used_other:], differences - 1, edits - is_edit)
            if rest is not None:
                found.append(cost + rest)
    return min(found, default=None)


def _steps(previous: str, one: str, other: str) -> Iterator[tuple[int, bool, int, int]]:
    """Yield the ways over the first difference: cost, whether an edit, characters used of each."""
    if one and other:
        if cost := _COSTS.get((one[0], other[0])):
            yield cost, False, 1, 1
        yield _COST_EDIT, True, 1, 1
        if one[:2] == other[1::-1] and len(one) > 1:
            yield _COST_EDIT, True, 2, 2
    for longer, used in ((one, (1, 0)), (other, (0, 1))):
        if longer:
            is_repeated = longer[0] in (previous, longer[1:2])
            yield _COST_REPEATED if is_repeated else _COST_EDIT, True, *used
