"""The format of a file, found by its content, and the reader of each.

A name says nothing: banks save HTML as .xls and CSV as .txt.
"""

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final

from payments.statements.reading.camt053 import read_camt053
from payments.statements.reading.delimited import read_csv, read_pasted
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.header import check_mapping
from payments.statements.reading.html_tables import read_html
from payments.statements.reading.mt940 import read_mt940
from payments.statements.reading.pdf import read_pdf
from payments.statements.reading.text_files import detect_encoding, read_text_lines
from payments.statements.reading.types import (
    FILE_BYTES_MAX,
    WHOLE_FILE_BYTES_MAX,
    Item,
    ReadingOptions,
    StatementFormat,
    StatementReader,
)
from payments.statements.reading.xls_files import OLE, read_xls
from payments.statements.reading.xlsx_files import read_xlsx

READERS: Final[Mapping[StatementFormat, StatementReader]] = {
    StatementFormat.CSV: read_csv,
    StatementFormat.PASTED: read_pasted,
    StatementFormat.XLSX: read_xlsx,
    StatementFormat.XLS: read_xls,
    StatementFormat.HTML: read_html,
    StatementFormat.PDF: read_pdf,
    StatementFormat.MT940: read_mt940,
    StatementFormat.CAMT053: read_camt053,
}
STREAMED: Final = (StatementFormat.CSV, StatementFormat.PASTED, StatementFormat.XLSX)
SAMPLE_CHARS: Final = 64 * 1024
BIFF: Final = re.compile(rb"\x09[\x00\x02\x04\x08][\x04-\x10]\x00")  # its first record, without OLE
HTML: Final = re.compile(r"<(?:!doctype\s+html|html|head|body|table|meta|style|div)\b", re.I)
CAMT: Final = re.compile(r"<(?:\w+:)?(?:Document|BkToCstmrStmt)\b|camt\.05[23]")
MT940: Final = re.compile(r"\A\s*(?:\{1:|:20:)|^:60[FM]:", re.MULTILINE)


def read_statement(file: BinaryIO, options: ReadingOptions) -> Iterator[Item]:
    """Read a statement of whatever format; see types.py for what a reader promises.

    Args:
        file: seekable; read from its start, and left open.
        options: what the caller knows.

    Raises:
        StatementError: while it is iterated; nothing of the file may be kept then.
    """
    check_mapping(options.mapping)
    size_bytes = file.seek(0, 2)
    if size_bytes == 0:
        raise StatementError(Refusal.EMPTY)
    _check_size(size_bytes, FILE_BYTES_MAX)
    form = StatementFormat.PASTED if options.is_pasted else detect_format(file)
    if form not in READERS:
        raise StatementError(Refusal.FORMAT_NOT_READ, format=form.value)
    if form not in STREAMED:
        _check_size(size_bytes, WHOLE_FILE_BYTES_MAX)
    yield from READERS[form](file, options)


def detect_format(file: BinaryIO) -> StatementFormat:
    """Return the format that the content has.

    Raises:
        StatementError: EMPTY, UNKNOWN_FORMAT or BAD_ENCODING.
    """
    file.seek(0)
    head = file.read(1024)
    if head.startswith(b"PK\x03\x04"):
        return StatementFormat.XLSX
    if head.startswith(OLE) or BIFF.match(head):
        return StatementFormat.XLS
    if b"%PDF-" in head:
        return StatementFormat.PDF
    text = _read_sample(file)
    if not text.strip("\ufeff\0 \t\r\n"):
        raise StatementError(Refusal.EMPTY)
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        if CAMT.search(text):
            return StatementFormat.CAMT053
        if HTML.search(text):
            return StatementFormat.HTML
        raise StatementError(Refusal.UNKNOWN_FORMAT)
    if MT940.search(text):
        return StatementFormat.MT940
    if text.count("\0") * 20 > len(text):
        raise StatementError(Refusal.UNKNOWN_FORMAT)
    return StatementFormat.CSV


def _read_sample(file: BinaryIO) -> str:
    parts: list[str] = []
    chars = 0
    for line in read_text_lines(file, detect_encoding(file)):
        parts.append(line)
        chars += len(line)
        if chars >= SAMPLE_CHARS:
            break
    return "".join(parts)[:SAMPLE_CHARS]


def _check_size(size_bytes: int, bytes_max: int) -> None:
    if size_bytes > bytes_max:
        raise StatementError(Refusal.TOO_LARGE, bytes=size_bytes, bytes_max=bytes_max)
