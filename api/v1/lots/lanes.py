"""Opening of barriers: the attendant's command, and the controller that carries it out."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import Field

from api.http.deps import Now, TheDatabase, TheLanes, requires
from api.http.errors import may_answer
from api.http.fields import Body, Instant, Read, ReasonText
from api.v1.lots.routes import check_own_lot
from core.errors import Busy, InvalidRequest, Violation
from core.tenancy import open_org_transaction
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.lanes import service
from parking.lanes.errors import (
    LaneAnswered,
    LaneBusy,
    LaneCommandIdTaken,
    LaneCommandNotFound,
    LaneNotServed,
    LaneReasonNeeded,
)
from parking.lanes.rules import (
    FETCH_WAIT_MAX_S,
    OPEN_WAIT_MAX_S,
    LaneCommandFacts,
    LaneResult,
    OpenWanted,
)
from parking.photos.errors import PhotoNotFound, PhotoUsed
from parking.places.errors import AccessNotFound
from parking.places.queries import get_access
from parking.sessions.rules import check_entry_id

router = APIRouter(prefix="/v1/lots/{lot_id}/accesses/{access_id}", tags=["parking"])

Gate = Annotated[Caller, requires(Permission.PARKING_GATE)]
Controller = Annotated[Caller, requires(Permission.LANES_SERVE)]


class LaneOpen(Body):
    """A barrier to be opened, once."""

    id: UUID = Field(description="A UUIDv7 of your own making. Repeating it opens nothing again.")
    session_id: UUID | None = Field(
        default=None, description="Of the vehicle that was let in or out just now."
    )
    reason: ReasonText | None = Field(
        default=None,
        description="By hand: why, with a photo. Needed where no vehicle was let through.",
    )
    photo: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None, description="SHA-256 of a photo that was uploaded."
    )


class LaneCommandRead(Read):
    """An opening as it stands now."""

    id: UUID
    access_id: UUID
    session_id: UUID | None
    reason: str | None
    state: Literal["waiting", "opened", "stuck", "silent"] = Field(
        description="`silent`: nobody answered in time; look at the barrier."
    )
    requested_at: Instant
    expires_at: Instant = Field(description="Not carried out after this.")
    answered_at: Instant | None


class LaneFetched(Read):
    """The command to carry out now, or null. It is given out once."""

    command: LaneCommandRead | None


class LaneAnswer(Body):
    """What became of the barrier."""

    result: Literal["opened", "stuck"]


@router.post(
    "/open",
    responses=may_answer(
        AccessNotFound,
        LaneNotServed,
        LaneBusy,
        LaneReasonNeeded,
        LaneCommandIdTaken,
        PhotoNotFound,
        PhotoUsed,
        Busy,
    ),
)
async def open_lane(
    lot_id: UUID,
    access_id: UUID,
    body: LaneOpen,
    caller: Gate,
    database: TheDatabase,
    lanes: TheLanes,
    now: Now,
    wait_s: Annotated[float, Query(ge=0, le=OPEN_WAIT_MAX_S)] = OPEN_WAIT_MAX_S,
) -> LaneCommandRead:
    """Open a barrier, and say within six seconds whether it opened, stuck or is silent."""
    check_own_lot(caller, lot_id)
    if fault := check_entry_id(body.id, now=now):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])
    if (body.reason is None) != (body.photo is None):
        fault = "`reason` and `photo` come together."
        violation = Violation(field="photo", code="not_whole", detail=fault)
        raise InvalidRequest(fault, violations=[violation])
    wanted = OpenWanted(
        id=body.id,
        session_id=body.session_id,
        reason=body.reason,
        photo=None if body.photo is None else bytes.fromhex(body.photo),
    )
    async with open_org_transaction(database, caller.org_id) as tx:
        command = await service.open_lane(
            tx, caller.org_id, lot_id, access_id, wanted, actor=caller.actor, now=now
        )
    lanes.wake_lane(access_id)
    if wait_s:
        command = await lanes.wait_for_answer(
            caller.org_id, body.id, wait_s=wait_s, device_id=caller.device_id
        )
    return _present(command)


@router.get("/commands", responses=may_answer(AccessNotFound, Busy))
async def fetch_command(
    request: Request,
    lot_id: UUID,
    access_id: UUID,
    caller: Controller,
    database: TheDatabase,
    lanes: TheLanes,
    wait_s: Annotated[float, Query(ge=0, le=FETCH_WAIT_MAX_S)] = FETCH_WAIT_MAX_S,
) -> LaneFetched:
    """Wait for the next command of a lane. It is given out once, and not after its time."""
    check_own_lot(caller, lot_id)
    async with open_org_transaction(database, caller.org_id) as tx:
        await get_access(tx, caller.org_id, lot_id, access_id)
    found = await lanes.fetch(
        caller.org_id,
        lot_id,
        access_id,
        by=caller.id,
        wait_s=wait_s,
        is_gone=request.is_disconnected,
    )
    return LaneFetched(command=None if found is None else _present(found))


@router.post(
    "/commands/{command_id}/result",
    responses=may_answer(LaneCommandNotFound, LaneAnswered),
)
async def answer_command(
    lot_id: UUID,
    access_id: UUID,
    command_id: UUID,
    body: LaneAnswer,
    caller: Controller,
    database: TheDatabase,
    lanes: TheLanes,
    now: Now,
) -> LaneCommandRead:
    """Say what became of the barrier. Idempotent."""
    check_own_lot(caller, lot_id)
    async with open_org_transaction(database, caller.org_id) as tx:
        command = await service.answer(
            tx,
            caller.org_id,
            access_id,
            command_id,
            LaneResult(body.result),
            actor=caller.actor,
            now=now,
        )
    lanes.wake_command(command_id)
    return _present(command)


def _present(command: LaneCommandFacts) -> LaneCommandRead:
    return LaneCommandRead(
        id=command.id,
        access_id=command.access_id,
        session_id=command.session_id,
        reason=command.reason,
        state=command.state.value,
        requested_at=command.requested_at,
        expires_at=command.expires_at,
        answered_at=command.answered_at,
    )
