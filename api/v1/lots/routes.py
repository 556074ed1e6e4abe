"""Lots: add, change, list, their capacities, lanes and areas, and how full they are."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.idempotency import REPLAYED, IdempotencyKey, hash_body, mark_replayed, take_key
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.lots.schemas import (
    AccessCreate,
    AccessList,
    AccessRead,
    AreaCreate,
    AreaList,
    AreaRead,
    CapacityPut,
    LotCreate,
    LotPage,
    LotPatch,
    LotRead,
    OccupancyList,
    OccupancyRead,
    PosterRead,
)
from core.errors import Forbidden
from core.idempotency import IdempotencyKeyReused
from core.ids import new_id
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission, ScopeKind
from parking.places import posters, queries, service
from parking.places.errors import (
    AccessNotFound,
    LotClosed,
    LotNotEmpty,
    LotNotFound,
    OperatorNotFound,
    TooManyParts,
)
from parking.places.models import Lot, ParkingAccess, ParkingArea
from parking.places.posters import has_poster
from parking.places.rules import Occupied
from parking.places.service import LotFacts
from parking.vehicles import VehicleClass
from payments.payees.errors import CodeOwnerTaken, PayeeHasNoAccount, PayeeNotFound

router = APIRouter(prefix="/v1/lots", tags=["parking"])

Reader = Annotated[Caller, requires(Permission.PARKING_READ)]
Manager = Annotated[Caller, requires(Permission.PARKING_MANAGE)]


@router.post(
    "",
    status_code=201,
    response_model=LotRead,
    responses={
        **may_answer(OperatorNotFound, PayeeNotFound, IdempotencyKeyReused),
        201: REPLAYED,
    },
)
async def add_lot(
    body: LotCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> Lot:
    """Add a lot. It takes vehicles once it has a capacity for their class."""
    lot_id = new_id()
    first = await take_key(
        tx,
        caller.org_id,
        "POST /v1/lots",
        idempotency_key,
        hash_body(body),
        makes=lot_id,
        now=now,
    )
    if first is not None:
        mark_replayed(response)
        return await queries.get_lot(tx, caller.org_id, first)
    facts = LotFacts(**body.model_dump())
    return await service.add_lot(tx, caller.org_id, facts, id_=lot_id, actor=caller.actor, now=now)


@router.get("", responses=may_answer(BadCursor))
async def list_lots(
    caller: Reader,
    tx: Tx,
    find: Annotated[str, Query(max_length=100, description="Words of its name or address.")] = "",
    with_closed: bool = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> LotPage:
    """List lots, newest first. People of a lot see theirs only."""
    found = await queries.list_lots(
        tx,
        caller.org_id,
        only=caller.choices(ScopeKind.LOT),
        find=find,
        with_closed=with_closed,
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    return LotPage(
        lots=[LotRead.model_validate(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.get("/{lot_id}", response_model=LotRead, responses=may_answer(LotNotFound))
async def show_lot(lot_id: UUID, caller: Reader, tx: Tx) -> Lot:
    """Show a lot."""
    check_own_lot(caller, lot_id)
    return await queries.get_lot(tx, caller.org_id, lot_id)


@router.patch(
    "/{lot_id}",
    response_model=LotRead,
    responses=may_answer(LotNotFound, LotClosed, OperatorNotFound, PayeeNotFound),
)
async def change_lot(lot_id: UUID, body: LotPatch, caller: Manager, tx: Tx, now: Now) -> Lot:
    """Change a lot, or close it for good: vehicles that are inside can still leave."""
    if changes := body.changes():
        await service.change_lot(
            tx,
            caller.org_id,
            lot_id,
            changes,
            actor=caller.actor,
            reason=body.reason,
            now=now,
        )
    if body.is_closed:
        await service.close_lot(
            tx, caller.org_id, lot_id, actor=caller.actor, reason=body.reason, now=now
        )
    return await queries.get_lot(tx, caller.org_id, lot_id)


@router.get("/{lot_id}/occupancy", responses=may_answer(LotNotFound))
async def show_occupancy(lot_id: UUID, caller: Reader, tx: Tx) -> OccupancyList:
    """Say how full a lot is at this moment, class by class."""
    check_own_lot(caller, lot_id)
    await queries.get_lot(tx, caller.org_id, lot_id)
    return _present((await queries.list_occupancy(tx, caller.org_id, [lot_id]))[lot_id])


@router.put(
    "/{lot_id}/capacities/{vehicle_class}",
    responses=may_answer(LotNotFound, LotClosed, LotNotEmpty),
)
async def set_capacity(
    lot_id: UUID,
    vehicle_class: VehicleClass,
    body: CapacityPut,
    caller: Manager,
    tx: Tx,
    now: Now,
) -> OccupancyList:
    """Say how many vehicles of a class a lot takes, and how many its licence allows."""
    found = await service.set_capacity(
        tx,
        caller.org_id,
        lot_id,
        vehicle_class,
        capacity=body.capacity,
        licensed_capacity=body.licensed_capacity,
        actor=caller.actor,
        reason=body.reason,
        now=now,
    )
    return _present(found)


@router.get("/{lot_id}/poster", responses=may_answer(LotNotFound))
async def show_poster(lot_id: UUID, caller: Reader, tx: Tx) -> PosterRead:
    """Say whether the static code of a lot's payee is its poster, and where to draw it."""
    check_own_lot(caller, lot_id)
    lot = await queries.get_lot(tx, caller.org_id, lot_id)
    return _present_poster(lot, is_made=await has_poster(tx, caller.org_id, lot_id))


