"""Words of a movement: the plate that it is found by again, and whether it may quote another.

A body is kept as it was signed, so a person's request must find a plate wherever one was typed.
Whatever is not surely an id, a number, a code or a plate counts as words.
"""

import re
from collections.abc import Mapping, Set
from typing import Any, Final

import msgspec

from api.v1.lots.entry_schemas import EntryCreate
from core.errors import InvalidRequest
from parking.plates import PlateKind, read_plate
from parking.sessions.rules import read_vehicle_plate
from parking.vehicles import VehicleClass

_ID: Final = re.compile(
    "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|[0-9a-f]{64}", re.IGNORECASE
)
_CODE: Final = re.compile("[a-z_]{1,40}")
_REFERENCE: Final = re.compile("PP[0-9A-Z]{11}")
# What `data` says without words, as long as it looks like this. A plate and what was read of it
# are compared with each other.
_IDS: Final = ("id", "session_id", "staff_id", "shift_id", "access_id", "pass_id", "photo")
_NO_WORDS: Final = {
    **dict.fromkeys(_IDS, _ID),
    **dict.fromkeys(("method", "rail", "forced"), _CODE),
    "reference": _REFERENCE,
}
_COMPARED: Final = frozenset({"plate", "read_text"})
# Numbers of tickets, tokens and tags that are no plate: digits, with one letter before them (but a
# T and seven are one), letters, or more in one piece than any plate has.
_NO_PLATE: Final = re.compile(
    r"(?!T[ .-]?[0-9]{7}$)[A-Z]?[ .-]?[0-9]+|[^\W\d_]+|[0-9A-Z]{13,}", re.IGNORECASE
)


def find_words(
    body: str,
    whole: Mapping[str, Any],
    known: Set[str],
    *,
    entry: EntryCreate | None,
    data: Mapping[str, Any] | None,
    plate: str | None,
) -> tuple[str | None, bool]:
    """Return the plate that a movement is found by, and whether its words must be looked through.

    Args:
        body: the movement as it was signed.
        whole: the same, read.
        known: the names that a movement has; another one's value may be anything.
        entry: its entry, where it has one.
        data: what else it says.
        plate: that of its entry, where that was read already.
    """
    if entry is not None:
        said, read, vehicle_class = entry.plate, entry.read_text, entry.vehicle_class
        has_words = entry.override_reason is not None or data is not None
        numbers = (entry.ticket, entry.token, entry.tag)
        has_words = has_words or any(map(_may_be_plate, numbers))
    else:
        data = data or {}
        said, read = data.get("plate"), data.get("read_text")
        vehicle_class = VehicleClass.OTHER
        has_words = any(_is_words(name, value) for name, value in data.items())
    if plate is None and isinstance(said, str):
        try:
            plate = read_vehicle_plate(said, vehicle_class)
        except InvalidRequest:
            has_words = True
    if said is not None and (plate is None or _says_more(said, plate)):
        has_words = True
    if read is not None and (plate is None or not _spells(read, plate)):
        has_words = True
    return plate, has_words or _is_odd(body, whole, known)


def _is_words(name: str, value: object) -> bool:
    """Tell whether a fact may quote a plate, or its name may."""
    if name in _COMPARED:
        return False
    if isinstance(value, str) and (shape := _NO_WORDS.get(name)) is not None:
        return shape.fullmatch(value) is None
    return isinstance(value, str | dict | list) or _CODE.fullmatch(name) is None


def _may_be_plate(number: str | None) -> bool:
    return number is not None and _NO_PLATE.fullmatch(number.strip()) is None


def _says_more(said: object, plate: str) -> bool:
    """Tell whether a plate was typed among other words: together they are no plate."""
    if said == plate:
        return False
    return read_plate(plate).kind is PlateKind.UNKNOWN


def _spells(read: object, plate: str) -> bool:
    return isinstance(read, str) and "".join(filter(str.isalnum, read)).upper() == plate


def _is_odd(body: str, said: Mapping[str, Any], known: Set[str]) -> bool:
    """Tell whether a body says what was not read: unknown names, or a name twice."""
    try:
        return not said.keys() <= known or msgspec.json.encode(said).decode() != body
    except (ValueError, OverflowError):
        return True  # half a character, a number that is too large
