"""The formats in which a statement can be downloaded."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from sandbox.errors import BadRequest
from sandbox.statements import wording
from sandbox.statements.camt053 import write_camt053
from sandbox.statements.faults import StatementFaults, cut, spoil
from sandbox.statements.mt940 import write_mt940
from sandbox.statements.pdf import write_pdf
from sandbox.statements.statement import Statement
from sandbox.statements.tables import write_csv, write_html, write_signed_csv
from sandbox.statements.workbook import write_xlsx

# The second is what a file is in by fault when it should be in another.
ENCODINGS: Final = ("utf-8", "windows-1258")


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format. A writer gives text, which may be in several encodings, or finished bytes."""

    suffix: str
    media_type: str
    words: tuple[str, str]  # Vietnamese, English
    write: Callable[[Statement, str], str | bytes]
    encodings: tuple[str, ...] = ()  # empty: bytes; the first unless another is named
    has_mark: bool = False  # UTF-8 begins with a byte order mark, as Excel wants it


FORMATS: Final[dict[str, Format]] = {
    "csv": Format(
        suffix="csv", media_type="text/csv", has_mark=True, encodings=ENCODINGS,
        words=("CSV, nợ và có riêng cột", "CSV, debit and credit apart"),
        write=lambda statement, _: write_csv(statement),
    ),
    "csv_signed": Format(
        suffix="csv", media_type="text/csv", has_mark=True, encodings=ENCODINGS,
        words=("CSV, số tiền có dấu", "CSV, signed amounts"),
        write=lambda statement, _: write_signed_csv(statement),
    ),
    "xlsx": Format(
        suffix="xlsx",
        media_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        words=("Excel (XLSX)", "Excel (XLSX)"),
        write=lambda statement, _: write_xlsx(statement),
    ),
    "html": Format(
        suffix="xls", media_type="application/vnd.ms-excel", encodings=ENCODINGS,
        words=("HTML mang tên .xls", "HTML named .xls"),
        write=write_html,
    ),
    "pdf": Format(
        suffix="pdf", media_type="application/pdf", words=("PDF", "PDF"),
        write=lambda statement, _: write_pdf(statement),
    ),
    "mt940": Format(
        suffix="sta", media_type="text/plain", encodings=("ascii",), words=("MT940", "MT940"),
        write=lambda statement, _: write_mt940(statement),
    ),
    "camt053": Format(
        suffix="xml", media_type="application/xml", encodings=("utf-8",),
        words=("camt.053 (XML)", "camt.053 (XML)"),
        write=lambda statement, _: write_camt053(statement),
    ),
    "json": Format(
        suffix="json", media_type="application/json", words=("JSON", "JSON"),
        write=lambda statement, _: msgspec.json.encode(statement),
    ),
}  # fmt: skip


def write(statement: Statement, name: str, faults: StatementFaults, encoding: str = "") -> bytes:
    """Write a statement in one of FORMATS, with its faults.

    Raises:
        BadRequest: the format has no such encoding, or none that could be wrong.
    """
    form = FORMATS[name]
    encoding = encoding or (form.encodings[0] if form.encodings else "")
    if encoding and encoding not in form.encodings:
        raise BadRequest(f"{name} can be in {' or '.join(form.encodings) or 'no encoding'}.")
    content = form.write(spoil(statement, faults), encoding)
    if isinstance(content, str):
        used = _other(encoding) if faults.wrong_encoding else encoding
        mark = b"\xef\xbb\xbf" if form.has_mark and encoding == "utf-8" else b""
        content = mark + wording.encode(content, used)
    elif faults.wrong_encoding:
        raise BadRequest(f"{name} names its own encoding, which cannot be wrong.")
    return cut(content, faults)


def _other(encoding: str) -> str:
    """Return an encoding that a reader of the right one stumbles over."""
    return {"utf-8": "windows-1258", "ascii": "utf-16"}.get(encoding, "utf-8")
