"""Tables row by row: what is a line, what is an error, and what speaks against the whole."""

import pytest

from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.types import (
    CELL_CHARS_MAX,
    ROW_ERRORS_MAX,
    ColumnMapping,
    ProblemCode,
    RowFault,
)
from payments.statements.reading.types import ColumnMeaning as Means
from tests.world.statements import PLAIN, Rows, as_csv, as_html, as_xlsx, read

TWO = ["Ngày", "Số CT", "Nợ", "Có", "Số dư", "Diễn giải"]
ONE = ["Ngày", "Số CT", "Số tiền", "Diễn giải"]
GOOD = ["02/11/2026", "FT1", None, "1,020,000", None, "tiền xe"]


def faults_of(rows: Rows) -> list[tuple[int, str | None, RowFault]]:
    _, errors, summary = read(as_csv(rows))
    assert not summary.is_acceptable
    return [(one.place.row, one.column, one.fault) for one in errors]


@pytest.mark.parametrize(
    ("row", "column", "fault"),
    [
        (["31/02/2026", "FT", None, "5,000,000", None, "x"], "A", RowFault.DATE_UNREADABLE),
        (["31/02/2026", "FT", None, None, None, "x"], "A", RowFault.DATE_UNREADABLE),
        (["02/11/1899", "FT", None, "5,000,000", None, "x"], "A", RowFault.DATE_ABSURD),
        ([None, "FT", None, "5,000,000", None, "x"], "A", RowFault.DATE_MISSING),
        (["02/11/2026", "FT", None, None, "1,000,000", "x"], None, RowFault.AMOUNT_MISSING),
        (["02/11/2026", "FT", "1,000,000", "1,000,000", None, "x"], "C", RowFault.AMOUNT_TWICE),
        (["02/11/2026", "FT", None, "1,00", None, "x"], "D", RowFault.AMOUNT_UNREADABLE),
        (["02/11/2026", "FT", None, "-1,000,000", None, "x"], "D", RowFault.AMOUNT_NEGATIVE),
        (["02/11/2026", "FT", None, "5,000.5", None, "x"], "D", RowFault.AMOUNT_HAS_FRACTION),
        (["02/11/2026", "FT", None, "9" * 17, None, "x"], "D", RowFault.AMOUNT_TOO_LARGE),
        (["02/11/2026", "FT", None, "50.000", None, "x"], "D", RowFault.AMOUNT_AMBIGUOUS),
        (["02/11/2026", "FT", None, "50,000 USD", None, "x"], "D", RowFault.OTHER_CURRENCY),
        (["02/11/2026", "FT", None, "50,000", "?", "x"], "E", RowFault.BALANCE_UNREADABLE),
        (["02/11/2026", "FT", None, "50,000", None, "x\0y"], "F", RowFault.BAD_CHARACTERS),
        (["02/11/2026", "FT", None, "50,000", None, "x" * 4001], "F", RowFault.CELL_TOO_LONG),
        (["02/11/2026", "FT", None, "50,000", None, "x", "y"], None, RowFault.ROW_UNREADABLE),
    ],
)
def test_a_row_s_error_names_its_row_and_column(
    row: list[str | None], column: str | None, fault: RowFault
) -> None:
    heading = as_csv([TWO, GOOD]).decode()
    content = heading + as_csv([row]).decode() + as_csv([GOOD]).decode()

    lines, errors, summary = read(content.encode())

    assert [(one.place.row, one.column, one.fault) for one in errors] == [(3, column, fault)]
    assert len(lines) == 2
    assert not summary.is_acceptable
    assert all(len(str(value)) <= 80 for one in errors for value in one.facts.values())


def test_a_row_that_is_cut_off_is_no_line() -> None:
    content = as_csv([TWO, GOOD, GOOD])
    cut = content[: content.rindex(b",,") + 1]

    lines, errors, _ = read(cut)

    assert len(lines) == 1
    assert [one.fault for one in errors] == [RowFault.ROW_UNREADABLE]


def test_all_that_is_wrong_with_a_row_is_said_at_once() -> None:
    bad = ["02/11/2026", "FT", None, "5,000.5", "?", "x\x01"]

    assert {fault for _, _, fault in faults_of([TWO, GOOD, bad])} == {
        RowFault.BAD_CHARACTERS,
        RowFault.AMOUNT_HAS_FRACTION,
        RowFault.BALANCE_UNREADABLE,
    }


