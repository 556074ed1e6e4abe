"""Masked plates, for logs, events and ordinary exports: enough to recognise, never the whole."""

from typing import Final

from parking.plates.errors import PlateError
from parking.plates.text import compact_text, tidy_text

HIDDEN: Final = "***"  # always three signs, so that they do not say how many characters they hide
_TAIL_CHARS: Final = 2
_HIDDEN_CHARS_MIN: Final = 3
_HEAD_CHARS_MAX: Final = 3


def mask_plate(text: str) -> str:
    """Return a plate without its middle: "30F***45".

    Takes a compact, a written or a typed plate and never raises: it is called where an error is
    written down. At least three characters are hidden; of a text that does not begin with a
    province's code no beginning is shown, since it may be a name.
    """
    try:
        compact = compact_text(tidy_text(text)).chars
    except PlateError:
        return HIDDEN
    room = len(compact) - _HIDDEN_CHARS_MIN
    if room < _TAIL_CHARS:
        return HIDDEN
    has_code = compact[0].isdigit() and compact[1].isdigit()
    head_chars = min(_HEAD_CHARS_MAX, room - _TAIL_CHARS) if has_code else 0
    return f"{compact[:head_chars]}{HIDDEN}{compact[-_TAIL_CHARS:]}"
