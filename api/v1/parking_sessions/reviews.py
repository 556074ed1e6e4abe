"""Stays that take approval: those under review, two that are one vehicle, one that is two."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.lots.routes import check_own_lot
from api.v1.parking_sessions.routes import check_own_id, find_own_stay
from api.v1.parking_sessions.schemas import (
    ParkingSessionRead,
    ReviewDecide,
    ReviewPage,
    StayPart,
    StaysJoin,
    write_stay,
)
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.exits.errors import (
    CredentialInside,
    NotInside,
    NotUnderReview,
    ParkingSessionNotFound,
    StayIdTaken,
    StaysNotJoinable,
    StayWasPaid,
)
from parking.exits.joining import join_stays
from parking.exits.parting import part_stay
from parking.exits.queries_reviewing import list_under_review
from parking.exits.reviewing import decide_review
from parking.places.errors import LotNotFound
from parking.places.queries import get_lot
from parking.sessions.rules import CredentialKind, read_ticket, read_vehicle_plate
from parking.tariffs.errors import NoRateForVehicle, StayNotPriceable
from parking.tariffs.records_errors import LotHasNoTariff
from parking.vehicles import VehicleClass

router = APIRouter(prefix="/v1", tags=["parking"])

Approver = Annotated[Caller, requires(Permission.PARKING_OVERRIDE)]


@router.get("/lots/{lot_id}/reviews", responses=may_answer(LotNotFound, BadCursor))
async def list_reviews(
    lot_id: UUID, caller: Approver, tx: Tx, cursor: Cursor = None, limit: Limit = 50
) -> ReviewPage:
    """List the stays of a lot that a person is to decide about, oldest first."""
    check_own_lot(caller, lot_id)
    await get_lot(tx, caller.org_id, lot_id)
    found = await list_under_review(
        tx, caller.org_id, lot_id, after_id=read_cursor(cursor), limit=limit + 1
    )
    return ReviewPage(
        parking_sessions=[write_stay(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.post(
    "/parking-sessions/{session_id}/review",
    responses=may_answer(
        ParkingSessionNotFound,
        NotUnderReview,
        CredentialInside,
        StayWasPaid,
        LotHasNoTariff,
        NoRateForVehicle,
        StayNotPriceable,
    ),
)
async def review(
    session_id: UUID, body: ReviewDecide, caller: Approver, tx: Tx, now: Now
) -> ParkingSessionRead:
    """Say of a stay under review whether its vehicle left, is still there, or never was."""
    await find_own_stay(tx, caller, session_id, now=now)
    stay = await decide_review(
        tx,
        caller.org_id,
        session_id,
        decision=body.decision,
        left_at=body.left_at,
        reason=body.reason,
        actor=caller.actor,
        now=now,
    )
    return write_stay(stay)


@router.post(
    "/parking-sessions/{session_id}/join",
    responses=may_answer(ParkingSessionNotFound, StaysNotJoinable, CredentialInside),
)
async def join(
    session_id: UUID, body: StaysJoin, caller: Approver, tx: Tx, now: Now
) -> ParkingSessionRead:
    """Let two stays of one vehicle be one; answers the one that goes on. Idempotent."""
    for one in (session_id, body.other_id):
        await find_own_stay(tx, caller, one, now=now)
    stay = await join_stays(
        tx,
        caller.org_id,
        session_id,
        body.other_id,
        reason=body.reason,
        actor=caller.actor,
        now=now,
    )
    return write_stay(stay)


@router.post(
    "/parking-sessions/{session_id}/part",
    status_code=201,
    responses=may_answer(ParkingSessionNotFound, NotInside, CredentialInside, StayIdTaken),
)
async def part(
    session_id: UUID, body: StayPart, caller: Approver, tx: Tx, now: Now
) -> ParkingSessionRead:
    """Let the second vehicle of a stay have one of its own; answers that. Idempotent by `id`."""
    check_own_id(body.id, now)
    known = await find_own_stay(tx, caller, session_id, now=now)
    vehicle_class = VehicleClass(known.vehicle_class)
    kind = CredentialKind(body.ticket_kind)
    stay = await part_stay(
        tx,
        caller.org_id,
        session_id,
        body.id,
        plate=None if body.plate is None else read_vehicle_plate(body.plate, vehicle_class),
        ticket=None if body.ticket is None else read_ticket(body.ticket, kind),
        ticket_kind=kind.value,
        reason=body.reason,
        actor=caller.actor,
        now=now,
    )
    return write_stay(stay)
