"""Statements of banks as files, written at test time: the same rows in every format.

Rows are lists of text, whole numbers (cells that Excel keeps as numbers), DAY numbers of Excel, or
None. No file of a bank is copied here: what is known of their layouts is in layouts.py.
"""

import csv
import html
import io
import struct
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

import xlsxwriter

from payments.statements.reading.formats import read_statement
from payments.statements.reading.types import (
    ReadingOptions,
    RowError,
    StatementLine,
    StatementSummary,
)

Value = str | int | float | None
Rows = Sequence[Sequence[Value]]

HEADING: Final = [
    "STT",
    "Ngày giao dịch/\nTransaction date",
    "Số tham chiếu/Reference",
    "Phát sinh Nợ/Debit",
    "Phát sinh Có/Credit",
    "Số dư/Balance",
    "Nội dung/Description",
]
# Opening 3,359,662,231; in, out, in; the memos have a comma, a line end and a quote.
PLAIN: Final[Rows] = [
    ["NGÂN HÀNG CỦA BÀI KIỂM TRA"],
    ["SAO KÊ TÀI KHOẢN / STATEMENT OF ACCOUNT"],
    ["Số tài khoản/Account number:", None, "0071001234567"],
    ["Loại tiền/Currency", None, "VND"],
    ["Từ ngày/From: 01/11/2026 Đến ngày/To: 30/11/2026"],
    ["Số dư đầu kỳ/ Opening balance", None, "3,359,662,231 VND"],
    HEADING,
    [
        "1",
        "02/11/2026 14:02:37",
        "FT1",
        None,
        "20,000",
        "3,359,682,231",
        "MBVCB.1,PH4K tiền gửi xe",
    ],
    ["2", "03/11/2026", "FT2", "1,000", None, "3,359,681,231", "phí\nSMS"],
    ["3", "03/11/2026 23:59", "FT3", None, "1,250,000", "3,360,931,231", 'nói "cảm ơn"'],
    ["Tổng số/Total", None, None, "1,000", "1,270,000"],
    ["Số dư cuối kỳ/Closing balance", None, None, None, None, "3,360,931,231"],
    [None, None, None, None, None, "Người lập biểu", "Kế toán trưởng"],
]


def read(
    content: bytes, **options: object
) -> tuple[list[StatementLine], list[RowError], StatementSummary]:
    """Read a file and part what it yields; the summary must be the last item and the only one."""
    items = list(read_statement(io.BytesIO(content), ReadingOptions(**options)))  # type: ignore[arg-type]
    lines = [one for one in items if isinstance(one, StatementLine)]
    errors = [one for one in items if isinstance(one, RowError)]
    (summary,) = [one for one in items if isinstance(one, StatementSummary)]
    assert items[-1] is summary
    assert (summary.lines, summary.row_errors) == (len(lines), len(errors))
    return lines, errors, summary


def as_csv(
    rows: Rows, *, delimiter: str = ",", encoding: str = "utf-8", end: str = "\r\n"
) -> bytes:
    """Write rows as Excel's own CSV export does: quotes only where they are needed."""
    text = io.StringIO()
    # The writer quotes line ends only if they are its own; a CR would leave LF open.
    quoting = csv.QUOTE_ALL if end == "\r" else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    width = max(len(row) for row in rows)
    for row in rows:
        writer.writerow(
            ["" if one is None else one for one in [*row, *[None] * (width - len(row))]]
        )
    if encoding == "cp1258":
        return to_windows_1258(text.getvalue())
    return text.getvalue().encode(encoding)


def to_windows_1258(text: str) -> bytes:
    """Encode as Vietnamese Windows does: a tone stands after its letter, ê and ơ are letters."""
    tones = "\u0300\u0301\u0303\u0309\u0323"
    encoded = bytearray()
    for letter in text:
        parts = unicodedata.normalize("NFD", letter)
        tone = [one for one in parts if one in tones]
        base = unicodedata.normalize("NFC", "".join(one for one in parts if one not in tones))
        encoded += (base + "".join(tone)).encode("cp1258")
    return bytes(encoded)


def as_xlsx(sheets: dict[str, Rows] | Rows, *, date_1904: bool = False) -> bytes:
    """Write a workbook; text as shared strings, whole numbers as numbers."""
    given = sheets if isinstance(sheets, dict) else {"Sheet1": sheets}
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True, "date_1904": date_1904})
    for name, rows in given.items():
        sheet = book.add_worksheet(name)
        for number, row in enumerate(rows):
            for index, value in enumerate(row):
                if isinstance(value, str):
                    sheet.write_string(number, index, value)
                elif value is not None:
                    sheet.write_number(number, index, value)
    book.close()
    return file.getvalue()