def test_rows_of_text_around_the_table_are_no_errors() -> None:
    rows = [
        ["Kính gửi quý khách"],
        TWO,
        GOOD,
        [],
        ["Hà Nội, ngày 30 tháng 11 năm 2026"],
        ["Ký tên"],
    ]

    lines, errors, summary = read(as_csv(rows))

    assert (len(lines), errors, summary.problems) == (1, [], ())


@pytest.mark.parametrize(
    ("amounts", "vnd"),
    [
        (["1,234", "1,234,567"], [1_234, 1_234_567]),
        (["1.234", "1.234.567"], [1_234, 1_234_567]),
        (["1.234", "5.000,00"], [1_234, 5_000]),
    ],
)
def test_the_file_as_a_whole_decides_what_separates_thousands(
    amounts: list[str], vnd: list[int]
) -> None:
    rows = [TWO, *(["02/11/2026", "FT", None, one, None, "x"] for one in amounts)]

    lines, errors, _ = read(as_csv(rows))

    assert [one.amount_vnd for one in lines] == vnd
    assert not errors


def test_where_no_cell_decides_it_the_amount_is_refused_and_not_guessed() -> None:
    rows = [TWO, ["02/11/2026", "FT", None, "50.000", None, "x"]]

    assert faults_of(rows) == [(2, "D", RowFault.AMOUNT_AMBIGUOUS)]
    (line,), _, _ = read(as_csv(rows), thousands_separator=".")
    assert line.amount_vnd == 50_000


def test_signed_amounts_say_which_way_the_money_went() -> None:
    rows = [
        ONE,
        *(["02/11/2026", "FT", one, "x"] for one in ("-1,020,000", "(5,000)", "+7,000", "9,000")),
    ]

    lines, _, summary = read(as_csv(rows))

    assert [(one.direction, one.amount_vnd) for one in lines] == [
        *(("out", 1_020_000), ("out", 5_000), ("in", 7_000), ("in", 9_000))
    ]
    assert summary.is_acceptable


def test_amounts_without_any_sign_are_not_taken_for_money_in() -> None:
    rows = [ONE, ["02/11/2026", "FT", "1,020,000", "x"]]

    _, _, summary = read(as_csv(rows))

    assert [one.code for one in summary.problems] == [ProblemCode.DIRECTION_UNPROVEN]


@pytest.mark.parametrize(
    ("said", "direction"),
    [("+", "in"), ("-", "out"), ("C", "in"), ("D", "out"), ("Có", "in"), ("Ghi nợ", "out")],
)
def test_a_column_of_directions_decides(said: str, direction: str) -> None:
    rows = [["Ngày", "+/-", "Số tiền"], ["02/11/2026", said, "1,020,000"]]

    (line,), _, _ = read(as_csv(rows))

    assert (line.direction, line.amount_vnd) == (direction, 1_020_000)


def test_a_direction_that_nobody_knows_is_an_error() -> None:
    rows = [["Ngày", "+/-", "Số tiền"], ["02/11/2026", "?", "1,020,000"]]

    assert faults_of(rows) == [(2, "B", RowFault.DIRECTION_UNREADABLE)]


def problems_of(rows: Rows, **options: object) -> dict[str, dict[str, str | int]]:
    _, errors, summary = read(as_csv(rows), **options)
    assert not errors
    return {one.code.value: dict(one.facts) for one in summary.problems}


def change(row: int, column: int, value: str) -> Rows:
    rows = [[*one] for one in PLAIN]
    rows[row][column] = value
    return rows


def test_an_opening_that_does_not_lead_to_the_closing_is_a_problem() -> None:
    found = problems_of(change(11, 4 + 1, "3,360,931,230"))

    assert found == {"closing_differs": {"expected_vnd": 3_360_931_231, "found_vnd": 3_360_931_230}}


def test_a_line_that_is_missing_breaks_balances_closing_and_totals() -> None:
    rows = [*PLAIN[:8], *PLAIN[9:]]

    assert {*problems_of(rows)} == {"balance_broken", "closing_differs", "total_out_differs"}


