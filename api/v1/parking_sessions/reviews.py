"""Stays under review: those of a lot, and what a person says about one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.lots.routes import check_own_lot
from api.v1.parking_sessions.routes import find_own_stay
from api.v1.parking_sessions.schemas import (
    ParkingSessionRead,
    ReviewDecide,
    ReviewPage,
    write_stay,
)
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.exits.errors import CredentialInside, NotUnderReview, ParkingSessionNotFound
from parking.exits.queries_reviewing import list_under_review
from parking.exits.reviewing import decide_review
from parking.places.errors import LotNotFound
from parking.places.queries import get_lot

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
    responses=may_answer(ParkingSessionNotFound, NotUnderReview, CredentialInside),
)
async def review(
    session_id: UUID, body: ReviewDecide, caller: Approver, tx: Tx, now: Now
) -> ParkingSessionRead:
    """Say of a stay under review whether its vehicle left unseen or is still there."""
    await find_own_stay(tx, caller, session_id, now=now)
    stay = await decide_review(
        tx,
        caller.org_id,
        session_id,
        has_left=body.decision == "left",
        reason=body.reason,
        actor=caller.actor,
        now=now,
    )
    return write_stay(stay)
