"""The reader of plates with its networks, which are brought once and loaded once in a process."""

import os
from functools import cache
from pathlib import Path

import pytest

from ops.errors import CannotStart
from ops.plate_reading import ensure_plate_reading
from parking.plate_reading.reader import PlateReader


def plate_weights() -> Path:
    """Bring the networks; without a network the test is skipped, but not in CI."""
    try:
        return ensure_plate_reading()
    except CannotStart as problem:
        reason = f"{problem}, so no plate can be read"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@cache
def plate_reader() -> PlateReader:
    """Load the reader."""
    return PlateReader.load(plate_weights())
