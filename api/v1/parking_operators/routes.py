"""Parking operators: add and list."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Response

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.idempotency import REPLAYED, IdempotencyKey, hash_body, mark_replayed, take_key
from api.v1.lots.schemas import OperatorCreate, OperatorList, OperatorRead
from core.idempotency import IdempotencyKeyReused
from core.ids import new_id
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.places import queries, service
from parking.places.models import ParkingOperator

router = APIRouter(prefix="/v1/parking-operators", tags=["parking"])

Manager = Annotated[Caller, requires(Permission.PARKING_MANAGE)]


@router.post(
    "",
    status_code=201,
    response_model=OperatorRead,
    responses={**may_answer(IdempotencyKeyReused), 201: REPLAYED},
)
async def add_operator(
    body: OperatorCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> ParkingOperator:
    """Add who runs lots: the seller that tickets and receipts name."""
    operator_id = new_id()
    first = await take_key(
        tx,
        caller.org_id,
        "POST /v1/parking-operators",
        idempotency_key,
        hash_body(body),
        makes=operator_id,
        now=now,
    )
    if first is not None:
        mark_replayed(response)
        return await queries.get_operator(tx, caller.org_id, first)
    return await service.add_operator(
        tx,
        caller.org_id,
        id_=operator_id,
        name=body.name,
        address=body.address,
        tax_code=body.tax_code,
        actor=caller.actor,
        now=now,
    )


@router.get("")
async def list_operators(caller: Manager, tx: Tx) -> OperatorList:
    """List the organisation's operators."""
    found: Sequence[ParkingOperator] = await queries.list_operators(tx, caller.org_id)
    return OperatorList(operators=[OperatorRead.model_validate(one) for one in found])
