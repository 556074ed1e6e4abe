"""Entries at a lot: read, checked, handed to the writer, answered. Served past the router."""

import re
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

import msgspec
from fastapi import Request

from api.http.strict import BOM, IS_JSON, check_keys
from api.services import read_services
from api.v1.lots.entry_schemas import EntryCreate
from api.v1.lots.gate_callers import GateCaller, identify_gate
from core.clock import read_clock
from core.errors import Forbidden, InvalidRequest, RouteNotFound, Violation
from core.tenancy import open_org_transaction
from parking.sessions.rules import (
    CredentialKind,
    EntryAnswer,
    EntryRequest,
    TimeSource,
    Verdict,
    check_entry_id,
    check_read_text,
    hash_entry,
    read_ticket,
    read_vehicle_plate,
)
from parking.sessions.service import override_entry

ENTRY_BYTES_MAX: Final = 16_384
_decode = msgspec.json.Decoder(EntryCreate).decode
_decode_flat = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_FIELD: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_UNKNOWN_FIELD: Final = re.compile(r"unknown field `(?P<name>[^`]{1,60})`")


async def take_entry(request: Request, lot: str, body: bytes) -> tuple[int, EntryAnswer]:
    """Let one vehicle in or say why not; committed when this returns: (status, EntryRead).

    Raises:
        RouteNotFound: the address names no lot.
        InvalidRequest, LotOrClassNotFound, Busy, and what identify_gate raises.
    """
    lot_id = read_lot_id(lot)
    check_query_of_gate(request)
    caller = await identify_gate(request, lot_id)
    wanted = read_json(request, body)
    now = read_clock()
    entry = make_request(wanted, caller, lot_id, now=now)
    services = read_services(request)
    if wanted.override_reason is None:
        answer = await services.entry_writer.enter(entry)
    else:
        answer = await _override(request, caller, entry, wanted.override_reason, now=now)
    return 201 if answer.verdict is Verdict.OPENED else 200, answer


def read_lot_id(lot: str) -> UUID:
    """Read the lot of an address.

    Raises:
        RouteNotFound
    """
    try:
        return UUID(lot)
    except ValueError:
        raise RouteNotFound("This address names no lot.") from None


def check_query_of_gate(request: Request) -> None:
    """Refuse parameters that the address does not have; `?org=` is the city's administrators'.

    Raises:
        InvalidRequest
    """
    if not request.scope["query_string"]:
        return
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name != "org" or len(names) > 1:
            detail = f"This address has no parameter {name[:40]!r}; it has: org, once."
            violation = Violation(
                field=f"query.{name[:40]}", code="unknown_parameter", detail=detail
            )
            raise InvalidRequest(detail, violations=[violation])


def read_json(request: Request, body: bytes) -> EntryCreate:
    """Read the body strictly: types, bounds, no field that is not known, none that stands twice.

    Raises:
        InvalidRequest: with the field.
    """
    if not IS_JSON.match(request.headers.get("content-type", "")):
        fault = "Send the entry as JSON, with Content-Type: application/json."
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


def describe_fault(error: Exception) -> InvalidRequest:
    """Say which field is wrong, in msgspec's words; they quote no value."""
    said = str(error)
    found = _FIELD.search(said)
    unknown = _UNKNOWN_FIELD.search(said)
    field = found["path"] if found else unknown["name"] if unknown else ""
    is_value = isinstance(error, msgspec.ValidationError)
    code = "unknown_field" if unknown else "bad_value" if is_value else "json_invalid"
    detail = _FIELD.sub("", said) if is_value else "The body is not valid JSON."
    violation = Violation(field=field, code=code, detail=detail)
    return InvalidRequest(f"{field or 'body'}: {detail}", violations=[violation])


def make_request(
    wanted: EntryCreate,
    caller: GateCaller,
    lot_id: UUID,
    *,
    now: datetime,
    entered_at: datetime | None = None,
) -> EntryRequest:
    """Check what msgspec does not know and put the request together.

    Args:
        entered_at: of a device that was offline, corrected; None: now, by the hub's clock.

    Raises:
        InvalidRequest
    """
    if fault := check_entry_id(wanted.id, now=now):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])
    kind, ticket = _read_ticket(wanted)
    plate = None
    if wanted.plate is not None:
        plate = read_vehicle_plate(wanted.plate, wanted.vehicle_class)
    if plate is None and ticket is None:
        fault = "An entry has a plate, a ticket, a token or a tag."
        violation = Violation(field="plate", code="no_credential", detail=fault)
        raise InvalidRequest(fault, violations=[violation])
    check_read_text(wanted.read_text)
    photo = None if wanted.photo is None else bytes.fromhex(wanted.photo)
    return EntryRequest(
        org_id=caller.org_id,
        lot_id=lot_id,
        id=wanted.id,
        vehicle_class=wanted.vehicle_class,
        plate=plate,
        ticket_kind=kind,
        ticket=ticket,
        ticket_key=wanted.ticket_key or uuid4(),
        access_id=wanted.access_id,
        device_id=caller.device_id,
        shift_id=caller.shift_id,
        entered_by=caller.person_id,
        photo=photo,
        method=wanted.method,
        read_text=wanted.read_text,
        read_score_bps=wanted.read_score_bps,
        entered_at=entered_at or now,
        time_source=TimeSource.HUB if entered_at is None else TimeSource.DEVICE,
        request_hash=hash_entry(
            lot_id=lot_id,
            vehicle_class=wanted.vehicle_class,
            plate=plate,
            ticket_kind=kind,
            ticket=ticket,
            access_id=wanted.access_id,
            photo=photo,
        ),
        may_exceed=wanted.override_reason is not None,
    )


def _read_ticket(wanted: EntryCreate) -> tuple[CredentialKind | None, str | None]:
    given = [
        (kind, text)
        for kind, text in (
            (CredentialKind.TICKET, wanted.ticket),
            (CredentialKind.TOKEN, wanted.token),
            (CredentialKind.TAG, wanted.tag),
        )
        if text is not None
    ]
    if not given:
        return None, None
    if len(given) > 1:
        fault = "An entry has one of ticket, token and tag."
        violation = Violation(field=given[1][0].value, code="one_of_three", detail=fault)
        raise InvalidRequest(fault, violations=[violation])
    kind, text = given[0]
    return kind, read_ticket(text, kind)


async def _override(
    request: Request, caller: GateCaller, entry: EntryRequest, reason: str, *, now: datetime
) -> EntryAnswer:
    if not caller.may_override:
        raise Forbidden("This needs the permission parking.override.")
    services = read_services(request)
    async with open_org_transaction(services.database, caller.org_id) as session:
        answer = await override_entry(session, entry, reason=reason, actor=caller.actor, now=now)
    services.waker.wake(caller.org_id)
    return answer
