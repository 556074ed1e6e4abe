"""camt.053: versions, batches, reversals; and files that are made to do harm."""

import io
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.providers.types import Direction
from payments.statements.reading.camt053 import read_camt053
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.types import ProblemCode, RowFault
from tests.world.sandbox_statements import ACCOUNT, a_file, a_statement, read_all

# By hand, after the message's definition; no bank's file.
BALANCE = """<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="VND">{amount}</Amt>
  <CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-20</Dt></Dt></Bal>"""
ENTRY = """<Ntry><Amt Ccy="VND">{amount}</Amt><CdtDbtInd>{mark}</CdtDbtInd>{more}
  <Sts>{status}</Sts><BookgDt>{day}</BookgDt><AcctSvcrRef>FT1</AcctSvcrRef>
  <NtryDtls>{details}</NtryDtls><AddtlNtryInf>the entry's own text</AddtlNtryInf></Ntry>"""
DETAILS = """<TxDtls><Refs><AcctSvcrRef>{reference}</AcctSvcrRef></Refs>{amount}
  <RltdPties><Dbtr>{name}</Dbtr><DbtrAcct><Id><Othr><Id>0011</Id></Othr></Id></DbtrAcct>
    <Cdtr><Nm>THE MARKET</Nm></Cdtr></RltdPties>
  <RmtInf><Ustrd>{memo}</Ustrd><Ustrd>rest</Ustrd></RmtInf></TxDtls>"""
OLD = 2  # the version in which a status is text and a party has its name at once


def details(memo: str, vnd: int | None = None, *, version: int = OLD, reference: str = "") -> str:
    amount = "" if vnd is None else f'<AmtDtls><TxAmt><Amt Ccy="VND">{vnd}</Amt></TxAmt></AmtDtls>'
    name = "<Nm>NGUYEN VAN A</Nm>"
    name = name if version < 8 else f"<Pty>{name}</Pty>"
    return DETAILS.format(memo=memo, amount=amount, name=name, reference=reference)


def entry(
    amount: str = "20000", mark: str = "CRDT", *, version: int = OLD, inner: str = "",
    more: str = "", day: str = "<Dt>2026-11-20</Dt>", status: str = "BOOK",
) -> str:  # fmt: skip
    status = status if version < 8 else f"<Cd>{status}</Cd>"
    return ENTRY.format(amount=amount, mark=mark, more=more, status=status, day=day, details=inner)


def statement(
    *entries: str, opening: str = "1000", closing: str | None = "21000", account: str = ACCOUNT,
    before: str = "",
) -> str:  # fmt: skip
    balances = BALANCE.format(code="OPBD", amount=opening)
    if closing is not None:
        balances += BALANCE.format(code="CLBD", amount=closing)
    number = f"<Acct><Id><Othr><Id>{account}</Id></Othr></Id><Ccy>VND</Ccy></Acct>"
    return f"<Stmt><Id>1</Id>{before}{number}{balances}{''.join(entries)}</Stmt>"


def message(*statements: str, version: int = OLD) -> io.BytesIO:
    namespace = f"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version:02d}"
    body = f"<BkToCstmrStmt><GrpHdr><MsgId>1</MsgId></GrpHdr>{''.join(statements)}</BkToCstmrStmt>"
    return io.BytesIO(f'<Document xmlns="{namespace}">{body}</Document>'.encode())


@pytest.mark.parametrize("version", [2, 4, 8, 13])
def test_every_version_is_read_alike(version: int) -> None:
    inner = details("PPMOXA234567K", version=version, reference="FT26324000000001")
    file = message(statement(entry(version=version, inner=inner)), version=version)

    (line,), errors, summary = read_all(read_camt053, file)

    assert (line.direction, line.amount_vnd) == (Direction.IN, 20_000)
    assert (line.bank_reference, line.memo) == ("FT26324000000001", "PPMOXA234567K rest")
    assert (line.counterparty_name, line.counterparty_account) == ("NGUYEN VAN A", "0011")
    assert (line.transacted_at, line.is_date_only) == (None, True)
    assert not errors
    assert summary.account_number == ACCOUNT
    assert summary.is_acceptable
    assert summary.is_chained


