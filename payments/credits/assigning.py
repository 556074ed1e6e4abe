"""Assigning money: whose a credit is, and which bill, or bills, it pays, as a person says."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from payments.bills.errors import BillNotFound
from payments.bills.rules import SETTLEABLE, BillState
from payments.credits import queries
from payments.credits.errors import CreditNotCorrectable, CreditNotFound
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
    actor: Actor,
    now: datetime,
) -> None:
    """A stall that shares an account says that an unassigned credit is its own.

    Args:
        by_management: the actor looks after the organisation, and may say it of any credit that
            nothing explains.

    Raises:
        CreditNotFound: not on an account of this payee.
        CreditNotCorrectable: another stall was first, or it has its explanation.
    """
    held = await hold_credit(session, org_id, credit_id)
    await _require_account(session, org_id, payee_id, held.credit)
    if held.payee_id == payee_id and held.match.decision.rule is MatchRule.ASSIGNED:
        return  # the same tap twice
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
    actor: Actor,
    now: datetime,
) -> None:
    """A vendor says that a sale was a customer paying this bill, or which of several bills it pays.

    Args:
        by_management: as in assign_credit.

    Raises:
        CreditNotFound, BillNotFound
        CreditNotCorrectable: the bill is another payee's or account's or needs no money any more,
            or the credit has its explanation.
    """
    held = await hold_credit(session, org_id, credit_id)
    await _require_account(session, org_id, payee_id, held.credit)
    if held.match.decision.bill_id == bill_id and held.match.decision.applied_vnd:
        return
    may_be = _widen(OPEN_TO_CONFIRM, by_management=by_management)
    if held.match.decision.bill_id == bill_id:
        may_be |= {Verdict.CLOSED_BILL}  # it came again, and the bill needs it by now
    if held.verdict not in may_be:
        raise CreditNotCorrectable("This payment has its explanation already.")
    if not by_management and held.payee_id not in (None, payee_id):
        raise CreditNotFound(credit_id)
    await take_back(session, org_id, held, also=[bill_id])
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
    actor: Actor,
    now: datetime,
) -> None:
    """The management says which bills a payment pays, and each with how much of it.

    It replaces what the payment was taken for before, so the same request again changes nothing.

    Args:
        shares: (bill, đồng), each bill once; what they leave of the payment stays unassigned.

    Raises:
        CreditNotFound, BillNotFound
        CreditNotCorrectable: they are not one payee's, or not on the payment's account, or need
            less than their share; or they need more than the payment.
    """
    assert len({bill_id for bill_id, _ in shares}) == len(shares) > 0
    held = await hold_credit(session, org_id, credit_id)
    if held.verdict not in OPEN_TO_CONFIRM | OPEN_TO_MANAGEMENT:
        raise CreditNotCorrectable("This payment has its explanation already.")
    if sum(share_vnd for _, share_vnd in shares) > held.credit.amount_vnd:
        raise CreditNotCorrectable("The shares are more than the payment.")
    await take_back(session, org_id, held, also=[bill_id for bill_id, _ in shares])
    if held.verdict is Verdict.SPLIT and {
        (payment.bill_id, payment.amount_vnd) for payment in held.payments
    } == set(shares):
        return
    first = held.bills.get(shares[0][0])
    if first is None:
        raise BillNotFound(shares[0][0])
    picked: list[tuple[BillState, int]] = []
    for bill_id, share_vnd in shares:
        bill = _pick_bill(held, bill_id, first.payee_id)
        if bill.amount_vnd is not None and share_vnd > bill.amount_vnd - bill.paid_vnd:
            raise CreditNotCorrectable(f"{bill.reference} needs less than {share_vnd} ₫.")
        picked.append((bill, share_vnd))
        held.changed.add(bill_id)
    decision = decide_split(held.credit, picked, by=actor.id, now=now)
    await replace_match(session, org_id, held, decision, actor, now)


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
    session: AsyncSession, org_id: UUID, payee_id: UUID, credit: CreditFacts
) -> None:
    """Refuse a payee that does not trade on the credit's account.

    Raises:
        CreditNotFound, PayeeNotFound
    """
    await get_payee(session, org_id, payee_id)
    if not await queries.is_on_account(
        session, org_id, payee_id=payee_id, account_id=credit.receiving_account_id
    ):
        raise CreditNotFound(credit.id)
