"""Deciding which credits a statement line is, by which rule, and what each explanation posts. Pure.

The rules and what outweighs them: docs/adr/0016.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from payments.bills.references import (
    MEMO_CHARS_MAX,
    NextSerials,
    ReferenceRule,
    check_reference,
    find_references,
    is_given_out,
)
from payments.ledger.rules import AccountCode
from payments.providers.bank_references import are_two_transfers, is_identifying_reference
from payments.statements.rules import Explanation

# A booking is at most so many days from the bank's own time of the transfer: weekends, and clocks.
BOOKED_AFTER: Final = timedelta(days=4)
BOOKED_BEFORE: Final = timedelta(days=1)

WORDS_MAX: Final = 8  # of a memo that are looked up as bank references
_WORD: Final = re.compile(r"[A-Z0-9]{8,40}")


class ProofRule(StrEnum):
    """By which rule a line was explained; the order is the order in which they are tried."""

    PROVIDER_LINE = "provider_line"
    BANK_REFERENCE = "bank_reference"
    BILL_EXACT = "bill_exact"
    BILL_NORMALISED = "bill_normalised"
    BANK_REFERENCE_SUM = "bank_reference_sum"  # one line, several credits
    MEMO_BANK_REFERENCE = "memo_bank_reference"
    REFUND_CODE = "refund_code"  # money out: ours, in the memo
    REFUND_REFERENCE = "refund_reference"  # money out: the bank's, which a person typed
    BY_HAND = "by_hand"


SCORES_BPS: Final[Mapping[ProofRule, int]] = {
    ProofRule.PROVIDER_LINE: 10_000,
    ProofRule.BANK_REFERENCE: 9_900,
    ProofRule.BILL_EXACT: 9_800,
    ProofRule.BILL_NORMALISED: 9_600,
    ProofRule.BANK_REFERENCE_SUM: 9_500,
    ProofRule.MEMO_BANK_REFERENCE: 9_200,
    ProofRule.REFUND_CODE: 9_800,
    ProofRule.REFUND_REFERENCE: 9_900,
}
# Tried step by step: what a step leaves is looked up by the next one's keys. A step tries its rules
# in their order.
BY_WORDS: Final = (ProofRule.MEMO_BANK_REFERENCE,)
CASCADE: Final = (
    (ProofRule.PROVIDER_LINE, ProofRule.BANK_REFERENCE),
    (ProofRule.BILL_EXACT, ProofRule.BILL_NORMALISED, ProofRule.BANK_REFERENCE_SUM),
    BY_WORDS,
)
BY_PROVIDER_ID: Final = frozenset({ProofRule.PROVIDER_LINE})
BY_BANK_REFERENCE: Final = frozenset(
    {
        ProofRule.BANK_REFERENCE,
        ProofRule.BANK_REFERENCE_SUM,
        ProofRule.MEMO_BANK_REFERENCE,
    }
)
BY_BILL: Final = frozenset({ProofRule.BILL_EXACT, ProofRule.BILL_NORMALISED})

# Of the account's own (or the organisation's) ledger, what stands against its bank.
COUNTER_ACCOUNTS: Final[Mapping[Explanation, AccountCode]] = {
    Explanation.CREDIT: AccountCode.BANK_CLEARING,
    Explanation.REFUND: AccountCode.REFUNDS_IN_TRANSIT,
    Explanation.REFUND_BACK: AccountCode.REFUNDS_IN_TRANSIT,
    Explanation.BANK_CHARGE: AccountCode.BANK_CHARGES,
    Explanation.INTEREST: AccountCode.INTEREST,
    Explanation.OWN_TRANSFER: AccountCode.OWN_TRANSFERS,
    Explanation.NOT_THE_HUBS: AccountCode.NOT_THE_HUBS,
}
# Which way the money of some explanations goes; the others go both ways.
ONE_WAY: Final[Mapping[Explanation, str]] = {
    Explanation.CREDIT: "in",
    Explanation.REFUND: "out",
    Explanation.REFUND_BACK: "in",
}
# What a person may say that a line is, without a credit or refund of ours.
BY_WORD: Final = frozenset(Explanation) - {Explanation.CREDIT, Explanation.REFUND}


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenLine:
    """A line that nothing explains yet, and what it names."""

    id: UUID
    booked_on: date
    amount_vnd: int
    bank_reference: str  # upper case; "" without one
    memo: str
    keys: Mapping[ProofRule, tuple[str, ...]]  # by which rule it can be looked up, under what

    @property
    def references(self) -> tuple[str, ...]:
        """Our own references that its memo names."""
        return (
            *self.keys.get(ProofRule.BILL_EXACT, ()),
            *self.keys.get(ProofRule.BILL_NORMALISED, ()),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class UnprovedCredit:
    """Money in that a callback reported, and that no line has proved."""

    id: UUID
    amount_vnd: int
    day: date  # in Hà Nội, by the bank's clock
    bank_reference: str
    provider_transaction_id: str
    named: str | None  # what it named itself when it came: our reference, or a provider's order


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairing:
    """What explains a line, and by what."""

    line: OpenLine
    credits: tuple[UnprovedCredit, ...]  # more than one: by a reference that they share
    rule: ProofRule
    key: str  # what both name
    next_best: dict[str, Any] | None = None  # credit_id, rule, score_bps of the strongest other


@dataclass(kw_only=True, slots=True)
class _Search:
    """Credits by what they can be looked up under, and which are taken."""

    by_key: Mapping[ProofRule, Mapping[str, list[UnprovedCredit]]]
    taken: set[UUID] = field(default_factory=set)


def read_line(
    *,
    id_: UUID,
    booked_on: date,
    amount_vnd: int,
    bank_reference: str,
    provider_line_id: str | None,
    memo: str,
    codes: NextSerials,
) -> OpenLine:
    """Read what a line names.

    Args:
        codes: of this organisation; what looks like a reference and was not given out is a word.
    """
    keys: dict[ProofRule, tuple[str, ...]] = {}
    bank_reference = bank_reference.strip().upper()
    if provider_line_id and is_identifying_reference(provider_line_id):
        keys[ProofRule.PROVIDER_LINE] = (provider_line_id,)
    if bank_reference and is_identifying_reference(bank_reference):
        keys[ProofRule.BANK_REFERENCE] = (bank_reference,)
        keys[ProofRule.BANK_REFERENCE_SUM] = (bank_reference,)
    own = [one for one in find_references(memo) if is_given_out(one, codes)]
    for rule, how in (
        (ProofRule.BILL_EXACT, ReferenceRule.MEMO_EXACT),
        (ProofRule.BILL_NORMALISED, ReferenceRule.MEMO_NORMALISED),
    ):
        if named := tuple(one.reference for one in own if one.rule is how):
            keys[rule] = named
    return OpenLine(
        id=id_,
        booked_on=booked_on,
        amount_vnd=amount_vnd,
        bank_reference=bank_reference,
        memo=memo,
        keys=keys,
    )


def read_words(line: OpenLine) -> OpenLine:
    """Return a line that can be looked up by the words of its memo, too."""
    words = dict.fromkeys(_WORD.findall(line.memo[:MEMO_CHARS_MAX].upper()))
    found = tuple(word for word in words if is_identifying_reference(word))[:WORDS_MAX]
    return OpenLine(
        id=line.id,
        booked_on=line.booked_on,
        amount_vnd=line.amount_vnd,
        bank_reference=line.bank_reference,
        memo=line.memo,
        keys={**line.keys, ProofRule.MEMO_BANK_REFERENCE: found},
    )


def list_keys(lines: Iterable[OpenLine], *rules: ProofRule) -> list[str]:
    """List what lines can be looked up under by some rules, each once."""
    return list(
        dict.fromkeys(k for line in lines for rule in rules for k in line.keys.get(rule, ()))
    )


def pair_lines(
    lines: Sequence[OpenLine], credits_in: Iterable[UnprovedCredit], rules: Sequence[ProofRule]
) -> list[Pairing]:
    """Find the credits that lines are, rule by rule; each credit is used once.

    Args:
        lines: of one account, by booking day and their order in the file.
        credits_in: of that account, each once, by the bank's clock: two that are alike are
            told apart by their order.
        rules: in the order in which they are tried.
    """
    search = _Search(by_key=_index(credits_in, rules))
    found: dict[UUID, Pairing] = {}
    for rule in rules:
        for line in lines:
            if line.id not in found and (pairing := _pair(line, search, rule)) is not None:
                found[line.id] = pairing
                search.taken.update(one.id for one in pairing.credits)
    return list(found.values())


def is_near(line: OpenLine, credit: UnprovedCredit) -> bool:
    """Tell whether a line can be booked on its day for money of the credit's day."""
    return line.booked_on - BOOKED_AFTER <= credit.day <= line.booked_on + BOOKED_BEFORE


