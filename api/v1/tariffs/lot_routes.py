"""Tariffs that lots take: from an instant on, until the next one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.idempotency import REPLAYED, IdempotencyKey, hash_body, mark_replayed, take_key
from api.v1.lots.routes import check_own_lot
from api.v1.tariffs.schemas import LotTariffCreate, LotTariffList, LotTariffRead
from core.idempotency import IdempotencyKeyReused
from core.ids import new_id
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.places.errors import LotClosed, LotNotFound
from parking.places.queries import get_lot
from parking.tariffs import publishing, views
from parking.tariffs.records_errors import (
    LotTariffNotFound,
    TariffFromThePast,
    TariffInForce,
    TariffNotFound,
)
from parking.tariffs.views import AssignmentView

router = APIRouter(prefix="/v1/lots/{lot_id}/tariffs", tags=["parking"])

Reader = Annotated[Caller, requires(Permission.PARKING_READ)]
Manager = Annotated[Caller, requires(Permission.PARKING_MANAGE)]


@router.get("", responses=may_answer(LotNotFound))
async def list_lot_tariffs(lot_id: UUID, caller: Reader, tx: Tx, now: Now) -> LotTariffList:
    """List which tariffs a lot took, takes and will take."""
    check_own_lot(caller, lot_id)
    await get_lot(tx, caller.org_id, lot_id)
    found = await views.list_assignments(tx, caller.org_id, lot_id=lot_id, now=now)
    return LotTariffList(tariffs=[LotTariffRead.model_validate(one) for one in found])


@router.post(
    "",
    status_code=201,
    response_model=LotTariffRead,
    responses={
        **may_answer(
            LotNotFound, LotClosed, TariffNotFound, TariffFromThePast, IdempotencyKeyReused
        ),
        201: REPLAYED,
    },
)
async def let_lot_take(
    lot_id: UUID,
    body: LotTariffCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> AssignmentView:
    """Let a lot take a tariff from an instant on, until its next one."""
    assignment_id = new_id()
    first = await take_key(
        tx,
        caller.org_id,
        "POST /v1/lots/{lot_id}/tariffs",
        idempotency_key,
        hash_body(body, lot_id),
        makes=assignment_id,
        now=now,
    )
    if first is not None:
        mark_replayed(response)
        return await _get(tx, caller, lot_id, first, now)
    await publishing.let_lot_take(
        tx,
        caller.org_id,
        assignment_id,
        lot_id=lot_id,
        tariff_id=body.tariff_id,
        from_at=body.from_at or now,
        actor=caller.actor,
        now=now,
    )
    return await _get(tx, caller, lot_id, assignment_id, now)


@router.delete(
    "/{assignment_id}",
    status_code=204,
    responses=may_answer(LotNotFound, LotTariffNotFound, TariffInForce),
)
async def withdraw_from_lot(
    lot_id: UUID, assignment_id: UUID, caller: Manager, tx: Tx, now: Now
) -> None:
    """Take back, before it begins, that a lot takes a tariff."""
    await publishing.withdraw_from_lot(
        tx, caller.org_id, lot_id, assignment_id, actor=caller.actor, now=now
    )


async def _get(
    tx: Tx, caller: Caller, lot_id: UUID, assignment_id: UUID, now: Now
) -> AssignmentView:
    for one in await views.list_assignments(tx, caller.org_id, lot_id=lot_id, now=now):
        if one.id == assignment_id:
            return one
    raise LotTariffNotFound(assignment_id)
