"""Amounts and days as banks write them."""

from datetime import date, time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.statements.reading.amounts import find_thousands, read_vnd
from payments.statements.reading.days import Moment, read_moment, read_time
from payments.statements.reading.types import AMOUNT_VND_MAX, RowFault


@pytest.mark.parametrize(
    ("text", "thousands", "vnd"),
    [
        ("1,234,567", ",", 1_234_567),
        ("1.234.567", ".", 1_234_567),
        ("1.234", ".", 1_234),
        ("1,234", ",", 1_234),
        ("1 234 567", None, 1_234_567),
        ("1\u00a0234\u00a0567", None, 1_234_567),
        ("1\u202f234 VND", None, 1_234),
        ("20000", None, 20_000),
        ("1,234.00", ",", 1_234),
        ("1.234,00", None, 1_234),
        ("(1,234)", ",", -1_234),
        ("-1,234 VND", ",", -1_234),
        ("1,234-", ",", -1_234),
        ("−1,234 ₫", ",", -1_234),
        ("+ 1,234 đ", ",", 1_234),
        ("VNĐ 1.234.000", ".", 1_234_000),
        ("１,２３４,５６７", ",", 1_234_567),
        ("0", ",", 0),
        ("-", ",", None),
        ("  ", None, None),
        ("\u00a0", None, None),
    ],
)
def test_an_amount_is_read_as_it_is_written(
    text: str, thousands: str | None, vnd: int | None
) -> None:
    assert read_vnd(text, thousands) == vnd


@pytest.mark.parametrize(
    ("text", "thousands", "fault"),
    [
        ("1.234", None, RowFault.AMOUNT_AMBIGUOUS),
        ("1,234", None, RowFault.AMOUNT_AMBIGUOUS),
        ("50.000", ",", RowFault.AMOUNT_AMBIGUOUS),  # not fifty đồng with three decimals
        ("1,234.50", ",", RowFault.AMOUNT_HAS_FRACTION),
        ("1,23,456", ",", RowFault.AMOUNT_UNREADABLE),
        ("1.234.567", ",", RowFault.AMOUNT_UNREADABLE),
        ("12 34", None, RowFault.AMOUNT_UNREADABLE),
        ("=1+1", ",", RowFault.AMOUNT_UNREADABLE),
        ("--5", ",", RowFault.AMOUNT_UNREADABLE),
        ("(-5)", ",", RowFault.AMOUNT_UNREADABLE),
        ("abc", ",", RowFault.AMOUNT_UNREADABLE),
        ("1e9", ",", RowFault.AMOUNT_UNREADABLE),
        ("1,234 USD", ",", RowFault.OTHER_CURRENCY),
        (str(AMOUNT_VND_MAX + 1), ",", RowFault.AMOUNT_TOO_LARGE),
        ("9" * 40, ",", RowFault.AMOUNT_TOO_LARGE),
        ("9" * 5_000, ",", RowFault.AMOUNT_UNREADABLE),
    ],
)
def test_what_is_no_sound_amount_is_refused(
    text: str, thousands: str | None, fault: RowFault
) -> None:
    assert read_vnd(text, thousands) is fault


@pytest.mark.parametrize(
    ("text", "thousands"),
    [
        *(("1,234,567", ","), ("1.234.567", "."), ("1,234.00", ","), ("1.234,00", ".")),
        *(("12.50", ","), ("1234,5", "."), ("1.234", None), ("1,234", None), ("20000", None)),
        *(("1,2,3", None), ("Ngày", None), ("", None)),
    ],
)
def test_only_a_cell_without_doubt_decides_what_separates_thousands(
    text: str, thousands: str | None
) -> None:
    assert find_thousands(text) == thousands


@given(st.integers(-AMOUNT_VND_MAX, AMOUNT_VND_MAX), st.sampled_from(",. "))
def test_every_amount_comes_back_as_it_was_written(vnd: int, separator: str) -> None:
    written = f"{vnd:,}".replace(",", separator)

    thousands = separator.strip() or None
    assert read_vnd(written, thousands) == vnd
    assert read_vnd(f" {written} VND ", thousands) == vnd
    assert read_vnd(Decimal(vnd), None) == vnd


