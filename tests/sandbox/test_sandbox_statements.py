"""Statements of the sandbox's banks: chained, seeded, and read by others' readers."""

import io
import zipfile
from datetime import date, datetime, timedelta
from typing import Any
from unicodedata import normalize

import mt940
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.errors import BadRequest, NotFound
from sandbox.ft_numbers import VIETNAM
from sandbox.statements.faults import StatementFaults, spoil
from sandbox.statements.formats import FORMATS
from sandbox.statements.statement import Statement, draw_up
from sandbox.statements.wording import encode
from tests.world.sandbox_statements import (
    ACCOUNT,
    FRIDAY,
    FRIDAY_NOON,
    MB,
    MONDAY,
    SATURDAY,
    SUNDAY,
    a_bank,
    a_file,
    a_statement,
    book,
)
from tests.world.sandboxes import (
    SANDBOX_ACCOUNT,
    SANDBOX_ACCOUNT_KEY,
    a_sandbox,
    book_transfer,
    subscribe,
    tell,
)

pytestmark = pytest.mark.slow

TEXTS = [name for name, form in FORMATS.items() if form.encodings]


def test_a_day_opens_with_what_the_day_before_closed_with() -> None:
    statement = a_statement(3, days=3)

    friday, saturday, monday = statement.days
    assert (friday.opening_vnd, friday.closing_vnd) == (1_000_000, 1_019_000)
    assert saturday.opening_vnd == friday.closing_vnd
    assert monday.opening_vnd == saturday.closing_vnd
    assert statement.closing_vnd == 1_000_000 + statement.credit_vnd - statement.debit_vnd


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 200), st.booleans()), max_size=30),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_statements_of_any_days_chain(
    moves: list[tuple[int, int, bool]], first: int, days: int
) -> None:
    bank = a_bank(10**9)
    at = FRIDAY_NOON
    for amount_vnd, hours, is_in in moves:
        at += timedelta(hours=hours)
        book(bank, amount_vnd, at=at, direction="in" if is_in else "out")
    from_on = FRIDAY + timedelta(days=first)
    to_on = from_on + timedelta(days=days)

    one = draw_up(bank, MB, ACCOUNT, from_on, to_on)
    following = draw_up(bank, MB, ACCOUNT, to_on + timedelta(days=1), date(2027, 12, 31))

    assert one.closing_vnd == one.opening_vnd + sum(line.signed_vnd for line in one.lines)
    assert following.opening_vnd == one.closing_vnd
    assert following.closing_vnd == bank.look_up(MB, ACCOUNT).balance_vnd


@pytest.mark.parametrize(
    ("paid_at", "booked_on"),
    [
        (datetime(2026, 11, 20, 21, 59, tzinfo=VIETNAM), FRIDAY),
        (datetime(2026, 11, 20, 22, 0, tzinfo=VIETNAM), SATURDAY),
        (datetime(2026, 11, 22, 10, 0, tzinfo=VIETNAM), MONDAY),
    ],
)
def test_money_paid_late_or_on_a_sunday_is_on_the_next_banking_days_statement(
    paid_at: datetime, booked_on: date
) -> None:
    bank = a_bank()
    line = book(bank, at=paid_at)

    for day in (FRIDAY, SATURDAY, SUNDAY, MONDAY):
        found = [one.reference for one in draw_up(bank, MB, ACCOUNT, day, day).lines]
        assert found == ([line.reference] if day == booked_on else [])


def test_days_of_which_lines_are_no_longer_kept_are_refused() -> None:
    bank = a_bank()
    oldest = book(bank, at=FRIDAY_NOON)
    book(bank, at=FRIDAY_NOON + timedelta(days=1))
    book(bank, at=FRIDAY_NOON + timedelta(days=3))
    del bank.lines[oldest.id]

    with pytest.raises(NotFound):
        draw_up(bank, MB, ACCOUNT, FRIDAY, MONDAY)
    with pytest.raises(NotFound):
        draw_up(bank, MB, ACCOUNT, SATURDAY, MONDAY)  # may have lost a line, too
    assert draw_up(bank, MB, ACCOUNT, MONDAY, MONDAY).opening_vnd == 1_040_000


def test_money_to_a_virtual_account_is_on_its_parents_statement() -> None:
    bank = a_bank()
    bank.open_virtual(MB, "VQRQAEJCI2814", ACCOUNT)
    bank.book_raw(MB, "VQRQAEJCI2814", 20_000, "x", at=FRIDAY_NOON)

    (line,) = draw_up(bank, MB, ACCOUNT, FRIDAY, FRIDAY).lines
    assert line.virtual_number == "VQRQAEJCI2814"
    with pytest.raises(BadRequest):
        draw_up(bank, MB, "VQRQAEJCI2814", FRIDAY, FRIDAY)


def test_a_payer_and_an_unknown_account_have_no_statement() -> None:
    bank = a_bank()
    bank.open_account(MB, "0345678901", "TRAN THI B", payer="b")
    with pytest.raises(BadRequest):
        draw_up(bank, MB, "0345678901", FRIDAY, FRIDAY)
    with pytest.raises(NotFound):
        draw_up(bank, MB, "0000", FRIDAY, FRIDAY)
    with pytest.raises(BadRequest):
        draw_up(bank, MB, ACCOUNT, SATURDAY, FRIDAY)


