"""The rules alone: what a line names, which pairs are none, and that each credit is used once."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.bills.references import make_reference
from payments.ledger.rules import AccountCode
from payments.reconciliation.reasons import REASONS
from payments.reconciliation.rules import (
    CASCADE,
    COUNTER_ACCOUNTS,
    SCORES_BPS,
    OpenLine,
    Pairing,
    ProofRule,
    UnprovedCredit,
    pair_lines,
    read_line,
    read_words,
)
from payments.refunds.rules import code_of, find_codes, write_memo
from payments.statements.rules import Explanation

DAY = date(2026, 11, 20)
ORG = "HKXM"
ONE, TWO = make_reference(ORG, 1), make_reference(ORG, 2)
FT, OTHER_FT = "FT26324000123", "FT26324000124"
ALL_RULES = [rule for step in CASCADE for rule in step]


def a_line(number: int = 1, *, day: int = 0, amount_vnd: int = 20_000, **facts: str) -> OpenLine:
    """A line; `day` counts from DAY."""
    line = read_line(
        id_=UUID(int=number),
        booked_on=DAY + timedelta(days=day),
        amount_vnd=amount_vnd,
        bank_reference=facts.get("bank_reference", ""),
        provider_line_id=facts.get("provider_line_id"),
        memo=facts.get("memo", ""),
        codes={ORG: 1_000},
    )
    return read_words(line)


def a_credit(
    number: int = 100,
    *,
    day: int = 0,
    amount_vnd: int = 20_000,
    named: str | None = None,
    bank_reference: str = "",
) -> UnprovedCredit:
    """A credit; `day` counts from DAY."""
    return UnprovedCredit(
        id=UUID(int=number),
        amount_vnd=amount_vnd,
        day=DAY + timedelta(days=day),
        bank_reference=bank_reference,
        provider_transaction_id=str(number),
        named=named,
    )


def pair(lines: list[OpenLine], credits_in: list[UnprovedCredit]) -> list[Pairing]:
    return pair_lines(lines, credits_in, ALL_RULES)


@pytest.mark.parametrize(
    ("days", "is_pair"), [(-2, False), (-1, True), (0, True), (4, True), (5, False)]
)
def test_a_booking_is_from_a_day_before_to_four_days_after_the_transfer(
    days: int, is_pair: bool
) -> None:
    found = pair([a_line(day=days, bank_reference=FT)], [a_credit(bank_reference=FT)])
    assert bool(found) is is_pair


def test_what_says_that_two_transfers_are_meant_outweighs_every_rule() -> None:
    assert not pair([a_line(bank_reference=FT, memo=ONE)], [a_credit(bank_reference=FT, named=TWO)])
    assert not pair(
        [a_line(bank_reference=OTHER_FT, memo=ONE)], [a_credit(bank_reference=FT, named=ONE)]
    )
    # Another form says nothing: a provider may give NAPAS's number where the bank gives its own.
    (found,) = pair(
        [a_line(bank_reference="519810759252", memo=ONE)],
        [a_credit(bank_reference=FT, named=ONE)],
    )
    assert found.rule is ProofRule.BILL_EXACT


def test_what_another_organisation_or_nobody_gave_out_is_no_name() -> None:
    foreign, not_yet = make_reference("ZZZ2", 1), make_reference(ORG, 5_000)
    for memo in (foreign, not_yet):
        assert not pair([a_line(memo=memo)], [a_credit(named=memo)])


def test_a_filler_is_no_bank_reference() -> None:
    assert not pair([a_line(bank_reference="00000000")], [a_credit(bank_reference="00000000")])


def test_the_stronger_rule_takes_the_credit_whatever_the_order_of_the_lines() -> None:
    by_memo = a_line(1, memo=ONE)
    by_bank = a_line(2, bank_reference=FT, memo=ONE)
    (found,) = pair([by_memo, by_bank], [a_credit(bank_reference=FT, named=ONE)])
    assert (found.line, found.rule) == (by_bank, ProofRule.BANK_REFERENCE)


def test_several_credits_are_one_line_only_if_all_that_share_its_reference_add_up() -> None:
    parts = [a_credit(n, amount_vnd=10_000, bank_reference=FT) for n in (100, 101, 102)]
    (found,) = pair([a_line(amount_vnd=30_000, bank_reference=FT)], parts)
    assert found.credits == tuple(parts)
    assert not pair([a_line(amount_vnd=20_000, bank_reference=FT)], parts)


@given(st.data())
def test_no_credit_and_no_line_is_used_twice_and_every_pair_has_the_amount(
    data: st.DataObject,
) -> None:
    amounts = st.sampled_from([10_000, 20_000, 30_000])
    banks, names = st.sampled_from(["", FT, OTHER_FT]), st.sampled_from(["", ONE, TWO])
    lines = [
        a_line(
            number,
            day=data.draw(st.integers(-2, 6)),
            amount_vnd=data.draw(amounts),
            bank_reference=data.draw(banks),
            memo=data.draw(names),
        )
        for number in range(1, data.draw(st.integers(1, 8)))
    ]
    lines.sort(key=lambda line: (line.booked_on, line.id))
    credits_in = [
        a_credit(
            number,
            day=data.draw(st.integers(-2, 6)),
            amount_vnd=data.draw(amounts),
            bank_reference=data.draw(banks),
            named=data.draw(names) or None,
        )
        for number in range(100, 100 + data.draw(st.integers(0, 8)))
    ]

    found = pair(lines, credits_in)

    used = [credit.id for one in found for credit in one.credits]
    assert len(used) == len(set(used))
    assert len({one.line.id for one in found}) == len(found)
    for one in found:
        assert sum(credit.amount_vnd for credit in one.credits) == one.line.amount_vnd
        for credit in one.credits:
            assert one.key in (credit.bank_reference, credit.named)
            assert credit.named is None or one.line.references in ((), (credit.named,))


def test_every_rule_has_its_score_and_reason_and_every_explanation_its_account() -> None:
    assert SCORES_BPS.keys() == set(ProofRule) - {ProofRule.BY_HAND}
    assert REASONS.keys() == set(ProofRule)
    assert COUNTER_ACCOUNTS.keys() == set(Explanation)
    assert AccountCode.BANK not in COUNTER_ACCOUNTS.values()
    scores = [SCORES_BPS[rule] for rule in ALL_RULES]
    assert scores == sorted(scores, reverse=True)


def test_a_refund_is_named_by_its_code_whatever_a_bank_did_to_the_memo() -> None:
    refund_id = UUID(int=0x0A1B2C3D4E5F)
    memo = write_memo(refund_id)
    assert find_codes(f"MBCT.{memo.lower()}.CT tu 0011") == [code_of(refund_id)]
    assert find_codes(" ".join(memo)) == [code_of(refund_id)]
    assert find_codes("HOAN TIEN 123") == []
