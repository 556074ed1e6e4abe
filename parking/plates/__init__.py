"""Number plates: reading, the vehicle's key, look-alikes and masks. See docs/plates.md."""

from parking.plates.errors import PlateEmpty, PlateError, PlateNotText, PlateTooLong
from parking.plates.formats import PlateKind
from parking.plates.look_alikes import (
    LookAlike,
    find_by_last_digits,
    find_look_alikes,
    last_digits,
    look_alike_key,
)
from parking.plates.masking import mask_plate
from parking.plates.reading import Plate, format_plate, read_plate
from parking.plates.text import PLATE_CHARS_MAX

__all__ = [
    "PLATE_CHARS_MAX",
    "LookAlike",
    "Plate",
    "PlateEmpty",
    "PlateError",
    "PlateKind",
    "PlateNotText",
    "PlateTooLong",
    "find_by_last_digits",
    "find_look_alikes",
    "format_plate",
    "last_digits",
    "look_alike_key",
    "mask_plate",
    "read_plate",
]
