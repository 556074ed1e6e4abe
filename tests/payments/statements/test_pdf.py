"""PDF statements: columns by their places, memos around a line, and files made to do harm."""

import io
import subprocess
import sys
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from payments.providers.types import Direction
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.pdf import read_pdf
from payments.statements.reading.types import Place, RowFault
from tests.world.sandbox_statements import a_file, a_statement, read_all

pytestmark = pytest.mark.slow

HEADING = {40: "Date", 110: "Doc no", 250: "Description", 430: "Debit", 500: "Credit"}
Row = tuple[int, dict[int, str]]  # height above the page's lower edge; texts by where they begin


def a_pdf(*pages: Sequence[Row], rules: Sequence[int] = (), password: str = "") -> io.BytesIO:
    """Draw pages of texts at places, with lines across at some heights of each."""
    out = io.BytesIO()
    encryption = StandardEncryption(password) if password else None
    canvas = Canvas(out, invariant=1, encrypt=encryption)
    for page in pages:
        canvas.setFont("Helvetica", 8)
        for y, texts in page:
            for x, text in texts.items():
                canvas.drawString(x, y, text)
        for y in rules:
            canvas.line(36, y, 560, y)
        canvas.showPage()
    canvas.save()
    return io.BytesIO(out.getvalue())


def dated(y: int, memo: str = "", *, vnd: str = "20,000", number: str = "FT1") -> Row:
    return y, {40: "20/11/2026", 110: number, 250: memo, 500: vnd} if memo else {
        40: "20/11/2026", 110: number, 500: vnd
    }  # fmt: skip


def more(y: int, memo: str) -> Row:
    return y, {250: memo}


def memos_of(file: io.BytesIO) -> list[str]:
    lines, errors, _ = read_all(read_pdf, file, thousands_separator=",")
    assert not errors
    return [line.memo for line in lines]


def test_rows_below_a_line_go_on_with_its_memo() -> None:
    page = [
        (800, HEADING),
        dated(788, "one"),
        more(778, "two"),
        dated(768, "three"),
        more(758, "four"),
    ]
    assert memos_of(a_pdf(page)) == ["one two", "three four"]


def test_a_memo_goes_on_over_the_end_of_a_page() -> None:
    first = [(800, HEADING), dated(788, "one"), more(778, "two"), (30, {40: "Trang 1/2"})]
    second = [(800, HEADING), more(788, "three"), dated(778, "four"), (30, {40: "Trang 2/2"})]
    assert memos_of(a_pdf(first, second)) == ["one two three", "four"]


def test_a_page_without_a_heading_has_the_columns_of_the_page_before() -> None:
    first = [(800, HEADING), dated(788, "one")]
    assert memos_of(a_pdf(first, [dated(800, "two"), more(790, "three")])) == ["one", "two three"]


def test_memos_around_the_middle_of_their_line_stay_with_it_where_lines_are_drawn() -> None:
    """Some banks set the day at half the height of its cell."""
    page = [
        (800, HEADING),
        more(788, "one"), dated(778), more(768, "two"),
        more(754, "three"), dated(744), more(734, "four"),
    ]  # fmt: skip
    assert memos_of(a_pdf(page, rules=[796, 761, 728])) == ["one two", "three four"]


def test_memos_around_the_middle_of_their_line_stay_with_it_where_lines_stand_apart() -> None:
    page = [
        (810, HEADING),
        more(788, "one"), dated(778), more(768, "two"),
        more(748, "three"), dated(738), more(728, "four"),
    ]  # fmt: skip
    assert memos_of(a_pdf(page)) == ["one two", "three four"]


def test_a_table_that_does_not_show_whose_memo_is_whose_is_refused() -> None:
    page = [
        (800, HEADING),
        more(788, "one"), dated(778), more(768, "two"),
        more(758, "three"), dated(748), more(738, "four"),
    ]  # fmt: skip
    assert refusal_of(a_pdf(page).getvalue()) is Refusal.UNKNOWN_FORMAT


