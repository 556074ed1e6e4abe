"""Amounts as a vendor keys them. The cases are in tests/data, for the twin in the browser too."""

import json
from pathlib import Path

import pytest

from api.pages.amounts import read_amount

PAGE = Path(__file__).parents[2] / "data/counter_amounts.json"
CASES = json.loads(PAGE.read_text("utf-8"))["cases"]


@pytest.mark.parametrize(("typed", "amount_vnd", "plain_vnd"), CASES)
def test_an_entry_means_what_a_vendor_means_or_is_refused(
    typed: str, amount_vnd: int | None, plain_vnd: int | None
) -> None:
    assert read_amount(typed) == amount_vnd
    assert read_amount(typed, is_plain=True) == plain_vnd
