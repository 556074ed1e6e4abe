"""Blocks of references for phones without network, and the bills that come with their queues.

docs/adr/0014 says what happens when which of them, or the money, is late or wrong.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.errors import TooManyRequests
from core.ids import new_token
from identity.devices.errors import DeviceRevoked
from identity.devices.queries import lock_device
from payments.bills import queries, queries_blocks
from payments.bills.blocks_rules import (
    BLOCK_SIZE,
    BLOCK_VALID_FOR,
    BLOCKS_A_DAY_MAX,
    ISSUED_BILL_MONITORED_FOR,
    ISSUED_BILL_VALID_FOR,
    BlockFacts,
    locate,
)
from payments.bills.errors import (
    BillIdTaken,
    ReferenceBlockTaken,
    ReferenceNotIssued,
    ReferencesUsedUp,
    ReferenceUsed,
)
from payments.bills.queries_serials import take_serials
from payments.bills.references import SERIAL_COUNT
from payments.bills.rules import BillFacts, BillRequest, new_bill
from payments.payees.queries import find_routes, get_route
from payments.payees.rules import PayeeRoute

DAY: Final = timedelta(hours=24)
# A phone that took as many as it may in each of the days that a block holds.
OPEN_BLOCKS_MAX: Final = BLOCKS_A_DAY_MAX * (BLOCK_VALID_FOR // DAY + 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenBlock:
    """A block with where its codes pay to, and whether the payee is still paid there."""

    block: BlockFacts
    route: PayeeRoute
    is_current: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class IssuedBill:
    """A bill that a phone made without network, as its movement says."""

    id: UUID  # made by the phone
    reference: str
    amount_vnd: int  # what the code asks for
    purpose: str
    created_by: UUID
    owner_kind: str
    owner_id: UUID


async def take_block(
    session: AsyncSession,
    org_id: UUID,
    device_id: UUID,
    *,
    org_code: str,
    block_id: UUID,
    payee_id: UUID,
    now: datetime,
) -> OpenBlock:
    """Give a device a block of references; the same id again answers the same block.

    Raises:
        DeviceNotFound, DeviceRevoked, PayeeHasNoAccount, ReferencesUsedUp
        ReferenceBlockTaken: the id is another device's.
        TooManyRequests: it has taken as many as it may in a day.
    """
    device = await lock_device(session, org_id, device_id)  # its requests take turns
    if device.revoked_at is not None:
        raise DeviceRevoked
    known = await queries_blocks.find_block(session, org_id, block_id)
    if known is not None:
        if known.device_id != device_id:
            raise ReferenceBlockTaken(block_id)
        return await _open(session, org_id, known, payee_id)
    taken = await queries_blocks.count_blocks(session, org_id, device_id, since=now - DAY)
    if taken >= BLOCKS_A_DAY_MAX:
        raise TooManyRequests(
            "This device has taken as many blocks of references as it may in a day.",
            retry_after_s=3_600,
        )
    route = await get_route(session, org_id, payee_id)
    run = await take_serials(session, org_id, wanted=BLOCK_SIZE, serials_max=SERIAL_COUNT)
    if run is None:
        raise ReferencesUsedUp(org_code)
    code, first = run
    block = BlockFacts(
        id=block_id,
        device_id=device_id,
        link_id=route.link_id,
        payee_id=route.payee_id,
        receiving_account_id=route.receiving_account_id,
        virtual_account=route.virtual_account,
        code=code,
        first_serial=first,
        last_serial=first + BLOCK_SIZE - 1,
        issued_at=now,
        expires_at=now + BLOCK_VALID_FOR,
        ends_at=now + BLOCK_VALID_FOR,
    )
    if not await queries_blocks.insert_block_once(session, org_id, block):
        raise ReferenceBlockTaken(block_id)  # by another device, at this moment
    return OpenBlock(block=block, route=route, is_current=True)


async def list_open_blocks(
    session: AsyncSession, org_id: UUID, device_id: UUID, *, payee_id: UUID, now: datetime
) -> list[OpenBlock]:
    """List the blocks that a device may draw from, the last first; current ones name the account
    that the payee is paid on now."""
    blocks = await queries_blocks.list_blocks(
        session, org_id, device_id, since=now - BLOCK_VALID_FOR, limit=OPEN_BLOCKS_MAX
    )
    return [
        await _open(session, org_id, block, payee_id) for block in blocks if now < block.ends_at
    ]


async def open_issued_bill(
    session: AsyncSession, org_id: UUID, device_id: UUID, wanted: IssuedBill, *, now: datetime
) -> tuple[BillFacts, bool]:
    """Open a bill that a device made without network, on the account that its code names.

    Call it while the device's movements are applied one by one: nobody else has its references.

    Returns:
        The bill, and whether this call opened it.

    Raises:
        ReferenceNotIssued: of no block of this device, or 72 hours after the end of the block.
        ReferenceUsed, BillIdTaken: another bill has its reference, or its id.
    """
    known = (await queries.find_bills(session, org_id, [wanted.id])).get(wanted.id)
    if known is not None:
        said = (wanted.reference, wanted.amount_vnd, wanted.owner_id)
        if (known.reference, known.amount_vnd, known.owner_id) != said:
            raise BillIdTaken(wanted.id)
        return known, False
    places = locate([wanted.reference])
    issued = await queries_blocks.find_issued(session, org_id, places) if places else {}
    block = issued.get(wanted.reference)
    if block is None or block.device_id != device_id or not block.may_bill_come(now):
        raise ReferenceNotIssued(wanted.reference)
    if await queries_blocks.find_bill_id(session, org_id, wanted.reference) is not None:
        raise ReferenceUsed(wanted.reference)
    route = await queries_blocks.get_block_route(session, org_id, block)
    expires_at = now + ISSUED_BILL_VALID_FOR
    request = BillRequest(
        id=wanted.id,
        payee_id=block.payee_id,
        amount_vnd=wanted.amount_vnd,
        purpose=wanted.purpose,
        expires_at=expires_at,
        monitor_until=expires_at + ISSUED_BILL_MONITORED_FOR,
        created_by=wanted.created_by,
        owner_kind=wanted.owner_kind,
        owner_id=wanted.owner_id,
    )
    bill = new_bill(
        org_id,
        wanted.id,
        request,
        replace(route, virtual_account=block.virtual_account),
        reference=wanted.reference,
        public_token=new_token(),
        now=now,
    )
    stored = await queries.insert_bills_once(session, org_id, [(bill, block.link_id)])
    if not stored:
        raise BillIdTaken(wanted.id)
    return bill, True


async def _open(
    session: AsyncSession, org_id: UUID, block: BlockFacts, payee_id: UUID
) -> OpenBlock:
    route = await queries_blocks.get_block_route(session, org_id, block)
    present = (await find_routes(session, org_id, [payee_id])).get(payee_id)
    is_current = present is not None and present.link_id == block.link_id
    return OpenBlock(block=block, route=route, is_current=is_current)
