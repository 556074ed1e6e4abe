"""A complaint is to be answered within working days, as Việt Nam counts them."""

from datetime import date

import pytest

from city.complaints.rules import due_day
from city.complaints.working_days import is_day_off


@pytest.mark.parametrize(
    ("received", "due"),
    [
        (date(2026, 12, 1), date(2026, 12, 4)),  # Tuesday: Wednesday, Thursday, Friday
        (date(2026, 12, 3), date(2026, 12, 8)),  # Thursday: over a weekend
        (date(2026, 12, 5), date(2026, 12, 9)),  # Saturday counts as received, and not as a day
        (date(2026, 11, 20), date(2026, 11, 26)),  # over Ngày Văn hóa Việt Nam, 24 November
        (date(2026, 8, 31), date(2026, 9, 7)),  # over Quốc khánh, both days of it, and a weekend
    ],
)
def test_days_off_do_not_count(received: date, due: date) -> None:
    assert due_day(received, working_days=3, is_day_off=is_day_off) == due


def test_tet_is_waited_for() -> None:
    due = due_day(date(2027, 2, 4), working_days=1, is_day_off=is_day_off)  # the day before it
    assert due > date(2027, 2, 9)  # mùng ba
    assert not is_day_off(due)
