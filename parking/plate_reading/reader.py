"""The reader of plates: a photo in, candidates out. A person confirms what it reads.

It is meant for a process of its own, off the payment path: a photo takes some tenths of a second
of a processor. numpy and onnxruntime are loaded here and by nobody else, and only when a reader is
made, so that a hub runs without them.
"""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from parking.plate_reading.candidates import find_candidates
from parking.plate_reading.errors import PlateReadingTimedOut
from parking.plate_reading.photos import open_photo
from parking.plate_reading.types import Box, Reading, TextLine
from parking.plate_reading.weights import DETECTION, RECOGNITION, read_weights

if TYPE_CHECKING:
    from parking.plate_reading.detection import Detector
    from parking.plate_reading.recognition import Recognizer

SIDE_PIXELS_MAX: Final = 960
TIMEOUT_S: Final = 10.0  # a photo takes tenths of a second, also on a machine that is busy
# A crop that is read this well needs no detection.
CROP_SCORE_MIN: Final = 0.8


@dataclass(frozen=True)
class _Deadline:
    at_s: float
    timeout_s: float

    def check(self) -> None:
        if time.monotonic() > self.at_s:
            raise PlateReadingTimedOut(self.timeout_s)


class PlateReader:
    """Reads plates; made once in a process, since loading the networks takes a while."""

    def __init__(self, detector: "Detector", recognizer: "Recognizer") -> None:
        self._detector = detector
        self._recognizer = recognizer

    @classmethod
    def load(cls, weights: Path, *, threads: int = 1) -> "PlateReader":
        """Load the networks from the folder of their files.

        Raises:
            ModuleNotFoundError: onnxruntime or numpy is not installed.
            OSError: a file is not there.
            ValueError: a file is another one.
        """
        from parking.plate_reading.detection import Detector
        from parking.plate_reading.recognition import Recognizer

        return cls(
            Detector(_open_session(read_weights(weights, DETECTION), threads)),
            Recognizer(_open_session(read_weights(weights, RECOGNITION), threads)),
        )

    def read(self, photo: bytes, *, timeout_s: float = TIMEOUT_S) -> Reading:
        """Return the plates that a photo may show: a crop by the phone, or a whole street.

        A crop is tried first: it takes a tenth of the time.

        Raises:
            PhotoTooLarge, PhotoUnreadable: nothing can be read in it.
            PlateReadingTimedOut: looked at between the steps, so a little later than asked.
        """
        deadline = _Deadline(time.monotonic() + timeout_s, timeout_s)
        picture = open_photo(photo, side_max=SIDE_PIXELS_MAX)
        cropped = self._read_crop(picture, deadline)
        best = cropped.candidates[:1]
        if best and best[0].is_valid and best[0].score >= CROP_SCORE_MIN:
            return cropped
        whole = self._read_whole(picture, deadline)
        return whole if whole.candidates else cropped

    def _read_crop(self, crop: Image.Image, deadline: _Deadline) -> Reading:
        from parking.plate_reading.recognition import split_rows

        lines, top = [], 0
        for row in split_rows(crop):
            deadline.check()
            read = self._recognizer.read_line(row)
            box = Box(
                x=row.width / 2,
                y=top + row.height / 2,
                width=row.width,
                height=row.height,
                angle=0,
            )
            lines.append(TextLine(text=read.text, score=read.score, box=box))
            top = crop.height - row.height
        return _reading_of(lines)

    def _read_whole(self, photo: Image.Image, deadline: _Deadline) -> Reading:
        from parking.plate_reading.detection import cut_line

        lines = []
        deadline.check()
        for found in self._detector.find_lines(photo):
            deadline.check()
            read = self._recognizer.read_line(cut_line(photo, found.box))
            lines.append(TextLine(text=read.text, score=read.score, box=found.box))
        return _reading_of(lines)


def _reading_of(lines: list[TextLine]) -> Reading:
    read = tuple(line for line in lines if line.text and math.isfinite(line.score))
    return Reading(candidates=find_candidates(read), lines=read)


def _open_session(network: bytes, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # every line has another width: 100 MB less
    options.log_severity_level = 3  # its warnings are about the network, which is what it is
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
