"""Twins: which credit of another provider is, or may be, the money that is reported now. Pure.

References are read here as matching reads them, never by SQL: banks and keyboards write one
reference in many ways, and two providers may pass on two of them.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from core.reasons import Reason
from payments.bills.references import find_references, read_reference
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.credits.types import NewCredit
from payments.providers.bank_references import is_identifying_reference
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


def list_names(memo: str, provider_order_id: str | None, codes: Collection[str]) -> list[str]:
    """List the references that a credit names, in its order or its memo.

    Args:
        codes: the organisations that references can name; other words are words.
    """
    order = read_reference(provider_order_id)
    found = [order, *find_references(memo)] if order is not None else find_references(memo)
    return list(dict.fromkeys(one.reference for one in found if one.org_code in codes))


def find_same_money(
    credit: NewCredit, near: Sequence[NearCredit], *, codes: Collection[str]
) -> NearCredit | None:
    """Find the credit that is certainly this money: by the bank's reference, else by ours.

    One bank reference over two of ours is no proof: banks number a batch of transfers once.
    """
    own = set(list_names(credit.memo, credit.provider_order_id, codes))
    names = {one.id: set(list_names(one.memo, one.provider_order_id, codes)) for one in near}
    if is_identifying_reference(credit.bank_reference):
        for one in near:
            is_same_reference = one.bank_reference == credit.bank_reference
            if is_same_reference and not (own and names[one.id] and own.isdisjoint(names[one.id])):
                return one
    return next((one for one in near if not own.isdisjoint(names[one.id])), None)


def find_twin(
    credit: NewCredit, near: Sequence[NearCredit], *, codes: Collection[str]
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


def describe_twins(
    credit: NewCredit, twin: NearCredit, *, codes: Collection[str]
) -> NewBreak | None:
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


def is_named(credit: NewCredit | NearCredit, codes: Collection[str]) -> bool:
    """Tell whether a credit says what it is for: a provider's order, or a reference."""
    return credit.provider_order_id is not None or bool(list_names(credit.memo, None, codes))
