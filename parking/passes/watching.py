"""The watch list: a plate is proposed by one person, approved by another, and ends by itself.

A watched plate raises an alert at the way in; the vehicle is let in all the same. Nobody approves
their own proposal, whatever their roles (the rule of docs/adr/0005, for plates).
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.clock import hanoi_day
from core.masking import mask_plates
from core.text import check_lines
from parking.passes import queries_watched as queries
from parking.passes.errors import WatchNeedsSecondPerson, WatchNotApprovable
from parking.passes.models import WatchedPlate
from parking.passes.rules import check_watch, read_plates
from parking.passes.types import WatchWanted
from parking.plates import mask_plate


async def propose_watch(
    session: AsyncSession,
    org_id: UUID,
    wanted: WatchWanted,
    *,
    id_: UUID,
    actor: Actor,
    now: datetime,
) -> None:
    """Propose to watch a plate; nothing is watched before a second person agrees.

    Raises:
        InvalidRequest: it is no plate, or the days are past or more than 90.
    """
    assert actor.id is not None
    check_lines(reason=wanted.reason, source=wanted.source)
    check_watch(wanted.from_on, wanted.expires_on, today=hanoi_day(now))
    (plate,) = read_plates([wanted.plate], wanted.vehicle_class)
    watched = WatchedPlate(
        org_id=org_id,
        id=id_,
        vehicle_class=wanted.vehicle_class.value,
        plate=plate,
        reason=mask_plates(wanted.reason),
        source=mask_plates(wanted.source),
        from_on=wanted.from_on,
        expires_on=wanted.expires_on,
        proposed_by=actor.id,
        proposed_at=now,
    )
    session.add(watched)
    await session.flush()
    after = {
        "plate": mask_plate(plate),
        "source": watched.source,
        "from_on": wanted.from_on.isoformat(),
        "expires_on": wanted.expires_on.isoformat(),
    }
    _record(
        session, watched, "watched_plate.proposed", actor, now, after=after, reason=wanted.reason
    )


async def approve_watch(
    session: AsyncSession, org_id: UUID, watched_id: UUID, *, actor: Actor, now: datetime
) -> None:
    """Agree to watch a plate, as the second person. What is approved stays as it is.

    Raises:
        WatchedPlateNotFound
        WatchNeedsSecondPerson: the one who proposed it asks.
        WatchNotApprovable: it was removed, or is over.
    """
    assert actor.id is not None
    watched = await queries.lock_watched(session, org_id, watched_id)
    if actor.id == watched.proposed_by:
        raise WatchNeedsSecondPerson
    if watched.removed_at is not None or watched.expires_on < hanoi_day(now):
        raise WatchNotApprovable
    if watched.approved_at is not None:
        return
    watched.approved_by, watched.approved_at = actor.id, now
    await session.flush()
    _record(session, watched, "watched_plate.approved", actor, now)


async def remove_watch(
    session: AsyncSession,
    org_id: UUID,
    watched_id: UUID,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    """Watch a plate no longer, or refuse a proposal. One person is enough. Idempotent.

    Raises:
        WatchedPlateNotFound
    """
    check_lines(reason=reason)
    watched = await queries.lock_watched(session, org_id, watched_id)
    if watched.removed_at is not None:
        return
    watched.removed_at = now
    await session.flush()
    _record(session, watched, "watched_plate.removed", actor, now, reason=reason)


def _record(
    session: AsyncSession,
    watched: WatchedPlate,
    action: str,
    actor: Actor,
    now: datetime,
    *,
    after: dict[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    record_change(
        session,
        org_id=watched.org_id,
        actor=actor,
        action=action,
        object_kind="watched_plate",
        object_id=watched.id,
        after=after,
        reason=reason,
        now=now,
    )
