"""Steps of a statement after its draft: reviewed, approved by another person, sent; or discarded.

The same step again answers like the first time. What is approved never changes: corrections fall
into the next statement. Order of locks: the statements by their ids, then the series of numbers.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import HubError
from core.text import check_lines
from payments.documents import service as documents
from payments.documents.rules import DocumentKind, NewDocument
from payments.settlements import queries, queries_terms
from payments.settlements.errors import (
    SettlementFollowed,
    SettlementNeedsAnother,
    SettlementNotFound,
    SettlementStepNotPossible,
)
from payments.settlements.events import record_sent
from payments.settlements.paper import collect_facts
from payments.settlements.rules import (
    BULK_MAX,
    STEPS,
    Step,
    leads_to,
    may_approve,
)
from payments.settlements.types import SettlementFacts

ACTIONS: Final = {
    Step.REVIEW: "settlement.reviewed",
    Step.APPROVE: "settlement.approved",
    Step.SEND: "settlement.sent",
    Step.DISCARD: "settlement.discarded",
}
SUBJECT: Final = "settlement"


async def review(
    session: AsyncSession, org_id: UUID, settlement_id: UUID, *, actor: Actor, now: datetime
) -> SettlementFacts:
    """Say that a draft was looked at.

    Raises:
        SettlementNotFound, SettlementStepNotPossible
    """
    assert actor.id is not None
    before = await queries.lock_settlement(session, org_id, settlement_id)
    if _follows(before, Step.REVIEW):
        await queries.set_reviewed(session, org_id, settlement_id, by=actor.id, now=now)
        _record(session, org_id, before, Step.REVIEW, actor=actor, now=now)
    return await queries.get_settlement(session, org_id, settlement_id)


async def approve(
    session: AsyncSession,
    org_id: UUID,
    settlement_id: UUID,
    *,
    is_alone: bool = False,
    actor: Actor,
    now: datetime,
) -> SettlementFacts:
    """Approve a reviewed statement: it gets its number and never changes again.

    Args:
        is_alone: who approves is the only person of the organisation, and gave the password again.

    Raises:
        SettlementNotFound, SettlementStepNotPossible, Busy
        SettlementNeedsAnother: who drafted or reviewed it, or set its terms.
    """
    approved, refused = await _approve(
        session, org_id, [settlement_id], is_alone=is_alone, actor=actor, now=now
    )
    if refused:
        raise refused[settlement_id]
    return approved[0]


async def approve_many(
    session: AsyncSession,
    org_id: UUID,
    settlement_ids: Collection[UUID],
    *,
    actor: Actor,
    now: datetime,
) -> tuple[list[SettlementFacts], dict[UUID, HubError]]:
    """Approve at most 200 statements at once; return those that are, and why the others are not.

    Raises:
        Busy
    """
    assert len(settlement_ids) <= BULK_MAX
    return await _approve(session, org_id, settlement_ids, is_alone=False, actor=actor, now=now)


async def send(
    session: AsyncSession, org_id: UUID, settlement_id: UUID, *, actor: Actor, now: datetime
) -> SettlementFacts:
    """Say that an approved statement was handed out; whoever subscribed to it hears so.

    Raises:
        SettlementNotFound, SettlementStepNotPossible
    """
    assert actor.id is not None
    before = await queries.lock_settlement(session, org_id, settlement_id)
    if _follows(before, Step.SEND):
        await queries.set_sent(session, org_id, settlement_id, by=actor.id, now=now)
        _record(session, org_id, before, Step.SEND, actor=actor, now=now)
        await record_sent(session, org_id, before, now=now)
    return await queries.get_settlement(session, org_id, settlement_id)


async def discard(
    session: AsyncSession,
    org_id: UUID,
    settlement_id: UUID,
    *,
    words: str | None,
    actor: Actor,
    now: datetime,
) -> SettlementFacts:
    """Put a statement aside that nobody has approved; its days can be drafted anew.

    Raises:
        SettlementNotFound, SettlementStepNotPossible, InvalidRequest
        SettlementFollowed: a later one of the payee begins where it ends.
    """
    assert actor.id is not None
    check_lines(reason=words)
    before = await queries.lock_settlement(session, org_id, settlement_id)
    if _follows(before, Step.DISCARD):
        if await queries.is_followed(session, org_id, before):
            raise SettlementFollowed
        try:
            await queries.free_period(session, org_id, settlement_id)
        except IntegrityError as error:  # the next was drafted at this instant
            if "fk_settlement_periods_previous" not in str(error.orig):
                raise
            raise SettlementFollowed from error
        await queries.set_discarded(
            session, org_id, settlement_id, by=actor.id, words=words, now=now
        )
        _record(session, org_id, before, Step.DISCARD, actor=actor, reason=words, now=now)
    return await queries.get_settlement(session, org_id, settlement_id)


async def _approve(
    session: AsyncSession,
    org_id: UUID,
    settlement_ids: Collection[UUID],
    *,
    is_alone: bool,
    actor: Actor,
    now: datetime,
) -> tuple[list[SettlementFacts], dict[UUID, HubError]]:
    assert actor.id is not None
    locked = await queries.lock_settlements(session, org_id, settlement_ids)
    refused: dict[UUID, HubError] = {
        one: SettlementNotFound(one) for one in settlement_ids if one not in locked
    }
    to_number: list[SettlementFacts] = []
    for one in locked.values():
        try:
            if _follows(one, Step.APPROVE):
                await _check_another(session, org_id, one, is_alone=is_alone, actor=actor)
                to_number.append(one)
        except HubError as error:
            refused[one.id] = error
    papers = [await _write_paper(session, org_id, one, actor=actor, now=now) for one in to_number]
    numbers = await documents.issue(session, org_id, papers, now=now)
    for one, number in zip(to_number, numbers, strict=True):
        alone = is_alone and not _is_another(one, actor, set_by=None)
        await queries.set_approved(
            session, org_id, one.id, by=actor.id, is_alone=alone, number=number, now=now
        )
        facts = {"number": number, "net_vnd": one.net_vnd} | ({"is_alone": True} if alone else {})
        _record(session, org_id, one, Step.APPROVE, actor=actor, facts=facts, now=now)
    approved = [
        await queries.get_settlement(session, org_id, one) for one in locked if one not in refused
    ]
    return approved, refused


async def _check_another(
    session: AsyncSession, org_id: UUID, one: SettlementFacts, *, is_alone: bool, actor: Actor
) -> None:
    agreed = None
    if one.terms_id is not None:
        agreed = await queries_terms.find_terms(session, org_id, one.terms_id)
    set_by = None if agreed is None else agreed.set_by
    if not is_alone and not _is_another(one, actor, set_by=set_by):
        raise SettlementNeedsAnother


def _is_another(one: SettlementFacts, actor: Actor, *, set_by: UUID | None) -> bool:
    return may_approve(actor.id, involved=(one.drafted_by, one.reviewed_by, set_by))


async def _write_paper(
    session: AsyncSession, org_id: UUID, one: SettlementFacts, *, actor: Actor, now: datetime
) -> NewDocument:
    """Write what the numbered document says, for good."""
    facts = await collect_facts(session, org_id, one, approved_by=actor.id, approved_at=now)
    return NewDocument(
        kind=DocumentKind.SETTLEMENT,
        scope_id=org_id,
        subject_kind=SUBJECT,
        subject_id=one.id,
        content=facts,
    )


def _follows(before: SettlementFacts, step: Step) -> bool:
    """Whether a step is to be taken; False: it was taken before.

    Raises:
        SettlementStepNotPossible
    """
    if before.status is STEPS[step][1]:
        return False
    is_ready = before.is_ready or step is Step.DISCARD
    if leads_to(step, before.status) is None or not is_ready:
        raise SettlementStepNotPossible(before.status.value, is_ready=is_ready)
    return True


def _record(
    session: AsyncSession,
    org_id: UUID,
    before: SettlementFacts,
    step: Step,
    *,
    actor: Actor,
    reason: str | None = None,
    facts: Mapping[str, Any] | None = None,
    now: datetime,
) -> None:
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action=ACTIONS[step],
        object_kind=SUBJECT,
        object_id=before.id,
        after=None if facts is None else dict(facts),
        reason=reason,
        now=now,
    )
