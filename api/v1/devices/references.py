"""Blocks of references for the device that asks: codes that pay, drawn without a network."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response, status
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import HomeTx, Now, TheDevice, requires
from api.http.errors import may_answer
from api.http.middleware import no_store
from api.v1.devices.schemas import (
    ReferenceBlockMade,
    ReferenceBlockRead,
    ReferenceBlocks,
    ReferenceBlockTake,
)
from core.errors import Forbidden
from identity.devices.errors import DeviceNotFound, DeviceRevoked
from identity.devices.tokens import DeviceCaller
from identity.people.rules import Permission
from parking.places.errors import LotNotFound
from parking.places.queries import get_lot
from payments.bills.blocks import OpenBlock, list_open_blocks, take_block
from payments.bills.errors import ReferenceBlockTaken, ReferencesUsedUp
from payments.payees.errors import PayeeHasNoAccount
from payments.vietqr.banks import name_bank

router = APIRouter(
    prefix="/v1/devices/me/reference-blocks",
    tags=["devices"],
    dependencies=[requires(Permission.PARKING_GATE)],
)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=may_answer(
        ReferenceBlockTaken,
        DeviceNotFound,
        DeviceRevoked,
        Forbidden,
        LotNotFound,
        PayeeHasNoAccount,
        ReferencesUsedUp,
    ),
)
async def take_own_block(
    body: ReferenceBlockTake, response: Response, device: TheDevice, tx: HomeTx, now: Now
) -> ReferenceBlockMade:
    """Take 200 references for the device that asks, good for 7 days; at most 10 blocks in 24 hours.

    The same id again answers the same block. Each reference is for one bill, which the device
    sends as a movement of kind `bill`.
    """
    no_store(response)
    opened = await take_block(
        tx,
        device.org_id,
        device.device_id,
        org_code=device.org_code,
        block_id=body.id,
        payee_id=await _find_payee(tx, device),
        now=now,
    )
    return ReferenceBlockMade(**_show(opened), references=opened.block.list_references())


@router.get("", responses=may_answer(Forbidden, LotNotFound))
async def list_own_blocks(
    response: Response, device: TheDevice, tx: HomeTx, now: Now
) -> ReferenceBlocks:
    """List the blocks that the device may draw from, and which name the lot's account of now."""
    no_store(response)
    payee_id = await _find_payee(tx, device)
    blocks = await list_open_blocks(tx, device.org_id, device.device_id, payee_id=payee_id, now=now)
    return ReferenceBlocks(
        blocks=[ReferenceBlockRead(**_show(opened)) for opened in blocks], hub_at=now
    )


async def _find_payee(session: AsyncSession, device: DeviceCaller) -> UUID:
    return (await get_lot(session, device.org_id, device.lot_id)).payee_id


def _show(opened: OpenBlock) -> dict[str, Any]:
    block, route = opened.block, opened.route
    return {
        "id": block.id,
        "issued_at": block.issued_at,
        "expires_at": block.ends_at,
        "is_current": opened.is_current,
        "bin": route.bin,
        "account": route.code_account,
        "holder_name": route.holder_name,
        "bank_name": name_bank(route.bin),
    }