def test_a_footer_below_the_column_of_memos_is_no_memo() -> None:
    page = [(800, HEADING), dated(788, "one"), more(778, "two"), more(30, "Page 1 of 1")]
    assert memos_of(a_pdf(page)) == ["one two"]


def test_a_heading_over_three_rows_in_two_languages_is_one_heading() -> None:
    heading = [
        (820, {40: "Ngay", 110: "So CT", 250: "Noi dung", 430: "So tien", 500: "So tien"}),
        (810, {40: "giao dich", 430: "ghi no", 500: "ghi co"}),
        (800, {40: "Date", 110: "Doc no", 250: "Description", 430: "Debit", 500: "Credit"}),
    ]
    lines, _, _ = read_all(read_pdf, a_pdf([*heading, dated(786, "one")]), thousands_separator=",")
    assert [(one.direction, one.amount_vnd, one.memo) for one in lines] == [
        (Direction.IN, 20_000, "one")
    ]


def test_an_amount_stands_in_the_column_where_it_ends() -> None:
    page = [(800, {40: "Date", 200: "Description", 430: "Debit", 500: "Credit"}),
            (788, {40: "20/11/2026", 200: "one", 405: "20,000"}),
            (776, {40: "20/11/2026", 200: "two", 525: "30,000"})]  # fmt: skip
    lines, _, _ = read_all(read_pdf, a_pdf(page), thousands_separator=",")
    assert [one.direction for one in lines] == [Direction.OUT, Direction.IN]


def test_a_time_below_its_day_is_of_the_line() -> None:
    page = [(800, HEADING), dated(788, "one"), (778, {40: "10:15:30", 250: "two"})]
    ((line,), _, _) = read_all(read_pdf, a_pdf(page), thousands_separator=",")
    assert line.memo == "one two"
    assert line.transacted_at is not None
    assert line.transacted_at.isoformat() == "2026-11-20T03:15:30+00:00"


def test_a_line_and_an_error_name_their_page_and_row() -> None:
    first = [(800, HEADING), dated(788, "one")]
    second = [(800, HEADING), dated(788, "two"), (776, {250: "no day", 500: "5,000"})]
    lines, errors, _ = read_all(read_pdf, a_pdf(first, second), thousands_separator=",")
    assert [one.place for one in lines] == [Place(row=2, page=1), Place(row=2, page=2)]
    assert [(one.place, one.fault) for one in errors] == [
        (Place(row=3, page=2), RowFault.DATE_MISSING)
    ]


def test_letters_drawn_twice_and_across_the_page_are_read_once_or_not_at_all() -> None:
    out = io.BytesIO()
    canvas = Canvas(out)
    canvas.setFont("Helvetica", 8)
    for shift in (0, 0.2):
        for y, texts in [(800, HEADING), dated(788, "one")]:
            for x, text in texts.items():
                canvas.drawString(x + shift, y, text)
    canvas.rotate(45)
    canvas.drawString(500, 100, "BAN SAO")
    canvas.save()
    assert memos_of(io.BytesIO(out.getvalue())) == ["one"]


def test_pages_of_pictures_are_refused() -> None:
    assert refusal_of(a_pdf([], []).getvalue()) is Refusal.NO_TEXT


def test_text_without_a_table_is_refused() -> None:
    assert refusal_of(a_pdf([(800, {40: "A letter"})]).getvalue()) is Refusal.NO_HEADER


def test_a_file_that_needs_a_password_is_refused() -> None:
    page = [(800, HEADING), dated(788, "one")]
    assert refusal_of(a_pdf(page, password="12345").getvalue()) is Refusal.ENCRYPTED


def test_a_page_that_expands_without_end_is_refused() -> None:
    assert refusal_of(raw_pdf(b" " * 20_000_000)) is Refusal.EXPANDS_TOO_FAR


def test_forms_that_draw_one_another_without_end_are_refused() -> None:
    drawn = [b"/F%d Do " % (number + 1) * 10 for number in range(1, 8)]
    assert refusal_of(raw_pdf(*drawn, b" ")) is Refusal.EXPANDS_TOO_FAR


