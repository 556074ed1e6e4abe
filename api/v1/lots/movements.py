"""Movements of a device that was offline: read, verified one by one, stored, answered."""

import asyncio
import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import Request
from msgspec import Meta
from msgspec.structs import replace

from api.http.strict import BOM, IS_JSON
from api.services import read_services
from api.v1.lots.entries import check_query_of_gate, describe_fault, make_request, read_lot_id
from api.v1.lots.entry_schemas import EntryCreate
from api.v1.lots.gate_callers import BEARER, DEVICE, GateCaller, identify_device
from api.v1.lots.movement_words import find_words
from core.clock import read_clock
from core.db import Database
from core.errors import InvalidRequest, Unauthenticated, Violation
from core.tenancy import open_org_transaction
from identity.devices.errors import DeviceNotFound
from identity.devices.models import Device
from identity.devices.queries import find_device
from identity.devices.rules import MovementStanding, correct_time, judge_movement
from identity.devices.signatures import verify_movement
from parking.places.queries import find_lot_name
from parking.sessions.movements import (
    CONFLICTS,
    NOT_ACCEPTED,
    open_breaks,
    report_late_queue,
)
from parking.sessions.rules import (
    EntryRequest,
    MovementKind,
    MovementVerdict,
    check_entry_id,
)
from parking.sessions.types import Sender, StoredMovement
from parking.shifts.reporting import Reported, list_faults
from parking.shifts.rules import PersonFault

MOVEMENTS_MAX: Final = 1_000
BODY_CHARS_MAX: Final = 4_000
BRACKETS_MAX: Final = 600
BATCH_BYTES_MAX: Final = 4_000_000
SEQ_MAX: Final = 2_147_483_647
OFFSET_MS_MAX: Final = 100 * 366 * 86_400_000  # a clock that knows no year
VERIFIED_AT_ONCE: Final = 40  # 3 ms, then others have their turn


