"""Tickets that drivers lost: reported with a photo, before the price of one is asked for."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from api.http.deps import Now, Tx
from api.http.errors import may_answer
from api.http.fields import Body, Instant, Read, ReasonText
from api.v1.parking_sessions.routes import Gate, find_own_stay
from core.errors import InvalidRequest, Violation
from identity.people.rules import Permission
from parking.collections.errors import ApprovalNeeded
from parking.exits.errors import NotInside, ParkingSessionNotFound
from parking.exits.lost_tickets import LostTicket, report_lost_ticket
from parking.photos.errors import PhotoNotFound, PhotoUsed

router = APIRouter(prefix="/v1/parking-sessions", tags=["parking"])


class LostTicketReport(Body):
    """A ticket that is lost."""

    photo: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None,
        description="SHA-256 of a photo that was uploaded, of what proves that the vehicle is"
        " theirs. Needed, but for `parking.override` with a `reason`.",
    )
    reason: ReasonText | None = Field(default=None, description="Why there is no photo.")


class LostTicketRead(Read):
    """A ticket that was reported lost."""

    session_id: UUID
    photo: str | None = Field(description="SHA-256; null where there is none, or none yet.")
    reason: str | None
    reported_at: Instant


@router.post(
    "/{session_id}/lost-ticket",
    status_code=201,
    responses=may_answer(
        ParkingSessionNotFound, NotInside, PhotoNotFound, PhotoUsed, ApprovalNeeded
    ),
)
async def report(
    session_id: UUID, body: LostTicketReport, caller: Gate, tx: Tx, now: Now
) -> LostTicketRead:
    """Report that a vehicle's ticket is lost; then `quotes` may ask for its price. Idempotent."""
    if body.photo is None and body.reason is None:
        fault = "A lost ticket takes a photo, or a reason why there is none."
        raise InvalidRequest(
            fault, violations=[Violation(field="photo", code="missing", detail=fault)]
        )
    await find_own_stay(tx, caller, session_id, now=now)
    found = await report_lost_ticket(
        tx,
        caller.org_id,
        session_id,
        LostTicket(
            photo=None if body.photo is None else bytes.fromhex(body.photo),
            reason=body.reason,
            device_id=caller.device_id,
        ),
        may_override=caller.may(Permission.PARKING_OVERRIDE),
        actor=caller.actor,
        now=now,
    )
    return LostTicketRead(
        session_id=session_id,
        photo=None if found.photo is None else found.photo.hex(),
        reason=found.reason,
        reported_at=found.reported_at,
    )
