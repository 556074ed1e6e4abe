"""Stays that nobody saw end: a person says whether the vehicle left or is still there.

What the worker found stale keeps its credentials and its place in the occupancy until then: a
vehicle that is there is not let in twice, and no space is free that a vehicle stands on. What an
override at the way in took out of the way has neither any more.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import Busy
from core.text import check_lines
from parking.exits import queries, queries_reviewing, queries_undoing
from parking.exits.errors import CredentialInside, NotUnderReview
from parking.exits.queries import ClosedStay
from parking.exits.rules import ExitReason, SessionStatus, StayFacts
from parking.exits.standing import get_stay, lock_stay, read_bills, with_bills


async def decide_review(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    *,
    has_left: bool,
    reason: str,
    actor: Actor,
    now: datetime,
) -> StayFacts:
    """Say of a stay under review whether its vehicle left unseen or is still there. Idempotent.

    One that left owes nothing more: nobody knows when it did. One that is there is asked about
    again when the lot's time has passed once more.

    Raises:
        ParkingSessionNotFound
        NotUnderReview: it is not, and was not decided so.
        CredentialInside: it is to be there, and its plate or ticket has come in again.
    """
    check_lines(reason=reason)
    before = await get_stay(session, org_id, session_id)
    await queries.lock_occupancy(session, org_id, {(before.lot_id, before.vehicle_class)})
    stay = await lock_stay(session, org_id, session_id)
    if stay.vehicle_class != before.vehicle_class:
        raise Busy("The parking session is being changed. Try again in a second.")
    if stay.status != SessionStatus.REVIEW:
        is_known = stay.status == SessionStatus.INSIDE
        if has_left:
            is_known = stay.exit_reason == ExitReason.UNSEEN
        if not is_known:
            raise NotUnderReview(stay.status)
        return stay
    if has_left:
        await _end(session, org_id, stay, actor=actor, now=now)
    else:
        await _find_inside(session, org_id, stay, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="parking_session.reviewed",
        object_kind="parking_session",
        object_id=session_id,
        after={"has_left": has_left},
        reason=reason,
        now=now,
    )
    return await get_stay(session, org_id, session_id)


async def _end(
    session: AsyncSession, org_id: UUID, stay: StayFacts, *, actor: Actor, now: datetime
) -> None:
    assert actor.id is not None
    stay = with_bills(stay, await read_bills(session, org_id, [stay]))
    ended = ClosedStay(
        stay=stay,
        access_id=None,
        device_id=None,
        shift_id=None,
        by=actor.id,
        photo=None,
        reason=ExitReason.UNSEEN.value,
        version_id=None,
        price_vnd=stay.settled_vnd,
        paid_vnd=stay.paid_vnd,
        bill_paid_vnd=stay.bill_paid_vnd,
        arrears_vnd=0,
    )
    await queries.close_sessions(session, org_id, [ended], now=now)


async def _find_inside(
    session: AsyncSession, org_id: UUID, stay: StayFacts, *, now: datetime
) -> None:
    if not await queries_reviewing.is_listed(
        session, org_id, stay.id
    ) and not await queries_undoing.reopen_session(session, org_id, stay):
        raise CredentialInside
    await queries_reviewing.mark_found_inside(session, org_id, stay.id, now=now)
