"""Vehicles that come to a gate: a class, a plate that no other has, and what a camera read."""

import random
from collections.abc import Iterator
from typing import Final

from core.ids import new_id

MOTORBIKE_SHARE: Final = 0.85  # as the city's traffic is
LETTERS: Final = "ABCDEFGHKLMNPSTUVXYZ"
SERIES: Final = tuple(f"{a}{b}" for a in LETTERS for b in "ABCDEFHK")
PROVINCES: Final = (*range(14, 41), 43)


def write_entries(first: int, *, seed: int) -> Iterator[dict[str, object]]:
    """Yield the bodies of entries.

    Args:
        first: number of the first vehicle; each has the next. Plates repeat after 56 million.
    """
    chance = random.Random(seed)
    number = first
    while True:
        is_motorbike = chance.random() < MOTORBIKE_SHARE
        plate = write_plate(number, is_motorbike=is_motorbike)
        yield {
            "id": str(new_id()),
            "vehicle_class": "motorbike" if is_motorbike else "car",
            "plate": plate,
            "method": "anpr",
            "photo": f"{number:064x}",
            "read_text": plate,
            "read_score_bps": 9_700,
        }
        number += 1


def write_plate(number: int, *, is_motorbike: bool) -> str:
    """Return the plate of a number: two letters for motorbikes, one for cars."""
    series = SERIES if is_motorbike else LETTERS
    block = number // 100_000
    province = PROVINCES[block // len(series) % len(PROVINCES)]
    return f"{province}{series[block % len(series)]}{number % 100_000:05d}"
