"""Use cases around the way in, one vehicle at a time: overrides, and plates that are read later."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import Busy
from core.ids import new_id
from core.reasons import Reason
from parking.photos.errors import PhotoUsed
from parking.photos.queries import use_fresh_photos, use_photos
from parking.places.errors import LotClosed
from parking.places.queries import is_lot_closed
from parking.plates import mask_plate
from parking.sessions import queries
from parking.sessions.answers import make_answer
from parking.sessions.errors import ParkingStayNotFound, PhotoIdTaken, StayNotNameable
from parking.sessions.rules import EntryAnswer, EntryRequest, Method, Verdict
from payments.breaks.queries import insert_breaks_once
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak

CREDENTIALS_MAX: Final = 2  # of one entry: its plate and its ticket


async def override_entry(
    session: AsyncSession, request: EntryRequest, *, reason: str, actor: Actor, now: datetime
) -> EntryAnswer:
    """Let a vehicle in although the lot is full or the vehicle is inside already.

    The stay that is inside goes to review: it left unseen, or its plate was read wrong; both do
    where its plate and its ticket are inside by two. Written to the audit log where it made a
    difference. In a transaction of the hub's role.

    Raises:
        LotOrClassNotFound, Busy
        LotClosed: nobody lets a vehicle into it any more.
    """
    assert request.may_exceed
    await queries.lock_lot(session, request.org_id, request.lot_id)
    if await is_lot_closed(session, request.org_id, request.lot_id):
        raise LotClosed
    (row,) = await queries.enter_vehicles(session, [request], now=now)
    answer = _unwrap(request, row)
    reviewed: list[UUID] = []
    while answer.verdict is Verdict.ALREADY_INSIDE and len(reviewed) < CREDENTIALS_MAX:
        reviewed.append(answer.session_id)
        await queries.send_to_review(session, request.org_id, request.lot_id, answer.session_id)
        (row,) = await queries.enter_vehicles(session, [request], now=now)
        answer = _unwrap(request, row)
    if reviewed and answer.verdict is not Verdict.OPENED:
        raise Busy("The vehicle is coming in at this moment. Try again in a second.")
    is_over = (answer.inside_count or 0) > (answer.capacity or 0)
    if answer.verdict is Verdict.OPENED and (reviewed or is_over):
        record_change(
            session,
            org_id=request.org_id,
            actor=actor,
            action="parking_session.let_in",
            object_kind="parking_session",
            object_id=request.id,
            after={
                "lot_id": str(request.lot_id),
                "sent_to_review": [str(one) for one in reviewed],
                "inside_count": answer.inside_count,
                "capacity": answer.capacity,
            },
            reason=reason,
            now=now,
        )
    return answer


async def add_plate(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    session_id: UUID,
    *,
    plate: str,
    method: Method,
    lot_name: str,
    seen_by: UUID,
    now: datetime,
) -> bool:
    """Name the vehicle of a stay that began on a ticket; whether it may be inside by another.

    Then the ticket still finds this stay, the plate finds the other one, and a break asks a person
    to join the two or to correct a plate. Safe to repeat.

    Raises:
        StayNotNameable: it is not inside, or has another plate: that is a correction.
    """
    await queries.lock_lot(session, org_id, lot_id)
    found = await queries.add_plate(
        session,
        org_id,
        lot_id,
        session_id,
        plate=plate,
        method=method.value,
        sighting_id=new_id(),
        seen_by=seen_by,
        now=now,
    )
    if found is None:
        raise StayNotNameable
    _, other_id = found
    if other_id is None:
        return False
    reason = Reason(
        BreakReason.VEHICLE_INSIDE_ALREADY, {"plate": mask_plate(plate), "lot": lot_name}
    )
    conflict = NewBreak(kind=BreakKind.PARKING_CONFLICT, subject_id=session_id, reason=reason)
    await insert_breaks_once(session, org_id, [conflict], now=now)
    return True


async def attach_photo(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    session_id: UUID,
    photo_id: UUID,
    *,
    photo: bytes,
    direction: str,
    device_id: UUID | None,
    taken_by: UUID,
    taken_at: datetime,
    now: datetime,
) -> None:
    """Attach a photo that comes after its vehicle, as a phone without network keeps it.

    A sighting of its own under the phone's id; the stay shows it where it has none. Idempotent.

    Raises:
        ParkingStayNotFound
        PhotoIdTaken: the id names another photo, or another stay's.
        PhotoUsed: the photo is another stay's, or the evidence of an opening by hand; of a way
            out: it was taken at a way in.
    """
    is_new = await queries.add_photo(
        session,
        org_id,
        lot_id,
        session_id,
        sighting_id=photo_id,
        direction=direction,
        photo=photo,
        device_id=device_id,
        seen_by=taken_by,
        seen_at=taken_at,
    )
    if is_new:
        use = use_photos if direction == "in" else use_fresh_photos
        subjects = [(photo, session_id)]
        if not await use(session, org_id, subjects, subject_kind="parking_session", now=now):
            raise PhotoUsed
        return
    known = await queries.find_sighting(session, org_id, photo_id)
    if known is None:
        raise ParkingStayNotFound(session_id)
    if known != (session_id, photo, direction):
        raise PhotoIdTaken(photo_id)


def _unwrap(request: EntryRequest, row: queries.EntryRow) -> EntryAnswer:
    answer = make_answer(request, row)
    if isinstance(answer, Exception):
        raise answer
    return answer
