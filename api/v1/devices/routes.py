"""Devices as their managers have them, and the PINs of who works with them."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response, status

from api.http.deps import (
    HomeCaller,
    HomeTx,
    Now,
    TheCodeHasher,
    TheDeviceTokens,
    TheHooks,
    ThePasswords,
    TheSignIns,
    Tx,
    requires,
    signed_in,
)
from api.http.errors import may_answer
from api.http.idempotency import REPLAYED, IdempotencyKey, hash_body, mark_replayed, take_key
from api.http.middleware import no_store
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.devices.schemas import (
    CodeCreate,
    CodeMade,
    DevicePage,
    DeviceRead,
    DeviceRevoke,
    GatePeople,
    GatePersonRead,
    OwnPinSet,
    PinSet,
)
from core.idempotency import IdempotencyKeyReused
from core.ids import new_id
from core.paging import BadCursor
from identity.devices import queries, service, views
from identity.devices.errors import DeviceNotFound, PinRefused
from identity.devices.models import DeviceEnrolment
from identity.devices.rules import format_code
from identity.people.callers import Caller
from identity.people.errors import (
    RoleNotGrantable,
    ScopeNotFound,
    StaffNotFound,
    WrongPassword,
)
from identity.people.rules import Permission, Scope, ScopeKind

router = APIRouter(prefix="/v1/devices", tags=["devices"])
pins = APIRouter(prefix="/v1", tags=["devices"])
Manager = Annotated[Caller, requires(Permission.DEVICES_MANAGE)]
CODES: Final = "POST /v1/devices/codes"


@router.get("", responses=may_answer(BadCursor))
async def list_devices(
    caller: Manager,
    tx: Tx,
    lot_id: Annotated[UUID | None, Query(description="Only devices of this lot.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> DevicePage:
    """List the devices, revoked or not, newest first."""
    found = await views.list_device_views(
        tx,
        caller.org_id,
        scope=None if lot_id is None else Scope(ScopeKind.LOT, lot_id),
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    return DevicePage(
        devices=[DeviceRead.model_validate(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.post(
    "/codes",
    status_code=status.HTTP_201_CREATED,
    responses={**may_answer(ScopeNotFound, IdempotencyKeyReused), 201: REPLAYED},
)
async def add_code(
    body: CodeCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    hooks: TheHooks,
    hasher: TheCodeHasher,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> CodeMade:
    """Make a code that enrols one phone at a lot within ten minutes. It is shown this once."""
    no_store(response)
    enrolment_id = new_id()
    asked = (caller.org_id, CODES, idempotency_key, hash_body(body))
    first = await take_key(tx, *asked, makes=enrolment_id, now=now)
    if first is not None:
        mark_replayed(response)
        return _show_code(await queries.get_enrolment(tx, caller.org_id, first), None)
    made = await service.add_code(
        tx,
        caller,
        id_=enrolment_id,
        name=body.name,
        scope=Scope(ScopeKind.LOT, body.lot_id),
        hasher=hasher,
        hooks=hooks,
        now=now,
    )
    return _show_code(made.enrolment, made.code)


@router.get("/people")
async def list_people(
    caller: Manager, tx: Tx, now: Now, lot_id: Annotated[UUID, Query(description="Of this lot.")]
) -> GatePeople:
    """List who may be named on devices of a lot, and whether they have a PIN."""
    found = await views.list_gate_people(tx, caller.org_id, Scope(ScopeKind.LOT, lot_id), now=now)
    return GatePeople(people=[GatePersonRead.model_validate(one) for one in found])


@router.post(
    "/{device_id}/revoke",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=may_answer(DeviceNotFound),
)
async def revoke_device(
    device_id: UUID,
    body: DeviceRevoke,
    caller: Manager,
    tx: Tx,
    tokens: TheDeviceTokens,
    now: Now,
) -> None:
    """End a device. Its token dies within five seconds; what it signed before still counts."""
    device = await service.revoke_device(tx, caller, device_id, reason=body.reason, now=now)
    tokens.revocations.add_device(device.org_id, device.id)


@pins.post(
    "/staff/{staff_id}/pin",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=may_answer(StaffNotFound, RoleNotGrantable, PinRefused),
)
async def set_pin(
    staff_id: UUID, body: PinSet, caller: Manager, tx: Tx, passwords: ThePasswords, now: Now
) -> None:
    """Give somebody a PIN, the first or another; it opens a lock after wrong ones."""
    await service.set_pin(
        tx, caller, staff_id, body.pin.get_secret_value(), passwords=passwords, now=now
    )


@pins.post(
    "/me/pin",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[signed_in],
    responses=may_answer(WrongPassword, PinRefused, StaffNotFound),
)
async def set_own_pin(
    body: OwnPinSet,
    caller: HomeCaller,
    tx: HomeTx,
    sign_ins: TheSignIns,
    passwords: ThePasswords,
    now: Now,
) -> None:
    """Set one's own PIN, with one's password."""
    sign_ins.by_login.take(f"password {caller.id}")
    await service.set_own_pin(
        tx,
        caller,
        body.pin.get_secret_value(),
        password=body.password.get_secret_value(),
        passwords=passwords,
        now=now,
    )


def _show_code(made: DeviceEnrolment, code: str | None) -> CodeMade:
    return CodeMade(
        id=made.id,
        name=made.name,
        lot_id=made.scope_id,
        expires_at=made.expires_at,
        code=None if code is None else format_code(code),
    )
