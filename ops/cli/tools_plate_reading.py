"""The tool that reads plates: files of photos in, one JSON object for each, no hub needed."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from core.errors import HubError
from ops.cli.tools_vietqr import LINE_CHARS_MAX, read_lines, write_answer
from parking.plate_reading.errors import PhotoTooLarge
from parking.plate_reading.photos import PHOTO_BYTES_MAX
from parking.plate_reading.reader import PlateReader
from parking.plate_reading.types import Reading


def run_plate_read(files: Iterable[str] | BinaryIO, weights: Path, out: TextIO) -> int:
    """Answer each file with {"file", "candidates", "lines"}, or {"file", "error"}.

    The names of files are given, or are the lines of a stream. Candidates have the best first, and
    none is certain: a person confirms. Returns 0: a photo that cannot be read is an answer, not a
    failure.
    """
    reader = PlateReader.load(weights)
    names = read_lines(files) if hasattr(files, "readline") else files
    for file in names:
        if not write_answer(out, {"file": file, **_read(reader, file)}):
            break
    return 0


def _read(reader: PlateReader, file: str | None) -> dict[str, Any]:
    if file is None:
        return _error("line_too_long", f"The line is longer than {LINE_CHARS_MAX} characters.")
    try:
        with Path(file).open("rb") as opened:
            photo = opened.read(PHOTO_BYTES_MAX + 1)
        if len(photo) > PHOTO_BYTES_MAX:
            raise PhotoTooLarge(f"more than {PHOTO_BYTES_MAX:,} bytes")
        return _describe(reader.read(photo))
    except OSError as problem:
        return _error("file_unreadable", f"The file cannot be read: {problem.strerror}.")
    except ValueError:  # a name that no file can have
        return _error("file_unreadable", "The file cannot be read: this is no name of a file.")
    except HubError as error:
        return _error(error.code, str(error))


def _describe(reading: Reading) -> dict[str, Any]:
    return {
        "candidates": [
            {
                "text": one.compact,
                "written": one.written,
                "kind": one.kind,
                "is_valid": one.is_valid,
                "score": round(one.score, 3),
                "raw_text": one.raw_text,
            }
            for one in reading.candidates
        ],
        "lines": [{"text": one.text, "score": round(one.score, 3)} for one in reading.lines],
    }


def _error(code: str, detail: str) -> dict[str, Any]:
    return {"error": {"code": code, "detail": detail}}