def test_words_of_two_columns_that_stand_close_are_parted_at_the_second_ones_heading() -> None:
    heading = {40: "Date", 88: "Doc no", 250: "Description", 430: "Debit", 500: "Credit"}
    line = {40: "20/11/2026", 88: "FT1", 250: "one", 500: "20,000"}
    options = {"thousands_separator": ","}
    (line_read,), _, _ = read_all(read_pdf, a_pdf([(800, heading), (788, line)]), **options)
    assert (line_read.bank_reference, line_read.memo) == ("FT1", "one")


def test_a_page_of_countless_letters_is_refused() -> None:
    assert (
        refusal_of(raw_pdf(b"BT /H 8 Tf (" + b"x" * 60_000 + b") Tj ET")) is Refusal.EXPANDS_TOO_FAR
    )


@pytest.mark.parametrize("content", [b"%PDF-1.7\n", b"%PDF-1.7\n%%EOF", b"\x00" * 100])
def test_what_is_no_pdf_inside_is_refused(content: bytes) -> None:
    assert refusal_of(content) is Refusal.DAMAGED


def test_a_file_that_lost_its_table_of_objects_is_not_guessed_at() -> None:
    whole = a_file(a_statement(4), "pdf").getvalue()
    assert refusal_of(whole[: whole.rindex(b"startxref")]) is Refusal.DAMAGED


@settings(max_examples=25)
@given(st.integers(0, 999))
def test_no_beginning_of_a_statement_passes_for_the_whole(permille: int) -> None:
    whole = a_pdf([(800, HEADING), dated(788, "one")]).getvalue()
    assert refusal_of(whole[: len(whole) * permille // 1000]) in (Refusal.DAMAGED, Refusal.EMPTY)


@settings(max_examples=50)
@given(st.binary(min_size=1, max_size=40), st.integers(0, 2_000))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int) -> None:
    whole = a_pdf([(800, HEADING), dated(788, "one")]).getvalue()
    with suppress(StatementError):  # as good as a file that is read
        read_all(read_pdf, io.BytesIO(whole[:at] + noise + whole[at + len(noise) :]))


# Reads a short statement and then a long one; prints by how many KiB the second needed more.
MEASURE = """
import resource, sys
from payments.statements.reading.pdf import read_pdf
from payments.statements.reading.types import ReadingOptions
for name in sys.argv[1:]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open(name, "rb") as file:
        for item in read_pdf(file, ReadingOptions()):
            pass
    assert item.is_acceptable, item.problems
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, item.lines)
"""


@pytest.mark.drill
def test_three_hundred_pages_take_hardly_more_memory_than_ten(tmp_path: Path) -> None:
    names = []
    for lines in (250, 9_500):
        file = tmp_path / f"{lines}.pdf"
        file.write_bytes(a_file(a_statement(lines), "pdf").getvalue())
        names.append(str(file))

    command = [sys.executable, "-c", MEASURE, *names]
    measured = subprocess.run(command, capture_output=True, text=True, timeout=500, check=True)

    grown_kib, lines_read = map(int, measured.stdout.split())
    assert lines_read == 9_500
    assert grown_kib < 16 * 1024


def raw_pdf(*drawn: bytes) -> bytes:
    """A file of one page that draws the first of these; the others are forms F2, F3, …"""
    forms = b" ".join(b"/F%d %d 0 R" % (at, at + 4) for at in range(2, len(drawn) + 1))
    resources = b"/Resources << /XObject << " + forms + b" >> /Font << /H 4 0 R >> >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R %b >>" % resources,
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for one in drawn:
        stream = zlib.compress(one)
        form = b"/Type /XObject /Subtype /Form /BBox [0 0 595 842] %b" % resources
        facts = b"<< %b /Length %d /Filter /FlateDecode >>" % (form, len(stream))
        objects.append(facts + b"\nstream\n" + stream + b"\nendstream")
    out = b"%PDF-1.4\n"
    places = []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n" % (len(objects) + 1)
    return out + head + table + end + b"%d\n%%%%EOF\n" % len(out)


def refusal_of(content: bytes) -> Refusal:
    with pytest.raises(StatementError) as caught:
        read_all(read_pdf, io.BytesIO(content))
    return caught.value.reason
