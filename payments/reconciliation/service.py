"""Lines explained by people: linked with credits, explained without one, and opened again.

Order of locks: the account's matching, then the books.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.ids import new_id
from core.reasons import Reason
from core.text import check_lines
from payments.ledger import service as ledger
from payments.reconciliation import matching, queries, queries_candidates
from payments.reconciliation.errors import (
    CreditNotLinkable,
    LineAmountDiffers,
    LineBeforeOpening,
    LineDirectionDiffers,
    LineExplained,
    StatementLineNotFound,
)
from payments.reconciliation.reasons import REASONS
from payments.reconciliation.rules import BY_WORD, ONE_WAY, ProofRule
from payments.reconciliation.types import LineFacts, NewProof
from payments.statements.rules import Explanation


async def link_line(
    session: AsyncSession,
    org_id: UUID,
    line_id: UUID,
    *,
    credit_ids: Collection[UUID],
    words: str,
    actor: Actor,
    now: datetime,
) -> None:
    """Say that a line of money in is these credits, each whole. The same again changes nothing.

    Raises:
        StatementLineNotFound
        LineBeforeOpening: it is booked before the account went live.
        LineExplained: by something else.
        LineDirectionDiffers: money went out.
        CreditNotLinkable: one is not of this account, has its line, or is another one's money.
        LineAmountDiffers: together they are more or less than the line.
    """
    check_lines(words=words)
    line = await _lock_line(session, org_id, line_id)
    wanted = list(dict.fromkeys(credit_ids))
    if line.explanation is not None:
        proofs = await queries.list_proofs(session, org_id, [line_id])
        if {one.credit_id for one in proofs} == set(wanted):
            return
        raise LineExplained(line.explanation)
    if line.direction != "in":
        raise LineDirectionDiffers(line.direction)
    found = await queries_candidates.find_unproved(
        session, org_id, line.receiving_account_id, wanted
    )
    for credit_id in wanted:
        if credit_id not in found:
            raise CreditNotLinkable(credit_id)
    if sum(found.values()) != line.open_vnd:
        raise LineAmountDiffers(line.open_vnd, sum(found.values()))
    proofs_new = [
        _by_hand(line, Explanation.CREDIT, found[one], words, actor, credit_id=one)
        for one in wanted
    ]
    await _prove(session, org_id, line, proofs_new, now=now)
    after = {"explanation": Explanation.CREDIT.value, "credit_ids": [str(one) for one in wanted]}
    _record(session, org_id, line, "statement_line.linked", after, words, actor, now)


async def explain_line(
    session: AsyncSession,
    org_id: UUID,
    line_id: UUID,
    *,
    explanation: Explanation,
    words: str,
    actor: Actor,
    now: datetime,
) -> None:
    """Say what a line is that no credit and no refund of ours is. The same again changes nothing.

    Args:
        explanation: one of BY_WORD.

    Raises:
        StatementLineNotFound
        LineBeforeOpening: it is booked before the account went live.
        LineExplained: as something else.
        LineDirectionDiffers: such money does not go that way.
    """
    assert explanation in BY_WORD
    check_lines(words=words)
    line = await _lock_line(session, org_id, line_id)
    if line.explanation is explanation:
        return
    if line.explanation is not None:
        raise LineExplained(line.explanation)
    if ONE_WAY.get(explanation, line.direction) != line.direction:
        raise LineDirectionDiffers(line.direction)
    proof = _by_hand(line, explanation, line.open_vnd, words, actor)
    await _prove(session, org_id, line, [proof], now=now)
    after = {"explanation": explanation.value, "amount_vnd": line.amount_vnd}
    _record(session, org_id, line, "statement_line.explained", after, words, actor, now)


async def unlink_line(
    session: AsyncSession,
    org_id: UUID,
    line_id: UUID,
    *,
    words: str,
    actor: Actor,
    now: datetime,
) -> None:
    """Open a line again: what it posted is posted the other way round. Idempotent.

    The rules leave it to people from then on. A refund that it confirmed stays returned.

    Raises:
        StatementLineNotFound
        LineBeforeOpening: it is booked before the account went live.
    """
    check_lines(words=words)
    line = await _lock_line(session, org_id, line_id)
    if line.explanation is None:
        return
    proofs = await queries.list_proofs(session, org_id, [line_id])
    await matching.unprove(session, org_id, line.receiving_account_id, proofs, by=actor.id, now=now)
    before = {"explanation": line.explanation.value}
    _record(session, org_id, line, "statement_line.unlinked", {}, words, actor, now, before=before)


async def _lock_line(session: AsyncSession, org_id: UUID, line_id: UUID) -> LineFacts:
    found = (await queries.get_lines(session, org_id, [line_id])).get(line_id)
    if found is None:
        raise StatementLineNotFound(line_id)
    await queries.lock_account(session, org_id, found.receiving_account_id)
    opened_on = await queries.read_opening_day(session, org_id, found.receiving_account_id)
    if opened_on is not None and found.booked_on < opened_on:
        raise LineBeforeOpening(opened_on)
    return (await queries.get_lines(session, org_id, [line_id]))[line_id]  # as it is by now


async def _prove(
    session: AsyncSession,
    org_id: UUID,
    line: LineFacts,
    proofs: Sequence[NewProof],
    *,
    now: datetime,
) -> None:
    account_id = line.receiving_account_id
    await ledger.open_statement_accounts(session, org_id, account_id, now=now)
    await matching.prove(session, org_id, account_id, proofs, now=now)


def _by_hand(
    line: LineFacts,
    explanation: Explanation,
    amount_vnd: int,
    words: str,
    actor: Actor,
    *,
    credit_id: UUID | None = None,
) -> NewProof:
    return NewProof(
        id=new_id(),
        line_id=line.id,
        booked_on=line.booked_on,
        direction=line.direction,
        explanation=explanation,
        amount_vnd=amount_vnd,
        rule=ProofRule.BY_HAND,
        reason=Reason(REASONS[ProofRule.BY_HAND], {"by": actor.name, "words": words}),
        credit_id=credit_id,
        proved_by=actor.id,
    )


def _record(
    session: AsyncSession,
    org_id: UUID,
    line: LineFacts,
    action: str,
    after: dict[str, Any],
    words: str,
    actor: Actor,
    now: datetime,
    *,
    before: dict[str, Any] | None = None,
) -> None:
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action=action,
        object_kind="statement_line",
        object_id=line.id,
        before=before,
        after=after,
        reason=words,
        now=now,
    )