def test_the_first_broken_balance_names_its_row() -> None:
    _, _, summary = read(as_csv(change(8, 5, "3,359,681,232")))

    (broken,) = summary.problems
    assert broken.code is ProblemCode.BALANCE_BROKEN
    assert broken.place is not None
    assert broken.place.row == 9
    assert broken.facts == {"expected_vnd": 3_359_681_231, "found_vnd": 3_359_681_232}


def test_totals_that_the_bank_states_are_compared() -> None:
    assert problems_of(change(10, 4, "1,270,001")) == {
        "total_in_differs": {"expected_vnd": 1_270_000, "found_vnd": 1_270_001}
    }


def test_a_statement_with_the_newest_line_first_chains_from_below() -> None:
    rows = [*PLAIN[:7], PLAIN[9], PLAIN[8], PLAIN[7], *PLAIN[10:]]

    lines, _, summary = read(as_csv(rows))

    assert lines[0].bank_reference == "FT3"
    assert summary.is_newest_first
    assert summary.is_acceptable
    without = [PLAIN[6], PLAIN[9], PLAIN[8], PLAIN[7]]
    _, _, derived = read(as_csv(without))
    assert (derived.opening_vnd, derived.closing_vnd) == (3_359_662_231, 3_360_931_231)


def test_a_day_outside_the_stated_period_is_a_problem() -> None:
    assert problems_of(change(9, 1, "01/12/2026")) == {
        "date_outside_period": {"booked_on": "2026-12-01"}
    }


def test_several_accounts_in_one_file_are_refused_and_never_mixed() -> None:
    second = [["Số tài khoản/Account number:", None, "0071009999999"], *PLAIN[5:]]

    lines, _, summary = read(as_csv([*PLAIN, *second]))

    assert len(lines) == 3
    (problem,) = summary.problems
    assert problem.code is ProblemCode.SEVERAL_ACCOUNTS
    assert problem.facts == {"first": "0071001234567", "second": "0071009999999"}


def test_several_accounts_in_a_column_or_in_sheets_are_refused_too() -> None:
    column = [
        ["Số tài khoản", "Ngày", "Số tiền"],
        ["0071001234567", "02/11/2026", "-1,020,000"],
        ["0071009999999", "02/11/2026", "-1,020,000"],
    ]
    other = [["Số tài khoản", "0071009999999"], *PLAIN[6:8]]

    assert {*problems_of(column)} == {"several_accounts"}
    lines, _, summary = read(as_xlsx({"a": PLAIN, "b": other}))
    assert len(lines) == 3
    assert ProblemCode.SEVERAL_ACCOUNTS in [one.code for one in summary.problems]


def test_another_account_than_the_expected_one_is_a_problem() -> None:
    assert problems_of(PLAIN, account_number="71001234567") == {}  # Excel dropped its zeros
    assert problems_of(PLAIN, account_number="0071001234568") == {
        "other_account": {"found": "0071001234567", "expected": "0071001234568"}
    }


@pytest.mark.parametrize(
    "rows",
    [
        change(3, 2, "USD"),
        [["Ngày", "Số tiền (USD)"], ["02/11/2026", "-1,020,000"]],
        [["Ngày", "Số tiền", "Loại tiền"], ["02/11/2026", "-1,020,000", "USD"]],
        change(5, 2, "3,359,662,231 USD"),
    ],
)
def test_another_currency_than_dong_is_a_problem_and_gives_no_line(rows: Rows) -> None:
    lines, _, summary = read(as_csv(rows))

    assert lines == []
    assert [one.code for one in summary.problems] == [ProblemCode.CURRENCY_NOT_VND]
    assert summary.currency == "USD"


