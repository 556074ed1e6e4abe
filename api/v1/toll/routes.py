"""Contracts with a toll operator, and refunds of what it charged too much."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Response

from api.http.deps import Now, TheSealer, TheSettings, TheTolls, Tx, requires
from api.http.errors import may_answer
from api.http.idempotency import REPLAYED, IdempotencyKey, hash_body, mark_replayed, take_key
from api.v1.toll.schemas import (
    TollChargeRead,
    TollContractCreate,
    TollContractList,
    TollContractRead,
    TollContractSecret,
    TollRefund,
    describe_toll,
)
from core.idempotency import IdempotencyKeyReused
from core.ids import new_id
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.rails.toll import contracts, queries
from payments.rails.toll.errors import (
    BadTollUrl,
    TollChargeNotFound,
    TollContractInForce,
    TollContractNotFound,
    TollNotRefundable,
)
from payments.rails.toll.models import TollContract

router = APIRouter(prefix="/v1", tags=["toll"])

Reader = Annotated[Caller, requires(Permission.CALLBACK_ENDPOINTS_READ)]
Manager = Annotated[Caller, requires(Permission.CALLBACK_ENDPOINTS_MANAGE)]
Finance = Annotated[Caller, requires(Permission.BREAKS_RESOLVE)]
LISTED_MAX: Final = 50


@router.post(
    "/toll-contracts",
    status_code=201,
    response_model=TollContractRead,
    responses={
        **may_answer(BadTollUrl, TollContractInForce, TollContractNotFound, IdempotencyKeyReused),
        201: REPLAYED,
    },
)
async def create_contract(
    body: TollContractCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    sealer: TheSealer,
    settings: TheSettings,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> TollContract:
    """Put a contract with a toll operator in force. Its key is sealed, and never shown."""
    contract_id, secret = new_id(), body.secret.get_secret_value()
    first = await take_key(
        tx,
        caller.org_id,
        "POST /v1/toll-contracts",
        idempotency_key,
        hash_body(body, secret_key=settings.secret_key.get_secret_value(), secret=secret),
        makes=contract_id,
        now=now,
    )
    if first is not None:
        mark_replayed(response)
        return await queries.get_contract(tx, caller.org_id, first)
    is_live = caller.org.is_live
    return await contracts.create_contract(
        tx,
        caller.org,
        contract_id,
        name=body.name,
        url=body.url,
        client_id=body.client_id,
        secret=secret,
        allowed_origins=settings.toll_origins if is_live else settings.sandbox_origins,
        sealer=sealer,
        actor=caller.actor,
        now=now,
    )


@router.get("/toll-contracts")
async def list_contracts(caller: Reader, tx: Tx) -> TollContractList:
    """List the contracts, the newest first (at most 50)."""
    found = await queries.list_contracts(tx, caller.org_id, limit=LISTED_MAX)
    return TollContractList(contracts=[TollContractRead.model_validate(one) for one in found])


@router.post(
    "/toll-contracts/{contract_id}/secret",
    response_model=TollContractRead,
    responses=may_answer(TollContractNotFound),
)
async def set_secret(
    contract_id: UUID,
    body: TollContractSecret,
    caller: Manager,
    tx: Tx,
    sealer: TheSealer,
    now: Now,
) -> TollContract:
    """Replace the key that signs requests."""
    return await contracts.set_secret(
        tx,
        caller.org_id,
        contract_id,
        secret=body.secret.get_secret_value(),
        sealer=sealer,
        actor=caller.actor,
        now=now,
    )


@router.post(
    "/toll-contracts/{contract_id}/revoke",
    response_model=TollContractRead,
    responses=may_answer(TollContractNotFound),
)
async def revoke_contract(contract_id: UUID, caller: Manager, tx: Tx, now: Now) -> TollContract:
    """End a contract. What was charged before is still looked up and refunded."""
    return await contracts.revoke_contract(
        tx, caller.org_id, contract_id, actor=caller.actor, now=now
    )


@router.post(
    "/toll-charges/{charge_id}/refund",
    responses=may_answer(TollChargeNotFound, TollNotRefundable),
)
async def refund_charge(
    charge_id: UUID, body: TollRefund, caller: Finance, tolls: TheTolls
) -> TollChargeRead:
    """Give back what no bill keeps of a charge. Idempotent; `pending` goes on by itself."""
    toll = await tolls.refund(caller.org_id, charge_id, actor=caller.actor, reason=body.reason)
    return TollChargeRead(**describe_toll(toll))
