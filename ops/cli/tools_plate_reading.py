"""The tool that reads plates from photos: names of files in, one JSON object for each out.

Candidates have the best first, and none is certain: a person confirms. It needs no hub.
"""

from pathlib import Path
from typing import TextIO

from core.errors import HubError
from ops.cli.json_lines import Answer, Lines, answer_lines, make_error
from parking.plate_reading.errors import PhotoTooLarge
from parking.plate_reading.photos import PHOTO_BYTES_MAX
from parking.plate_reading.reader import PlateReader
from parking.plate_reading.types import Reading


def run_plate_read(files: Lines, weights: Path, out: TextIO) -> int:
    """Answer each file with {"file", "candidates", "lines"}, or {"file", "error"}.

    Returns 0: a photo that cannot be read is an answer, not a failure.
    """
    reader = PlateReader.load(weights)
    return answer_lines(files, out, lambda file: {"file": file, **_read(reader, file)})


def _read(reader: PlateReader, file: str) -> Answer:
    try:
        with Path(file).open("rb") as opened:
            photo = opened.read(PHOTO_BYTES_MAX + 1)
        if len(photo) > PHOTO_BYTES_MAX:
            raise PhotoTooLarge(f"more than {PHOTO_BYTES_MAX:,} bytes")
        return _describe(reader.read(photo))
    except OSError as problem:
        return make_error("file_unreadable", f"The file cannot be read: {problem.strerror}.")
    except ValueError:  # a name that no file can have
        return make_error("file_unreadable", "The file cannot be read: this is no name of a file.")
    except HubError as error:
        return make_error(error.code, str(error))


def _describe(reading: Reading) -> Answer:
    return {
        "candidates": [
            {
                "text": one.raw_text,
                "compact": one.compact,
                "written": one.written,
                "kind": one.kind,
                "is_valid": one.is_valid,
                "score": round(one.score, 3),
            }
            for one in reading.candidates
        ],
        "lines": [{"text": one.text, "score": round(one.score, 3)} for one in reading.lines],
    }