def test_a_mapping_by_hand_reads_a_table_that_has_no_known_heading() -> None:
    columns = {0: Means.TRANSACTED_AT, 2: Means.AMOUNT, 3: Means.MEMO}
    rows = [["Khi", "?", "Bao nhiêu", "Gì"], ["02/11/2026", "z", "-1,020,000", "x"]]

    with pytest.raises(StatementError) as refused:
        read(as_csv(rows))
    assert refused.value.reason is Refusal.NO_HEADER

    (line,), errors, _ = read(as_csv(rows), mapping=ColumnMapping(columns=columns, first_row=2))
    assert (line.amount_vnd, line.memo, errors) == (1_020_000, "x", [])


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {0: Means.TRANSACTED_AT},
        {0: Means.TRANSACTED_AT, 1: Means.AMOUNT, 2: Means.DEBIT},
        {0: Means.TRANSACTED_AT, 1: Means.AMOUNT, 2: Means.AMOUNT},
        {0: Means.TRANSACTED_AT, 999: Means.AMOUNT},
    ],
)
def test_a_mapping_by_hand_without_a_day_or_one_amount_is_refused(
    columns: dict[int, Means],
) -> None:
    with pytest.raises(StatementError) as refused:
        read(as_csv(PLAIN), mapping=ColumnMapping(columns=columns))
    assert refused.value.reason is Refusal.BAD_MAPPING


def test_a_file_that_is_wrong_in_every_row_is_given_up() -> None:
    bad = ["31/02/2026", "FT", None, "5,000,000", None, "x"]

    with pytest.raises(StatementError) as refused:
        read(as_csv([TWO, *[bad] * (ROW_ERRORS_MAX + 1)]))
    assert refused.value.reason is Refusal.TOO_MANY_ERRORS


def test_the_memo_is_kept_as_it_stands() -> None:
    memo = "  MBVCB.1  \ttiền  xe\u00a0" + "x" * (CELL_CHARS_MAX - 40)

    (line,), _, _ = read(as_csv([TWO, [*GOOD[:5], memo]]))

    assert line.memo == memo


@pytest.mark.parametrize("at", [0, 1, 5])
def test_balances_in_rows_of_the_table_open_and_close_it(at: int) -> None:
    def label(text: str, day: str, balance: str) -> list[str | None]:
        row: list[str | None] = [day, None, "0", "0", balance, None]
        row[at] = text
        return row

    rows = [
        TWO,
        label("Số dư đầu kỳ", "01/11/2026", "5,000,000"),
        ["02/11/2026", "FT", None, "20,000", None, "x"],
        label("Số dư cuối kỳ", "30/11/2026", "5,020,000"),
    ]

    lines, errors, summary = read(as_csv(rows))

    assert (len(lines), errors) == (1, [])
    assert (summary.opening_vnd, summary.closing_vnd) == (5_000_000, 5_020_000)
    assert summary.is_opening_stated
    assert summary.is_acceptable


@pytest.mark.parametrize(
    "words",
    ["Tổng", "Tổng số/Total", "TỔNG CỘNG", "Cộng phát sinh", "Tổng phát sinh trong kỳ", "Total"],
)
def test_the_row_of_sums_is_no_line_and_its_sums_are_compared(words: str) -> None:
    rows = [TWO, GOOD, [words, None, "0", "1,020,001"]]

    assert problems_of(rows) == {
        "total_in_differs": {"expected_vnd": 1_020_000, "found_vnd": 1_020_001}
    }


def test_a_payer_s_words_are_neither_sums_nor_balances_nor_another_account() -> None:
    memos = ["Tổng số/Total", "Số dư đầu kỳ: 9", "Số tài khoản: 999988887777", "Tổng công ty X"]
    rows = [TWO, *([*GOOD[:5], memo] for memo in memos)]

    lines, errors, summary = read(as_csv(rows))

    assert [one.memo for one in lines] == memos
    assert (errors, summary.account_number, summary.opening_vnd) == ([], None, None)
    assert faults_of([*rows, [None, None, None, "5,000,000", None, "Tổng công ty X"]]) == [
        (6, "A", RowFault.DATE_MISSING)
    ]


def test_a_statement_without_a_line_is_a_statement() -> None:
    lines, errors, summary = read(as_csv(PLAIN[:7]))

    assert (lines, errors) == ([], [])
    assert summary.opening_vnd == 3_359_662_231
    assert [one.meaning for one in summary.columns][1] is Means.TRANSACTED_AT


def test_two_lines_alike_are_two_lines() -> None:
    lines, _, _ = read(as_html([TWO, GOOD, GOOD]))

    assert len(lines) == 2
    assert lines[0].place != lines[1].place
