"""Callers at a gate: people by cookie, machines by API key, attendants' devices by token."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import Request

from api.http.deps import authorise
from core.audit import Actor
from identity.people.rules import Permission, ScopeKind


@dataclass(frozen=True, kw_only=True, slots=True)
class GateCaller:
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
        Forbidden: no permission, or another lot than theirs.
    """
    caller = await authorise(request, Permission.PARKING_GATE)
    caller.narrow(ScopeKind.LOT, lot_id)
    return GateCaller(
        org_id=caller.org_id,
        org_code=caller.org_code,
        kind=caller.kind,
        id=caller.id,
        name=caller.actor.name,
        device_id=None,
        shift_id=None,
        person_id=caller.id,
        may_override=caller.may(Permission.PARKING_OVERRIDE),
        request_id=caller.request_id,
    )
