"""Movements of phones beside what happens at the gate: locks, and what cannot be applied yet."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from parking.exits import jobs, queries
from parking.sessions.queries import enter_vehicles
from tests.parking.exits.test_movements import BACK_ONLINE, Phone
from tests.payments.invariants import find_violations
from tests.world.databases import FreshDatabase
from tests.world.entries import an_entry
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_stay
from tests.world.reads import list_breaks

pytestmark = pytest.mark.anyio


@pytest.fixture
async def phone(gate: Gate, app_database: Database, worker_database: Database) -> Phone:
    return Phone(gate, app_database, worker_database)


async def let_collections_fail(owner_database: Database, sqlstate: str | None) -> None:
    """Let the database refuse each collection for a reason, or take it again (None)."""
    async with owner_database.begin() as session:
        await session.execute(text("DROP TRIGGER IF EXISTS refuse ON collections"))
        if sqlstate is None:
            return
        await session.execute(
            text(
                "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN RAISE EXCEPTION 'gave way' USING ERRCODE = '{sqlstate}'; END $$"
            )
        )
        await session.execute(
            text(
                "CREATE TRIGGER refuse BEFORE INSERT ON collections"
                " FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )


async def test_cash_and_exit_wait_for_one_who_leaves_online_and_neither_gives_way(
    phone: Phone, fresh_database: FreshDatabase
) -> None:
    """Who holds the occupancy goes on to the session, which the phone's cash has locked before."""
    stay_id = await a_stay(phone.app, phone.gate)
    await phone.take_cash(stay_id)
    await phone.let_out(stay_id)
    is_held = asyncio.Event()

    async def begin_to_leave_online() -> None:
        async with open_org_transaction(phone.app, phone.gate.org_id) as session:
            place = (phone.gate.lot.id, "motorbike")
            await queries.lock_occupancy(session, phone.gate.org_id, {place})
            is_held.set()
            await asyncio.sleep(0.5)
            await queries.lock_sessions(session, phone.gate.org_id, [stay_id])

    online = asyncio.create_task(begin_to_leave_online())
    await is_held.wait()
    assert await phone.apply() == ["applied", "applied"]
    await online

    assert await list_breaks(phone.app, phone.gate.stall) == []
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("sqlstate", ["40P01", "40001", "55P03", "57014"])
async def test_a_movement_that_had_to_give_way_comes_again_before_what_follows_it(
    phone: Phone, owner_database: Database, sqlstate: str
) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    await phone.take_cash(stay_id)
    await phone.let_out(stay_id)

    await let_collections_fail(owner_database, sqlstate)
    assert await phone.apply() == ["None", "None"]
    await let_collections_fail(owner_database, None)

    later = BACK_ONLINE + timedelta(seconds=2)
    assert await phone.apply(now=later) == ["applied", "applied"]
    assert (await phone.look(stay_id)).paid_vnd == PER_VISIT_VND
    assert await list_breaks(phone.app, phone.gate.stall) == []


async def test_a_phone_whose_movement_always_fails_comes_ever_later_and_takes_nobodys_place(
    phone: Phone, owner_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two phones and room for one of them in a round: the first has what nothing can apply."""
    monkeypatch.setattr(jobs, "DEVICES_MAX", 1)
    other = Phone(phone.gate, phone.app, phone.worker)
    phone.id, other.id = sorted((phone.id, other.id))
    stay_id = await a_stay(phone.app, phone.gate)
    await phone.take_cash(stay_id)
    other.seq = 1
    await let_collections_fail(owner_database, "40P01")
    assert await phone.apply() == ["None"]

    await other.let_out(stay_id)
    assert await other.apply() == ["None", "applied"]

    at = BACK_ONLINE
    for tries, wait_s in ((2, 1), (3, 2), (4, 4)):
        at += timedelta(seconds=wait_s)
        await phone.apply(now=at - timedelta(seconds=0.1))
        assert await count_tries(owner_database) == tries - 1
        await phone.apply(now=at)
        assert await count_tries(owner_database) == tries
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE movements SET attempts = 1000000, try_at = NULL"))
    await phone.apply(now=at)
    await phone.apply(now=at + timedelta(minutes=10))
    assert await count_tries(owner_database) == 1_000_002


async def count_tries(owner_database: Database) -> int:
    async with owner_database.begin() as session:
        query = text("SELECT max(attempts) FROM movements WHERE verdict IS NULL")
        return int(await session.scalar(query) or 0)


async def test_entries_wait_for_one_movement_of_a_phone_and_not_for_all_of_them(
    phone: Phone, gate_database: Database
) -> None:
    """The lot's occupancy is free between two exits of the phone."""
    for _ in range(3):
        await phone.let_out(await a_stay(phone.app, phone.gate))
    async with open_org_transaction(phone.app, phone.gate.org_id) as session:
        last = text("SELECT id FROM movements WHERE seq = 3 FOR UPDATE")
        await session.execute(last)
        applying = asyncio.create_task(phone.apply())
        async with asyncio.timeout(10):
            while await count_inside(phone) != 1:  # noqa: ASYNC110 (the database tells nobody)
                await asyncio.sleep(0.02)
        async with gate_database.begin() as entering:
            (row,) = await enter_vehicles(entering, [an_entry(phone.gate.lot)], now=BACK_ONLINE)
        assert row[0] == "opened"
    assert await applying == ["applied"] * 3


async def count_inside(phone: Phone) -> int:
    async with open_org_transaction(phone.app, phone.gate.org_id) as session:
        return int(await session.scalar(text("SELECT sum(inside_count) FROM occupancy")) or 0)
