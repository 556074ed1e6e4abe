"""docs/vietqr.md says what the code does."""

import re
from pathlib import Path

from payments.bills.references import ALPHABET, make_reference
from payments.vietqr import build, transfer_code

PAGE = (Path(__file__).parents[3] / "docs/vietqr.md").read_text("utf-8")


def test_the_pages_payload_is_the_one_we_write() -> None:
    payload = build(
        transfer_code(
            bin="970422",
            account="0123456789",
            amount_vnd=20_000,
            purpose="PPHNDXCJF3X84",
            is_dynamic=True,
        )
    )

    assert payload == "".join(re.findall(r"^# ([0-9A-Z]+)$", PAGE, re.MULTILINE))


def test_the_pages_worked_example_adds_up() -> None:
    row = r"^\| (\w) \| (\d+) \| (\d+) \+ (\d+) → (\d+) \| (\d+) \|$"
    rows = re.findall(row, PAGE, re.MULTILINE)
    reference = make_reference("HNDX", 0)

    assert "".join(letter for letter, *_ in rows) == reference[2:12]
    before = 30
    for letter, *figures in rows:
        value, product, added, total, doubled = map(int, figures)
        assert value == added == ALPHABET.index(letter)
        assert product == before
        assert total == ((product + value) % 30 or 30)
        assert doubled == total * 2 % 31
        before = doubled
    assert (before + ALPHABET.index(reference[12])) % 30 == 1
