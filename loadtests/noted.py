"""The load generator's own log: what the hub acknowledged to it, and what went wrong.

One line each, given to the kernel before the next request is sent, so that a generator that is
killed has lost nothing that it was told.
"""

import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec


class What(StrEnum):
    """What was acknowledged, or why nothing was."""

    ENTERED = "entered"  # a vehicle is in: `id` is its session
    LEFT = "left"  # it is out
    PAID = "paid"  # the bank took a transfer: `id` is the bill's
    CASH = "cash"  # `id` is the collection's
    MOVED = "moved"  # an exit of a device that was offline is stored: `id` is the movement's
    FAILED = "failed"  # no answer, or one that is worth another try
    REFUSED = "refused"  # an answer that nobody should have got


WENT_WRONG: Final = (What.FAILED, What.REFUSED)


class Noted(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of the log."""

    what: What
    at_s: float  # of the machine's monotonic clock
    org_id: str = ""
    lot_id: str = ""
    id: str = ""
    vehicle_class: str = ""
    plate: str = ""
    amount_vnd: int = 0
    request: str = ""  # of FAILED and REFUSED: which
    status: int = 0  # 0: the connection broke
    detail: str = ""


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Noted).decode


class Notebook:
    """Writes the log."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, what: What, **facts: object) -> None:
        """Write one line."""
        line = Noted(what=what, at_s=time.monotonic(), **facts)  # type: ignore[arg-type]
        os.write(self._file, _encode(line) + b"\n")


def read_notes(path: Path) -> list[Noted]:
    """Read the log; a last line that was cut off says nothing."""
    if not path.exists():
        return []
    *whole, _ = path.read_bytes().split(b"\n")
    return [_decode(line) for line in whole]
