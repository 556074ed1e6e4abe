"""The law of number plates, read from law.toml when this module is loaded."""

import tomllib
from pathlib import Path
from typing import Any, Final

_LAW: Final[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("law.toml").read_text(encoding="utf-8")
)

# Code → today's province, TT 51/2025 annex 02. A code that is not here was given to nobody.
PROVINCES: Final[dict[str, str]] = {
    code: province for province, codes in _LAW["provinces"].items() for code in codes
}
UNASSIGNED_CODES: Final = frozenset(_LAW["unassigned"]["codes"])

SERIES_LETTERS: Final[str] = _LAW["letters"]["series"]
OLD_CAR_LETTERS: Final[str] = _LAW["letters"]["old_car"]
OLD_MOTORBIKE_LETTERS: Final[str] = _LAW["letters"]["old_motorbike"]
MOTORBIKE_SECOND_LETTERS: Final[str] = _LAW["letters"]["motorbike_second"]

SPECIAL_SYMBOLS: Final[tuple[str, ...]] = tuple(_LAW["symbols"]["special"])
TRAILER_SYMBOLS: Final[tuple[str, ...]] = tuple(_LAW["symbols"]["trailer"])
FOREIGN_SYMBOLS: Final[tuple[str, ...]] = tuple(_LAW["symbols"]["foreign"])
MILITARY_TRAILER_SYMBOLS: Final[tuple[str, ...]] = tuple(_LAW["symbols"]["military_trailer"])
