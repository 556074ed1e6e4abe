"""Exits at a lot by plate or ticket: found, priced and closed in one request, if nothing is due.

Most vehicles at the evening's peak have paid, are on a pass, or cost nothing: the other routes are
for those that owe. Served past the router (api/v1/lots/entries_asgi.py).
"""

from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from msgspec import Meta

from api.http.deps import requires
from api.http.fields import Read
from api.http.responses import answer_json
from api.http.strict import BOM, IS_JSON, check_keys
from api.services import read_services
from api.v1.lots.entries import check_query_of_gate, describe_fault, read_lot_id
from api.v1.lots.entry_routes import describe_body
from api.v1.lots.entry_schemas import PhotoHash, Ticket
from api.v1.lots.gate_callers import GateCaller, identify_gate
from core.audit import Actor
from core.errors import InvalidRequest, Violation
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.exits.errors import NotPaid, ParkingSessionNotFound
from parking.exits.leaving import LeaveFacts, LeaveRequest
from parking.plates import PLATE_CHARS_MAX
from parking.sessions.rules import CredentialKind, Method, read_ticket, read_vehicle_plate
from parking.vehicles import VehicleClass

EXIT_BYTES_MAX: Final = 16_384


class ExitVerdict(StrEnum):
    """What became of a vehicle at the way out. Each is an answer; none is an error."""

    LEFT = "left"
    DUE = "due"  # it owes: quote, take the payment, then let it out by its session
    NOT_INSIDE = "not_inside"  # look for it by what looks alike


class VehicleAtExit(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """A vehicle at the way out: its plate with its class, or its ticket, token or tag."""

    plate: Annotated[str, Meta(min_length=1, max_length=4 * PLATE_CHARS_MAX)] | None = None
    vehicle_class: VehicleClass | None = None
    ticket: Ticket | None = None
    token: Ticket | None = None
    tag: Ticket | None = None
    access_id: UUID | None = None
    photo: PhotoHash | None = None
    method: Method = Method.VISUAL


class ExitAtLotRead(Read):
    """What became of it: `201` it left now, `200` says why not."""

    verdict: ExitVerdict
    session_id: UUID | None
    reason: str | None
    due_vnd: int | None
    price_vnd: int | None
    paid_vnd: int | None


_decode = msgspec.json.Decoder(VehicleAtExit).decode
_decode_flat = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


async def take_exit(request: Request, lot: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Let one vehicle out if nothing is due, or say what is; committed when this returns.

    Raises:
        RouteNotFound, InvalidRequest, LotHasNoTariff, NoRateForVehicle, StayNotPriceable, Busy,
        and what identify_gate raises.
    """
    lot_id = read_lot_id(lot)
    check_query_of_gate(request)
    caller = await identify_gate(request, lot_id)
    wanted = _read_json(request, body)
    writer = read_services(request).exit_writer
    try:
        left = await writer.leave(caller.org_id, _make_request(wanted, caller, lot_id))
    except NotPaid as owes:
        return 200, _write(ExitVerdict.DUE, owes.session_id, due_vnd=owes.due_vnd)
    except ParkingSessionNotFound:
        return 200, _write(ExitVerdict.NOT_INSIDE, None)
    return 201, _write(ExitVerdict.LEFT, left.session_id, left)


class ExitRoute(APIRoute):
    """Serves a body that is read strictly by msgspec, past the dependencies."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what serves a request."""

        async def answer(request: Request) -> Response:
            status, left = await take_exit(
                request, request.path_params["lot_id"], await request.body()
            )
            return answer_json(left, status=status)

        return answer


router = APIRouter(prefix="/v1/lots", tags=["parking"], route_class=ExitRoute)


@router.post(
    "/{lot_id}/exits",
    status_code=201,
    responses={
        201: {"description": "It left.", "model": ExitAtLotRead},
        200: {"description": "It owes (`due`), or is `not_inside`.", "model": ExitAtLotRead},
    },
    openapi_extra=describe_body(VehicleAtExit),
    max_body_size=EXIT_BYTES_MAX,
)
async def leave_lot(
    lot_id: UUID, caller: Annotated[Caller, requires(Permission.PARKING_GATE)]
) -> ExitAtLotRead:
    """Find a vehicle, price its stay, and let it out if nothing is due. Answered after the commit.

    One that left already is `not_inside`.
    """
    raise AssertionError("served by ExitRoute")


def _read_json(request: Request, body: bytes) -> VehicleAtExit:
    if not IS_JSON.match(request.headers.get("content-type", "")):
        fault = "Send the exit as JSON, with Content-Type: application/json."
        raise InvalidRequest(fault, violations=[Violation(field="", code="no_json", detail=fault)])
    try:
        body = body.removeprefix(BOM)
        wanted = _decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise describe_fault(error) from None
    # As many colons as keys, where no text has one: then no key stands twice.
    if body.count(b":") != len(_decode_flat(body)):
        check_keys(body)
    return wanted


def _make_request(wanted: VehicleAtExit, caller: GateCaller, lot_id: UUID) -> LeaveRequest:
    kind, value, plate = _read_credential(wanted)
    return LeaveRequest(
        session_id=None,
        credential=(lot_id, kind, value),
        actor=Actor(
            kind=caller.kind, id=caller.person_id, name=caller.name, request_id=caller.request_id
        ),
        sees_all=False,
        plate=plate,
        method=wanted.method.value,
        photo=None if wanted.photo is None else bytes.fromhex(wanted.photo),
        access_id=wanted.access_id,
        device_id=caller.device_id,
    )


def _read_credential(wanted: VehicleAtExit) -> tuple[str, str, str | None]:
    """Return the kind and value that `inside` has, and the plate if it is one."""
    tickets = {
        CredentialKind.TICKET: wanted.ticket,
        CredentialKind.TOKEN: wanted.token,
        CredentialKind.TAG: wanted.tag,
    }
    given = [(kind, text) for kind, text in tickets.items() if text is not None]
    if wanted.plate is not None and wanted.vehicle_class is not None and not given:
        plate = read_vehicle_plate(wanted.plate, wanted.vehicle_class)
        return CredentialKind.PLATE.value, f"{wanted.vehicle_class.value}:{plate}", plate
    if wanted.plate is None and len(given) == 1:
        kind, text = given[0]
        return kind.value, read_ticket(text, kind), None
    fault = "Name a plate with its class, or one of ticket, token and tag."
    violation = Violation(field="plate", code="no_credential", detail=fault)
    raise InvalidRequest(fault, violations=[violation])


def _write(
    verdict: ExitVerdict,
    session_id: UUID | None,
    left: LeaveFacts | None = None,
    *,
    due_vnd: int | None = None,
) -> dict[str, Any]:
    return {
        "verdict": verdict.value,
        "session_id": session_id,
        "reason": None if left is None else left.reason,
        "due_vnd": due_vnd,
        "price_vnd": None if left is None else left.price_vnd,
        "paid_vnd": None if left is None else left.paid_vnd,
    }
