"""Callers at a gate: people by cookie, machines by API key, attendants' devices by token."""

from typing import Final
from uuid import UUID

import msgspec
from fastapi import Request

from api.http.deps import authorise
from api.services import read_services
from core.audit import Actor
from core.clock import read_clock
from core.errors import Forbidden
from core.tenancy import open_org_transaction
from identity.devices.tokens import TOKEN_PREFIX
from identity.people.callers import Caller
from identity.people.rules import Permission, ScopeKind
from parking.shifts.queries import find_open_shift

BEARER: Final = "Bearer "
DEVICE: Final = f"{BEARER}{TOKEN_PREFIX}"


class GateCaller(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who asks at a lot, with what their token or sign-in says of them."""

    org_id: UUID
    org_code: str
    kind: str  # "staff", "api_key", "device"
    id: UUID
    name: str
    device_id: UUID | None
    shift_id: UUID | None
    person_id: UUID  # whose entry it is; of a device without a person, the device
    may_override: bool
    request_id: str

    @property
    def actor(self) -> Actor:
        """Who did it, for the audit log."""
        return Actor(kind=self.kind, id=self.id, name=self.name, request_id=self.request_id)


async def identify_gate(request: Request, lot_id: UUID) -> GateCaller:
    """Return who asks at this lot. The organisation is theirs, whatever the lot is.

    Raises:
        Unauthenticated, ApiKeyNotValid, SignInEnded, CrossSiteRequest
        DeviceTokenNotValid, DeviceRevoked
        Forbidden: no permission, or another lot than theirs.
    """
    token = request.headers.get("authorization", "")
    if token.startswith(DEVICE):
        return identify_device(request, lot_id, token.removeprefix(BEARER))
    caller = await authorise(request, Permission.PARKING_GATE)
    caller.narrow(ScopeKind.LOT, lot_id)
    shift_id = None
    if caller.kind == "staff":  # a machine has none, and a device's stands in its token
        shift_id = await _find_shift(request, caller, lot_id)
    return GateCaller(
        org_id=caller.org_id,
        org_code=caller.org_code,
        kind=caller.kind,
        id=caller.id,
        name=caller.actor.name,
        device_id=None,
        shift_id=shift_id,
        person_id=caller.id,
        may_override=caller.may(Permission.PARKING_OVERRIDE),
        request_id=caller.request_id,
    )


def identify_device(
    request: Request, lot_id: UUID, token: str, *, for_queue: bool = False
) -> GateCaller:
    """Return the device that a token names, without a look at the database.

    Args:
        for_queue: the route takes what a device recorded before it was revoked.

    Raises:
        DeviceTokenNotValid, DeviceRevoked
        Forbidden: no permission, or another lot than the device's.
    """
    tokens = read_services(request).device_tokens
    device = tokens.verify_device_token(token, read_clock(), for_queue=for_queue)
    if device.lot_id != lot_id:
        raise Forbidden("This device works at another lot.")
    if Permission.PARKING_GATE not in device.permissions and not device.is_queue_only:
        raise Forbidden("This needs the permission parking.gate.")
    caller = GateCaller(
        org_id=device.org_id,
        org_code=device.org_code,
        kind="device",
        id=device.staff_id or device.device_id,
        name="",
        device_id=device.device_id,
        shift_id=device.shift_id,
        person_id=device.staff_id or device.device_id,
        may_override=Permission.PARKING_OVERRIDE in device.permissions,
        request_id=request.state.request_id,
    )
    request.state.caller = caller
    return caller


async def _find_shift(request: Request, caller: Caller, lot_id: UUID) -> UUID | None:
    async with open_org_transaction(read_services(request).database, caller.org_id) as session:
        shift = await find_open_shift(session, caller.org_id, caller.id)
    return shift.id if shift is not None and shift.lot_id == lot_id else None
