"""Revoking a device: all that it holds ends, and what it recorded before is not lost."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from ops.postgres.supervisor import Cluster
from tests.world.databases import Template
from tests.world.entries import all_are, count_parked
from tests.world.gates import Gate, KnownGate, a_gate_template
from tests.world.lanes import PHOTO, a_served_lane
from tests.world.lots import MOTORBIKE
from tests.world.offline import EnrolledPhone, a_phone
from tests.world.waits import wait_until_blocked

pytestmark = pytest.mark.anyio
LATE_VERDICTS = text("SELECT verdict FROM movements ORDER BY seq")


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[KnownGate]]:
    """A lot with room for fifty motorbikes."""
    with a_gate_template(cluster, capacity={MOTORBIKE: 50}) as template:
        yield template


@pytest.fixture
async def phone(gate: Gate) -> EnrolledPhone:
    """A phone that is enrolled at this lot."""
    return await a_phone(gate)


async def revoke(gate: Gate, phone: EnrolledPhone) -> None:
    answer = await gate.manager.post(f"/v1/devices/{phone.device_id}/revoke", json={})
    assert answer.status_code == 204, answer.text


async def list_whys(owner: Database) -> list[tuple[str, str]]:
    query = text("SELECT reason, reason_facts ->> 'why' FROM breaks ORDER BY reason")
    async with owner.begin() as session:
        return [(row[0], row[1]) for row in await session.execute(query)]


async def test_a_request_that_a_revoked_device_holds_at_a_lane_is_refused_at_once(
    gate: Gate, phone: EnrolledPhone
) -> None:
    lane = await a_served_lane(gate.hub.services.database, gate.lot)
    path = f"/v1/lots/{gate.lot.id}/accesses/{lane}/open"
    body = {"id": str(new_id()), "reason": "Xe cứu thương", "photo": PHOTO.hex()}
    held = asyncio.create_task(phone.client.post(path, json=body))
    await asyncio.sleep(0.5)
    assert not held.done()

    # As the route that revokes does, and each process within two seconds.
    revocations = gate.hub.services.device_tokens.revocations
    revocations.add_device(gate.lot.org.id, phone.device_id)

    refused = await held  # else: 200, silent, as nobody answers the lane
    assert (refused.status_code, refused.json()["code"]) == (401, "device_revoked")


@pytest.mark.slow
async def test_another_phones_request_at_the_lane_is_held_on(
    gate: Gate, phone: EnrolledPhone
) -> None:
    lane = await a_served_lane(gate.hub.services.database, gate.lot)
    other = await a_phone(gate)
    path = f"/v1/lots/{gate.lot.id}/accesses/{lane}/open"
    body = {"id": str(new_id()), "reason": "Xe cứu thương", "photo": PHOTO.hex()}
    held = asyncio.create_task(other.client.post(path, json=body))
    await asyncio.sleep(0.3)

    await revoke(gate, phone)

    assert (await held).json()["state"] == "silent"


async def test_a_device_opens_no_stream_that_could_outlive_it(
    gate: Gate, phone: EnrolledPhone
) -> None:
    answer = await phone.client.get(f"/gate/lots/{gate.lot.id}/events")
    assert answer.status_code == 403


async def test_who_listens_is_told_of_a_device_once(gate: Gate, phone: EnrolledPhone) -> None:
    revocations = gate.hub.services.device_tokens.revocations
    told: list[object] = []
    revocations.on_device_ended.append(lambda org_id, device_id: told.append(device_id))

    await revoke(gate, phone)
    await revoke(gate, phone)
    await gate.hub.services.device_tokens.refresh(gate.hub.services.gate_database)

    assert told == [phone.device_id]


async def test_what_a_queue_says_of_after_a_revocation_is_refused_also_in_the_same_moment(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    """The queue was read and judged, and waits for its turn, while a manager revokes the phone."""
    now = read_clock()
    before = phone.entry(at=now - timedelta(minutes=1))
    after = phone.entry(at=now + timedelta(minutes=2))
    out = phone.exit(before, at=now + timedelta(minutes=3))
    async with owner_database.begin() as session:
        await session.execute(text("LOCK TABLE movements IN ACCESS EXCLUSIVE MODE"))
        sending = asyncio.create_task(phone.send(before, after, out))
        await wait_until_blocked(gate.hub.services.gate_database)
        await revoke(gate, phone)

    assert await sending == ["opened", "after_revocation", "after_revocation"]

    assert all_are(await count_parked(owner_database, gate.lot), 1)
    async with owner_database.begin() as session:  # nothing is lost: all three are kept
        kept = [row[0] for row in await session.execute(LATE_VERDICTS)]
    assert kept == ["opened", "after_revocation", "after_revocation"]
    whys = await list_whys(owner_database)
    assert whys.count(("movement_not_accepted", "after_revocation")) == 2


async def test_what_counts_of_a_revoked_phones_queue_is_looked_at_once(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    earlier = read_clock() - timedelta(minutes=10)
    queue = [phone.entry(at=earlier) for _ in range(3)]
    await revoke(gate, phone)

    assert await phone.send(*queue) == ["opened"] * 3
    assert await phone.send(*queue) == ["opened"] * 3

    assert await list_whys(owner_database) == [("movement_to_check", "sent_after_revocation")]