@given(st.text(max_size=30))
def test_no_text_makes_an_amount_fail(text: str) -> None:
    for thousands in (",", ".", None):
        assert isinstance(read_vnd(text, thousands), int | RowFault | None)
        find_thousands(text)


@pytest.mark.parametrize(
    ("number", "read"),
    [
        (Decimal("20000"), 20_000),
        (Decimal("2E4"), 20_000),
        (Decimal("-5.0"), -5),
        (Decimal("0.5"), RowFault.AMOUNT_HAS_FRACTION),
        (Decimal("1E-999"), RowFault.AMOUNT_HAS_FRACTION),
        (Decimal("1E+999999"), RowFault.AMOUNT_TOO_LARGE),
        (Decimal(2**53), RowFault.AMOUNT_TOO_LARGE),
        (Decimal("NaN"), RowFault.AMOUNT_UNREADABLE),
    ],
)
def test_a_number_of_excel_is_exact_or_refused(number: Decimal, read: int | RowFault) -> None:
    assert read_vnd(number, None) == read


@pytest.mark.parametrize(
    ("written", "day", "clock"),
    [
        ("02/11/2026", date(2026, 11, 2), None),
        ("2/11/2026", date(2026, 11, 2), None),
        ("02-11-2026", date(2026, 11, 2), None),
        ("2026-11-02", date(2026, 11, 2), None),
        ("20261102", date(2026, 11, 2), None),
        ("02 Nov 2026", date(2026, 11, 2), None),
        ("02/11/2026 14:02:37", date(2026, 11, 2), time(14, 2, 37)),
        ("14:02:37 02/11/2026", date(2026, 11, 2), time(14, 2, 37)),
        ("02/11/2026\n14:02", date(2026, 11, 2), time(14, 2)),
        ("2026-11-02T14:02:37", date(2026, 11, 2), time(14, 2, 37)),
        ("2026-11-01T20:00:00Z", date(2026, 11, 2), time(3, 0)),
        ("０２/１１/２０２６", date(2026, 11, 2), None),
        ("\u00a002/11/2026\u00a0", date(2026, 11, 2), None),
        ("46328", date(2026, 11, 2), None),
        (Decimal(46328), date(2026, 11, 2), None),
        (Decimal("46328.5"), date(2026, 11, 2), time(12)),
        (Decimal(20261102), date(2026, 11, 2), None),
    ],
)
def test_a_day_is_read_as_it_is_written(
    written: str | Decimal, day: date, clock: time | None
) -> None:
    moment = read_moment(written)

    assert isinstance(moment, Moment)
    assert (moment.day, moment.time) == (day, clock)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("11/28/2026", RowFault.DATE_UNREADABLE),  # no month stands first here
        ("31/02/2026", RowFault.DATE_UNREADABLE),
        ("02/11/26", RowFault.DATE_UNREADABLE),
        ("02/11-2026", RowFault.DATE_UNREADABLE),
        ("02/11/2026 25:00", RowFault.DATE_UNREADABLE),
        ("hôm qua", RowFault.DATE_UNREADABLE),
        ("02/11/1926", RowFault.DATE_ABSURD),
        ("02/11/9999", RowFault.DATE_ABSURD),
        (Decimal(3), RowFault.DATE_ABSURD),
        (Decimal("1E+400"), RowFault.DATE_ABSURD),
        (Decimal("Infinity"), RowFault.DATE_ABSURD),
    ],
)
def test_what_is_no_day_is_refused(written: str | Decimal, fault: RowFault) -> None:
    assert read_moment(written) is fault


@given(st.text(max_size=70) | st.decimals())
def test_nothing_makes_a_day_or_a_time_fail(written: str | Decimal) -> None:
    assert isinstance(read_moment(written), Moment | RowFault | None)
    assert isinstance(read_time(written), time | RowFault | None)
