"""Connected parts of a mask, and the tightest rectangle around each."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from parking.plate_reading.geometry import connected_parts, tightest_box
from parking.plate_reading.types import Box

masks = st.integers(1, 9).flatmap(
    lambda width: st.lists(
        st.lists(st.booleans(), min_size=width, max_size=width), min_size=1, max_size=9
    )
)


def pixels_of(runs: NDArray[np.intp]) -> set[tuple[int, int]]:
    return {(y, x) for y, start, end in runs.tolist() for x in range(start, end)}


def flooded(mask: NDArray[np.bool_]) -> set[frozenset[tuple[int, int]]]:
    """The connected parts, as one finds them by walking from pixel to pixel."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    parts = set()
    while left:
        waiting, part = [left.pop()], set()
        while waiting:
            y, x = waiting.pop()
            part.add((y, x))
            around = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= around
            waiting += around
        parts.add(frozenset(part))
    return parts


@given(masks)
def test_parts_are_those_that_a_walk_from_pixel_to_pixel_finds(rows: list[list[bool]]) -> None:
    mask = np.array(rows, dtype=bool)

    found = [frozenset(pixels_of(runs)) for runs in connected_parts(mask)]

    assert len(found) == len(set(found))
    assert set(found) == flooded(mask)


def test_a_mask_without_marks_has_no_parts() -> None:
    assert list(connected_parts(np.zeros((4, 5), dtype=bool))) == []


@pytest.mark.parametrize("angle", [-0.7, -0.3, 0.0, 0.12, 0.6])
def test_a_turned_rectangle_is_found_as_it_was_made(angle: float) -> None:
    made = Box(x=200, y=120, width=150, height=40, angle=angle)
    corners = np.array(made.corners())
    edge = np.linspace(corners, np.roll(corners, 1, axis=0), 30).reshape(-1, 2)

    found = tightest_box(edge)

    assert (found.x, found.y) == pytest.approx((200, 120), abs=0.01)
    assert (found.width, found.height) == pytest.approx((150, 40), abs=0.01)
    assert found.angle == pytest.approx(angle, abs=0.001)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=30))
def test_a_box_holds_all_its_points_and_is_never_turned_further_than_half_way(
    points: list[tuple[int, int]],
) -> None:
    box = tightest_box(np.array(points, dtype=np.float64))

    assert abs(box.angle) <= math.pi / 4 + 1e-9
    cos, sin = math.cos(box.angle), math.sin(box.angle)
    for x, y in points:
        along = (x - box.x) * cos + (y - box.y) * sin
        down = (y - box.y) * cos - (x - box.x) * sin
        assert abs(along) <= box.width / 2 + 1e-6
        assert abs(down) <= box.height / 2 + 1e-6