def test_money_out_went_to_its_creditor() -> None:
    file = message(statement(entry("500.00", "DBIT", inner=details("x")), closing="500"))
    (line,), _, summary = read_all(read_camt053, file)
    assert (line.direction, line.amount_vnd) == (Direction.OUT, 500)
    assert (line.counterparty_name, line.counterparty_account) == ("THE MARKET", None)
    assert summary.is_acceptable


def test_a_reversal_goes_the_way_its_entry_says() -> None:
    file = message(statement(entry("500", "DBIT", more="<RvslInd>true</RvslInd>"), closing="500"))
    (line,), _, _ = read_all(read_camt053, file)
    assert (line.direction, line.is_reversal) == (Direction.OUT, True)
    assert line.memo == "the entry's own text"
    assert line.bank_reference == "FT1"


def test_a_time_is_kept_and_its_day_is_that_of_ha_noi() -> None:
    day = "<DtTm>2026-11-20T23:30:00Z</DtTm>"
    (line,), _, _ = read_all(read_camt053, message(statement(entry(day=day))))
    assert line.booked_on.isoformat() == "2026-11-21"
    assert line.transacted_at == datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    assert not line.is_date_only


def test_a_batch_whose_parts_add_up_is_a_line_for_each() -> None:
    inner = details("one", 12_000, reference="A") + details("two", 8_000, reference="B")
    lines, _, summary = read_all(read_camt053, message(statement(entry(inner=inner))))
    assert [(one.amount_vnd, one.memo, one.bank_reference) for one in lines] == [
        (12_000, "one rest", "A"),
        (8_000, "two rest", "B"),
    ]
    assert summary.is_acceptable


def test_a_batch_whose_parts_do_not_add_up_is_one_line() -> None:
    inner = details("one", 12_000) + details("two", 7_000)
    (line,), _, summary = read_all(read_camt053, message(statement(entry(inner=inner))))
    assert (line.amount_vnd, line.memo) == (20_000, "the entry's own text")
    assert summary.is_acceptable


def test_what_is_not_booked_yet_is_no_line() -> None:
    file = message(statement(entry(status="PDNG"), closing="1000"))
    lines, _, summary = read_all(read_camt053, file)
    assert (lines, summary.is_acceptable) == ([], True)


def test_several_statements_are_one_if_they_chain() -> None:
    chained = (statement(entry()), statement(entry(), opening="21000", closing="41000"))
    lines, _, summary = read_all(read_camt053, message(*chained))
    assert (len(lines), summary.opening_vnd, summary.closing_vnd) == (2, 1_000, 41_000)
    assert summary.is_acceptable

    apart = (statement(entry()), statement(entry(), opening="22000", closing="42000"))
    _, _, summary = read_all(read_camt053, message(*apart))
    codes = [one.code for one in summary.problems]
    assert codes == [ProblemCode.BALANCE_BROKEN, ProblemCode.CLOSING_DIFFERS]


def test_a_statement_of_a_second_account_ends_the_lines() -> None:
    file = message(statement(entry()), statement(entry(), account="0988000222"))
    lines, _, summary = read_all(read_camt053, file)
    assert len(lines) == 1
    assert [one.code for one in summary.problems] == [ProblemCode.SEVERAL_ACCOUNTS]


def test_stated_totals_are_compared() -> None:
    totals = (
        "<TxsSummry><TtlNtries><NbOfNtries>3</NbOfNtries></TtlNtries>"
        "<TtlCdtNtries><Sum>20001</Sum></TtlCdtNtries></TxsSummry>"
    )
    _, _, summary = read_all(read_camt053, message(statement(totals, entry())))
    codes = [one.code for one in summary.problems]
    assert codes == [ProblemCode.TOTAL_IN_DIFFERS, ProblemCode.COUNT_DIFFERS]