def is_contradicted(line: OpenLine, credit: UnprovedCredit, rule: ProofRule) -> bool:
    """Tell whether what a line and a credit name says that they are two transfers."""
    references = line.references
    if (
        references
        and credit.named is not None
        and credit.named not in references
        and check_reference(credit.named)
    ):
        return True
    if rule in (ProofRule.BANK_REFERENCE, ProofRule.BANK_REFERENCE_SUM, ProofRule.PROVIDER_LINE):
        return False
    return line.bank_reference != credit.bank_reference and are_two_transfers(
        line.bank_reference, credit.bank_reference
    )


def _index(
    credits_in: Iterable[UnprovedCredit], rules: Sequence[ProofRule]
) -> dict[ProofRule, dict[str, list[UnprovedCredit]]]:
    by_bank: dict[str, list[UnprovedCredit]] = {}
    by_named: dict[str, list[UnprovedCredit]] = {}
    by_provider: dict[str, list[UnprovedCredit]] = {}
    for credit in credits_in:
        by_provider.setdefault(credit.provider_transaction_id, []).append(credit)
        if credit.bank_reference:
            by_bank.setdefault(credit.bank_reference, []).append(credit)
        if credit.named is not None:
            by_named.setdefault(credit.named, []).append(credit)
    whole = {
        ProofRule.PROVIDER_LINE: by_provider,
        ProofRule.BANK_REFERENCE: by_bank,
        ProofRule.BILL_EXACT: by_named,
        ProofRule.BILL_NORMALISED: by_named,
        ProofRule.BANK_REFERENCE_SUM: by_bank,
        ProofRule.MEMO_BANK_REFERENCE: by_bank,
    }
    return {rule: whole[rule] for rule in rules}


