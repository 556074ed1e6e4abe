"""Text of files: which encoding it is in, and its characters as they stream by.

A mark at the start decides. Without one a file that is UTF-8 from end to end is UTF-8, one with
a NUL at every second byte is UTF-16, and the rest is windows-1258, as Vietnamese Windows saves
CSV. There the marks of tone are letters of their own; they are joined to the letters before them,
as every other encoding has them.
"""

import codecs
import io
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, Final

from payments.statements.reading.errors import Refusal, StatementError

CHUNK_BYTES: Final = 256 * 1024
SAMPLE_BYTES: Final = 64 * 1024
LINE_CHARS_MAX: Final = 256 * 1024  # a longer line comes in pieces
VIETNAMESE: Final = "cp1258"
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def detect_encoding(file: BinaryIO) -> str:
    """Return the encoding of a text, as Python names it; it reads the file once.

    Raises:
        StatementError: BAD_ENCODING, the bytes are no text at all.
    """
    file.seek(0)
    sample = file.read(SAMPLE_BYTES)
    for mark, encoding in MARKS:
        if sample.startswith(mark):
            return encoding
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) * 4 > len(sample):
        return "utf-16-le" if odd > even else "utf-16-be"
    with suppress(UnicodeDecodeError):
        decoder = codecs.getincrementaldecoder("utf-8")()
        file.seek(0)
        while chunk := file.read(CHUNK_BYTES):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
        return "utf-8"
    if 0 in sample:
        raise StatementError(Refusal.BAD_ENCODING, encoding=VIETNAMESE)
    return VIETNAMESE


def read_text_lines(file: BinaryIO, encoding: str) -> Iterator[str]:
    """Yield lines with their ends as they stand.

    Raises:
        StatementError: BAD_ENCODING, at the first bytes that are no text in it.
    """
    file.seek(0)
    # A wrapper that is closed, also by being forgotten, would close the file with it.
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        while line := text.readline(LINE_CHARS_MAX):
            yield line if encoding != VIETNAMESE else unicodedata.normalize("NFC", line)
    except UnicodeError:
        raise StatementError(Refusal.BAD_ENCODING, encoding=encoding) from None
    finally:
        with suppress(ValueError):  # the file is closed already
            text.detach()
