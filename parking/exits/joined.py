"""Stays that were joined into another: locked with it, and what they were paid counts for it."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import hanoi_day
from core.errors import Busy
from parking.exits import queries, queries_joining
from parking.exits.errors import (
    ParkingSessionNotFound,
)
from parking.exits.queries_passes import choose_pass
from parking.exits.rules import SessionStatus, StayFacts
from parking.exits.standing import get_stay, write_paid


async def find_stay_or_kept(
    session: AsyncSession, org_id: UUID, session_id: UUID
) -> StayFacts | None:
    """Find a stay, or the one that it was joined into; None: there is none."""
    stay = (await queries.find_stays(session, org_id, [session_id])).get(session_id)
    if stay is None or stay.status != SessionStatus.VOIDED:
        return stay
    kept_id = await queries_joining.find_kept(session, org_id, session_id)
    return stay if kept_id is None else await get_stay(session, org_id, kept_id)


async def lock_stay_and_kept(
    session: AsyncSession, org_id: UUID, session_id: UUID
) -> tuple[StayFacts, StayFacts | None]:
    """Lock a stay, and with it the one that it was joined into, if it was.

    Raises:
        ParkingSessionNotFound
        Busy: it was joined at this moment.
    """
    kept_id = await queries_joining.find_kept(session, org_id, session_id)
    ids = [session_id] if kept_id is None else [session_id, kept_id]
    await queries.lock_sessions(session, org_id, ids)
    stays = await queries.find_stays(session, org_id, ids)
    if session_id not in stays:
        raise ParkingSessionNotFound(session_id)
    stay = stays[session_id]
    is_new = kept_id is None and stay.status == SessionStatus.VOIDED
    if is_new and await queries_joining.find_kept(session, org_id, session_id) is not None:
        raise Busy("The parking session is being joined. Try again in a second.")
    return stay, None if kept_id is None else stays.get(kept_id)


async def lock_one_vehicle(session: AsyncSession, org_id: UUID, session_id: UUID) -> set[UUID]:
    """Lock a stay with all that are joined with it, and name them; of erased ones, too.

    Raises:
        Busy: it is being joined at this moment.
    """
    ids = set(await queries_joining.list_one_vehicle(session, org_id, session_id))
    await queries.lock_sessions(session, org_id, ids)
    if ids != set(await queries_joining.list_one_vehicle(session, org_id, session_id)):
        raise Busy("The parking session is being joined. Try again in a second.")
    return ids


async def write_paid_for(
    session: AsyncSession,
    org_id: UUID,
    stay: StayFacts,
    kept: StayFacts | None,
    *,
    by: UUID | None,
    now: datetime,
) -> StayFacts:
    """Write what a locked stay was paid; of one that was joined, it counts for the kept one.

    Returns:
        The stay that the money counts for.
    """
    if kept is None:
        await write_paid(session, org_id, stay)
        return stay
    kept = await move_paid(session, org_id, stay, kept)
    if stay.paid_vnd or stay.waived_vnd:
        await queries_joining.insert_link(
            session,
            org_id,
            kind="settled",
            kept_id=kept.id,
            other_id=stay.id,
            moved_vnd=stay.paid_vnd,
            waived_vnd=stay.waived_vnd,
            reason=None,
            by=by,
            now=now,
        )
    return kept


async def move_paid(
    session: AsyncSession, org_id: UUID, stay: StayFacts, kept: StayFacts
) -> StayFacts:
    """Let what a locked stay was paid count for the kept one, which is locked too."""
    settled_vnd, paid_until = stay.settled_vnd, kept.paid_until
    if settled_vnd < 0:  # taken back: it owes again at once
        paid_until = None
    elif stay.paid_until is not None and kept.is_inside:
        paid_until = max(stay.paid_until, paid_until or stay.paid_until)
    kept = replace(
        kept,
        paid_vnd=kept.paid_vnd + stay.paid_vnd,
        waived_vnd=kept.waived_vnd + stay.waived_vnd,
        paid_until=paid_until,
    )
    if not kept.is_inside and settled_vnd > 0:
        kept = replace(kept, arrears_vnd=max(0, kept.arrears_vnd - settled_vnd))
    elif not kept.is_inside and settled_vnd < 0:
        owed_vnd = (kept.price_vnd or 0) - kept.settled_vnd
        kept = replace(kept, arrears_vnd=max(kept.arrears_vnd, owed_vnd))
    emptied = replace(stay, paid_vnd=0, waived_vnd=0, paid_until=None, arrears_vnd=0)
    await write_paid(session, org_id, emptied)
    await write_paid(session, org_id, kept)
    return kept


async def on_its_pass(session: AsyncSession, org_id: UUID, stay: StayFacts) -> StayFacts:
    """Return a stay on the pass of its plate, if that has one that was valid when it came in."""
    pass_id, is_monthly = await choose_pass(
        session,
        org_id,
        stay,
        plate=stay.plate,
        vehicle_class=stay.vehicle_class,
        entered_on=hanoi_day(stay.entered_at),
    )
    kind = None if pass_id is None else "monthly" if is_monthly else "exempt"
    return replace(stay, pass_id=pass_id, pass_kind=kind)
