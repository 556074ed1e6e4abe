"""The text of one line, by PP-OCRv4's recognition network, and the rows of a plate.

The network gives for each step along the line how likely each character is; the likeliest of each
step are taken, equal neighbours are one, and blanks are left out (greedy CTC).
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image

LINE_HEIGHT: Final = 48
LINE_WIDTH_MIN: Final = 320  # shorter lines are filled up: it learned on these
LINE_WIDTH_MAX: Final = 1_600
# No plate has sides between 2.0 (two rows) and 4.7 (one row); crops are looser.
ONE_ROW_RATIO_MIN: Final = 2.4
# The cut is looked for around the middle; each row keeps a little of the other side.
CUT_FROM, CUT_TO, CUT_MARGIN = 0.35, 0.62, 0.02


@dataclass(frozen=True, kw_only=True)
class ReadLine:
    """The text of a line as the network reads it, and the mean of its characters' scores."""

    text: str
    score: float  # 0 to 1


class Recognizer:
    """Reads lines of text; holds the network and its alphabet, which lies in the network's file."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        alphabet = session.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._characters = ["", *alphabet, " "]  # the first is the blank

    def read_line(self, line: Image.Image) -> ReadLine:
        """Return the text of a picture of one line; no text has the score 0."""
        width = min(LINE_WIDTH_MAX, math.ceil(LINE_HEIGHT * line.width / line.height))
        # As OpenCV resizes, which it learned on: two neighbours, however much smaller it gets.
        resized = line.transform(
            (width, LINE_HEIGHT),
            Image.Transform.EXTENT,
            (0, 0, line.width, line.height),
            Image.Resampling.BILINEAR,
        )
        given = np.zeros((1, 3, LINE_HEIGHT, max(LINE_WIDTH_MIN, width)), dtype=np.float32)
        pixels = np.asarray(resized, dtype=np.float32)[:, :, ::-1]  # it learned BGR
        given[0, :, :, :width] = ((pixels / 255 - 0.5) / 0.5).transpose(2, 0, 1)
        steps = self._session.run(None, {self._input: given})[0][0]
        best, scores = steps.argmax(axis=1), steps.max(axis=1)
        is_new = np.append(True, best[1:] != best[:-1]) & (best != 0)
        if not is_new.any():
            return ReadLine(text="", score=0.0)
        text = "".join(self._characters[number] for number in best[is_new].tolist())
        return ReadLine(text=text, score=float(scores[is_new].mean()))


def split_rows(crop: Image.Image) -> list[Image.Image]:
    """Return the rows of a plate from the crop of one: two where it is as high as two rows."""
    if crop.width > ONE_ROW_RATIO_MIN * crop.height:
        return [crop]
    cut = find_calmest_row(crop)
    margin = round(crop.height * CUT_MARGIN)
    upper = crop.crop((0, 0, crop.width, min(crop.height, cut + margin)))
    return [upper, crop.crop((0, max(0, cut - margin), crop.width, crop.height))]


def find_calmest_row(crop: Image.Image) -> int:
    """Return the line of pixels near the middle across which the brightness changes least."""
    grey = np.asarray(crop.convert("L"), dtype=np.float32)
    inner = grey[:, crop.width // 10 : crop.width - crop.width // 10]
    restless = np.abs(np.diff(inner, axis=1)).sum(axis=1)
    smooth = np.convolve(restless, np.ones(3) / 3, mode="same")
    first, last = int(crop.height * CUT_FROM), max(1, int(crop.height * CUT_TO))
    return first + int(smooth[first:last].argmin())
