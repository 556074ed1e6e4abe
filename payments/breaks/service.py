"""Breaks: what people decide about what nothing explains."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.masking import mask_plates
from core.text import check_lines
from payments.breaks.errors import BreakClosed, BreakHeld
from payments.breaks.models import Break
from payments.breaks.queries import lock_break


async def close_break(
    session: AsyncSession,
    org_id: UUID,
    break_id: UUID,
    *,
    resolution: str,
    actor: Actor,
    now: datetime,
) -> Break:
    """Write down how a break was resolved. The same words twice answer like the first time.

    Raises:
        BreakNotFound
        BreakClosed: it was resolved otherwise before, by a person or by what explained it.
        BreakHeld: its money is on its way.
    """
    check_lines(resolution=resolution)
    resolution = mask_plates(resolution)
    found = await lock_break(session, org_id, break_id)
    if found.closed_at is not None:
        if found.resolution == resolution:
            return found
        raise BreakClosed
    if found.held_at is not None:
        raise BreakHeld
    await write_resolution(session, found, resolution=resolution, actor=actor, now=now)
    return found


async def write_resolution(
    session: AsyncSession,
    found: Break,
    *,
    resolution: str,
    is_decision: bool = False,
    actor: Actor,
    now: datetime,
) -> None:
    """Close a locked break.

    Args:
        is_decision: the caller did what the resolution says; else it is a person's words.
    """
    found.closed_at, found.closed_by, found.resolution = now, actor.id, resolution
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
        after={"resolution": resolution},
        now=now,
    )