@router.post(
    "/{lot_id}/poster",
    responses=may_answer(LotNotFound, LotClosed, PayeeHasNoAccount, CodeOwnerTaken),
)
async def make_poster(lot_id: UUID, caller: Manager, tx: Tx, now: Now) -> PosterRead:
    """Let what is paid by the payee's static code be collections of the lot's shifts."""
    await posters.make_poster(tx, caller.org_id, lot_id, actor=caller.actor, now=now)
    return _present_poster(await queries.get_lot(tx, caller.org_id, lot_id), is_made=True)


@router.delete("/{lot_id}/poster", status_code=204, responses=may_answer(LotNotFound))
async def take_down_poster(lot_id: UUID, caller: Manager, tx: Tx, now: Now) -> None:
    """Let what is paid by the code be the payee's sales alone; what was collected stays."""
    await posters.take_down_poster(tx, caller.org_id, lot_id, actor=caller.actor, now=now)


@router.post(
    "/{lot_id}/accesses",
    status_code=201,
    response_model=AccessRead,
    responses={
        **may_answer(LotNotFound, LotClosed, TooManyParts, IdempotencyKeyReused),
        201: REPLAYED,
    },
)
async def add_access(
    lot_id: UUID,
    body: AccessCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> ParkingAccess:
    """Add a lane to a lot."""
    access_id = new_id()
    first = await take_key(
        tx,
        caller.org_id,
        "POST /v1/lots/{lot_id}/accesses",
        idempotency_key,
        hash_body(body, lot_id),
        makes=access_id,
        now=now,
    )
    if first is not None:
        mark_replayed(response)
        return await queries.get_access(tx, caller.org_id, lot_id, first)
    return await service.add_access(
        tx,
        caller.org_id,
        lot_id,
        id_=access_id,
        name=body.name,
        direction=body.direction,
        has_controller=body.has_controller,
        actor=caller.actor,
        now=now,
    )


@router.get("/{lot_id}/accesses", responses=may_answer(LotNotFound))
async def list_accesses(lot_id: UUID, caller: Reader, tx: Tx) -> AccessList:
    """List the lanes of a lot that are in use."""
    check_own_lot(caller, lot_id)
    await queries.get_lot(tx, caller.org_id, lot_id)
    found = await queries.list_accesses(tx, caller.org_id, lot_id)
    return AccessList(accesses=[AccessRead.model_validate(one) for one in found])


@router.delete(
    "/{lot_id}/accesses/{access_id}",
    status_code=204,
    responses=may_answer(LotNotFound, AccessNotFound),
)
async def close_access(lot_id: UUID, access_id: UUID, caller: Manager, tx: Tx, now: Now) -> None:
    """Close a lane: it is no longer offered. What passed through it keeps its name."""
    await service.close_access(tx, caller.org_id, lot_id, access_id, actor=caller.actor, now=now)


@router.post(
    "/{lot_id}/areas",
    status_code=201,
    response_model=AreaRead,
    responses={
        **may_answer(LotNotFound, LotClosed, TooManyParts, IdempotencyKeyReused),
        201: REPLAYED,
    },
)
async def add_area(
    lot_id: UUID,
    body: AreaCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> ParkingArea:
    """Add an area to a lot, such as a floor."""
    area_id = new_id()
    first = await take_key(
        tx,
        caller.org_id,
        "POST /v1/lots/{lot_id}/areas",
        idempotency_key,
        hash_body(body, lot_id),
        makes=area_id,
        now=now,
    )
    if first is not None:
        mark_replayed(response)
        return await queries.get_area(tx, caller.org_id, first)
    return await service.add_area(
        tx, caller.org_id, lot_id, id_=area_id, name=body.name, actor=caller.actor, now=now
    )


@router.get("/{lot_id}/areas", responses=may_answer(LotNotFound))
async def list_areas(lot_id: UUID, caller: Reader, tx: Tx) -> AreaList:
    """List the areas of a lot."""
    check_own_lot(caller, lot_id)
    await queries.get_lot(tx, caller.org_id, lot_id)
    found = await queries.list_areas(tx, caller.org_id, lot_id)
    return AreaList(areas=[AreaRead.model_validate(one) for one in found])


def check_own_lot(caller: Caller, lot_id: UUID) -> None:
    """Refuse people of other lots.

    Raises:
        Forbidden
    """
    if not caller.sees(ScopeKind.LOT, lot_id):
        raise Forbidden("You work for another lot.")


def _present(classes: list[Occupied]) -> OccupancyList:
    return OccupancyList(classes=[OccupancyRead.model_validate(one) for one in classes])


def _present_poster(lot: Lot, *, is_made: bool) -> PosterRead:
    path = f"/v1/payees/{lot.payee_id}/static-code"
    return PosterRead(
        lot_id=lot.id,
        payee_id=lot.payee_id,
        is_made=is_made,
        qr_svg=f"{path}/qr.svg" if is_made else None,
        card_png=f"{path}/card.png" if is_made else None,
    )
