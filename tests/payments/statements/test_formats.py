"""One statement in every format says the same, and the content alone tells the format."""

from datetime import date

import pytest

from payments.statements.reading.types import ColumnMeaning, StatementFormat
from tests.world.statements import (
    PLAIN,
    as_csv,
    as_html,
    as_pasted,
    as_xls,
    as_xlsx,
    change_part,
    each_format,
    excel_day,
    read,
)

EXPECTED = [
    ("2026-11-02", "in", 20_000, 3_359_682_231, "FT1", "MBVCB.1,PH4K tiền gửi xe"),
    ("2026-11-03", "out", 1_000, 3_359_681_231, "FT2", "phí\nSMS"),
    ("2026-11-03", "in", 1_250_000, 3_360_931_231, "FT3", 'nói "cảm ơn"'),
]


def assert_plain(content: bytes, form: str, **options: object) -> None:
    lines, errors, summary = read(content, **options)

    assert not errors
    assert [
        (
            one.booked_on.isoformat(),
            one.direction,
            one.amount_vnd,
            one.balance_after_vnd,
            one.bank_reference,
            one.memo,
        )
        for one in lines
    ] == EXPECTED
    assert summary.format == form
    assert summary.account_number == "0071001234567"
    assert summary.currency == "VND"
    assert str(summary.period_from) == "2026-11-01"
    assert str(summary.period_to) == "2026-11-30"
    assert (summary.opening_vnd, summary.closing_vnd) == (3_359_662_231, 3_360_931_231)
    assert (summary.in_vnd, summary.out_vnd) == (1_270_000, 1_000)
    assert (summary.stated.in_vnd, summary.stated.out_vnd) == (1_270_000, 1_000)
    assert summary.is_chained
    assert summary.is_acceptable


@pytest.mark.parametrize(("form", "content"), [*each_format(PLAIN)])
def test_every_format_says_the_same(form: str, content: bytes) -> None:
    assert_plain(content, form)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1258"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_is_told_apart_by_its_bytes(encoding: str, delimiter: str) -> None:
    assert_plain(as_csv(PLAIN, encoding=encoding, delimiter=delimiter), "csv")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_ends_a_record_outside_quotes_only(end: str) -> None:
    assert_plain(as_csv(PLAIN, end=end), "csv")


def test_rows_from_a_clipboard_are_read() -> None:
    assert_plain(as_pasted(PLAIN), "pasted", is_pasted=True)


@pytest.mark.slow
def test_windows_1258_is_known_by_letters_at_the_end_of_a_long_file() -> None:
    filler = [["5", "03/11/2026", "FT", None, "1,000,000", None, "x" * 60]] * 5_000
    rows = [*PLAIN[6:9], *filler, PLAIN[9]]

    lines, _, summary = read(as_csv(rows, encoding="cp1258"))

    assert summary.encoding == "cp1258"
    assert lines[-1].memo == 'nói "cảm ơn"'


@pytest.mark.parametrize("make", [as_xlsx, as_xls])
def test_numbers_and_days_of_excel_are_read_as_what_their_column_means(make: object) -> None:
    rows = [
        ["Ngày giao dịch", "Số CT", "Số tiền", "Số dư", "Mô tả"],
        [excel_day(date(2026, 11, 2)) + 0.5, 5214, -20_000, 980_000, "một"],
        [excel_day(date(2026, 11, 3)), 5215, 1_234, 981_234, "hai"],
    ]

    lines, errors, summary = read(make(rows))  # type: ignore[operator]

    assert not errors
    assert [one.amount_vnd for one in lines] == [20_000, 1_234]
    assert [one.direction for one in lines] == ["out", "in"]
    assert str(lines[0].transacted_at) == "2026-11-02 05:00:00+00:00"
    assert lines[0].bank_reference == "5214"
    assert (summary.opening_vnd, summary.closing_vnd) == (1_000_000, 981_234)
    assert not summary.is_opening_stated


def test_days_of_a_workbook_that_counts_from_1904_are_the_same_days() -> None:
    rows = [["Ngày", "Số tiền"], [excel_day(date(2026, 11, 2)) - 1462, -20_000]]

    (line,), _, _ = read(as_xlsx(rows, date_1904=True))

    assert str(line.booked_on) == "2026-11-02"


def test_a_formula_gives_its_last_value_and_without_one_an_error() -> None:
    rows = [["Ngày", "Số tiền"], ["02/11/2026", -20_000], ["03/11/2026", -30_000]]
    written = as_xlsx(rows)
    sheet = "xl/worksheets/sheet1.xml"

    lines, errors, _ = read(
        change_part(written, sheet, {"<v>-20000</v>": "<f>-4*5000</f><v>-20000</v>"})
    )
    assert ([one.amount_vnd for one in lines], errors) == ([20_000, 30_000], [])

    lines, (error,), _ = read(change_part(written, sheet, {"<v>-20000</v>": "<f>-4*5000</f>"}))
    assert len(lines) == 1
    assert (error.place.row, error.column, error.meaning, error.fault) == (
        *(2, "B", ColumnMeaning.AMOUNT),
        "formula_without_value",
    )


def test_a_broken_cell_of_excel_is_an_error_of_its_row() -> None:
    written = as_xlsx([["Ngày", "Số tiền"], ["02/11/2026", -20_000]])
    sheet = "xl/worksheets/sheet1.xml"

    _, (error,), _ = read(
        change_part(written, sheet, {'<c r="B2"><v>-20000</v>': '<c r="B2" t="e"><v>#REF!</v>'})
    )

    assert (error.fault, dict(error.facts)) == ("cell_error", {"value": "#REF!"})


def test_several_sheets_of_one_account_are_one_statement_and_notes_are_none() -> None:
    lines, errors, summary = read(
        as_xlsx({"Hướng dẫn": [["Cách đọc"]], "T11": PLAIN[2:9], "T11b": [PLAIN[6], PLAIN[9]]})
    )

    assert (len(lines), errors) == (3, [])
    assert [(one.place.sheet, one.place.row) for one in lines] == [
        *(("T11", 6), ("T11", 7), ("T11b", 2))
    ]
    assert summary.is_acceptable


def test_the_text_that_a_csv_keeps_from_excel_is_unwrapped() -> None:
    rows = [
        ["Ngày", "Số CT", "Số tiền", "Mô tả"],
        ["02/11/2026", '="00123"', "+1,020,000", "=CMD()"],
    ]

    (line,), _, _ = read(as_csv(rows))

    assert (line.bank_reference, line.memo) == ("00123", "=CMD()")


def test_the_formats_that_are_read_elsewhere_are_named() -> None:
    assert {*StatementFormat} >= {"pdf", "mt940", "camt053"}


def test_html_with_entities_of_its_own_and_scripts_says_only_its_cells() -> None:
    page = as_html(PLAIN).decode().replace("<html", '<!DOCTYPE html SYSTEM "http://x/y"><html')
    page = page.replace("<table>", "<script>document.write('<tr>')</script><table>")

    assert_plain(page.encode(), "html")