def test_a_line_outside_of_the_stated_days_is_named() -> None:
    period = (
        "<FrToDt><FrDtTm>2026-11-21T00:00:00</FrDtTm><ToDtTm>2026-11-22T00:00:00</ToDtTm></FrToDt>"
    )
    _, _, summary = read_all(read_camt053, message(statement(entry(), before=period)))
    assert [one.code for one in summary.problems] == [ProblemCode.DATE_OUTSIDE_PERIOD]


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (entry("20000.50"), RowFault.AMOUNT_HAS_FRACTION),
        (entry("0"), RowFault.AMOUNT_ZERO),
        (entry("-5"), RowFault.AMOUNT_NEGATIVE),
        (entry("9" * 20), RowFault.AMOUNT_TOO_LARGE),
        (entry("twenty"), RowFault.AMOUNT_UNREADABLE),
        (entry(mark="BOTH"), RowFault.DIRECTION_UNREADABLE),
        (entry(day="<Dt>2026-13-20</Dt>"), RowFault.DATE_UNREADABLE),
        (entry(day=""), RowFault.DATE_MISSING),
        (entry().replace("VND", "USD"), RowFault.OTHER_CURRENCY),
        (entry(inner=details("x" * 4_001)), RowFault.CELL_TOO_LONG),
        (BALANCE.format(code="CLBD", amount="much"), RowFault.BALANCE_UNREADABLE),
    ],
)
def test_a_broken_entry_is_an_error_of_its_row(broken: str, fault: RowFault) -> None:
    file = message(statement(entry(), broken))
    lines, errors, summary = read_all(read_camt053, file)
    assert len(lines) == 1
    assert [one.fault for one in errors] == [fault]
    assert not summary.is_acceptable


BOMB = """<!DOCTYPE Document [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">
<!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;">]>"""
OUTSIDE = '<!DOCTYPE Document [<!ENTITY e SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize("prologue", [BOMB, OUTSIDE])
def test_a_document_type_is_refused_whatever_it_defines(prologue: str) -> None:
    content = message(statement(entry(inner=details("&e;")))).getvalue().decode()
    assert refusal_of((prologue + content).encode()) is Refusal.EXPANDS_TOO_FAR


def test_an_entry_of_countless_elements_is_refused() -> None:
    content = message(statement(entry(inner="<a/>" * 60_000))).getvalue()
    assert refusal_of(content) is Refusal.EXPANDS_TOO_FAR


def test_what_is_no_camt053_is_refused() -> None:
    assert refusal_of(b"") is Refusal.EMPTY
    assert refusal_of(b"<Document><BkToCstmrAcctRpt/></Document>") is Refusal.UNKNOWN_FORMAT
    assert refusal_of(b"<Document><BkToCstmrStmt/></Document>") is Refusal.UNKNOWN_FORMAT
    assert refusal_of(b"<html><body></body></html>") is Refusal.UNKNOWN_FORMAT
    assert refusal_of(b"STT,Ngay") is Refusal.DAMAGED
    assert refusal_of("<Document>\u1ebd</Document>".encode("cp1258", "replace")) is not None


@settings(max_examples=30)
@given(st.integers(0, 99))
def test_no_beginning_of_a_statement_passes_for_the_whole(percent: int) -> None:
    whole = a_file(a_statement(4), "camt053").read()
    assert refusal_of(whole[: len(whole) * percent // 100]) in (Refusal.DAMAGED, Refusal.EMPTY)


@given(st.binary(max_size=300), st.integers(0, 1_500))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int) -> None:
    content = message(statement(entry(inner=details("x")))).getvalue()
    try:
        read_all(read_camt053, io.BytesIO(content[:at] + noise + content[at:]))
    except StatementError as error:
        assert error.reason  # noqa: PT017 (a file that is read is as good)


def refusal_of(content: bytes) -> Refusal:
    with pytest.raises(StatementError) as caught:
        read_all(read_camt053, io.BytesIO(content))
    return caught.value.reason
