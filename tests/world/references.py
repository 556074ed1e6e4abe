"""Phones with blocks of references, and the bills whose codes they draw without network."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.devices.models import Device
from payments.bills.blocks import IssuedBill, OpenBlock, open_issued_bill, take_block
from payments.bills.rules import BillFacts
from tests.world.constants import MANAGER, NOON, VENDOR
from tests.world.stalls import PayableStall


async def a_device(
    database: Database, stall: PayableStall, *, id_: UUID | None = None, lot_id: UUID | None = None
) -> UUID:
    """Enrol a phone, at a lot or at none that exists; return its id."""
    device_id = id_ or new_id()
    async with open_org_transaction(database, stall.org.id) as session:
        session.add(
            Device(
                org_id=stall.org.id,
                id=device_id,
                name="Cổng 1",
                scope_kind="lot",
                scope_id=lot_id or new_id(),
                public_key=b"",
                enrolled_by=MANAGER.id,
                enrolled_at=NOON - timedelta(days=40),
            )
        )
    return device_id


async def revoke(
    database: Database, stall: PayableStall, device_id: UUID, *, now: datetime = NOON
) -> None:
    """Revoke a phone."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("UPDATE devices SET revoked_at = :now, revoked_by = :by WHERE id = :id")
        await session.execute(query, {"now": now, "by": MANAGER.id, "id": device_id})


async def a_block(
    database: Database,
    stall: PayableStall,
    device_id: UUID,
    *,
    id_: UUID | None = None,
    now: datetime = NOON,
) -> OpenBlock:
    """Give a phone a block of references of the stall's account."""
    async with open_org_transaction(database, stall.org.id) as session:
        return await take_block(
            session,
            stall.org.id,
            device_id,
            org_code=stall.org.code,
            block_id=id_ or new_id(),
            payee_id=stall.payee_id,
            now=now,
        )


async def some_references(
    database: Database, stall: PayableStall, *, now: datetime = NOON
) -> tuple[UUID, list[str]]:
    """Enrol a phone with a block; return it and its references."""
    device_id = await a_device(database, stall)
    opened = await a_block(database, stall, device_id, now=now)
    return device_id, opened.block.list_references()


async def send_bill(
    database: Database,
    stall: PayableStall,
    device_id: UUID,
    reference: str,
    *,
    now: datetime = NOON,
    **facts: Any,
) -> BillFacts:
    """Open the bill that a phone sends after its network is back."""
    assert VENDOR.id is not None
    wanted = IssuedBill(
        **{
            "id": new_id(),
            "reference": reference,
            "amount_vnd": 20_000,
            "purpose": "Gửi xe",
            "created_by": VENDOR.id,
            "owner_kind": "parking_session",
            "owner_id": new_id(),
            **facts,
        }
    )
    async with open_org_transaction(database, stall.org.id) as session:
        bill, _ = await open_issued_bill(session, stall.org.id, device_id, wanted, now=now)
    return bill
