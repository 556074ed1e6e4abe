"""Statements that the sandbox's banks write are read whole, and each of their faults is named."""

import re
from typing import Any

import pytest

from payments.providers.types import Direction
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.formats import read_statement
from payments.statements.reading.types import Problem, ProblemCode, StatementSummary
from sandbox.statements.formats import FORMATS
from sandbox.statements.statement import Statement
from sandbox.statements.wording import without_marks
from tests.world.sandbox_statements import ACCOUNT, a_file, a_statement, read_all

pytestmark = pytest.mark.slow

WRITTEN = [
    (name, encoding)
    for name, form in FORMATS.items()
    for encoding in (form.encodings or ("",))
    if name != "json"
]
WITH_BALANCES = ["csv", "xlsx", "html", "pdf"]
STANDARDS = ["mt940", "camt053"]
CLOSED = [*WITH_BALANCES, *STANDARDS]  # they state what they open and close with


@pytest.mark.parametrize(("name", "encoding"), WRITTEN)
def test_what_a_bank_writes_is_read_line_by_line(name: str, encoding: str) -> None:
    statement = a_statement(8, days=2)

    # Below a million a file of signed amounts does not say what its dots mean.
    options = {"thousands_separator": "."} if name == "csv_signed" else {}
    file = a_file(statement, name, encoding)
    lines, errors, summary = read_all(read_statement, file, **options)

    assert not errors
    assert [
        (one.booked_on, one.amount_vnd, one.direction, one.bank_reference) for one in lines
    ] == [
        (
            one.booked_on,
            abs(one.signed_vnd),
            Direction.IN if one.signed_vnd > 0 else Direction.OUT,
            one.reference,
        )
        for one in statement.lines
    ]
    assert [plain(one.memo, name) for one in lines] == [
        plain(one.memo, name) for one in statement.lines
    ]
    assert summary.is_acceptable, summary.problems


@pytest.mark.parametrize("name", CLOSED)
def test_a_summary_says_whose_statement_it_is_and_that_it_chains(name: str) -> None:
    statement = a_statement(8, days=2)
    _, _, summary = read_all(read_statement, a_file(statement, name), account_number=ACCOUNT)

    assert (summary.account_number, summary.currency) == (ACCOUNT, "VND")
    assert (summary.opening_vnd, summary.closing_vnd) == (
        statement.opening_vnd,
        statement.closing_vnd,
    )
    assert (summary.lines, summary.in_vnd, summary.out_vnd) == (
        16,
        statement.credit_vnd,
        statement.debit_vnd,
    )
    assert summary.is_opening_stated
    assert summary.is_closing_stated
    assert summary.is_chained
    assert summary.is_acceptable, summary.problems


@pytest.mark.parametrize("fault", ["missing", "extra"])
@pytest.mark.parametrize("name", CLOSED)
def test_a_missing_or_made_up_line_breaks_the_closing_balance(name: str, fault: str) -> None:
    statement = a_statement(8)
    summary = summarise(statement, name, **{fault: 1})

    (closing,) = problems(summary, ProblemCode.CLOSING_DIFFERS)
    moved_vnd = int(closing.facts["expected_vnd"]) - int(closing.facts["found_vnd"])
    assert closing.facts["found_vnd"] == statement.closing_vnd
    assert moved_vnd == statement.opening_vnd - statement.closing_vnd + (
        summary.in_vnd - summary.out_vnd
    )
    if name in WITH_BALANCES:
        (broken,) = problems(summary, ProblemCode.BALANCE_BROKEN)
        assert broken.place is not None


@pytest.mark.parametrize("name", CLOSED)
def test_a_wrong_total_is_named_to_the_dong(name: str) -> None:
    statement = a_statement(8)
    (closing,) = problems(
        summarise(statement, name, wrong_total_vnd=-1), ProblemCode.CLOSING_DIFFERS
    )
    assert closing.facts == {
        "expected_vnd": statement.closing_vnd,
        "found_vnd": statement.closing_vnd - 1,
    }


@pytest.mark.parametrize("name", WITH_BALANCES)
def test_lines_out_of_order_break_running_balances_and_nothing_else(name: str) -> None:
    summary = summarise(a_statement(8), name, reordered=True)
    assert {one.code for one in summary.problems} == {ProblemCode.BALANCE_BROKEN}


@pytest.mark.parametrize("name", STANDARDS)
def test_without_running_balances_the_order_of_lines_does_not_matter(name: str) -> None:
    assert summarise(a_statement(8), name, reordered=True).is_acceptable


@pytest.mark.parametrize("keep_percent", [1, 35, 60, 98])
@pytest.mark.parametrize("name", [*STANDARDS, "pdf", "xlsx"])
def test_a_cut_file_is_refused_or_called_truncated(name: str, keep_percent: int) -> None:
    said: object = None
    try:
        summary = summarise(a_statement(8), name, keep_percent=keep_percent)
        said = [one.code for one in summary.problems]
    except StatementError as error:
        said = error.reason
    if isinstance(said, list):
        assert ProblemCode.TRUNCATED in said
    else:
        assert said in (Refusal.DAMAGED, Refusal.UNKNOWN_FORMAT)


@pytest.mark.parametrize("name", STANDARDS)
def test_letters_in_the_wrong_encoding_are_refused(name: str) -> None:
    with pytest.raises(StatementError) as caught:
        summarise(a_statement(8), name, wrong_encoding=True)
    assert caught.value.reason in (Refusal.BAD_ENCODING, Refusal.DAMAGED)


def summarise(statement: Statement, name: str, **faults: Any) -> StatementSummary:
    return read_all(read_statement, a_file(statement, name, **faults))[2]


def problems(summary: StatementSummary, code: ProblemCode) -> list[Problem]:
    return [one for one in summary.problems if one.code is code]


def plain(memo: str, name: str) -> str:
    """A memo without what its format cannot carry: marks and signs, or how it was broken."""
    if name == "mt940":
        memo = re.sub(r"[^A-Za-z0-9/\-?:().,'+ ]", ".", without_marks(memo))
    return " ".join(memo.split())
