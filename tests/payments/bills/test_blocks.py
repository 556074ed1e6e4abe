"""Blocks of references of phones: taken once, bounded, ended in time, and never overlapping."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from core.db import Database
from core.errors import HubError, TooManyRequests
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.devices.errors import DeviceRevoked
from payments.bills.blocks import list_open_blocks
from payments.bills.blocks_rules import BLOCK_SIZE, BLOCKS_A_DAY_MAX
from payments.bills.errors import (
    BillIdTaken,
    ReferenceBlockTaken,
    ReferenceNotIssued,
    ReferenceUsed,
)
from payments.bills.queries_blocks import insert_block_once
from payments.bills.references import check_reference, make_reference
from payments.bills.serials import ReferenceSource
from payments.payees.rules import LOST_BURST_MAX
from tests.world.constants import NOON
from tests.world.references import a_block, a_device, revoke, send_bill, some_references
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio

WEEK, QUEUE_KEPT = timedelta(days=7), timedelta(hours=72)
MOMENT = timedelta(seconds=1)


async def test_a_block_has_200_references_like_all_others_and_nobody_else_has_them(
    app_database: Database, stall: PayableStall
) -> None:
    source = ReferenceSource(app_database, run_length=10)
    ordinary = await source.take(stall.org, 10)
    _, first = await some_references(app_database, stall)
    ordinary += await source.take(stall.org, 10)
    _, second = await some_references(app_database, stall)

    assert len(first) == len(second) == BLOCK_SIZE == 200
    everyone = [*ordinary, *first, *second]
    assert len(set(everyone)) == 420
    assert all(check_reference(one) and one[2:6] == stall.org.code for one in everyone)


async def test_a_database_that_was_restored_gives_no_phone_what_it_may_have_forgotten(
    app_database: Database, stall: PayableStall, owner_database: Database
) -> None:
    device_id = await a_device(app_database, stall)
    before = (await a_block(app_database, stall, device_id)).block
    async with owner_database.begin() as session:
        query = "UPDATE organisation_codes SET taken_on = 'x/00000001', taken_at = now()"
        await session.execute(text(query))

    after = (await a_block(app_database, stall, device_id)).block

    assert after.first_serial > before.last_serial + LOST_BURST_MAX


async def test_the_same_id_again_answers_the_same_block(
    app_database: Database, stall: PayableStall
) -> None:
    device_id, block_id = await a_device(app_database, stall), new_id()

    first = await a_block(app_database, stall, device_id, id_=block_id)
    again = await a_block(
        app_database, stall, device_id, id_=block_id, now=NOON + timedelta(hours=1)
    )

    assert again == first
    with pytest.raises(ReferenceBlockTaken):
        await a_block(app_database, stall, await a_device(app_database, stall), id_=block_id)


async def test_requests_of_one_block_at_once_give_one_block(
    app_database: Database, stall: PayableStall
) -> None:
    """Each transaction stands at a barrier before it begins: the device's lock decides."""
    device_id, block_id = await a_device(app_database, stall), new_id()
    ready = asyncio.Barrier(4)

    async def take() -> str:
        await ready.wait()
        opened = await a_block(app_database, stall, device_id, id_=block_id)
        return opened.block.list_references()[0]

    assert len(set(await asyncio.gather(*(take() for _ in range(4))))) == 1


async def test_of_two_devices_that_make_one_id_at_once_one_has_the_block(
    app_database: Database, stall: PayableStall
) -> None:
    devices = [await a_device(app_database, stall) for _ in range(4)]
    block_id, ready = new_id(), asyncio.Barrier(4)

    async def take(device_id: UUID) -> bool:
        await ready.wait()
        try:
            await a_block(app_database, stall, device_id, id_=block_id)
        except ReferenceBlockTaken:
            return False
        return True

    assert sorted(await asyncio.gather(*map(take, devices))) == [False, False, False, True]


async def test_refills_at_once_stop_at_the_limit_of_the_day(
    app_database: Database, stall: PayableStall
) -> None:
    device_id = await a_device(app_database, stall)
    for _ in range(BLOCKS_A_DAY_MAX - 2):
        await a_block(app_database, stall, device_id)
    ready = asyncio.Barrier(5)

    async def refill() -> str:
        await ready.wait()
        try:
            opened = await a_block(app_database, stall, device_id)
        except TooManyRequests:
            return "refused"
        return opened.block.list_references()[0]

    answers = await asyncio.gather(*(refill() for _ in range(5)))

    assert sorted(answers)[-3:] == ["refused"] * 3
    assert len(set(answers)) == 3
    later = NOON + timedelta(hours=24) + MOMENT
    await a_block(app_database, stall, device_id, now=later)


