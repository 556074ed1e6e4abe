"""Boxes around what a detector has marked: connected parts, and their tightest rectangles.

Written with numpy alone, so that no image library with its system packages is needed.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parking.plate_reading.types import Box

Points = NDArray[np.float64]  # n rows of (x, y)


def connected_parts(mask: NDArray[np.bool_]) -> Iterator[NDArray[np.intp]]:
    """Yield each connected part of a mask (corners connect, too) as rows of (y, start, end).

    A part is given as its runs: the pixels from start up to, not including, end in line y.
    """
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    lines, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    parent = _join_runs(lines.tolist(), starts.tolist(), ends.tolist())
    runs = np.stack([lines, starts, ends], axis=1)
    roots = np.array([_root(parent, run) for run in range(len(parent))], dtype=np.intp)
    order = np.argsort(roots, kind="stable")
    cuts = np.nonzero(np.diff(roots[order]))[0] + 1
    yield from (part for part in np.split(runs[order], cuts) if len(part))


def tightest_box(points: Points) -> Box:
    """Return the rectangle of the smallest area around points.

    One side of it lies on a side of their convex hull, so each of these is tried.
    """
    hull = _convex_hull(points)
    sides = np.roll(hull, -1, axis=0) - hull
    angles = np.unique(np.arctan2(sides[:, 1], sides[:, 0]) % (math.pi / 2))
    best: tuple[float, Box] | None = None
    for angle in angles.tolist():
        cos, sin = math.cos(angle), math.sin(angle)
        turned = hull @ np.array([[cos, -sin], [sin, cos]])
        low, high = turned.min(axis=0), turned.max(axis=0)
        (width, height), (u, v) = (high - low).tolist(), ((high + low) / 2).tolist()
        if best is None or width * height < best[0]:
            middle = {"x": u * cos - v * sin, "y": u * sin + v * cos}
            if angle > math.pi / 4:  # then the other side is nearer to a line of text
                width, height, angle = height, width, angle - math.pi / 2
            best = width * height, Box(**middle, width=width, height=height, angle=angle)
    assert best is not None
    return best[1]


def _join_runs(lines: list[int], starts: list[int], ends: list[int]) -> list[int]:
    """Return for each run a run of the same part, or itself: a forest of parents."""
    parent = list(range(len(lines)))
    above = 0  # the first run of the line above that may touch
    for run, line in enumerate(lines):
        while lines[above] < line - 1 or (lines[above] == line - 1 and ends[above] < starts[run]):
            above += 1
        other = above
        while other < run and lines[other] == line - 1 and starts[other] <= ends[run]:
            parent[_root(parent, other)] = _root(parent, run)
            other += 1
    return parent


def _root(parent: list[int], run: int) -> int:
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run


def _convex_hull(points: Points) -> Points:
    """Return the corners of the convex hull in turn (Andrew's monotone chain)."""
    ordered: list[Any] = np.unique(points, axis=0).tolist()
    if len(ordered) < 3:
        return np.array(ordered, dtype=np.float64)

    def chain(walk: list[Any]) -> list[Any]:
        kept: list[Any] = []
        for x, y in walk:
            while len(kept) > 1 and _turns_right(kept[-2], kept[-1], (x, y)):
                kept.pop()
            kept.append((x, y))
        return kept[:-1]

    return np.array(chain(ordered) + chain(ordered[::-1]), dtype=np.float64)


def _turns_right(a: Any, b: Any, c: Any) -> bool:
    return bool((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 0)
