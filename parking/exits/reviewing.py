"""Stays that nobody saw end: a person says whether the vehicle left, is there, or never was.

What the worker found stale keeps its credentials and its place in the occupancy until then: a
vehicle that is there is not let in twice, and no space is free that a vehicle stands on. What an
override at the way in took out of the way has neither any more.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import InvalidRequest, Violation
from core.text import check_lines
from parking.exits import queries, queries_joining, queries_reviewing, queries_undoing
from parking.exits.errors import CredentialInside, NotUnderReview, StayWasPaid
from parking.exits.over_licence import tell_over_licence
from parking.exits.queries import ClosedStay
from parking.exits.rules import ExitReason, ReviewDecision, SessionStatus, StayFacts, price_to_keep
from parking.exits.standing import (
    get_stay,
    lock_place_and_stay,
    read_bills,
    read_standing,
    with_bills,
)
from payments.bills import settling
from payments.bills.rules import UNPAID
from payments.bills.service import cancel_bill

NEVER_HERE: Final = "The vehicle was never here"


async def decide_review(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    *,
    decision: ReviewDecision,
    reason: str,
    actor: Actor,
    now: datetime,
    left_at: datetime | None = None,
) -> StayFacts:
    """Say what became of the vehicle of a stay under review. Idempotent.

    Where nobody knows when it left it owes nothing more; where somebody can name the time, the
    price until then is arrears. One that is there is asked about again when the lot's time has
    passed once more.

    Args:
        left_at: when it left, of one that owes.

    Raises:
        ParkingSessionNotFound
        InvalidRequest: the time is missing, or is not one of the stay.
        NotUnderReview: it is not, and was not decided so.
        StayWasPaid: it was never here, and was paid.
        CredentialInside: it is to be there, and its plate or ticket has come in again.
        LotHasNoTariff, NoRateForVehicle, StayNotPriceable: of one that owes.
    """
    check_lines(reason=reason)
    stay = await lock_place_and_stay(session, org_id, session_id)
    if stay.status != SessionStatus.REVIEW:
        if not _was_decided_so(stay, decision):
            raise NotUnderReview(stay.status)
        return stay
    if decision is ReviewDecision.INSIDE:
        await _find_inside(session, org_id, stay, now=now)
    elif decision is ReviewDecision.NEVER:
        await _void(session, org_id, stay, actor=actor, now=now)
    elif decision is ReviewDecision.LEFT:
        await _end(session, org_id, stay, actor=actor, now=now)
    else:
        left_at = _check_left_at(stay, left_at, now=now)
        await _end_owing(session, org_id, stay, actor=actor, left_at=left_at)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="parking_session.reviewed",
        object_kind="parking_session",
        object_id=session_id,
        after={"decision": decision.value, "left_at": left_at.isoformat() if left_at else None},
        reason=reason,
        now=now,
    )
    return await get_stay(session, org_id, session_id)


def _was_decided_so(stay: StayFacts, decision: ReviewDecision) -> bool:
    if decision is ReviewDecision.INSIDE:
        return stay.status == SessionStatus.INSIDE
    if decision is ReviewDecision.NEVER:
        return stay.status == SessionStatus.VOIDED
    wanted = ExitReason.UNSEEN if decision is ReviewDecision.LEFT else ExitReason.ARREARS
    return stay.exit_reason == wanted


def _check_left_at(stay: StayFacts, left_at: datetime | None, *, now: datetime) -> datetime:
    if left_at is None or not stay.entered_at <= left_at <= now:
        fault = "Say when it left: after it came in, and not in the future."
        raise InvalidRequest(
            fault, violations=[Violation(field="left_at", code="out_of_range", detail=fault)]
        )
    return left_at


async def _end(
    session: AsyncSession, org_id: UUID, stay: StayFacts, *, actor: Actor, now: datetime
) -> None:
    stay = with_bills(stay, await read_bills(session, org_id, [stay]))
    ended = _write_end(stay, ExitReason.UNSEEN, actor, price_vnd=stay.settled_vnd)
    await queries.close_sessions(session, org_id, [ended], now=now)


async def _end_owing(
    session: AsyncSession, org_id: UUID, stay: StayFacts, *, actor: Actor, left_at: datetime
) -> None:
    standing = await read_standing(session, org_id, stay, at=left_at)
    ended = _write_end(
        standing.stay,
        ExitReason.ARREARS,
        actor,
        price_vnd=price_to_keep(standing.stay, standing.price.amount_vnd),
        version_id=standing.price.version_id,
        arrears_vnd=standing.due_vnd,
    )
    await queries.close_sessions(session, org_id, [ended], now=left_at)


def _write_end(
    stay: StayFacts,
    reason: ExitReason,
    actor: Actor,
    *,
    price_vnd: int,
    version_id: UUID | None = None,
    arrears_vnd: int = 0,
) -> ClosedStay:
    assert actor.id is not None
    return ClosedStay(
        stay=stay,
        access_id=None,
        device_id=None,
        shift_id=None,
        by=actor.id,
        photo=None,
        reason=reason.value,
        version_id=version_id,
        price_vnd=price_vnd,
        paid_vnd=stay.paid_vnd,
        bill_paid_vnd=stay.bill_paid_vnd,
        arrears_vnd=arrears_vnd,
    )


async def _void(
    session: AsyncSession, org_id: UUID, stay: StayFacts, *, actor: Actor, now: datetime
) -> None:
    if stay.bill_id is not None:
        await settling.lock_bills(session, org_id, [stay.bill_id])
    bills = await read_bills(session, org_id, [stay])
    if with_bills(stay, bills).settled_vnd:
        raise StayWasPaid
    shown = bills.shown.get(stay.bill_id) if stay.bill_id is not None else None
    if shown is not None and shown.status in UNPAID:
        await cancel_bill(session, org_id, shown.id, actor=actor, reason=NEVER_HERE, now=now)
    await queries_joining.take_out(session, org_id, [stay.id])
    await queries_joining.void(session, org_id, stay.id, now=now)


async def _find_inside(
    session: AsyncSession, org_id: UUID, stay: StayFacts, *, now: datetime
) -> None:
    if not await queries_reviewing.is_listed(session, org_id, stay.id):
        if not await queries_undoing.reopen_session(session, org_id, stay):
            raise CredentialInside
        await tell_over_licence(session, org_id, stay, now=now)
    await queries_reviewing.mark_found_inside(session, org_id, stay.id, now=now)
