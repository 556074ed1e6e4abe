"""Twins: which credit of another provider is, or may be, the money that is reported now. Pure.

References are read here as matching reads them, never by SQL: banks and keyboards write one
reference in many ways, and two providers may pass on two of them.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from core.reasons import Reason
from payments.bills.references import (
    NextSerials,
    find_references,
    is_given_out,
    read_reference,
)
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.credits.types import NewCredit
from payments.providers.bank_references import are_two_transfers, is_identifying_reference
from payments.providers.types import Direction


class NearCredit(NamedTuple):
    """A credit of another provider: same account, direction and amount, near in time.

    The provider that reports now has not reported it for certain.
    """

    id: UUID
    bank_reference: str
    memo: str
    provider_order_id: str | None
    virtual_account: str | None
    is_perhaps_paired: bool  # with another credit of the provider that reports now
    is_perhaps_later: bool  # it was itself stored as perhaps the same as another credit
    pays_bill: bool
    pays_part: bool  # of a bill that asks for more
    is_of_that_day: bool  # one of the two tells no time


def list_names(memo: str, provider_order_id: str | None, codes: NextSerials) -> list[str]:
    """List the references that a credit names, in its order or its memo.

    Args:
        codes: what references can name; other words are words.
    """
    order = read_reference(provider_order_id)
    found = [order, *find_references(memo)] if order is not None else find_references(memo)
    return list(dict.fromkeys(one.reference for one in found if is_given_out(one, codes)))


def find_same_money(
    credit: NewCredit, near: Sequence[NearCredit], *, codes: NextSerials
) -> NearCredit | None:
    """Find the credit that is certainly this money: by the bank's reference, else by ours.

    One bank reference over two of ours is no proof: banks number a batch of transfers once. Nor is
    ours where the bank numbers two transfers: a bill is paid twice, or in equal parts.
    """
    own = _read_names(credit, codes)
    names = {one.id: _read_names(one, codes) for one in near}
    for one in near:
        are_other_bills = own and names[one.id] and own.isdisjoint(names[one.id])
        if is_same_reference(credit, one) and not are_other_bills:
            return one
    return next(iter(_list_namesakes(credit, near, codes=codes, are_two=False)), None)


def find_namesake(
    credit: NewCredit, near: Sequence[NearCredit], *, codes: NextSerials
) -> NearCredit | None:
    """Find the credit that names what this one names, and is another transfer by its bank's number.

    Asked where no credit is certainly this money.
    """
    return next(iter(_list_namesakes(credit, near, codes=codes, are_two=True)), None)


def describe_namesakes(credit: NewCredit, first: NearCredit) -> NewBreak:
    """Open a break about the later of two credits: one reference of ours, two of the bank's."""
    return NewBreak(
        kind=BreakKind.POSSIBLE_DUPLICATE,
        subject_id=credit.id,
        credit_id=credit.id,
        amount_vnd=credit.amount_vnd,
        reason=Reason(
            BreakReason.BANK_REFERENCES_DIFFER,
            {"bank_references": [first.bank_reference, credit.bank_reference]},
        ),
    )


def find_twin(
    credit: NewCredit, near: Sequence[NearCredit], *, codes: NextSerials
) -> NearCredit | None:
    """Find the credit that may be this money since one of the two names nothing, if there is one.

    Banks cut memos, so whoever reports first may know less. A credit has one twin of a provider,
    and who names nothing is paired first with who names nothing either.
    """
    if credit.direction != Direction.IN:
        return None
    free = [
        one
        for one in near
        if not one.is_perhaps_paired
        and not one.is_perhaps_later
        and (
            one.virtual_account is None
            or credit.virtual_account is None
            or one.virtual_account.upper() == credit.virtual_account.upper()
        )
    ]
    unnamed = [one for one in free if not is_named(one, codes)]
    if is_named(credit, codes):
        return unnamed[0] if unnamed else None
    return next(iter(unnamed or free), None)


def describe_twins(credit: NewCredit, twin: NearCredit, *, codes: NextSerials) -> NewBreak | None:
    """Open a break about two twins of which one names something; None if neither does.

    The break is about the one that would be taken back: who names nothing, unless it pays a bill.
    Two that name nothing need none, since the later one waits on the list of what is unassigned.
    """
    if not is_named(credit, codes) and not is_named(twin, codes):
        return None
    subject_id = twin.id if is_named(credit, codes) and not twin.pays_bill else credit.id
    return NewBreak(
        kind=BreakKind.POSSIBLE_DUPLICATE,
        subject_id=subject_id,
        credit_id=subject_id,
        amount_vnd=credit.amount_vnd,
        reason=Reason(BreakReason.TWIN_WITHOUT_REFERENCE),
    )


def is_same_reference(credit: NewCredit, other: NearCredit) -> bool:
    """Tell whether the bank says that two credits are one transfer."""
    is_identifying = is_identifying_reference(credit.bank_reference)
    return is_identifying and credit.bank_reference == other.bank_reference


def is_named(credit: NewCredit | NearCredit, codes: NextSerials) -> bool:
    """Tell whether a credit says what it is for: a provider's order, or a reference."""
    return credit.provider_order_id is not None or bool(list_names(credit.memo, None, codes))


def _list_namesakes(
    credit: NewCredit, near: Sequence[NearCredit], *, codes: NextSerials, are_two: bool
) -> list[NearCredit]:
    own = _read_names(credit, codes)
    return [
        one
        for one in near
        if not own.isdisjoint(_read_names(one, codes))
        and are_two_transfers(credit.bank_reference, one.bank_reference) is are_two
    ]


def _read_names(credit: NewCredit | NearCredit, codes: NextSerials) -> set[str]:
    return set(list_names(credit.memo, credit.provider_order_id, codes))
