"""docs/ledger.md says from which verdicts who may correct a payment, as the code has it."""

import re
from pathlib import Path

import pytest

from payments.credits.admissions import UNEXPLAINED
from payments.credits.assigning import (
    OPEN_TO_ASSIGN,
    OPEN_TO_CONFIRM,
    OPEN_TO_MANAGEMENT,
    PAYS_BILLS,
)
from payments.credits.rematching import OPEN_TO_REMATCH
from payments.credits.rules import Verdict

PAGE = Path(__file__).parents[2] / "docs/ledger.md"
AGAIN = {Verdict.OVER, Verdict.CLOSED_BILL}  # for the same bill, once it needs it


def read_row(what: str) -> set[Verdict]:
    """Read the verdicts of a row of the table, found by what is said in it."""
    (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {what}")]
    named = re.findall(r"`([a-z_]+)`", row.split("|")[3])
    return {Verdict(one) for one in named if one in {verdict.value for verdict in Verdict}}


@pytest.mark.parametrize(
    ("what", "verdicts"),
    [
        ("it is our stall's", OPEN_TO_ASSIGN),
        ("it pays this bill", OPEN_TO_CONFIRM | AGAIN),
        ("it is no sale", {Verdict.COUNTER_SALE, Verdict.NOT_TAKINGS}),
        ("it is a payee's", OPEN_TO_CONFIRM | OPEN_TO_MANAGEMENT),
        ("the same about an unmatched item", UNEXPLAINED | {Verdict.SPLIT}),
        ("its bill, or its reference", OPEN_TO_REMATCH),
    ],
)
def test_the_page_has_who_may_correct_a_payment(what: str, verdicts: set[Verdict]) -> None:
    assert read_row(what) == verdicts


def test_what_pays_bills_is_the_managements_to_move() -> None:
    assert PAYS_BILLS <= OPEN_TO_MANAGEMENT
    assert PAYS_BILLS.isdisjoint(UNEXPLAINED - {Verdict.SPLIT})
