"""Tables in which a whole plate may stand. A test looks through all tables for plates.

docs/parking.md lists them with their retention; whatever is named here is reached by a person's
request (queries.py), and a test holds all three together.
"""

from typing import Final

# Table → the columns in which a plate may stand.
PLATE_TABLES: Final[dict[str, tuple[str, ...]]] = {
    "parking_sessions": ("plate",),
    "inside": ("credential",),
    "observations": ("plate", "read_text"),
    "movements": ("body", "request"),
    "pass_plates": ("plate",),
    "watched_plates": ("plate", "reason", "source"),
    "complaints": ("words", "answer"),
    "lane_commands": ("reason",),
}