def _pair(line: OpenLine, search: _Search, rule: ProofRule) -> Pairing | None:
    for key in line.keys.get(rule, ()):
        near = [
            credit
            for credit in search.by_key[rule].get(key, ())
            if credit.id not in search.taken
            and is_near(line, credit)
            and not is_contradicted(line, credit, rule)
        ]
        if not near:
            continue
        if rule is ProofRule.BANK_REFERENCE_SUM:
            if len(near) > 1 and sum(one.amount_vnd for one in near) == line.amount_vnd:
                return Pairing(line=line, credits=tuple(near), rule=rule, key=key)
            continue
        equal = [credit for credit in near if credit.amount_vnd == line.amount_vnd]
        if equal:  # min takes the first of those that are as near: the bank's order
            best = min(equal, key=lambda credit: abs(credit.day - line.booked_on))
            next_best = _find_next(line, best, search)
            return Pairing(line=line, credits=(best,), rule=rule, key=key, next_best=next_best)
    return None


def _find_next(line: OpenLine, best: UnprovedCredit, search: _Search) -> dict[str, Any] | None:
    """Find the strongest other credit of the line's amount, taken by another line or not."""
    for rule, by_key in search.by_key.items():
        for key in line.keys.get(rule, ()):
            for credit in by_key.get(key, ()):
                if credit.id != best.id and credit.amount_vnd == line.amount_vnd:
                    return {
                        "credit_id": str(credit.id),
                        "rule": rule.value,
                        "score_bps": SCORES_BPS[rule],
                    }
    return None
