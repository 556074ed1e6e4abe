"""Leaving: many vehicles in a handful of statements, however many they are.

Order of locks: occupancy, then the sessions (docs/adr/0013). What is due is decided here from what
was read under these locks; all that is written travels in one trip.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import Busy, HubError
from core.ids import new_id
from core.masking import mask_plates
from core.sql import sent_together
from parking.collections import queries as collection_queries
from parking.exits import queries
from parking.exits.errors import NotInside, NotPaid, ParkingSessionNotFound, PlateDiffers
from parking.exits.leaving_checks import Evidence, Limits, check_photo
from parking.exits.pricing import LotRates, add_tariffs, read_rates
from parking.exits.queries import ClosedStay
from parking.exits.queries_leaving import (
    Credential,
    find_leavers,
    lock_and_read,
    read_unconfirmed_left,
)
from parking.exits.rules import (
    FORCED,
    ExitReason,
    SessionStatus,
    StayFacts,
    arrears_at_exit,
    price_to_keep,
    reason_to_leave,
)
from parking.exits.standing import (
    OwnBills,
    Standing,
    Unpriced,
    judge,
    judge_anyway,
    read_bills,
    read_bills_behind,
)
from parking.exits.unpriced import report_overpaid, report_unpriced
from parking.exits.views import is_just_left
from parking.photos.queries import find_hashes, use_fresh_photos, use_photos
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaveRequest:
    """One vehicle at the way out."""

    session_id: UUID | None  # None: found by its credential
    actor: Actor
    credential: Credential | None = None
    lot_ids: frozenset[UUID] | None = None  # the caller's lots; None: all of the organisation
    sees_all: bool = True  # else what left long ago, or by somebody else, is not theirs to see
    forced: ExitReason | None = None  # why it leaves though something is due
    words: str | None = None  # that reason in words
    is_approved: bool = False  # more unconfirmed exits than a shift may have; or it has happened
    plate: str | None = None  # as it was seen going out, compact
    is_plate_confirmed: bool = False  # though another came in
    method: str = "visual"
    read_text: str | None = None
    read_score_bps: int | None = None
    photo: bytes | None = None
    takes_photo: bool = False  # who leaves for a reason must be photographed: it is there still
    no_photo: str | None = None  # why there is none, in words
    access_id: UUID | None = None
    device_id: UUID | None = None

    def __post_init__(self) -> None:
        """Hold a request to what it must say (a programmer's mistake)."""
        assert self.actor.id is not None
        assert (self.session_id is None) != (self.credential is None)
        assert self.forced is None or (self.forced in FORCED and self.words)

    @property
    def by(self) -> UUID:
        """Who lets it out."""
        assert self.actor.id is not None
        return self.actor.id


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaveFacts:
    """What became of a vehicle at the way out."""

    session_id: UUID
    lot_id: UUID
    left_at: datetime
    reason: str
    price_vnd: int | None  # None: nobody knows
    paid_vnd: int
    arrears_vnd: int
    is_repeat: bool = False  # it had left before


async def leave(
    session: AsyncSession, org_id: UUID, requests: Sequence[LeaveRequest], *, now: datetime
) -> list[LeaveFacts | HubError]:
    """Let vehicles out that owe nothing, or for a reason that is written down.

    For such a reason a vehicle leaves without a price, too: it is as it was quoted last or unknown,
    and a break lets a person look.

    Returns:
        Per request, in order: what became of it, or why it stays. What stays changed nothing.
        Errors: ParkingSessionNotFound, NotInside, NotPaid, PlateDiffers, LotHasNoTariff,
        NoRateForVehicle, StayNotPriceable, UnconfirmedLimitReached, ExitPhotoNeeded, PhotoNotFound,
        PhotoUsed; Busy where two of the batch name one session.
    """
    found, places = await find_leavers(
        session,
        org_id,
        session_ids=[one.session_id for one in requests if one.session_id is not None],
        credentials=[one.credential for one in requests if one.credential is not None],
    )
    ids = [_name(request, found) for request in requests]
    if not places:
        return [ParkingSessionNotFound(one.session_id or "of this credential") for one in requests]
    held = await lock_and_read(session, org_id, places, {request.by for request in requests})
    inside = [stay for stay in held.stays.values() if stay.is_inside]
    if any((stay.lot_id, stay.vehicle_class) != places[stay.id] for stay in inside):
        # Moved to another class meanwhile, whose occupancy is not locked.
        raise Busy("The parking session is being changed. Try again in a second.")
    rates = await add_tariffs(session, org_id, inside, held.rates)
    said_paid = {
        id_
        for request, id_ in zip(requests, ids, strict=True)
        if id_ is not None and request.forced is ExitReason.UNCONFIRMED
    }
    bills = await read_bills_behind(
        session, org_id, inside, held.bills_paid_vnd, said_paid=said_paid
    )
    limits = await _read_limits(session, org_id, requests, ids, held.stays, now=now)
    evidence = await _use_photos(session, org_id, requests, ids, now=now)
    answers: list[LeaveFacts | HubError] = []
    closed: dict[UUID, tuple[LeaveRequest, ClosedStay]] = {}
    for request, id_ in zip(requests, ids, strict=True):
        stay = None if id_ is None else held.stays.get(id_)
        try:
            if stay is None or not _may_see(stay, request, now=now):
                raise ParkingSessionNotFound(request.session_id or "of this credential")
            if stay.id in closed:
                raise Busy("The vehicle is leaving at this moment.")
            if not stay.is_inside:
                answers.append(_repeat(stay))
                continue
            evidence.check(request.photo, stay.id, is_forced=request.forced is not None)
            shift = held.shifts.get(request.by)
            one = _decide(
                stay,
                request,
                rates,
                bills,
                rails=held.rails.get(stay.id, frozenset()),
                shift_id=shift[0] if shift is not None and shift[1] == stay.lot_id else None,
                now=now,
            )
            if request.takes_photo and one.reason in FORCED:
                check_photo(
                    ExitReason(one.reason),
                    photo=request.photo,
                    why_none=request.no_photo,
                    may_override=request.is_approved,
                )
            if one.reason == ExitReason.UNCONFIRMED and not request.is_approved:
                limits.take(request.by, stay.lot_id)
        except HubError as error:
            answers.append(error)
            continue
        closed[stay.id] = (request, one)
        answers.append(_answer(one, now))
    if closed:
        await _write(session, org_id, list(closed.values()), now=now)
    return answers


def _name(request: LeaveRequest, found: Mapping[Credential, UUID]) -> UUID | None:
    if request.credential is None:
        return request.session_id
    return found.get(request.credential)


async def _read_limits(
    session: AsyncSession,
    org_id: UUID,
    requests: Sequence[LeaveRequest],
    ids: Sequence[UUID | None],
    stays: Mapping[UUID, StayFacts],
    *,
    now: datetime,
) -> Limits:
    """Read how many more each person may let out on a transfer that no bank has confirmed."""
    asked = {
        (request.by, stay.lot_id)
        for request, id_ in zip(requests, ids, strict=True)
        if request.forced is ExitReason.UNCONFIRMED and not request.is_approved
        if id_ is not None and (stay := stays.get(id_)) is not None
    }
    return Limits(left=await read_unconfirmed_left(session, org_id, asked, now=now))


async def _use_photos(
    session: AsyncSession,
    org_id: UUID,
    requests: Sequence[LeaveRequest],
    ids: Sequence[UUID | None],
    *,
    now: datetime,
) -> Evidence:
    """Let each photo be the evidence of its vehicle's way out, unless it is another's.

    Only of one that leaves unpaid or by hand is it asked whether it was taken at a way in.
    """
    uses: list[tuple[bytes, UUID]] = []
    forced: list[tuple[bytes, UUID]] = []
    for request, id_ in zip(requests, ids, strict=True):
        if request.photo is not None and id_ is not None:
            (uses if request.forced is None else forced).append((request.photo, id_))
    used: set[tuple[bytes, UUID]] = set()
    kept: set[bytes] = set()
    kind = "parking_session"
    if forced:
        used |= await use_fresh_photos(session, org_id, forced, subject_kind=kind, now=now)
        hashes = [photo for photo, _ in forced]
        kept = {bytes(one) for one in await find_hashes(session, org_id, hashes)}
    if uses:
        used |= await use_photos(session, org_id, uses, subject_kind=kind, now=now)
    return Evidence(used=used, kept=kept)


async def leave_closed(
    session: AsyncSession, org_id: UUID, request: LeaveRequest
) -> LeaveFacts | HubError:
    """Write how a stay ended that was written closed: it began and ended while a phone was offline.

    Nothing inside is touched: it never was there.

    Errors: ParkingSessionNotFound, PhotoNotFound, PhotoUsed; without a reason that is written down
    also LotHasNoTariff, NoRateForVehicle, StayNotPriceable.
    """
    assert request.session_id is not None
    await queries.lock_sessions(session, org_id, [request.session_id])
    stay = (await queries.find_stays(session, org_id, [request.session_id])).get(request.session_id)
    if stay is None or stay.left_at is None:
        return ParkingSessionNotFound(request.session_id)
    if stay.exit_by is not None:
        return _repeat(stay)
    evidence = await _use_photos(session, org_id, [request], [stay.id], now=stay.left_at)
    as_inside = replace(stay, status=SessionStatus.INSIDE)
    try:
        evidence.check(request.photo, stay.id, is_forced=request.forced is not None)
        one = _decide(
            as_inside,
            request,
            await read_rates(session, org_id, [stay]),
            await read_bills(session, org_id, [stay]),
            rails=(await collection_queries.rails_of_sessions(session, org_id, [stay.id])).get(
                stay.id, frozenset()
            ),
            shift_id=None,
            now=stay.left_at,
        )
    except HubError as error:
        return error
    await queries.write_ends(session, org_id, [one], now=stay.left_at)
    sightings = [_sighting(request, one)]
    await queries.insert_sightings(session, org_id, sightings, direction="out", now=stay.left_at)
    await _report(session, org_id, [one], now=stay.left_at)
    return _answer(one, stay.left_at)


def _decide(
    stay: StayFacts,
    request: LeaveRequest,
    rates: LotRates,
    bills: OwnBills,
    *,
    rails: frozenset[str],
    shift_id: UUID | None,
    now: datetime,
) -> ClosedStay:
    if _differs(stay, request) and not request.is_plate_confirmed:
        raise PlateDiffers
    standing: Standing | Unpriced
    if request.forced is None:
        standing = judge(stay, rates, bills, at=now)
    else:
        standing = judge_anyway(stay, rates, bills, at=now)
    stay = standing.stay
    if standing.due_vnd and request.forced is None:
        raise NotPaid(standing.due_vnd, session_id=stay.id)
    reason, price_vnd, version_id = request.forced, stay.price_vnd, None
    if isinstance(standing, Standing):
        price_vnd, version_id = _keep_price(standing, request), standing.price.version_id
        if reason is None or (not standing.due_vnd and reason is not ExitReason.MANUAL):
            reason = reason_to_leave(stay, price_vnd, rails=rails)
    assert reason is not None
    return ClosedStay(
        stay=stay,
        access_id=request.access_id,
        device_id=request.device_id,
        shift_id=shift_id,
        by=request.by,
        photo=request.photo,
        reason=reason.value,
        version_id=version_id,
        price_vnd=price_vnd,
        paid_vnd=stay.paid_vnd,
        bill_paid_vnd=stay.bill_paid_vnd,
        arrears_vnd=arrears_at_exit(reason, standing.due_vnd),
        is_priced=isinstance(standing, Standing),
    )


def _keep_price(standing: Standing, request: LeaveRequest) -> int:
    is_said_paid = (
        request.forced is ExitReason.UNCONFIRMED
        and standing.due_vnd > 0
        and standing.bill is not None
        and standing.bill.is_payable
    )
    return price_to_keep(standing.stay, standing.price.amount_vnd, is_said_paid=is_said_paid)


async def _write(
    session: AsyncSession,
    org_id: UUID,
    closed: Sequence[tuple[LeaveRequest, ClosedStay]],
    *,
    now: datetime,
) -> None:
    async with sent_together(session):
        await queries.close_sessions(session, org_id, [one for _, one in closed], now=now)
        sightings = [_sighting(request, one) for request, one in closed]
        await queries.insert_sightings(session, org_id, sightings, direction="out", now=now)
        events = [event for request, one in closed for event in _events(request, one)]
        await outbox.record_quietly(session, org_id, events, now=now)
    await _report(session, org_id, [one for _, one in closed], now=now)
    for request, one in closed:
        if request.forced is not None:
            record_change(
                session,
                org_id=org_id,
                actor=request.actor,
                action="parking_session.let_out",
                object_kind="parking_session",
                object_id=one.stay.id,
                after=_describe(request, one),
                reason=request.words,
                now=now,
            )


async def _report(
    session: AsyncSession, org_id: UUID, closed: Sequence[ClosedStay], *, now: datetime
) -> None:
    """Let people look at who left without a price, or paid by more than one code."""
    unpriced = [one.stay for one in closed if not one.is_priced]
    if unpriced:
        await report_unpriced(session, org_id, unpriced, now=now)
    for one in closed:
        if one.is_priced and one.price_vnd is not None and one.bill_paid_vnd:
            await report_overpaid(session, org_id, one.stay, price_vnd=one.price_vnd, now=now)


def _describe(request: LeaveRequest, one: ClosedStay) -> dict[str, object]:
    """Return what the audit log says of a vehicle that was let out for a reason in writing."""
    told: dict[str, object] = {"reason": one.reason, "arrears_vnd": one.arrears_vnd}
    if request.no_photo is not None and request.photo is None:
        told["no_photo"] = mask_plates(request.no_photo)
    return told


def _sighting(request: LeaveRequest, one: ClosedStay) -> tuple[object, ...]:
    return (
        new_id(),
        one.stay.lot_id,
        one.stay.id,
        request.access_id,
        request.method,
        request.plate,
        request.read_text,
        request.read_score_bps,
        request.photo,
        request.device_id,
        request.by,
    )


def _events(request: LeaveRequest, one: ClosedStay) -> list[NewEvent]:
    stay = one.stay
    facts = {"session_id": str(stay.id), "lot_id": str(stay.lot_id), "reason": one.reason}
    events = [NewEvent(kind=EventKind.PARKING_LEFT, payee_id=stay.payee_id, data=facts)]
    if _differs(stay, request):
        differed = EventKind.PARKING_PLATE_DIFFERED
        events.append(NewEvent(kind=differed, payee_id=stay.payee_id, data=facts))
    return events


def _may_see(stay: StayFacts, request: LeaveRequest, *, now: datetime) -> bool:
    if request.lot_ids is not None and stay.lot_id not in request.lot_ids:
        return False
    return request.sees_all or stay.is_inside or is_just_left(stay, request.by, now=now)


def _differs(stay: StayFacts, request: LeaveRequest) -> bool:
    return None not in (stay.plate, request.plate) and stay.plate != request.plate


def _answer(one: ClosedStay, now: datetime) -> LeaveFacts:
    return LeaveFacts(
        session_id=one.stay.id,
        lot_id=one.stay.lot_id,
        left_at=now,
        reason=one.reason,
        price_vnd=one.price_vnd,
        paid_vnd=one.paid_vnd,
        arrears_vnd=one.arrears_vnd,
    )


def _repeat(stay: StayFacts) -> LeaveFacts:
    if stay.status != SessionStatus.LEFT or stay.left_at is None:
        raise NotInside(stay.status)
    return LeaveFacts(
        session_id=stay.id,
        lot_id=stay.lot_id,
        left_at=stay.left_at,
        reason=stay.exit_reason or "",
        price_vnd=stay.price_vnd,
        paid_vnd=stay.paid_vnd,
        arrears_vnd=stay.arrears_vnd,
        is_repeat=True,
    )
