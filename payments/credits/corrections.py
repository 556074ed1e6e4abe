"""Corrections of what a credit is: not takings, takings again, or the same money as another.

Whose money it is, and which bill it pays, is said in assigning.py.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.reasons import Reason
from payments.credits.errors import CreditNotCorrectable, CreditNotFound
from payments.credits.held_credits import decide_sale, hold_credit, replace_match, take_back
from payments.credits.reasons import MatchReason
from payments.credits.rules import Decision, MatchRule, Verdict


async def mark_not_takings(
    session: AsyncSession,
    org_id: UUID,
    credit_id: UUID,
    *,
    payee_id: UUID,
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    """A vendor says "không phải tiền hàng": take a counter sale out of the takings.

    Raises:
        CreditNotFound: not this payee's.
        CreditNotCorrectable: it pays a bill, or nobody has been assigned it.
    """
    held = await hold_credit(session, org_id, credit_id)
    if held.payee_id != payee_id:
        raise CreditNotFound(credit_id)
    if held.verdict is Verdict.NOT_TAKINGS:
        return
    if held.verdict is not Verdict.COUNTER_SALE:
        raise CreditNotCorrectable("Only a counter sale can be taken out of the takings.")
    said = {"by": actor.name, "words": reason} if reason else {"by": actor.name}
    decision = Decision(
        verdict=Verdict.NOT_TAKINGS,
        rule=MatchRule.NOT_TAKINGS,
        reason=Reason(MatchReason.NOT_TAKINGS_BY, said),
        applied_vnd=held.credit.amount_vnd,
        payee_id=payee_id,
    )
    await replace_match(session, org_id, held, decision, actor, now)


async def mark_takings_again(
    session: AsyncSession,
    org_id: UUID,
    credit_id: UUID,
    *,
    payee_id: UUID,
    actor: Actor,
    now: datetime,
) -> None:
    """Undo "không phải tiền hàng".

    Raises:
        CreditNotFound, CreditNotCorrectable
    """
    held = await hold_credit(session, org_id, credit_id)
    if held.payee_id != payee_id:
        raise CreditNotFound(credit_id)
    if held.verdict is Verdict.COUNTER_SALE:
        return
    if held.verdict is not Verdict.NOT_TAKINGS:
        raise CreditNotCorrectable("Only money taken out of the takings can be put back.")
    decision = decide_sale(held.credit, payee_id, MatchReason.TAKINGS_AGAIN_BY, actor)
    await replace_match(session, org_id, held, decision, actor, now)


async def mark_same_money(
    session: AsyncSession, org_id: UUID, credit_id: UUID, *, actor: Actor, now: datetime
) -> None:
    """Say that a credit is a transfer that another credit stands for: its postings are undone.

    A bill that it paid owes the money again.

    Raises:
        CreditNotFound
        CreditNotCorrectable: some of it was refunded.
    """
    held = await hold_credit(session, org_id, credit_id)
    if held.verdict is Verdict.SAME_MONEY:
        return
    await take_back(session, org_id, held)
    decision = Decision(
        verdict=Verdict.SAME_MONEY,
        rule=MatchRule.SAME_MONEY,
        reason=Reason(MatchReason.SAME_MONEY_BY, {"by": actor.name}),
    )
    await replace_match(session, org_id, held, decision, actor, now)
