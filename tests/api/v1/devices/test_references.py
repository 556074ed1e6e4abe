"""Blocks of references over HTTP: for the device that asks, at its lot, and for no one else."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from payments.bills.blocks_rules import BLOCKS_A_DAY_MAX
from tests.world.gates import Gate, set_up_gate
from tests.world.hubs import Hub
from tests.world.lots import MOTORBIKE
from tests.world.offline import EnrolledPhone, a_phone
from tests.world.waits import DEADLINE_S, LOOKS_EVERY_S

pytestmark = pytest.mark.anyio

PATH = "/v1/devices/me/reference-blocks"


@pytest.fixture
async def gate(hub: Hub) -> Gate:
    return await set_up_gate(hub, capacity={MOTORBIKE: 5})


@pytest.fixture
async def phone(gate: Gate) -> EnrolledPhone:
    return await a_phone(gate)


async def test_a_phone_takes_a_block_and_asks_again_after_a_lost_answer(
    gate: Gate, phone: EnrolledPhone
) -> None:
    body = {"id": str(new_id())}

    taken = await phone.client.post(PATH, json=body)
    again = await phone.client.post(PATH, json=body)

    assert taken.status_code == again.status_code == 201
    block = taken.json()
    assert again.json() == block
    assert len(set(block["references"])) == 200
    assert block["is_current"]
    assert block["bank_name"]
    listed = (await phone.client.get(PATH)).json()["blocks"]
    assert listed == [{k: v for k, v in block.items() if k != "references"}]


async def test_only_a_device_takes_references_and_each_has_its_own(
    gate: Gate, phone: EnrolledPhone
) -> None:
    body = {"id": str(new_id())}
    assert (await gate.attendant.post(PATH, json=body)).status_code == 403
    assert (await gate.manager.get(PATH)).status_code == 403
    assert (await phone.client.post(PATH, json=body)).status_code == 201

    other = await a_phone(gate)
    refused = await other.client.post(PATH, json=body)

    assert (refused.status_code, refused.json()["code"]) == (409, "reference_block_taken")
    assert (await other.client.get(PATH)).json()["blocks"] == []


@pytest.mark.slow
async def test_a_phone_that_takes_and_takes_is_told_to_come_back_later(
    phone: EnrolledPhone,
) -> None:
    for _ in range(BLOCKS_A_DAY_MAX):
        await phone.client.post(PATH, json={"id": str(new_id())})

    refused = await phone.client.post(PATH, json={"id": str(new_id())})

    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert int(refused.headers["retry-after"]) > 0


async def test_a_lot_without_an_account_gives_no_references(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE payee_accounts SET status = 'former'"))

    refused = await phone.client.post(PATH, json={"id": str(new_id())})

    assert (refused.status_code, refused.json()["code"]) == (409, "payee_has_no_account")


async def test_a_block_of_an_account_that_the_lot_had_before_is_not_current(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    await phone.client.post(PATH, json={"id": str(new_id())})
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE payee_accounts SET status = 'former'"))

    (listed,) = (await phone.client.get(PATH)).json()["blocks"]

    assert not listed["is_current"]


@pytest.mark.parametrize("clock_is_off", [timedelta(), timedelta(hours=-9), timedelta(hours=9)])
async def test_a_bill_drawn_without_network_comes_with_the_queue(
    gate: Gate, phone: EnrolledPhone, owner_database: Database, clock_is_off: timedelta
) -> None:
    block = (await phone.client.post(PATH, json={"id": str(new_id())})).json()
    entry = phone.entry(at=read_clock() - timedelta(hours=1))
    bill = {
        "id": str(new_id()),
        "session_id": entry["entry"]["id"],
        "staff_id": str(phone.device_id),
        "reference": block["references"][0],
        "amount_vnd": 5_000,
    }
    movement = phone.movement("bill", at=read_clock() + clock_is_off, data=bill)
    movement["offset_ms"] = -(clock_is_off // timedelta(milliseconds=1))

    assert await phone.send(entry, movement) == ["opened", "waiting"]

    async def find_bill() -> tuple[object, ...] | None:
        async with owner_database.begin() as session:
            query = text("SELECT id, reference, amount_vnd, owner_id FROM bills")
            return next(iter(await session.execute(query)), None)

    found = None
    async with asyncio.timeout(DEADLINE_S):
        while (found := await find_bill()) is None:  # noqa: ASYNC110
            await asyncio.sleep(LOOKS_EVERY_S)
    expected = (UUID(bill["id"]), bill["reference"], 5_000, UUID(bill["session_id"]))
    assert tuple(found) == expected