def test_missing_and_extra_lines_leave_balances_and_totals_as_they_are() -> None:
    statement = a_statement(6, days=2)

    gone = spoil(statement, StatementFaults(missing=2))
    more = spoil(statement, StatementFaults(extra=3))

    assert set(gone.lines) < set(statement.lines)
    assert len(gone.lines) == 10
    assert len(more.lines) == 15
    assert len({line.reference for line in more.lines} - references(statement)) == 3
    for one in (gone, more):
        assert (one.opening_vnd, one.closing_vnd) == (statement.opening_vnd, statement.closing_vnd)
        assert (one.credit_vnd, one.debit_vnd) == (statement.credit_vnd, statement.debit_vnd)


def test_a_reordered_day_has_the_same_lines_in_another_order() -> None:
    statement = a_statement(4, days=2)
    shuffled = spoil(statement, StatementFaults(reordered=True))
    for was, is_now in zip(statement.days, shuffled.days, strict=True):
        assert was.lines != is_now.lines
        assert set(was.lines) == set(is_now.lines)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_request_gives_the_same_bytes_and_another_seed_others(name: str) -> None:
    faults: dict[str, Any] = {"missing": 1, "extra": 1, "reordered": True}
    first, again, other = (a_file(a_statement(), name, seed=seed, **faults) for seed in (7, 7, 8))
    assert contents(first) == contents(again)
    assert contents(first) != contents(other)


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_in_the_wrong_encoding_is_not_what_it_should_be(name: str) -> None:
    right = a_file(a_statement(), name).read()
    wrong = a_file(a_statement(), name, wrong_encoding=True).read()
    encoding = FORMATS[name].encodings[0]
    assert right.decode(encoding)
    with pytest.raises(UnicodeDecodeError):
        wrong.decode(encoding)


@pytest.mark.parametrize("name", ["xlsx", "pdf", "json"])
def test_a_format_that_names_its_own_encoding_has_no_wrong_one(name: str) -> None:
    with pytest.raises(BadRequest):
        a_file(a_statement(), name, wrong_encoding=True)
    with pytest.raises(BadRequest):
        a_file(a_statement(), name, "windows-1258")


@given(st.text("aăâđeêioôơuưyAĂÂĐEÊIOÔƠUƯY\u0300\u0301\u0303\u0309\u0323 0-9"))
def test_vietnamese_letters_survive_windows_1258(text: str) -> None:
    composed = normalize("NFC", text)
    written = encode(composed, "windows-1258").decode("cp1258")
    assert normalize("NFC", written) == normalize("NFC", composed)


def test_a_cut_file_is_the_beginning_of_the_whole() -> None:
    whole = a_file(a_statement(), "csv").read()
    half = a_file(a_statement(), "csv", keep_percent=50).read()
    assert half == whole[: len(whole) // 2]


def test_another_reader_of_mt940_finds_the_lines_and_balances() -> None:
    statement = a_statement(6, days=2)

    messages = mt940.parse_statements(a_file(statement, "mt940").read().decode())

    assert len(messages) == len(statement.days)
    for message, day in zip(messages, statement.days, strict=True):
        assert message.data["final_opening_balance"].amount.amount == day.opening_vnd
        assert message.data["final_closing_balance"].amount.amount == day.closing_vnd
        found = [(one.data["amount"].amount, one.data["bank_reference"]) for one in message]
        assert found == [(line.signed_vnd, line.reference) for line in day.lines]


def test_the_workbook_has_days_and_numbers_in_merged_cells() -> None:
    statement = a_statement()
    with zipfile.ZipFile(a_file(statement, "xlsx")) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        texts = book.read("xl/sharedStrings.xml").decode()
    assert f"20/11/2026   {statement.lines[0].reference}" in texts
    assert "Số tiền ghi có/ Credit" in texts
    assert sheet.count("<mergeCell ") > len(statement.lines)


def test_a_statement_is_downloaded_and_can_come_before_the_callback() -> None:
    with a_sandbox(time_scale=1.0) as client:
        subscription = subscribe(client, "sepay", "http://127.0.0.1:9/nobody")
        late = {"subscription": subscription["id"], "profile": {"delay_s": 3600}}
        tell(client, "faults", late)
        line = book_transfer(client, 25_000)
        account = f"{SANDBOX_ACCOUNT['bin']}-{SANDBOX_ACCOUNT['number']}"

        answer = client.get("/control/statements", params={"account": account, "format": "csv"})

        assert answer.status_code == 200
        assert answer.headers["content-disposition"].endswith('.csv"')
        assert line["reference"] in answer.content.decode("utf-8-sig")
        assert client.get("/control/log").json()["counts"]["pending"] == 1


def test_a_request_that_makes_no_sense_is_refused() -> None:
    refused: list[tuple[dict[str, str], int]] = [
        ({"format": "docx"}, 422),
        ({"format": "csv", "from": "20/11/2026"}, 422),
        ({"format": "csv", "missing": "many"}, 422),
        ({"format": "csv", "surprise": "1"}, 422),
        ({"format": "mt940", "encoding": "windows-1258"}, 422),
        ({"format": "csv", "account": "970422 0000"}, 404),
    ]
    account = " ".join(SANDBOX_ACCOUNT_KEY.values())
    with a_sandbox() as client:
        for query, status in refused:
            answer = client.get("/control/statements", params={"account": account, **query})
            assert answer.status_code == status, answer.text
            assert answer.json()["detail"]


def references(statement: Statement) -> set[str]:
    return {line.reference for line in statement.lines}


def contents(file: io.BytesIO) -> object:
    """The bytes; of a workbook its parts, since a zip has the time it was made at."""
    if not file.getvalue().startswith(b"PK"):
        return file.getvalue()
    with zipfile.ZipFile(file) as book:
        return {name: book.read(name) for name in book.namelist() if "docProps" not in name}
