"""MT940: what is read, what is refused, and what of it does not add up."""

import io
from datetime import date
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.providers.types import Direction
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.mt940 import read_mt940
from payments.statements.reading.types import ProblemCode, RowFault, StatementLine
from tests.world.sandbox_statements import ACCOUNT, MONDAY, a_file, a_statement, read_all

# By hand, after the field patterns of the standard; no bank's file.
BY_HAND = dedent("""\
    {1:F01BANKVNVXAXXX0000000000}{2:O9401200261120BANKVNVXAXXX00000000002611201200N}{4:
    :20:STMT1
    :25:BANKVNVX/0988000111
    :28C:324/1
    :60F:C261120VND1000000,
    :61:2611201120C20000,NTRFNONREF//FT26324000000001
    :86:MBVCB.1.PPMOXA234567K
    :61:2612310102RD5000,00NTRFOWN1//FT26324000000002
    Supplementary
    :61:261120D7000,NCHGNONREF
    :86:PHI DICH VU
    :61:2611201120RC1000,NTRFOWN2
    :62F:C261120VND1017000,
    :64:C261120VND1017000,
    :86:To the owner of the account
    -}
    """)


def lines_of(text: str) -> list[StatementLine]:
    return read_all(read_mt940, io.BytesIO(text.encode()))[0]


def test_marks_days_references_and_memos_are_read() -> None:
    lines, errors, summary = read_all(read_mt940, io.BytesIO(BY_HAND.encode()))

    assert not errors
    assert [(one.direction, one.amount_vnd, one.is_reversal) for one in lines] == [
        (Direction.IN, 20_000, False),
        (Direction.IN, 5_000, True),  # a debit taken back
        (Direction.OUT, 7_000, False),
        (Direction.OUT, 1_000, True),  # a credit taken back
    ]
    assert [one.bank_reference for one in lines] == [
        "FT26324000000001", "FT26324000000002", None, "OWN2",
    ]  # fmt: skip
    assert [one.memo for one in lines] == [
        "MBVCB.1.PPMOXA234567K", "Supplementary", "PHI DICH VU", "",
    ]  # fmt: skip
    assert [one.place.row for one in lines] == [6, 8, 10, 12]
    assert summary.account_number == ACCOUNT
    assert (summary.opening_vnd, summary.closing_vnd) == (1_000_000, 1_017_000)
    assert summary.is_acceptable
    assert summary.is_chained


def test_a_booking_day_beside_the_end_of_a_year_is_of_the_next_year() -> None:
    assert lines_of(BY_HAND)[1].booked_on == date(2027, 1, 2)


def test_several_messages_are_one_statement_from_the_first_balance_to_the_last() -> None:
    statement = a_statement(5, days=3)

    lines, errors, summary = read_all(read_mt940, a_file(statement, "mt940"))

    assert not errors
    assert [one.booked_on for one in lines] == [one.booked_on for one in statement.lines]
    assert {one.booked_on for one in lines} >= {MONDAY}
    assert summary.opening_vnd == statement.opening_vnd
    assert summary.closing_vnd == statement.closing_vnd
    assert (summary.in_vnd, summary.out_vnd) == (statement.credit_vnd, statement.debit_vnd)
    assert summary.is_acceptable


def test_a_message_that_does_not_open_where_the_last_one_closed_is_named() -> None:
    first, second = (a_file(one, "mt940").read() for one in (a_statement(2), a_statement(3)))
    _, _, summary = read_all(read_mt940, io.BytesIO(first + second))

    broken = next(one for one in summary.problems if one.code is ProblemCode.BALANCE_BROKEN)
    assert broken.facts == {"expected_vnd": 1_041_000, "found_vnd": 1_000_000}
    assert broken.place is not None
    assert broken.place.row == first.count(b"\n") + 4


