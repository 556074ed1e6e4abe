"""Breaks: who takes care of one, and what people say about what nothing explains."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import HubError
from core.masking import mask_plates
from core.text import check_lines
from identity.people.queries import may_do
from identity.people.rules import Permission
from payments.breaks.errors import BreakClosed, BreakHeld, BreakOwned, BreakOwnerNotFound
from payments.breaks.models import Break
from payments.breaks.queries import lock_break
from payments.breaks.rules import SAID, Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What became of one break of many."""

    break_id: UUID
    problem: HubError | None  # None: it was done, now or before


async def close_break(
    session: AsyncSession,
    org_id: UUID,
    break_id: UUID,
    *,
    resolution: str,
    outcome: Outcome = Outcome.EXPLAINED,
    actor: Actor,
    now: datetime,
) -> Break:
    """Write down how a break ended, in a person's words. The same again answers like the first.

    Args:
        outcome: explained, received outside the hub, or opened by mistake; no money moves.

    Raises:
        BreakNotFound
        BreakClosed: it was resolved otherwise before, by a person or by what explained it.
        BreakHeld: its money is on its way, or somebody's decision about it is awaited.
    """
    assert outcome in SAID
    check_lines(resolution=resolution)
    resolution = mask_plates(resolution)
    found = await lock_break(session, org_id, break_id)
    if found.closed_at is not None:
        # A break that an earlier release closed in words has no outcome.
        if found.resolution == resolution and found.outcome in (None, outcome):
            return found
        raise BreakClosed
    if found.held_at is not None:
        raise BreakHeld
    await write_resolution(
        session, found, resolution=resolution, outcome=outcome, actor=actor, now=now
    )
    return found


async def write_resolution(
    session: AsyncSession,
    found: Break,
    *,
    resolution: str,
    is_decision: bool = False,
    outcome: Outcome = Outcome.DECIDED,
    actor: Actor,
    now: datetime,
) -> None:
    """Close a locked break.

    Args:
        is_decision: the caller did what the resolution says; else it is a person's words.
    """
    found.closed_at, found.closed_by, found.resolution = now, actor.id, resolution
    found.outcome = outcome.value
    if is_decision:
        found.decision = resolution
    await session.flush()
    record_change(
        session,
        org_id=found.org_id,
        actor=actor,
        action="break.closed",
        object_kind="break",
        object_id=found.id,
        before={"kind": found.kind, "amount_vnd": found.amount_vnd},
        after={"resolution": resolution, "outcome": outcome.value},
        now=now,
    )


async def set_owner(
    session: AsyncSession,
    org_id: UUID,
    break_id: UUID,
    *,
    owner_id: UUID | None,
    is_taken_free: bool = False,
    actor: Actor,
    now: datetime,
) -> Break:
    """Give an open break to a person, or to nobody. The same again changes nothing.

    Args:
        is_taken_free: only from nobody: of two who take it at once one has it.

    Raises:
        BreakNotFound, BreakClosed
        BreakOwnerNotFound: nobody who may resolve breaks here.
        BreakOwned: it was to be taken from nobody, and somebody has it.
    """
    if owner_id is not None and not await may_do(
        session, org_id, owner_id, Permission.BREAKS_RESOLVE
    ):
        raise BreakOwnerNotFound(owner_id)
    found = await lock_break(session, org_id, break_id)
    if found.closed_at is not None:
        raise BreakClosed
    if found.owner_id == owner_id:
        return found
    if is_taken_free and found.owner_id is not None:
        raise BreakOwned
    before, found.owner_id = found.owner_id, owner_id
    await session.flush()
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="break.owner_set",
        object_kind="break",
        object_id=found.id,
        before={"owner_id": None if before is None else str(before)},
        after={"owner_id": None if owner_id is None else str(owner_id)},
        now=now,
    )
    return found


async def do_in_bulk(
    session: AsyncSession,
    org_id: UUID,
    break_ids: Sequence[UUID],
    *,
    owner_id: UUID | None = None,
    resolution: str | None = None,
    outcome: Outcome = Outcome.EXPLAINED,
    actor: Actor,
    now: datetime,
) -> list[Answer]:
    """Close many breaks in the same words, or give them to one person (no words); no money moves.

    Each is for itself: what one refuses keeps no other from it. They are locked in the order of
    their ids, so that two such requests cannot wait for each other.

    Returns:
        An answer for each id, in the order of the request.
    """
    answers: dict[UUID, Answer] = {}
    for break_id in sorted(set(break_ids)):
        problem: HubError | None = None
        try:
            async with session.begin_nested():
                if resolution is None:
                    await set_owner(
                        session, org_id, break_id, owner_id=owner_id, actor=actor, now=now
                    )
                else:
                    await close_break(
                        session,
                        org_id,
                        break_id,
                        resolution=resolution,
                        outcome=outcome,
                        actor=actor,
                        now=now,
                    )
        except HubError as error:
            problem = error
        answers[break_id] = Answer(break_id=break_id, problem=problem)
    return [answers[break_id] for break_id in break_ids]
