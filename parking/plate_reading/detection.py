"""Lines of text in a whole photo, by PP-OCRv4's detection (differentiable binarization).

The network marks each pixel by how likely it is the inner part of a line of text. What is marked
is cut into connected parts, and a rectangle around each is grown to the whole line.
Source: Liao et al., Real-time Scene Text Detection with Differentiable Binarization, 2020; the
thresholds are those that PP-OCR comes with.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from parking.plate_reading.geometry import connected_parts, tightest_box
from parking.plate_reading.types import Box

SIDE_PIXELS_MAX: Final = 960
SIDE_STEP: Final = 32  # the network halves a side five times
PIXEL_MIN: Final = 0.3
PART_MIN: Final = 0.5
PART_SIDE_MIN: Final = 3
GROWN_BY: Final = 1.6
RUNS_MAX: Final = 20_000  # more are noise, and would take long to sort into parts
LINES_MAX: Final = 60


@dataclass(frozen=True, kw_only=True)
class FoundLine:
    """A line of text in a photo, and how sure the network is that it is one (0 to 1)."""

    box: Box
    score: float


class Detector:
    """Finds lines of text in photos; holds the network."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name

    def find_lines(self, photo: Image.Image) -> list[FoundLine]:
        """Return at most LINES_MAX lines of text in a photo of at most SIDE_PIXELS_MAX."""
        width, height = (_round_side(side) for side in photo.size)
        resized = photo.resize((width, height), Image.Resampling.BILINEAR)
        pixels = np.asarray(resized, dtype=np.float32)[:, :, ::-1]  # it learned BGR
        given = ((pixels / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]
        marks = self._session.run(None, {self._input: given})[0][0, 0]
        across, down = photo.width / width, photo.height / height
        found = [
            FoundLine(box=line.box.scaled(across, down), score=line.score)
            for line in lines_in_marks(marks)
        ]
        return sorted(found, key=lambda line: line.score, reverse=True)[:LINES_MAX]


def lines_in_marks(marks: NDArray[np.float32]) -> list[FoundLine]:
    """Return the lines of text in the network's answer: a number from 0 to 1 for each pixel."""
    mask = _grow(marks > PIXEL_MIN)
    if np.count_nonzero(mask[:, 1:] & ~mask[:, :-1]) > RUNS_MAX:
        return []
    lines = []
    for runs in connected_parts(mask):
        y, start, end = runs.T
        if len(y) < PART_SIDE_MIN:
            continue
        box = tightest_box(np.concatenate([np.stack([start, y], 1), np.stack([end - 1, y], 1)]))
        if min(box.width, box.height) < PART_SIDE_MIN:
            continue
        pixels = np.concatenate([marks[line, left:right] for line, left, right in runs.tolist()])
        score = float(pixels.mean())
        if score >= PART_MIN:
            by = box.width * box.height * GROWN_BY / (2 * (box.width + box.height))
            lines.append(FoundLine(box=box.grown(by), score=score))
    return lines


def cut_line(photo: Image.Image, box: Box) -> Image.Image:
    """Return a line of text as a picture of its own, turned level."""
    size = (max(1, round(box.width)), max(1, round(box.height)))
    corners = [number for corner in box.corners() for number in corner]
    return photo.transform(size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)


def _round_side(side: int) -> int:
    return max(SIDE_STEP, round(min(side, SIDE_PIXELS_MAX) / SIDE_STEP) * SIDE_STEP)


def _grow(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add to each marked pixel its neighbours to the right and below, which joins what is torn."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:, 1:] |= grown[:, :-1].copy()
    return grown