def change_part(content: bytes, part: str, change: dict[str, str]) -> bytes:
    """Write a workbook again with words of one of its parts replaced."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name == part:
                for word, other in change.items():
                    assert word.encode() in text, word
                    text = text.replace(word.encode(), other.encode(), 1)
            new.writestr(name, text, zipfile.ZIP_DEFLATED)
    return changed.getvalue()


def as_html(rows: Rows) -> bytes:
    """Write rows as a bank's page does that is saved as .xls."""
    body = "".join(
        "<tr>" + "".join(f"<td>{_write_html(one)}</td>" for one in row) + "</tr>\n" for row in rows
    )
    head = '<html xmlns:x="urn:schemas-microsoft-com:office:excel"><head><title>SAO KÊ</title>'
    return f"{head}<style>td {{ }}</style></head><body><table>{body}</table></body></html>".encode()


def _write_html(value: Value) -> str:
    return "&nbsp;" if value is None else html.escape(str(value)).replace("\n", "<br>")


def as_pasted(rows: Rows) -> bytes:
    """Write rows as Excel puts them on the clipboard: tabs, quotes only around line ends."""
    return as_csv(rows, delimiter="\t")


def as_xls(sheets: dict[str, Rows] | Rows) -> bytes:
    """Write a workbook of Excel 97 (BIFF8 in an OLE file), as little of it as is needed.

    Records: [MS-XLS] BOF 2.4.21, BoundSheet8 2.4.28, Label 2.4.148 (written by old programs in
    place of shared strings), Number 2.4.180, EOF 2.4.103. The container: [MS-CFB].
    """
    given = sheets if isinstance(sheets, dict) else {"Sheet1": sheets}
    bodies = [_sheet(rows) for rows in given.values()]
    names = [struct.pack("<BB", len(name), 1) + name.encode("utf-16-le") for name in given]
    start = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0, 1997, 0, 6))
    offset = len(start) + sum(len(name) + 10 for name in names) + 4
    globals_ = start
    for name, body in zip(names, bodies, strict=True):
        globals_ += _record(0x0085, struct.pack("<IBB", offset, 0, 0) + name)
        offset += len(body)
    globals_ += _record(0x000A, b"")
    return _ole(globals_ + b"".join(bodies))


def excel_day(day: date) -> int:
    """Return a day as Excel counts it."""
    return (day - date(1899, 12, 30)).days


def _record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def _sheet(rows: Rows) -> bytes:
    parts = [_record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0, 1997, 0, 6))]
    for number, row in enumerate(rows):
        for index, value in enumerate(row):
            place = struct.pack("<HHH", number, index, 0)
            if isinstance(value, str):
                text = value.encode("utf-16-le")
                parts.append(_record(0x0204, place + struct.pack("<HB", len(text) // 2, 1) + text))
            elif value is not None:
                parts.append(_record(0x0203, place + struct.pack("<d", value)))
    parts.append(_record(0x000A, b""))
    return b"".join(parts)


def _ole(stream: bytes) -> bytes:
    """Wrap one stream: header, one sector of the allocation table, one of the directory."""
    sector, end, free = 512, 0xFFFFFFFE, 0xFFFFFFFF
    stream = stream.ljust(max(4096, -(-len(stream) // sector) * sector), b"\0")
    count = len(stream) // sector
    assert count + 2 <= 128, "one sector of the table counts 128 sectors"
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, end, 0, end, 0)
    header += struct.pack("<109I", 0, *[free] * 108)
    chain = [*range(3, count + 2), end]
    table = struct.pack("<128I", 0xFFFFFFFD, end, *chain, *[free] * (126 - count))
    directory = _entry("Root Entry", 5, 1, end, 0) + _entry("Workbook", 2, free, 2, len(stream))
    return header + table + directory.ljust(sector, b"\0") + stream


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    text = name.encode("utf-16-le") + b"\0\0"
    none = 0xFFFFFFFF
    packed = text.ljust(64, b"\0") + struct.pack("<HBBIII", len(text), kind, 1, none, none, child)
    return packed + bytes(36) + struct.pack("<IQ", start, size)


def each_format(rows: Rows) -> Iterable[tuple[str, bytes]]:
    """Yield the same rows in every tabular format, with a name for the test."""
    yield "csv", as_csv(rows)
    yield "xlsx", as_xlsx(rows)
    yield "xls", as_xls(rows)
    yield "html", as_html(rows)
