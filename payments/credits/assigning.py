"""Assigning money: whose a credit is, and which bill, or bills, it pays, as a person says.

What a person says replaces the match that they saw. A vendor replaces only what explains no bill;
the management replaces more (docs/ledger.md has the table), and takes money from a bill that it
pays only by naming the match that does (`seen_match_id`): whoever looked before that match was
made has not seen what they would undo.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from payments.bills.errors import BillNotFound
from payments.bills.rules import SETTLEABLE, BillState
from payments.credits import queries
from payments.credits.errors import CreditChanged, CreditNotCorrectable, CreditNotFound
from payments.credits.held_credits import (
    HeldCredit,
    decide_sale,
    hold_credit,
    replace_match,
    take_back,
)
from payments.credits.reasons import MatchReason
from payments.credits.rules import (
    CreditFacts,
    MatchRule,
    Verdict,
    decide_bill,
    decide_split,
    is_other_account,
)
from payments.payees.queries import get_payee

OPEN_TO_ASSIGN: Final = frozenset({Verdict.UNASSIGNED})
OPEN_TO_CONFIRM: Final = frozenset(
    {Verdict.COUNTER_SALE, Verdict.UNASSIGNED, Verdict.SEVERAL_BILLS}
)
PAYS_BILLS: Final = frozenset({Verdict.SETTLE, Verdict.PART, Verdict.OVER, Verdict.SPLIT})
# What nothing explains, and what pays the wrong bill: the management says, not a stall.
OPEN_TO_MANAGEMENT: Final = PAYS_BILLS | {
    Verdict.NO_BILL,
    Verdict.AWAITING_SYNC,
    Verdict.WRONG_ACCOUNT,
    Verdict.SEVERAL_BILLS,
    Verdict.CLOSED_BILL,
}


async def assign_credit(
    session: AsyncSession,
    org_id: UUID,
    credit_id: UUID,
    *,
    payee_id: UUID,
    by_management: bool = False,
    seen_match_id: UUID | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """A stall that shares an account says that an unassigned credit is its own.

    Args:
        by_management: the actor looks after the organisation, and may say it of any credit that
            nothing explains, and of any payee whose account this ever was.
        seen_match_id: the match that this is to replace, where it matters.

    Raises:
        CreditNotFound: not on an account of this payee.
        CreditNotCorrectable: another stall was first, or it has its explanation.
        CreditChanged: it has another match than the one that was seen.
    """
    held = await hold_credit(session, org_id, credit_id)
    await _require_account(session, org_id, payee_id, held.credit, was_ever=by_management)
    if held.payee_id == payee_id and held.match.decision.rule is MatchRule.ASSIGNED:
        return  # the same tap twice
    _require_seen(held, seen_match_id)
    if held.verdict not in _widen(OPEN_TO_ASSIGN, by_management=by_management):
        raise CreditNotCorrectable("Another stall has taken this payment, or it pays a bill.")
    await take_back(session, org_id, held)
    decision = decide_sale(held.credit, payee_id, MatchReason.ASSIGNED_BY, actor)
    await replace_match(session, org_id, held, decision, actor, now)


async def confirm_for_bill(
    session: AsyncSession,
    org_id: UUID,
    credit_id: UUID,
    *,
    bill_id: UUID,
    payee_id: UUID,
    by_management: bool = False,
    seen_match_id: UUID | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """A vendor says that a sale was a customer paying this bill, or which of several bills it pays.

    What was too much for a bill pays it once it needs that after all.

    Args:
        by_management, seen_match_id: as in assign_credit.

    Raises:
        CreditNotFound, BillNotFound, CreditChanged
        CreditNotCorrectable: the bill is another payee's or account's or needs no money any more,
            or the credit has its explanation.
    """
    held = await hold_credit(session, org_id, credit_id)
    await _require_account(session, org_id, payee_id, held.credit, was_ever=by_management)
    old = held.match.decision
    is_for_it = old.bill_id == bill_id
    if is_for_it and old.applied_vnd == held.credit.amount_vnd:
        return
    may_be = _widen(OPEN_TO_CONFIRM, by_management=by_management)
    if is_for_it:  # it came again or was too much, and the bill needs it by now
        may_be |= {Verdict.CLOSED_BILL, Verdict.OVER}
    else:
        _require_seen(held, seen_match_id)
    if held.verdict not in may_be:
        raise CreditNotCorrectable("This payment has its explanation already.")
    if not by_management and held.payee_id not in (None, payee_id):
        raise CreditNotFound(credit_id)
    await take_back(session, org_id, held, also=[bill_id])
    if is_for_it and old.applied_vnd and old.applied_vnd == _needs_vnd(held, bill_id):
        return  # the bill needs no more of it
    bill = _pick_bill(held, bill_id, payee_id)
    decision = decide_bill(held.credit, bill, MatchRule.CONFIRMED, by=actor.id, now=now)
    held.changed.add(bill_id)
    await replace_match(session, org_id, held, decision, actor, now)


async def split_over_bills(
    session: AsyncSession,
    org_id: UUID,
    credit_id: UUID,
    *,
    shares: Sequence[tuple[UUID, int]],
    seen_match_id: UUID | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """The management says which bills a payment pays, and each with how much of it.

    It replaces what the payment was taken for before, so the same request again changes nothing.

    Args:
        shares: (bill, đồng), each bill once; what they leave of the payment stays unassigned.
        seen_match_id: as in assign_credit.

    Raises:
        CreditNotFound, BillNotFound, CreditChanged
        CreditNotCorrectable: they are not one payee's, or not on the payment's account, or need
            less than their share; or they need more than the payment.
    """
    held = await hold_credit(session, org_id, credit_id)
    await take_back(session, org_id, held, also=[bill_id for bill_id, _ in shares])
    if held.verdict is Verdict.SPLIT and held.paid == dict(shares):
        return
    _require_seen(held, seen_match_id)
    if held.verdict not in OPEN_TO_CONFIRM | OPEN_TO_MANAGEMENT:
        raise CreditNotCorrectable("This payment has its explanation already.")
    await _split(session, org_id, held, dict(shares), actor, now)


async def add_to_split(
    session: AsyncSession,
    org_id: UUID,
    credit_id: UUID,
    *,
    shares: Sequence[tuple[UUID, int | None]],
    actor: Actor,
    now: datetime,
) -> None:
    """The management says which bills the rest of a payment pays that is spread already.

    Args:
        shares: (bill, đồng), each bill once; None: what it needs, as far as the rest goes.

    Raises:
        CreditNotFound, BillNotFound
        CreditNotCorrectable: as in split_over_bills, of the rest.
    """
    held = await hold_credit(session, org_id, credit_id)
    assert held.verdict is Verdict.SPLIT
    await take_back(session, org_id, held, also=[bill_id for bill_id, _ in shares])
    paid = dict(held.paid)
    rest_vnd = held.credit.amount_vnd - sum(paid.values())
    for bill_id, share_vnd in shares:
        before_vnd = paid.get(bill_id, 0)
        if share_vnd is None:
            needs_vnd = _needs_vnd(held, bill_id) - before_vnd
            if needs_vnd <= 0:
                raise CreditNotCorrectable("The bill is paid or cancelled already.")
            share_vnd = min(rest_vnd, needs_vnd)
        paid[bill_id] = before_vnd + share_vnd
    await _split(session, org_id, held, paid, actor, now)


async def _split(
    session: AsyncSession,
    org_id: UUID,
    held: HeldCredit,
    shares: Mapping[UUID, int],
    actor: Actor,
    now: datetime,
) -> None:
    """Spread a credit, taken back from its bills, over others or the same: {bill: đồng}."""
    if sum(shares.values()) > held.credit.amount_vnd:
        raise CreditNotCorrectable("The shares are more than the payment.")
    first_id = next(iter(shares))
    if first_id not in held.bills:
        raise BillNotFound(first_id)
    picked: list[tuple[BillState, int]] = []
    for bill_id, share_vnd in shares.items():
        bill = _pick_bill(held, bill_id, held.bills[first_id].payee_id)
        if bill.amount_vnd is not None and share_vnd > bill.amount_vnd - bill.paid_vnd:
            raise CreditNotCorrectable(f"{bill.reference} needs less than {share_vnd} ₫.")
        picked.append((bill, share_vnd))
        held.changed.add(bill_id)
    decision = decide_split(held.credit, picked, by=actor.id, now=now)
    await replace_match(session, org_id, held, decision, actor, now)


def _require_seen(held: HeldCredit, seen_match_id: UUID | None) -> None:
    """Refuse to replace another match than was seen, and to unpay a bill without having seen one.

    Raises:
        CreditChanged, CreditNotCorrectable
    """
    if seen_match_id not in (None, held.match.id):
        raise CreditChanged
    if seen_match_id is None and held.verdict in PAYS_BILLS:
        raise CreditNotCorrectable("This payment pays a bill. Name the match to replace, if so.")


def _needs_vnd(held: HeldCredit, bill_id: UUID) -> int:
    """Return what a locked bill needs of a credit that was taken back from it.

    Raises:
        BillNotFound
    """
    bill = held.bills.get(bill_id)
    if bill is None:
        raise BillNotFound(bill_id)
    if bill.status not in SETTLEABLE:
        return 0
    if bill.amount_vnd is None:
        return held.credit.amount_vnd
    return min(held.credit.amount_vnd, bill.amount_vnd - bill.paid_vnd)


def _widen(verdicts: frozenset[Verdict], *, by_management: bool) -> frozenset[Verdict]:
    return verdicts | OPEN_TO_MANAGEMENT if by_management else verdicts


def _pick_bill(held: HeldCredit, bill_id: UUID, payee_id: UUID) -> BillState:
    """Return a locked bill that the credit may pay.

    Raises:
        BillNotFound, CreditNotCorrectable
    """
    bill = held.bills.get(bill_id)
    if bill is None:
        raise BillNotFound(bill_id)
    if bill.payee_id != payee_id or is_other_account(held.credit, bill):
        raise CreditNotCorrectable("The payment is not on this bill's account.")
    if bill.status not in SETTLEABLE:  # it would leave the takings, for a refund
        raise CreditNotCorrectable("The bill is paid or cancelled already.")
    return bill


async def _require_account(
    session: AsyncSession, org_id: UUID, payee_id: UUID, credit: CreditFacts, *, was_ever: bool
) -> None:
    """Refuse a payee that does not trade on the credit's account, or never did (`was_ever`).

    Raises:
        CreditNotFound, PayeeNotFound
    """
    await get_payee(session, org_id, payee_id)
    if not await queries.is_on_account(
        session,
        org_id,
        payee_id=payee_id,
        account_id=credit.receiving_account_id,
        was_ever=was_ever,
    ):
        raise CreditNotFound(credit.id)