@pytest.mark.parametrize(
    ("wrong", "right", "fault"),
    [
        (":61:2611201120C20000,50NTRF", ":61:2611201120C20000,NTRF", RowFault.AMOUNT_HAS_FRACTION),
        (":61:2611201120C0,NTRF", ":61:2611201120C20000,NTRF", RowFault.AMOUNT_ZERO),
        (":61:2613201120C20000,NTRF", ":61:2611201120C20000,NTRF", RowFault.DATE_UNREADABLE),
        (":61:2611201120X20000,NTRF", ":61:2611201120C20000,NTRF", RowFault.ROW_UNREADABLE),
        (
            ":61:2611201120C99999999999999999999,NTRF",
            ":61:2611201120C20000,NTRF",
            RowFault.AMOUNT_TOO_LARGE,
        ),
        (":60F:C261120VND1000.00", ":60F:C261120VND1000000,", RowFault.BALANCE_UNREADABLE),
        (":86:MBVCB\x07", ":86:MBVCB", RowFault.BAD_CHARACTERS),
        (f":86:{'x' * 4_001}", ":86:MBVCB", RowFault.CELL_TOO_LONG),
    ],
)
def test_a_broken_field_is_an_error_of_its_row(wrong: str, right: str, fault: RowFault) -> None:
    assert right in BY_HAND
    _, errors, summary = read_all(read_mt940, io.BytesIO(BY_HAND.replace(right, wrong, 1).encode()))

    assert [one.fault for one in errors] == [fault]
    assert errors[0].place.row in (5, 6)
    assert not summary.is_acceptable


def test_another_currency_or_account_ends_the_lines() -> None:
    dollars = BY_HAND.replace("VND1000000,", "USD1000000,")
    lines, _, summary = read_all(read_mt940, io.BytesIO(dollars.encode()))
    assert not lines
    assert [one.code for one in summary.problems] == [ProblemCode.CURRENCY_NOT_VND]

    two = BY_HAND + BY_HAND.replace("0988000111", "0988000222")
    lines, _, summary = read_all(read_mt940, io.BytesIO(two.encode()))
    assert len(lines) == 4
    assert [one.code for one in summary.problems] == [ProblemCode.SEVERAL_ACCOUNTS]


def test_a_statement_of_another_account_than_the_expected_is_named() -> None:
    file = io.BytesIO(BY_HAND.encode())
    _, _, summary = read_all(read_mt940, file, account_number="0988 000 222")
    assert [one.code for one in summary.problems] == [ProblemCode.OTHER_ACCOUNT]
    file = io.BytesIO(BY_HAND.encode())
    assert read_all(read_mt940, file, account_number="0988 000 111")[2].is_acceptable


def test_letters_outside_of_ascii_are_read_as_utf_8_or_refused() -> None:
    assert lines_of(BY_HAND.replace("PHI DICH VU", "PHÍ DỊCH VỤ"))[2].memo == "PHÍ DỊCH VỤ"
    for content in (
        BY_HAND.replace("PHI", "PHÍ").encode("latin-1"),
        BY_HAND.encode("utf-16"),
        BY_HAND.encode("utf-16-le"),
    ):
        assert refusal_of(content) is Refusal.BAD_ENCODING


def test_what_is_no_mt940_is_refused() -> None:
    assert refusal_of(b"") is Refusal.EMPTY
    assert refusal_of(b"Ng\xc3\xa0y GD,S\xe1\xbb\x91 CT\n") is Refusal.UNKNOWN_FORMAT
    assert refusal_of(b"x" * 20_000) is Refusal.DAMAGED


def test_so_many_errors_that_it_is_no_statement_end_the_reading() -> None:
    assert refusal_of(b":20:X\n" + b":61:nonsense\n" * 1_001) is Refusal.TOO_MANY_ERRORS


@settings(max_examples=30)
@given(st.integers(0, 100))
def test_no_beginning_of_a_statement_passes_for_the_whole(percent: int) -> None:
    statement = a_statement(4)
    whole = a_file(statement, "mt940").read().removesuffix(b"\r\n-\r\n")
    content = whole[: (len(whole) - 1) * percent // 100]
    assert is_refused_or_named(content)


@given(st.binary(max_size=300), st.integers(0, 600))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int) -> None:
    content = BY_HAND.encode()
    is_refused_or_named(content[:at] + noise + content[at:])


def is_refused_or_named(content: bytes) -> bool:
    try:
        return not read_all(read_mt940, io.BytesIO(content))[2].is_acceptable
    except StatementError:
        return True


def refusal_of(content: bytes) -> Refusal:
    with pytest.raises(StatementError) as caught:
        read_all(read_mt940, io.BytesIO(content))
    return caught.value.reason
