"""Devices as phones use them: to enrol, to get a token, and to name who works."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response, status

from api.http.deps import HomeTx, Now, TheDevice, ThePhones, public, signed_in
from api.http.errors import may_answer
from api.http.middleware import no_store
from api.http.networks import network_of
from api.v1.devices.schemas import (
    ChallengeRead,
    DeviceEnrol,
    DeviceEnrolled,
    GatePeople,
    GatePersonRead,
    PersonName,
    TokenCreate,
    TokenMade,
    read_base64,
)
from core.errors import Forbidden
from identity.devices import views
from identity.devices.errors import (
    DeviceRevoked,
    EnrolmentCodeNotValid,
    PinLocked,
    PinNotRight,
    ProofNotValid,
    PublicKeyNotUsable,
)
from identity.devices.phones import Issued
from identity.people.rules import Scope, ScopeKind

router = APIRouter(prefix="/v1/devices", tags=["devices"])


@router.post(
    "/enrol",
    status_code=status.HTTP_201_CREATED,
    dependencies=[public],
    responses=may_answer(EnrolmentCodeNotValid, PublicKeyNotUsable),
)
async def enrol(
    request: Request, response: Response, body: DeviceEnrol, phones: ThePhones, now: Now
) -> DeviceEnrolled:
    """Enrol a phone: it signs the code with its new key. The same code and key answer the same.

    What is signed: `phopay device enrolment v1`, a line feed, the code in capitals without
    hyphens, a line feed, and the bytes of the public key.
    """
    no_store(response)
    enrolled = await phones.enrol(
        code=body.code,
        public_key=read_base64(body.public_key),
        signature=read_base64(body.signature),
        network=network_of(request),
        request_id=request.state.request_id,
        now=now,
    )
    device = enrolled.device
    return DeviceEnrolled(
        device_id=device.id,
        name=device.name,
        lot_id=device.scope_id,
        org_code=enrolled.org.code,
        hub_at=now,
    )


@router.post("/{device_id}/challenge", dependencies=[public])
async def make_challenge(
    device_id: UUID, response: Response, phones: ThePhones, now: Now
) -> ChallengeRead:
    """Return what the device signs next: good once and for two minutes."""
    no_store(response)
    return ChallengeRead(challenge=phones.tokens.make_challenge(device_id, now=now), hub_at=now)


@router.post(
    "/{device_id}/token",
    status_code=status.HTTP_201_CREATED,
    dependencies=[public],
    responses=may_answer(ProofNotValid, DeviceRevoked),
)
async def make_token(
    device_id: UUID, body: TokenCreate, response: Response, phones: ThePhones, now: Now
) -> TokenMade:
    """Give a token for a signed challenge; who was named on the device stays named for 12 hours.

    What is signed: `phopay device challenge v1`, a line feed, and the challenge.
    """
    no_store(response)
    issued = await phones.issue_token(
        org_code=body.org_code,
        device_id=device_id,
        challenge=body.challenge,
        signature=read_base64(body.signature),
        device_at=body.device_at,
        now=now,
    )
    return _show_token(issued, now)


@router.get("/me/people", dependencies=[signed_in], responses=may_answer(Forbidden))
async def list_own_people(device: TheDevice, tx: HomeTx, now: Now) -> GatePeople:
    """List who may be named on the device that asks."""
    place = Scope(ScopeKind.LOT, device.lot_id)
    found = await views.list_gate_people(tx, device.org_id, place, now=now)
    return GatePeople(people=[GatePersonRead.model_validate(one) for one in found])


@router.post(
    "/me/person",
    status_code=status.HTTP_201_CREATED,
    dependencies=[signed_in],
    responses=may_answer(PinNotRight, PinLocked, Forbidden),
)
async def name_person(
    request: Request,
    response: Response,
    body: PersonName,
    device: TheDevice,
    phones: ThePhones,
    now: Now,
) -> TokenMade:
    """Name who works with the device that asks, by their PIN; five wrong lock it for a while."""
    no_store(response)
    issued = await phones.name_person(
        device,
        body.staff_id,
        body.pin.get_secret_value(),
        request_id=request.state.request_id,
        now=now,
    )
    return _show_token(issued, now)


@router.delete("/me/person", dependencies=[signed_in], responses=may_answer(Forbidden))
async def forget_person(
    response: Response, device: TheDevice, phones: ThePhones, now: Now
) -> TokenMade:
    """Let nobody be named on the device that asks; answers its token for that."""
    no_store(response)
    return _show_token(await phones.forget_person(device, now=now), now)


def _show_token(issued: Issued, now: datetime) -> TokenMade:
    device = issued.device
    return TokenMade(
        token=issued.token,
        expires_at=issued.expires_at,
        device_id=device.id,
        device_name=device.name,
        lot_id=device.scope_id,
        shift_id=issued.shift_id,
        staff_id=issued.staff_id,
        staff_name=issued.staff_name,
        is_queue_only=issued.is_queue_only,
        offset_ms=device.offset_ms,
        hub_at=now,
    )
