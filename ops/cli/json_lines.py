"""Lines in, one JSON object for each line out: how the tools for integrators answer.

Nothing but JSON objects goes to `out`, and no input ends in a traceback: what cannot be done is
{"error": {"code", "detail"}} in its line's place, so that output line n answers input line n.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, Final, TextIO

from core.errors import HubError

Lines = TextIO | BinaryIO | Iterable[str] | Iterable[bytes]
Answer = dict[str, Any]

# No input of ours comes near; a longer line is dropped while it is read.
LINE_CHARS_MAX: Final = 65_536


class Refused(Exception):
    """One line's input is not what the tool takes; the code and the words go to the output."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def answer_lines(lines: Lines, out: TextIO, answer: Callable[[str], Answer]) -> int:
    """Answer each line with one object; what is refused is an answer, too. Returns 0."""
    for line in _read_lines(lines):
        if line is None:
            detail = f"The line is longer than {LINE_CHARS_MAX} characters."
            answered = make_error("line_too_long", detail)
        else:
            try:
                answered = answer(line)
            except HubError as error:
                answered = make_error(error.code, str(error))
            except Refused as error:
                answered = make_error(error.code, str(error))
        if not write_line(out, answered):
            break
    return 0


def write_line(out: TextIO, answer: Answer) -> bool:
    """Print one object and hand it on at once; False when nobody reads any more."""
    try:
        # Plain ASCII: no terminal or pipe can choke on it, whatever its encoding.
        out.write(json.dumps(answer) + "\n")
        out.flush()
    except BrokenPipeError:
        if out is sys.stdout:  # else the interpreter tries again at its end, and complains
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def make_error(code: str, detail: str) -> Answer:
    return {"error": {"code": code, "detail": detail}}


def _read_lines(source: Lines) -> Iterator[str | None]:
    """Yield lines without their ends, None for one that is too long; nothing is read ahead.

    Bytes that are not UTF-8 become U+FFFD. A text stream on top of bytes (standard input) is
    read underneath, because its own decoding may stop the program.
    """
    stream: Any = getattr(source, "buffer", source)
    if hasattr(stream, "readline"):
        yield from _read_stream(stream)
        return
    for line in stream:
        yield _strip(line) if len(line) <= LINE_CHARS_MAX else None


def _read_stream(stream: Any) -> Iterator[str | None]:
    while line := stream.readline(LINE_CHARS_MAX + 1):
        if len(line) <= LINE_CHARS_MAX or line[-1:] in ("\n", b"\n"):
            yield _strip(line)
            continue
        while (rest := stream.readline(LINE_CHARS_MAX)) and rest[-1:] not in ("\n", b"\n"):
            pass
        yield None


def _strip(line: str | bytes) -> str:
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    return text.rstrip("\r\n")
