"""Two stays that were one vehicle become one.

Nothing of what was written is lost: a stay that was joined into another is voided with its plate
or ticket as it was, and its bills and collections stay its own. What they brought counts for the
kept one (`stay_links`), also where a bank takes it back later.

Order of locks: occupancy, both sessions by their ids, the plate's passes, their bills
(docs/adr/0013).
"""

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import Busy
from core.masking import mask_plates
from core.text import check_lines
from parking.exits import queries, queries_joining
from parking.exits.errors import (
    CredentialInside,
    ParkingSessionNotFound,
    StaysNotJoinable,
)
from parking.exits.joined import move_paid, on_its_pass
from parking.exits.rules import SessionStatus, StayFacts
from parking.exits.standing import get_stay, read_standing_anyway
from payments.bills import settling
from payments.bills.rules import UNPAID
from payments.bills.service import cancel_bill

JOINED: Final = "Joined with another stay"


async def join_stays(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    other_id: UUID,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
) -> StayFacts:
    """Let two stays of one vehicle be one, whichever is named first. Idempotent.

    The one that left goes on, else the one that came in first: its price counts from then. It
    gets the plate or ticket that it has not. The other is voided and frees its place.

    Returns:
        The stay that goes on.

    Raises:
        ParkingSessionNotFound, Busy
        StaysNotJoinable: they are one stay, of two lots or classes, or both over; or one of them
            was voided, or is to be voided and has others joined into it.
    """
    check_lines(reason=reason)
    reason = mask_plates(reason)
    ids = [session_id, other_id]
    if (joined := await _find_joined(session, org_id, ids)) is not None:
        return joined
    first, second = await _lock_both(session, org_id, ids)
    if (joined := await _find_joined(session, org_id, ids)) is not None:
        return joined
    kept, other = _choose_kept(first, second)
    if await queries_joining.has_joined(session, org_id, other.id):
        raise StaysNotJoinable("Another stay was joined into the one that would be voided.")
    await _give_credentials(session, org_id, kept, other, now=now)
    kept, other = await _settle(session, org_id, kept, other, actor=actor, now=now)
    await move_paid(session, org_id, other, kept)
    await queries_joining.insert_link(
        session,
        org_id,
        kind="joined",
        kept_id=kept.id,
        other_id=other.id,
        moved_vnd=other.paid_vnd,
        waived_vnd=other.waived_vnd,
        reason=reason,
        by=actor.id,
        now=now,
    )
    facts = {
        "kept_id": str(kept.id),
        "other_id": str(other.id),
        "moved_vnd": other.paid_vnd,
        "waived_vnd": other.waived_vnd,
    }
    for one in (kept, other):
        record_change(
            session,
            org_id=org_id,
            actor=actor,
            action="parking_session.joined",
            object_kind="parking_session",
            object_id=one.id,
            after=facts,
            reason=reason,
            now=now,
        )
    return await get_stay(session, org_id, kept.id)


async def _lock_both(
    session: AsyncSession, org_id: UUID, ids: list[UUID]
) -> tuple[StayFacts, StayFacts]:
    before = await queries.find_stays(session, org_id, ids)
    for one in ids:
        if one not in before:
            raise ParkingSessionNotFound(one)
    places = {(one.lot_id, one.vehicle_class) for one in before.values()}
    if len(before) != 2 or len(places) != 1:
        raise StaysNotJoinable("They are not two stays of one lot and one class of vehicle.")
    await queries.lock_occupancy(session, org_id, places)
    await queries.lock_sessions(session, org_id, ids)
    stays = await queries.find_stays(session, org_id, ids)
    if {(one.lot_id, one.vehicle_class) for one in stays.values()} != places:
        raise Busy("The parking session is being changed. Try again in a second.")
    return stays[ids[0]], stays[ids[1]]


def _choose_kept(first: StayFacts, second: StayFacts) -> tuple[StayFacts, StayFacts]:
    if SessionStatus.VOIDED in (first.status, second.status):
        raise StaysNotJoinable("One of them was voided.")
    if not first.is_inside and not second.is_inside:
        raise StaysNotJoinable("Both of them are over.")
    by_order = sorted((first, second), key=lambda one: (one.is_inside, one.entered_at, one.id))
    return by_order[0], by_order[1]


async def _find_joined(session: AsyncSession, org_id: UUID, ids: list[UUID]) -> StayFacts | None:
    for one, kept_id in (ids, ids[::-1]):
        if await queries_joining.find_kept(session, org_id, one) == kept_id:
            return await get_stay(session, org_id, kept_id)
    return None


async def _settle(
    session: AsyncSession,
    org_id: UUID,
    kept: StayFacts,
    other: StayFacts,
    *,
    actor: Actor,
    now: datetime,
) -> tuple[StayFacts, StayFacts]:
    """Return locked stays as their bills say; open ones, for other amounts, are cancelled."""
    bill_ids = [one.bill_id for one in (kept, other) if one.bill_id is not None]
    if bill_ids:
        await settling.lock_bills(session, org_id, bill_ids)
    standings = [await read_standing_anyway(session, org_id, one, at=now) for one in (kept, other)]
    for standing in standings:
        if standing.bill is not None and standing.bill.status in UNPAID:
            await cancel_bill(
                session, org_id, standing.bill.id, actor=actor, reason=JOINED, now=now
            )
    return standings[0].stay, standings[1].stay


async def _give_credentials(
    session: AsyncSession, org_id: UUID, kept: StayFacts, other: StayFacts, *, now: datetime
) -> None:
    """Void a stay, and let the kept one be known by what it had not."""
    listed = await queries_joining.take_out(session, org_id, [kept.id, other.id])
    await queries_joining.void(session, org_id, other.id, now=now)
    gets_plate = kept.plate is None and other.plate is not None
    if gets_plate:
        kept = replace(kept, plate=other.plate)
    if kept.ticket is None:
        kept = replace(kept, ticket=other.ticket, ticket_kind=other.ticket_kind)
    if kept.is_inside and SessionStatus.INSIDE in (kept.status, other.status):
        kept = replace(kept, status=SessionStatus.INSIDE.value)
    if gets_plate and kept.is_inside:
        kept = await on_its_pass(session, org_id, kept)
    await queries_joining.set_vehicle(session, org_id, kept, now=now)
    if kept.is_inside and listed and not await queries_joining.put_in(session, org_id, kept):
        raise CredentialInside
