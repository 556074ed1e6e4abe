"""Tables in which a whole plate may stand, and how a plate is found in words.

A test looks through all tables for plates after a day at a lot; docs/parking.md lists these with
their retention; queries.py finds and erases what stands in each. Tests hold all of it together.
"""

import re
from itertools import product
from typing import Final

# Table → the columns in which a plate may stand.
PLATE_TABLES: Final[dict[str, tuple[str, ...]]] = {
    "parking_sessions": ("plate",),
    "inside": ("credential",),
    "observations": ("plate", "read_text", "candidates"),
    "movements": ("plate", "body", "request"),
    "pass_plates": ("plate",),
    "watched_plates": ("plate",),
    "complaints": ("words", "answer"),
    "lane_commands": ("reason",),
}
_GAPS: Final = re.compile(r"[^0-9A-Za-zĐđ]+")
_GAPS_MAX: Final = 4


def spell_plate(compact: str) -> str:
    """Return a pattern of a plate within words, for Python and PostgreSQL, in whatever case."""
    return r"(?<![0-9A-Za-zĐđ])" + r"[\s.·-]{0,3}".join(compact) + r"(?![0-9A-Za-zĐđ])"


def list_readings(compact: str, written: str) -> list[str]:
    """List what a reader may have seen for a plate: its parts with or without what parts them."""
    parts = _GAPS.split(written)
    if len(parts) > _GAPS_MAX:
        return [compact, written]
    gaps = product(("", " ", "-", "."), repeat=len(parts) - 1)
    joined = ("".join(map("".join, zip(parts, (*between, ""), strict=True))) for between in gaps)
    return sorted({compact, written, *joined})
