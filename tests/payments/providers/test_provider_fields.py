"""Texts, ids and times as the adapters read them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.providers.errors import Fault, UnreadableNotice
from payments.providers.fields import (
    clean_text,
    find_id,
    find_name,
    parse_json,
    read_id,
    read_instant,
    read_memo,
    read_unix_ms,
)


@pytest.mark.parametrize(
    ("text", "instant", "is_date_only"),
    [
        ("2023-02-04 18:25:00", "2023-02-04T11:25:00+00:00", False),
        ("2023-02-04T18:25:00", "2023-02-04T11:25:00+00:00", False),
        ("2023-02-04 18:25", "2023-02-04T11:25:00+00:00", False),
        ("2023-02-04T18:25:00Z", "2023-02-04T18:25:00+00:00", False),
        ("2023-02-04T18:25:00.123Z", "2023-02-04T18:25:00.123000+00:00", False),
        ("2023-02-04T18:25:00+07:00", "2023-02-04T11:25:00+00:00", False),
        ("2023-02-04", "2023-02-03T17:00:00+00:00", True),
        ("2024-02-29 00:30:00", "2024-02-28T17:30:00+00:00", False),
    ],
)
def test_times_without_a_zone_are_hanoi_time(text: str, instant: str, is_date_only: bool) -> None:
    read, read_as_date = read_instant(text)
    assert read.isoformat() == instant
    assert read_as_date is is_date_only


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29 10:00:00",
        "2023-02-04 24:00:00",
        "2023-02-04 10:00:61",
        "2023-W05-6",
        "20230204",
        "04-02-2023 10:00:00",
        "0000-00-00 00:00:00",
        "1970-01-01 00:00:00",
        "0001-01-01T00:00:00+14:00",
        "2023-02-04 18:25:00 ",
        "٢٠٢٣-02-04",
        "2023-02-04T18:25:00+99:99",
        "",
        None,
        20230204,
    ],
)
def test_an_unreadable_time_says_so(text: object) -> None:
    with pytest.raises(UnreadableNotice) as caught:
        read_instant(text)
    assert caught.value.fault is Fault.TIME


@pytest.mark.parametrize("value", [1_795_150_798, -1, 10**14 + 1, 1.5e12, True, "x", "", None])
def test_seconds_are_not_taken_for_milliseconds(value: object) -> None:
    with pytest.raises(UnreadableNotice):
        read_unix_ms(value)


def test_milliseconds_may_come_as_digits() -> None:
    assert read_unix_ms("1795150798000") == read_unix_ms(1_795_150_798_000)


@settings(deadline=None)  # a shared machine may pause
@given(st.text(st.characters(exclude_categories=())))
def test_a_cleaned_text_can_be_stored_and_shown(text: str) -> None:
    cleaned = clean_text(text, 50)
    assert len(cleaned) <= 50
    assert cleaned.encode().decode() == cleaned  # no half characters
    assert not any(ord(char) < 32 for char in cleaned)


def test_a_long_memo_is_cut_and_says_so() -> None:
    memo = read_memo("PPHKM2ABCDEFX " + "x" * 2_000)
    assert len(memo) == 1_000
    assert memo.startswith("PPHKM2ABCDEFX")
    assert memo.endswith("x…")
    assert read_memo("x" * 1_000) == "x" * 1_000


def test_spaces_inside_a_memo_stay_and_line_breaks_become_spaces() -> None:
    assert read_memo("QR   ORDER\n1\0\u202e2 ") == "QR   ORDER 12"


def test_accents_and_emoji_stay() -> None:
    assert read_memo("trả chè 🍵") == "trả chè 🍵"


@pytest.mark.parametrize("value", ["a\0b", "a\nb", "x" * 101, "", "  ", None, True, 1.0, 2**53, []])
def test_an_id_is_never_cut_or_cleaned(value: object) -> None:
    with pytest.raises(UnreadableNotice):
        read_id(value, Fault.TRANSACTION_ID)


def test_an_absent_id_is_none_and_a_broken_one_is_not() -> None:
    assert find_id("", Fault.REFERENCE) is None
    assert find_id(None, Fault.REFERENCE) is None
    assert find_id(12, Fault.REFERENCE) == "12"
    with pytest.raises(UnreadableNotice):
        find_id(False, Fault.REFERENCE)


def test_an_odd_name_is_left_out() -> None:
    assert find_name(["A"]) is None
    assert find_name(" \0 ") is None
    assert find_name("A" * 300) == "A" * 199 + "…"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"NaN",
        b"-Infinity",
        b"1e400",
        b'"\\ud800" NaN',
        b'["\\ud800",NaN]',
        b"\xff",
        b'"\xed\xa0\x80"',
        b"{}{}",
        b"{'a':1}",
        b"[" * 15_000,
        b'["\\ud800",' * 5_000,
        '{"a":1}'.encode("utf-16"),
        b"9" * 5_000,
        b'["\\ud800",' + b"9" * 5_000 + b"]",
    ],
)
def test_what_is_not_json_in_utf8_says_so(body: bytes) -> None:
    with pytest.raises(UnreadableNotice) as caught:
        parse_json(body)
    assert caught.value.fault is Fault.BODY
