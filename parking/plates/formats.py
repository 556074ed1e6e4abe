"""Formats of Vietnamese plates: what each looks like without separators, and how it is written.

A format says which pieces a plate has. Whether a plate of that shape can have been issued (its
province, its letters, its number) is a second question: an odd plate is still a car's.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from parking.plates import law


class PlateKind(StrEnum):
    """What a plate says about its vehicle. The background's colour says more, and is not read."""

    CAR = "car"  # white, blue (state) and yellow (commercial) have one grammar
    MOTORBIKE = "motorbike"
    ELECTRIC_MOTORBIKE = "electric_motorbike"  # MĐ: no longer issued, newer ones are motorbikes
    SPECIAL = "special"
    FOREIGN = "foreign"
    MILITARY = "military"
    TRAILER = "trailer"
    TEMPORARY = "temporary"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Format:
    """One way to build a plate.

    `shape` matches the compact text. Its groups: p, the province's code; s, what stands in the
    place of the series; n, the number; c, the country; t, what follows. `layout` puts them
    together with separators; a and b are the number without its last two digits, and these.
    """

    kind: PlateKind
    shape: re.Pattern[str]
    layout: str
    series: re.Pattern[str]  # which series there are
    is_two_wheeled: bool
    has_stroke: bool  # the second letter of the series is Đ, however it was typed or read


_TODAY: Final = law.SERIES_LETTERS
_ONE_LETTER: Final = f"[{_TODAY}]"
_TWO_LETTERS: Final = f"[{_TODAY}][{_TODAY}{law.MOTORBIKE_SECOND_LETTERS}]"
_LETTER_AND_DIGIT: Final = f"[{_TODAY}{law.OLD_MOTORBIKE_LETTERS}][1-9]"
_OLD_CAR: Final = f"[{_TODAY}{law.OLD_CAR_LETTERS}]"
_UNIT: Final = f"[{_TODAY}QR]{{2}}"  # QM and RM exist; no list of units is confirmed
_SPECIAL: Final = "|".join(law.SPECIAL_SYMBOLS)
_TRAILER: Final = "|".join(law.TRAILER_SYMBOLS)
_FOREIGN: Final = "|".join(law.FOREIGN_SYMBOLS)
_MILITARY_TRAILER: Final = "|".join(law.MILITARY_TRAILER_SYMBOLS)
_P: Final = r"(?P<p>\d\d)"
_N3: Final = r"(?P<n>\d{3})"
_N4: Final = r"(?P<n>\d{4})"
_N5: Final = r"(?P<n>\d{5})"


def _format(
    kind: PlateKind,
    shape: str,
    layout: str,
    *,
    series: str = ".*",
    two_wheeled: bool = False,
    stroke: bool = False,
) -> Format:
    return Format(
        kind=kind,
        shape=re.compile(shape, re.ASCII),
        layout=layout,
        series=re.compile(series),
        is_two_wheeled=two_wheeled,
        has_stroke=stroke,
    )


def _bike(kind: PlateKind, shape: str, layout: str, series: str, *, stroke: bool = False) -> Format:
    return _format(kind, shape, layout, series=series, two_wheeled=True, stroke=stroke)


_K: Final = PlateKind
# Of formats that fit the same text, the first is what is answered where nothing else decides.
FORMATS: Final = (
    _format(_K.TEMPORARY, rf"T{_P}{_N5}", "T{p}-{n}"),
    _format(_K.MILITARY, rf"(?P<s>[A-Z]{{2}}){_N4}", "{s} {a}-{b}", series=_UNIT),
    _bike(_K.MILITARY, rf"(?P<s>[A-Z]{{2}}){_N3}", "{s} {n}", _UNIT),
    _format(
        _K.MILITARY,
        rf"(?P<s>[A-Z]{{2}}){_N4}(?P<t>{_MILITARY_TRAILER})",
        "{s} {a}-{b} {t}",
        series=_UNIT,
    ),
    _format(
        _K.FOREIGN,
        rf"{_P}(?P<c>\d{{3}})(?P<s>{_FOREIGN})(?P<n>\d\d)",
        "{p}-{c}-{s}-{n}",
    ),
    _bike(_K.FOREIGN, rf"{_P}(?P<c>\d{{3}})(?P<s>{_FOREIGN}){_N3}", "{p}-{c}-{s}-{n}", ".*"),
    _format(
        _K.FOREIGN,
        rf"{_P}(?P<s>{_FOREIGN})(?P<c>\d{{3}})(?P<n>\d\d)",
        "{p}-{s}-{c}-{n}",
    ),
    _bike(_K.FOREIGN, rf"{_P}(?P<s>{_FOREIGN})(?P<c>\d{{3}}){_N3}", "{p}-{s}-{c}-{n}", ".*"),
    # D only with six digits: 29MD12345 is the two-letter series MD.
    _bike(
        _K.ELECTRIC_MOTORBIKE,
        rf"{_P}(?P<s>M[ĐD0O]\d){_N5}",
        "{p}-{s} {a}.{b}",
        "MĐ[1-9]",
        stroke=True,
    ),
    _bike(_K.ELECTRIC_MOTORBIKE, rf"{_P}(?P<s>M[Đ0O]){_N5}", "{p}-{s} {a}.{b}", ".*", stroke=True),
    _format(_K.SPECIAL, rf"{_P}(?P<s>{_SPECIAL}){_N5}", "{p}{s}-{a}.{b}"),
    _format(_K.SPECIAL, rf"{_P}(?P<s>{_SPECIAL}){_N4}", "{p}{s}-{n}"),
    _format(_K.SPECIAL, rf"{_P}(?P<s>MK\d){_N5}", "{p}{s}-{a}.{b}"),
    _format(_K.SPECIAL, rf"{_P}(?P<s>T[0O]){_N5}", "{p}{s}-{a}.{b}", stroke=True),
    _format(_K.TRAILER, rf"{_P}(?P<s>{_TRAILER}){_N5}", "{p}{s}-{a}.{b}"),
    _format(_K.TRAILER, rf"{_P}(?P<s>{_TRAILER}){_N4}", "{p}{s}-{n}"),
    _format(_K.CAR, rf"{_P}(?P<s>[A-Z]){_N5}", "{p}{s}-{a}.{b}", series=_ONE_LETTER),
    _format(_K.CAR, rf"{_P}(?P<s>[A-Z]){_N4}", "{p}{s}-{n}", series=_OLD_CAR),
    _bike(_K.MOTORBIKE, rf"{_P}(?P<s>[A-Z]\d){_N5}", "{p}-{s} {a}.{b}", _LETTER_AND_DIGIT),
    _bike(_K.MOTORBIKE, rf"{_P}(?P<s>[A-Z]\d){_N4}", "{p}-{s} {n}", _LETTER_AND_DIGIT),
    _bike(_K.MOTORBIKE, rf"{_P}(?P<s>[A-Z]{{2}}){_N5}", "{p}{s} {a}.{b}", _TWO_LETTERS),
    _bike(_K.MOTORBIKE, rf"{_P}(?P<s>[A-Z]{{2}}){_N4}", "{p}{s} {n}", _TWO_LETTERS),
    # TD is a series of motorbikes; Đ without its stroke is the second guess.
    _format(_K.SPECIAL, rf"{_P}(?P<s>TD){_N5}", "{p}{s}-{a}.{b}", stroke=True),
    _format(_K.SPECIAL, rf"{_P}(?P<s>TD){_N4}", "{p}{s}-{n}", stroke=True),
)
