"""Bank references that identify a transfer."""

from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from payments.providers.bank_references import are_two_transfers, is_identifying_reference


@pytest.mark.parametrize(
    "reference",
    [
        None, "", " ", "\t", "-", "--", ".", "…", "0", "00", "NULL", "null", "N/A", "n/a", "NA",
        "NONE", "None", "NODATA", "undefined", "KHONG CO", "12", "0007", "5012", "#5012", "No. 12",
        "00000000", "000000000000", "000000000012", "0000-0000-0012", "99999999999", "XXXXXXXX",
        "20261120", "1", "A1", "CT 0007", "-----------", "0.0.0.0.0.0.0.0.0",
        "１２３４５６７８９０１", "FT000000000000", "CA000000000012",
        "NOREF0000", "UNKNOWN1234", "null0000", "AUTO00001111", "REF0001", "GD 0000 0001",
        "ND20261120", "TRANS20261120", "20261120-0007", "2026112000", "CK20112026 12",
        "FT2026112000045",
        "0100109106", "0300588569", "0100109106-001", "MST 0100109106",
        "0912345678", "84912345678", "19005454", "1900545415", "123456789", "0123456789",
        "123456789012", "9876543210", "1112223334", "1234512345", "FT1212121212", "XXXX0000XXXX",
        "FT-REFERENCE", "MA_GIAO_DICH_THU_NGHIEM", "FT1",
    ],
)  # fmt: skip
def test_fillers_words_and_counters_identify_nothing(reference: str | None) -> None:
    assert not is_identifying_reference(reference)


@pytest.mark.parametrize(
    "reference",
    [
        "FT26324000123", "ft26324000123", "TF230204212323", "208V009252001310", "FT26324-0001.23",
        "MBVCB.3278907687", "020097040512010001", "SB0123456789AB", "5078 - 123456789",
        "124c33293c43417ab7879e14c8d9eb18", "FT24364030863634",
        "FT24255276428461", "FT26325000009001", "MBVCB.15295363489.469132.",
        "MBVCB.4125261053.0473",
        "519810759252", "77000386190312", "884114.100924.223854", "SB7703EF77157F",
        "SDH17156817036", "FT21305JWNBG", "20261120153012",
    ],
)  # fmt: skip
def test_a_transfers_own_number_identifies_it(reference: str) -> None:
    assert is_identifying_reference(reference)


words = st.sampled_from(
    ["", "FT", "REF", "NULL", "NOREF", "ND", "TRANS", "N/A-", "GD ", "#", "CK."]
)
pads = st.sampled_from(["", "0", "0000", "-", "00-00-", "000000000000"])
dates = st.dates(min_value=date(2020, 1, 1), max_value=date(2049, 12, 31))
written = st.sampled_from(["%Y%m%d", "%d%m%Y", "%Y-%m-%d", "%d/%m/%Y"])


@given(words, pads, st.integers(0, 99_999))
def test_a_counter_identifies_nothing_whatever_stands_before_it(
    word: str, pad: str, number: int
) -> None:
    assert not is_identifying_reference(f"{word}{pad}{number}")


@given(words, dates, written, st.sampled_from(["", "-", "00"]), st.integers(0, 9_999))
def test_a_date_and_a_days_counter_identify_nothing(
    word: str, day: date, form: str, pad: str, number: int
) -> None:
    assert not is_identifying_reference(f"{word}{day.strftime(form)}")
    assert not is_identifying_reference(f"{word}{day.strftime(form)}{pad}{number}")


@given(words, st.text("0123456789AX", min_size=1, max_size=4), st.integers(3, 12))
def test_one_piece_again_and_again_identifies_nothing(word: str, piece: str, times: int) -> None:
    assert not is_identifying_reference(word + piece * times)


@given(st.integers(1, 64), st.integers(0, 9_999_999), words)
def test_a_tax_code_identifies_nothing(province: int, number: int, word: str) -> None:
    nine = f"{province:02d}{number:07d}"
    weights = (31, 29, 23, 19, 17, 13, 7, 5, 3)
    check = 10 - sum(int(digit) * by for digit, by in zip(nine, weights, strict=True)) % 11
    assume(0 <= check <= 9)
    for written_so in (f"{nine}{check}", f"{nine}{check}-001", f"MST {nine}{check}"):
        assert not is_identifying_reference(written_so)


@given(st.integers(24, 49), st.integers(1, 366), st.integers(100_000_000, 999_999_999))
def test_what_mb_writes_identifies(year: int, day: int, number: int) -> None:
    behind = str(number)
    assume(len(set(behind)) >= 4)
    assert is_identifying_reference(f"FT{year}{day:03d}{behind}")


@pytest.mark.parametrize(
    ("one", "other", "are_two"),
    [
        ("FT26324000111", "FT26324999888", True),
        ("MBVCB.3278907687", "mbvcb 32789076881", True),
        ("519810759252", "519810759260", True),
        ("FT26324000111", "FT26324000111", False),
        ("FT26324000111", "ft26324-000111", False),
        ("FT26324000111", "FT26324000111.BNK", False),  # one of them has cut it
        ("MBVCB.3278907687", "3278907687", False),
        ("FT26324000111", "519810759252", False),  # the bank's number and NAPAS's
        ("519810759252", "77000386190312", False),
        ("FT26324000111", "FT000000000012", False),  # a filler says nothing
        ("FT26324000111", "", False),
        ("FT26324000111", None, False),
    ],
)  # fmt: skip
def test_two_numbers_of_one_form_are_of_two_transfers(
    one: str, other: str | None, are_two: bool
) -> None:
    assert are_two_transfers(one, other) is are_two
    assert are_two_transfers(other, one) is are_two