class SignedMovement(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A movement as its device signed it."""

    body: Annotated[
        str,
        Meta(
            max_length=BODY_CHARS_MAX,
            description="The movement as JSON, in the very characters that were signed.",
        ),
    ]
    signature: Annotated[
        str, Meta(max_length=100, description="Base64 (URL-safe) of r and s, 64 bytes.")
    ]


class MovementBatch(msgspec.Struct, forbid_unknown_fields=True):
    """What a device kept while it was offline, in its own order."""

    movements: Annotated[list[SignedMovement], Meta(min_length=1, max_length=MOVEMENTS_MAX)]


class Movement(msgspec.Struct, kw_only=True, gc=False):
    """What was signed. `entry` is as for POST /v1/lots/{id}/entries; other kinds have `data`."""

    id: UUID
    seq: Annotated[int, Meta(ge=0, le=SEQ_MAX)]
    kind: MovementKind
    device_at: Annotated[datetime, Meta(tz=True)]
    offset_ms: Annotated[int, Meta(ge=-OFFSET_MS_MAX, le=OFFSET_MS_MAX)]
    # Who did it and in which shift, as the device says; a device may name nobody.
    staff_id: UUID | None = None
    shift_id: UUID | None = None
    # False: it was chosen without a network, where no PIN can be compared.
    is_pin_checked: bool = True
    entry: EntryCreate | None = None
    data: dict[str, Any] | None = None


NAMES: Final = frozenset(Movement.__struct_fields__)
_read_batch = msgspec.json.Decoder(MovementBatch).decode
_read_movement = msgspec.json.Decoder(Movement).decode


async def take_movements(request: Request, lot: str, body: bytes) -> list[dict[str, Any]]:
    """Store a batch once and return each movement's verdict; committed when this returns.

    Raises:
        Unauthenticated: not a device's token.
        InvalidRequest, DeviceNotFound, Busy, and what identify_device raises.
    """
    lot_id = read_lot_id(lot)
    check_query_of_gate(request)
    token = request.headers.get("authorization", "")
    if not token.startswith(DEVICE):
        raise Unauthenticated("Movements come from an enrolled device, with its token.")
    caller = identify_device(request, lot_id, token.removeprefix(BEARER), for_queue=True)
    assert caller.device_id is not None
    sent = _read_json(request, body).movements
    services, now = read_services(request), read_clock()
    async with open_org_transaction(services.database, caller.org_id) as session:
        device = await find_device(session, caller.org_id, caller.device_id)
        lot_name = await find_lot_name(session, caller.org_id, lot_id)
    if device is None:
        raise DeviceNotFound
    read = await _verify_all(sent, device, caller, lot_id, now=now)
    good = [one for one in read if isinstance(one, StoredMovement)]
    await _check_people(services.database, good, caller, lot_id)
    _close_stays(good)
    sender = Sender(
        org_id=caller.org_id,
        device_id=caller.device_id,
        lot_id=lot_id,
        received_from=caller.person_id,
    )
    verdicts = await services.movement_writer.store(sender, good, now=now) if good else {}
    # What was stored before is looked at again only if its break may be missing: a process died.
    fresh = [one for one in good if not one.is_done]
    if device.revoked_at is not None or any(_needs_person(one) for one in fresh):
        async with open_org_transaction(services.database, caller.org_id) as session:
            await open_breaks(session, sender, fresh, lot_name=lot_name or "", now=now)
            if device.revoked_at is not None and any(_counts(one) for one in fresh):
                await report_late_queue(session, sender, lot_name=lot_name or "", now=now)
    if any(verdict == MovementVerdict.WAITING for verdict in verdicts.values()):
        services.movement_applier.wake(caller.org_id, caller.device_id)
    return [
        {"id": one.id, "verdict": verdicts[one.id]}
        if isinstance(one, StoredMovement)
        else {"id": None, "verdict": one.value}
        for one in read
    ]


def _read_json(request: Request, body: bytes) -> MovementBatch:
    if not IS_JSON.match(request.headers.get("content-type", "")):
        fault = "Send the movements as JSON, with Content-Type: application/json."
        raise InvalidRequest(fault, violations=[Violation(field="", code="no_json", detail=fault)])
    try:
        return _read_batch(body.removeprefix(BOM))
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise describe_fault(error) from None


async def _verify_all(
    sent: Sequence[SignedMovement],
    device: Device,
    caller: GateCaller,
    lot_id: UUID,
    *,
    now: datetime,
) -> list[StoredMovement | MovementVerdict]:
    """Verify and read each for itself; others have their turn in between."""
    read: list[StoredMovement | MovementVerdict] = []
    seen: set[UUID] = set()
    for at, one in enumerate(sent):
        if at and at % VERIFIED_AT_ONCE == 0:
            await asyncio.sleep(0)
        movement = _verify(one, device, caller, lot_id, now=now)
        if isinstance(movement, StoredMovement):
            if movement.id in seen:  # one device made one id for two things
                movement = MovementVerdict.UNREADABLE
            else:
                seen.add(movement.id)
        read.append(movement)
    return read


def _verify(
    signed: SignedMovement, device: Device, caller: GateCaller, lot_id: UUID, *, now: datetime
) -> StoredMovement | MovementVerdict:
    try:
        message = signed.body.encode()
        padded = signed.signature + "=" * (-len(signed.signature) % 4)
        signature = base64.urlsafe_b64decode(padded)
    except (UnicodeEncodeError, ValueError, binascii.Error):
        return MovementVerdict.BAD_SIGNATURE
    if not verify_movement(device.public_key, message, signature):
        return MovementVerdict.BAD_SIGNATURE
    # No movement nests; so many brackets are none in the words of a reason, either.
    if signed.body.count("[") + signed.body.count("{") > BRACKETS_MAX:
        return MovementVerdict.UNREADABLE
    try:
        movement = _read_movement(message)
        whole = msgspec.json.decode(message)  # what was passed over is read later, too
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError):
        return MovementVerdict.UNREADABLE
    if check_entry_id(movement.id, now=now) is not None or "\\u0000" in signed.body:
        return MovementVerdict.UNREADABLE
    stored = StoredMovement(
        id=movement.id,
        seq=movement.seq,
        kind=movement.kind,
        body=signed.body,
        signature=signature,
        device_at=movement.device_at,
        offset_ms=movement.offset_ms,
        staff_id=movement.staff_id,
        shift_id=movement.shift_id,
    )
    _judge(stored, movement, device, caller, lot_id, now=now)
    stored.plate, stored.has_words = find_words(
        signed.body,
        whole,
        NAMES,
        entry=movement.entry,
        data=movement.data,
        plate=None if stored.entry is None else stored.entry.plate,
    )
    return stored


def _judge(
    stored: StoredMovement,
    movement: Movement,
    device: Device,
    caller: GateCaller,
    lot_id: UUID,
    *,
    now: datetime,
) -> None:
    """Fill in what can be decided without the database: its verdict, or the entry to decide."""
    try:
        happened_at = correct_time(movement.device_at, movement.offset_ms)
    except OverflowError:
        stored.verdict = MovementVerdict.REFUSED.value
        return
    standing = judge_movement(device, happened_at, now)
    if standing is not MovementStanding.ACCEPTED:
        stored.verdict = standing.value
        return
    if movement.kind is not MovementKind.ENTRY:
        return
    if movement.entry is None:
        stored.verdict = MovementVerdict.REFUSED.value
        return
    try:
        entry = make_request(
            movement.entry, caller, lot_id, now=now, entered_at=min(happened_at, now)
        )
    except InvalidRequest:
        stored.verdict = MovementVerdict.REFUSED.value
        return
    # It is in already, whatever the lot's room: the device could not ask.
    stored.entry = replace(entry, may_exceed=True)


async def _check_people(
    database: Database, movements: Sequence[StoredMovement], caller: GateCaller, lot_id: UUID
) -> None:
    """Let entries be of whom the device names; what does not fit is kept, for a person to look at.

    Not of who is signed in when the queue comes: that may be the next shift.
    """
    named: list[tuple[StoredMovement, EntryRequest, Reported]] = []
    for one in movements:
        if one.entry is None or one.staff_id is None or one.staff_id == caller.device_id:
            continue
        said = Reported(
            staff_id=one.staff_id, shift_id=one.shift_id, happened_at=one.entry.entered_at
        )
        named.append((one, one.entry, said))
    if not named:
        return
    async with open_org_transaction(database, caller.org_id) as session:
        reported = [said for _, _, said in named]
        faults = await list_faults(session, caller.org_id, lot_id, reported)
    assert caller.device_id is not None
    for (one, entry, said), fault in zip(named, faults, strict=True):
        is_unknown = fault is PersonFault.UNKNOWN_PERSON
        one.entry = replace(
            entry,
            entered_by=caller.device_id if is_unknown else said.staff_id,
            shift_id=said.shift_id if fault is None else None,
        )
        one.to_check = None if fault is None else fault.value


def _close_stays(movements: Sequence[StoredMovement]) -> None:
    """Let entries whose exit comes in the same batch be written as stays that are over."""
    left_at: dict[UUID, datetime] = {}
    for one in movements:
        if one.kind is MovementKind.EXIT and one.verdict is None:
            data = msgspec.json.decode(one.body).get("data") or {}
            try:
                session_id = UUID(str(data.get("session_id")))
            except ValueError:
                continue
            one.leaves = session_id
            left_at[session_id] = correct_time(one.device_at, one.offset_ms)
    for one in movements:
        if one.entry is not None and one.entry.id in left_at:
            over_at = max(left_at[one.entry.id], one.entry.entered_at)
            one.entry = replace(one.entry, left_at=over_at)


def _counts(one: StoredMovement) -> bool:
    return one.verdict not in NOT_ACCEPTED


def _needs_person(one: StoredMovement) -> bool:
    return one.needs_look or one.verdict in CONFLICTS or one.verdict in NOT_ACCEPTED
