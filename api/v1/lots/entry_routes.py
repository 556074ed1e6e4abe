"""A lot's gate: entries, what devices that were offline report, and who is inside.

Entries and movements read their bodies themselves; entries are served past the router
(entries_asgi.py).
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Limit
from api.http.responses import answer_json
from api.v1.lots.entries import ENTRY_BYTES_MAX, take_entry
from api.v1.lots.entry_schemas import (
    EntryCreate,
    EntryRead,
    InsidePage,
    InsideRead,
    MovementPage,
    MovementRead,
    MovementsRead,
    OpeningPhoto,
    PhotoAttach,
    PhotoAttached,
    PlateAdd,
    PlateAdded,
    write_plate,
)
from api.v1.lots.movements import BATCH_BYTES_MAX, MovementBatch, take_movements
from core.errors import InvalidRequest, Violation
from identity.devices.errors import DeviceNotFound, DeviceRevoked, DeviceTokenNotValid
from identity.people.callers import Caller
from identity.people.errors import ScopeNeeded
from identity.people.rules import Permission, ScopeKind
from parking.exits.errors import MovementNotFound
from parking.exits.manual_opens import attach_photo as attach_opening_photo
from parking.photos.errors import PhotoNotFound, PhotoUsed
from parking.photos.queries import find_hashes
from parking.places.queries import find_lot_name
from parking.sessions.errors import (
    LotOrClassNotFound,
    ParkingStayNotFound,
    PhotoIdTaken,
    StayNotNameable,
)
from parking.sessions.queries_movements import list_movements
from parking.sessions.rules import (
    TICKET_CHARS_MAX,
    MovementVerdict,
    check_entry_id,
    read_vehicle_plate,
)
from parking.sessions.service import add_plate, attach_photo
from parking.sessions.views import search_inside
from parking.vehicles import VehicleClass

Gate = Annotated[Caller, requires(Permission.PARKING_GATE)]
Reader = Annotated[Caller, requires(Permission.PARKING_READ)]
SearchText = Annotated[str, Query(max_length=TICKET_CHARS_MAX, examples=["29AA 123.45", "345"])]
FIRST: Final = UUID(int=0)


def describe_body(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Describe a body that msgspec reads, in OpenAPI's words, whole in one place."""
    (_,), parts = msgspec.json.schema_components([kind], ref_template="#/{name}")
    schema = _put_together(parts[kind.__name__], parts)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _put_together(schema: Any, parts: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _put_together(parts[schema["$ref"].removeprefix("#/")], parts)
        return {name: _put_together(one, parts) for name, one in schema.items()}
    if isinstance(schema, list):
        return [_put_together(one, parts) for one in schema]
    return schema


class BodyRoute(APIRoute):
    """Serves a body that is read strictly by msgspec: entries as the middleware does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what serves a request."""

        async def answer(request: Request) -> Response:
            lot, body = request.path_params["lot_id"], await request.body()
            if request.scope["path"].endswith("/movements"):
                return answer_json({"results": await take_movements(request, lot, body)})
            status, entry = await take_entry(request, lot, body)
            return answer_json(entry, status=status)

        return answer


bodies = APIRouter(prefix="/v1/lots", tags=["parking"], route_class=BodyRoute)
router = APIRouter(prefix="/v1/lots", tags=["parking"])

OPENED: Final = {"description": "The vehicle came in: the session is open.", "model": EntryRead}
ANSWERED: Final = {
    "description": "It was opened before (`repeat`), or it was not: `already_inside`, `full`, or"
    " `taken`, the id being another entry's.",
    "model": EntryRead,
}


@bodies.post(
    "/{lot_id}/entries",
    status_code=201,
    responses={**may_answer(LotOrClassNotFound), 201: OPENED, 200: ANSWERED},
    openapi_extra=describe_body(EntryCreate),
    max_body_size=ENTRY_BYTES_MAX,
)
async def enter(lot_id: UUID, caller: Gate) -> EntryRead:
    """Let a vehicle in. Answered after the commit; the id makes it repeatable."""
    raise AssertionError("served by BodyRoute")


@bodies.post(
    "/{lot_id}/movements",
    responses=may_answer(DeviceNotFound, DeviceTokenNotValid, DeviceRevoked),
    openapi_extra=describe_body(MovementBatch),
    max_body_size=BATCH_BYTES_MAX,
)
async def report(lot_id: UUID, caller: Gate) -> MovementsRead:
    """Store what a device kept while it was offline, each movement once, with its signature.

    Entries get their verdict at once; exits and collections are `waiting`, and applied in the
    device's order: GET /v1/lots/{lot_id}/movements has their verdicts. A device that was revoked
    may send what it recorded before.
    """
    raise AssertionError("served by BodyRoute")


@router.get("/{lot_id}/movements", responses=may_answer(ScopeNeeded))
async def list_movements_page(
    lot_id: UUID, caller: Gate, tx: Tx, after: UUID = FIRST, limit: Limit = 100
) -> MovementPage:
    """List what devices reported, oldest first, from after an id on; a device sees its own."""
    caller.narrow(ScopeKind.LOT, lot_id)
    rows = await list_movements(
        tx, caller.org_id, lot_id, device_id=caller.device_id, after=after, limit=limit
    )
    return MovementPage(
        movements=[
            MovementRead(
                id=row[0],
                device_id=row[1],
                seq=row[2],
                kind=row[3],
                verdict=row[4] or MovementVerdict.WAITING.value,
                handled_at=row[5],
                received_at=row[6],
                is_pin_checked=row[7],
            )
            for row in rows
        ]
    )


@router.get("/{lot_id}/sessions", responses=may_answer(ScopeNeeded))
async def list_inside(
    lot_id: UUID, caller: Reader, tx: Tx, q: SearchText | None = None
) -> InsidePage:
    """List who is inside, or find one: by plate or ticket, look-alike plates, or last digits."""
    caller.narrow(ScopeKind.LOT, lot_id)
    found = await search_inside(tx, caller.org_id, lot_id, q)
    return InsidePage(
        sessions=[
            InsideRead(
                id=one.session_id,
                vehicle_class=VehicleClass(one.vehicle_class),
                plate=one.plate,
                plate_written=one.plate and write_plate(one.plate, one.vehicle_class),
                ticket=one.ticket,
                entered_at=one.entered_at,
                photo=None if one.entry_photo is None else one.entry_photo.hex(),
                pass_id=one.pass_id,
                found_by=one.found_by,
            )
            for one in found
        ]
    )


@router.post(
    "/{lot_id}/sessions/{session_id}/plate", responses=may_answer(StayNotNameable, ScopeNeeded)
)
async def name_vehicle(
    lot_id: UUID, session_id: UUID, body: PlateAdd, caller: Gate, tx: Tx, now: Now
) -> PlateAdded:
    """Add the plate of a vehicle that came in on a ticket, once it is read.

    `is_conflict`: this vehicle is inside by another stay already; a person joins the two.
    """
    caller.narrow(ScopeKind.LOT, lot_id)
    is_conflict = await add_plate(
        tx,
        caller.org_id,
        lot_id,
        session_id,
        plate=read_vehicle_plate(body.plate, body.vehicle_class),
        method=body.method,
        lot_name=await find_lot_name(tx, caller.org_id, lot_id) or "",
        seen_by=caller.id,
        now=now,
    )
    return PlateAdded(is_conflict=is_conflict)


@router.post(
    "/{lot_id}/sessions/{session_id}/photos",
    status_code=201,
    responses=may_answer(ParkingStayNotFound, PhotoNotFound, PhotoUsed, PhotoIdTaken, ScopeNeeded),
)
async def add_stay_photo(
    lot_id: UUID, session_id: UUID, body: PhotoAttach, caller: Gate, tx: Tx, now: Now
) -> PhotoAttached:
    """Attach an uploaded photo to a stay, as a phone does that had no network when it took it.

    The id is the photo's own; the same again answers the same.
    """
    caller.narrow(ScopeKind.LOT, lot_id)
    if fault := check_entry_id(body.id, now=now):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])
    photo = bytes.fromhex(body.photo)
    if not await find_hashes(tx, caller.org_id, [photo]):
        raise PhotoNotFound
    await attach_photo(
        tx,
        caller.org_id,
        lot_id,
        session_id,
        body.id,
        photo=photo,
        direction=body.direction,
        device_id=caller.device_id,
        taken_by=caller.id,
        taken_at=min(body.taken_at or now, now),
        now=now,
    )
    return PhotoAttached(
        id=body.id, session_id=session_id, photo=body.photo, direction=body.direction
    )


@router.post(
    "/{lot_id}/manual-opens/{movement_id}/photos",
    status_code=204,
    responses=may_answer(MovementNotFound, PhotoNotFound, PhotoUsed, ScopeNeeded),
)
async def add_opening_photo(
    lot_id: UUID, movement_id: UUID, body: OpeningPhoto, caller: Gate, tx: Tx, now: Now
) -> None:
    """Attach an uploaded photo to an opening by hand that a phone reported. Idempotent."""
    caller.narrow(ScopeKind.LOT, lot_id)
    photo = bytes.fromhex(body.photo)
    await attach_opening_photo(
        tx, caller.org_id, lot_id, movement_id, photo, actor=caller.actor, now=now
    )