async def test_a_revoked_phone_takes_no_block_and_draws_from_none(
    app_database: Database, stall: PayableStall
) -> None:
    device_id = await a_device(app_database, stall)
    await a_block(app_database, stall, device_id)
    await revoke(app_database, stall, device_id, now=NOON + MOMENT)

    with pytest.raises(DeviceRevoked):
        await a_block(app_database, stall, device_id)
    async with open_org_transaction(app_database, stall.org.id) as session:
        facts = {"payee_id": stall.payee_id, "now": NOON + 2 * MOMENT}
        assert await list_open_blocks(session, stall.org.id, device_id, **facts) == []


async def test_a_phone_hears_which_of_its_blocks_are_open(
    app_database: Database, stall: PayableStall
) -> None:
    device_id = await a_device(app_database, stall)
    old = await a_block(app_database, stall, device_id)
    new = await a_block(app_database, stall, device_id, now=NOON + timedelta(days=1))

    async def list_at(now: timedelta) -> list[str]:
        async with open_org_transaction(app_database, stall.org.id) as session:
            found = await list_open_blocks(
                session, stall.org.id, device_id, payee_id=stall.payee_id, now=NOON + now
            )
        assert all(one.is_current for one in found)
        return [str(one.block.id) for one in found]

    assert await list_at(timedelta(days=2)) == [str(new.block.id), str(old.block.id)]
    assert await list_at(WEEK - MOMENT) == [str(new.block.id), str(old.block.id)]
    assert await list_at(WEEK) == [str(new.block.id)]


async def test_a_bill_is_opened_on_the_reference_of_its_own_phone_once(
    app_database: Database, stall: PayableStall
) -> None:
    device_id, references = await some_references(app_database, stall)
    other_id, _ = await some_references(app_database, stall)
    facts = {"id": new_id(), "owner_id": new_id()}

    bill = await send_bill(app_database, stall, device_id, references[0], **facts)
    again = await send_bill(app_database, stall, device_id, references[0], **facts)

    assert (bill.reference, bill.amount_vnd) == (references[0], 20_000)
    assert bill.receiving_account_id == stall.account_id
    assert again.id == bill.id
    refusals: list[tuple[type[HubError], object, str, dict[str, object]]] = [
        (ReferenceUsed, device_id, references[0], {}),
        (BillIdTaken, device_id, references[1], facts),
        (BillIdTaken, device_id, references[0], facts | {"amount_vnd": 1}),
        (ReferenceNotIssued, other_id, references[2], {}),
        (ReferenceNotIssued, device_id, make_reference(stall.org.code, 77), {}),
        (ReferenceNotIssued, device_id, "PPHKXMAAAAAAA", {}),
    ]
    for error, sender_id, reference, more in refusals:
        with pytest.raises(error):
            await send_bill(app_database, stall, sender_id, reference, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("is_revoked", [False, True])
async def test_a_bill_counts_until_72_hours_after_its_block_ended(
    app_database: Database, stall: PayableStall, is_revoked: bool
) -> None:
    device_id, references = await some_references(app_database, stall)
    ended_at = NOON + WEEK
    if is_revoked:
        ended_at = NOON + timedelta(hours=1)
        await revoke(app_database, stall, device_id, now=ended_at)
    last = ended_at + QUEUE_KEPT - MOMENT

    await send_bill(app_database, stall, device_id, references[0], now=last)
    with pytest.raises(ReferenceNotIssued):
        await send_bill(app_database, stall, device_id, references[1], now=last + MOMENT)


async def test_the_ends_of_a_block_are_its_own(app_database: Database, stall: PayableStall) -> None:
    """Of neighbouring blocks each reference is found in the one that has it."""
    first_id, first = await some_references(app_database, stall)
    second_id, second = await some_references(app_database, stall)

    await send_bill(app_database, stall, first_id, first[-1])
    await send_bill(app_database, stall, second_id, second[0])
    with pytest.raises(ReferenceNotIssued):
        await send_bill(app_database, stall, first_id, second[1])
    with pytest.raises(ReferenceNotIssued):
        await send_bill(app_database, stall, second_id, first[0])
    (later,) = await ReferenceSource(app_database).take(stall.org, 1)
    with pytest.raises(ReferenceNotIssued):
        await send_bill(app_database, stall, second_id, later)


async def test_two_blocks_never_begin_at_one_serial(
    app_database: Database, stall: PayableStall
) -> None:
    block = (await a_block(app_database, stall, await a_device(app_database, stall))).block

    async def store_copy() -> None:
        async with open_org_transaction(app_database, stall.org.id) as session:
            await insert_block_once(session, stall.org.id, replace(block, id=new_id()))

    with pytest.raises(IntegrityError, match="uq_reference_blocks"):
        await store_copy()
