"""Hostile and broken files: an error with a reason, never a crash, a hang or full memory."""

import io
import struct
import zipfile
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.formats import detect_format, read_statement
from payments.statements.reading.types import (
    COLUMNS_MAX,
    FILE_BYTES_MAX,
    WHOLE_FILE_BYTES_MAX,
    ReadingOptions,
)
from tests.world.statements import (
    PLAIN,
    as_csv,
    as_html,
    as_xls,
    as_xlsx,
    change_part,
    each_format,
    read,
)

pytestmark = pytest.mark.slow

FILES = [content for _, content in each_format(PLAIN)]
SHEET = "xl/worksheets/sheet1.xml"


def refusal_of(content: bytes, **options: object) -> Refusal:
    with pytest.raises(StatementError) as refused:
        read(content, **options)
    return refused.value.reason


def read_whatever(content: bytes, *, is_pasted: bool = False) -> None:
    """Read to the end; only a StatementError may come of it."""
    with suppress(StatementError):
        for _ in read_statement(io.BytesIO(content), ReadingOptions(is_pasted=is_pasted)):
            pass


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FILES), st.data())
def test_a_file_with_bytes_changed_is_read_or_refused(content: bytes, data: st.DataObject) -> None:
    broken = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(broken) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=8))
        broken[at : at + len(piece)] = piece
    read_whatever(bytes(broken))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FILES), st.integers(1, 100_000))
def test_a_file_that_breaks_off_is_read_or_refused(content: bytes, length: int) -> None:
    read_whatever(content[: length % len(content)])


@settings(max_examples=80)
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_read_or_refused(content: bytes, is_pasted: bool) -> None:
    read_whatever(content, is_pasted=is_pasted)


CELLS = st.one_of(
    st.sampled_from([None, "Ngày", "Nợ", "Có", "Số dư", "Số tiền", "02/11/2026", "1,234,567"]),
    st.sampled_from(["Tổng số/Total", "Số dư đầu kỳ", "Số tài khoản: 0071", "Loại tiền", "USD"]),
    st.text(max_size=12),
    st.integers(-(2**60), 2**60).map(str),
)


@settings(max_examples=80)
@given(st.lists(st.lists(CELLS, min_size=1, max_size=6), min_size=1, max_size=12))
def test_any_rows_under_a_heading_are_read_or_refused(rows: list[list[str | None]]) -> None:
    heading = ["Ngày", "Số CT", "Nợ", "Có", "Số dư", "Diễn giải"]
    read_whatever(as_csv([heading, *rows], encoding="utf-16-le"))
    read_whatever(as_html([[one and one.replace("\ud800", "") for one in row] for row in rows]))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="<>/&;\"'=x1 ", max_size=60))
def test_any_xml_in_a_sheet_is_read_or_refused(text: str) -> None:
    read_whatever(change_part(as_xlsx(PLAIN[6:8]), SHEET, {"<sheetData>": f"<sheetData>{text}"}))


def test_nothing_and_nothing_but_spaces_is_empty() -> None:
    for content in (b"", b" \r\n\t\n", b"\xef\xbb\xbf\n", b"\xff\xfe"):
        assert refusal_of(content) is Refusal.EMPTY


def test_what_no_reader_knows_is_refused_by_name() -> None:
    assert refusal_of(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8) in (
        Refusal.UNKNOWN_FORMAT,
        Refusal.BAD_ENCODING,
    )
    assert refusal_of(b"<svg xmlns='x'/>") is Refusal.UNKNOWN_FORMAT
    assert refusal_of(b"Dear sir,\nno table here\n") is Refusal.NO_HEADER
    for content, form in (
        (b"%PDF-1.7\n", "pdf"),
        (b"\r\n:20:STARTUMSE\r\n:25:1234\r\n", "mt940"),
        (
            b'<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.1">',
            "camt053",
        ),
    ):
        assert detect_format(io.BytesIO(content)) == form


def test_a_quote_that_never_closes_refuses_the_file() -> None:
    content = as_csv(PLAIN).decode() + '9,02/11/2026,"FT' + ",x\n" * 50

    assert refusal_of(content.encode()) is Refusal.DAMAGED


def test_bytes_that_are_no_text_refuse_the_file_mid_stream() -> None:
    content = b"\xef\xbb\xbf" + as_csv(PLAIN) + b"\xff\xfe\xfd"

    assert refusal_of(content) is Refusal.BAD_ENCODING


def test_a_file_over_the_limit_is_refused_unread() -> None:
    class Large(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            return self.size if whence == 2 else super().seek(offset)

        size = FILE_BYTES_MAX + 1

    with pytest.raises(StatementError) as refused:
        next(read_statement(Large(as_csv(PLAIN)), ReadingOptions()))
    assert refused.value.reason is Refusal.TOO_LARGE
    assert refused.value.facts == {"bytes": FILE_BYTES_MAX + 1, "bytes_max": FILE_BYTES_MAX}
    Large.size = WHOLE_FILE_BYTES_MAX + 1
    with pytest.raises(StatementError) as refused:
        next(read_statement(Large(as_html(PLAIN)), ReadingOptions()))
    assert refused.value.reason is Refusal.TOO_LARGE


@pytest.mark.parametrize("make", [as_csv, as_html, as_xlsx])
def test_too_many_columns_are_refused(make: object) -> None:
    rows = [*PLAIN, ["x"] * (COLUMNS_MAX + 1)]

    assert refusal_of(make(rows)) is Refusal.TOO_MANY_COLUMNS  # type: ignore[operator]


def test_a_cell_at_the_far_end_of_a_sheet_takes_no_memory() -> None:
    written = as_xlsx([*PLAIN, ["x"]])
    number = len(PLAIN) + 1
    far = {f'<row r="{number}"': '<row r="1048576"', f'r="A{number}"': 'r="XFD1048576"'}

    assert refusal_of(change_part(written, SHEET, far)) is Refusal.TOO_MANY_COLUMNS
    far[f'r="A{number}"'] = 'r="B1048576"'
    lines, _, _ = read(change_part(written, SHEET, far))
    assert len(lines) == 3


def test_a_part_that_unpacks_without_end_is_refused_before_it_is_unpacked() -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("xl/workbook.xml", b" " * 20_000_000)

    assert refusal_of(bomb.getvalue()) is Refusal.EXPANDS_TOO_FAR


def test_a_part_that_lies_about_its_size_is_refused() -> None:
    written = bytearray(as_xlsx(PLAIN))
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        size = archive.getinfo(SHEET).file_size
    while (at := written.find(struct.pack("<I", size))) >= 0:
        written[at : at + 4] = struct.pack("<I", size - 900)

    assert refusal_of(bytes(written)) is Refusal.DAMAGED


@pytest.mark.parametrize("part", [SHEET, "xl/workbook.xml", "xl/sharedStrings.xml"])
def test_entities_of_a_document_are_not_expanded(part: str) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    end = "?>\n"
    doctype = (
        f'{end}<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    )

    assert refusal_of(change_part(as_xlsx(PLAIN), part, {end: doctype})) is Refusal.EXPANDS_TOO_FAR


def test_an_encrypted_workbook_asks_for_its_password() -> None:
    # What Excel keeps of an XLSX with a password: an OLE file with a stream of this name.
    locked = as_xls(PLAIN) + "EncryptedPackage".encode("utf-16-le")

    assert refusal_of(locked) is Refusal.ENCRYPTED


def test_tables_in_tables_end_somewhere() -> None:
    assert refusal_of(b"<html>" + b"<table><tr><td>" * 5_000) in (
        Refusal.DAMAGED,
        Refusal.NO_HEADER,
    )
