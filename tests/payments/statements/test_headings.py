"""Headings in both languages, with or without marks, in one row or two."""

import pytest

from payments.statements.reading.headings import read_heading, read_headings
from payments.statements.reading.types import ColumnMeaning as Means
from tests.world.statements import Rows, as_csv, read

LINE = ["02/11/2026", "FT1", None, "1,020,000", "tiền xe"]


@pytest.mark.parametrize(
    ("heading", "meaning"),
    [
        ("Ngày giao dịch", Means.TRANSACTED_AT),
        ("NGAY GIAO DICH", Means.TRANSACTED_AT),
        ("Nga\u0300y giao di\u0323ch", Means.TRANSACTED_AT),
        ("Ngày GD", Means.TRANSACTED_AT),
        ("Transaction Date", Means.TRANSACTED_AT),
        ("Ngày giao dịch\nTransaction date", Means.TRANSACTED_AT),
        ("Ngày giao dịch Transaction date", Means.TRANSACTED_AT),
        ("Ngày hạch toán", Means.BOOKED_ON),
        ("DD/MM/YYYY   DOCNO", Means.DATE_AND_REFERENCE),
        ("Ngày/Số tham chiếu", Means.DATE_AND_REFERENCE),
        ("Số tiền ghi nợ/Debit", Means.DEBIT),
        ("Số tiền ghi có (VND)/Credit (VND)", Means.CREDIT),
        ("Nợ", Means.DEBIT),
        ("Có", Means.CREDIT),
        ("Nợ/Có", Means.DIRECTION),
        ("+/-", Means.DIRECTION),
        ("Số dư / Balance", Means.BALANCE),
        ("Nội dung/Description", Means.MEMO),
        ("Tài khoản đối ứng", Means.COUNTERPARTY_ACCOUNT),
        ("Loại GD", None),
        ("", None),
        ("x" * 5_000, None),
    ],
)
def test_a_heading_is_recognised_by_its_words(heading: str, meaning: Means | None) -> None:
    assert read_heading(heading) is meaning


def test_no_is_debit_beside_co_and_a_number_elsewhere() -> None:
    assert read_headings(["Ngay", "No", "Co"])[1] is Means.DEBIT
    assert read_headings(["No", "Date", "Debit", "Credit"])[0] is Means.ROW_NUMBER
    assert read_headings(["Date", "Debit", "Credit", "No."])[3] is Means.ROW_NUMBER


@pytest.mark.parametrize(
    "heading",
    [
        [["Ngày", "Số CT", "Phát sinh", None, "Diễn giải"], [None, None, "Nợ", "Có", None]],
        [["Ngày", "Số CT", "Số tiền", None, "Diễn giải"], [None, None, "Nợ", "Có", None]],
        [
            ["Ngày", "Số CT", "Nợ", "Có", "Diễn giải"],
            ["Date", "Doc No", "Debit", "Credit", "Details"],
        ],
        [["Ngày", "Số CT", "Nợ", "Có", "Diễn giải"], ["(1)", "(2)", "(3)", "(4)", "(5)"]],
    ],
)
def test_headings_over_two_rows_are_one(heading: Rows) -> None:
    lines, errors, _ = read(as_csv([["Sao kê"], *heading, LINE]))

    assert not errors
    assert [(one.amount_vnd, one.bank_reference, one.memo) for one in lines] == [
        (1_020_000, "FT1", "tiền xe")
    ]


def test_of_two_rows_of_headings_the_upper_one_says_what_a_column_means() -> None:
    rows = [
        ["Ngày hạch toán", "Số CT", "Nợ", "Có", "Diễn giải"],
        ["Date", "Doc No", "Debit", "Credit", "Details"],
        LINE,
    ]

    (line,), _, _ = read(as_csv(rows))

    assert (str(line.booked_on), line.transacted_at) == ("2026-11-02", None)


def test_cells_of_html_that_reach_over_rows_and_columns_keep_their_places() -> None:
    page = """<table>
    <tr><td colspan="5">SAO KÊ</td></tr>
    <tr><th rowspan="2">Ngày</th><th rowspan="2">Số CT</th><th colspan="2">Phát sinh</th>
        <th rowspan="2">Diễn giải</th></tr>
    <tr><th>Nợ</th><th>Có</th></tr>
    <tr><td>02/11/2026</td><td>FT1</td><td></td><td>1,020,000</td><td>tiền<br>xe</td></tr>
    </table>"""

    (line,), errors, _ = read(page.encode())

    assert not errors
    assert (line.amount_vnd, line.direction, line.memo) == (1_020_000, "in", "tiền\nxe")


def test_a_heading_that_is_printed_on_each_page_is_no_line() -> None:
    heading = ["Ngày", "Số CT", "Nợ", "Có", "Diễn giải"]

    lines, errors, _ = read(as_csv([heading, LINE, [], heading, LINE]))

    assert (len(lines), errors) == (2, [])


def test_the_booking_day_is_the_day_of_the_books_and_the_other_day_stays() -> None:
    rows = [
        ["Ngày giao dịch", "Ngày hạch toán", "Số tiền"],
        ["31/10/2026 23:30", "02/11/2026", "+1,020,000"],
    ]

    (line,), _, _ = read(as_csv(rows))

    assert line.booked_on.isoformat() == "2026-11-02"
    assert line.transacted_at is not None
    assert line.transacted_at.isoformat() == "2026-10-31T16:30:00+00:00"
    assert not line.is_date_only


def test_a_value_date_is_the_booking_day_only_where_there_is_no_other() -> None:
    alone, _, _ = read(as_csv([["Ngày hiệu lực", "Số tiền"], ["02/11/2026", "+1,020,000"]]))
    beside, _, _ = read(
        as_csv(
            [
                ["Ngày hiệu lực", "Ngày giao dịch", "Số tiền"],
                ["05/11/2026", "02/11/2026", "+1,020,000"],
            ]
        )
    )

    assert alone[0].booked_on == beside[0].booked_on
    assert (alone[0].transacted_at, alone[0].is_date_only) == (None, True)


def test_a_time_in_its_own_column_belongs_to_the_day() -> None:
    rows = [["Ngày", "Giờ", "Số tiền"], ["02/11/2026", "14:02", "+1,020,000"]]

    (line,), _, _ = read(as_csv(rows))

    assert line.transacted_at is not None
    assert line.transacted_at.isoformat() == "2026-11-02T07:02:00+00:00"
    assert not line.is_date_only
