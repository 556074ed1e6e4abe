"""Movements of phones where the database gives way, or the phone says what cannot be."""

import pytest
from sqlalchemy import text

from core.db import Database
from tests.world.entries import all_are, count_parked
from tests.world.gates import Gate, set_up_gate
from tests.world.hubs import Hub
from tests.world.lots import MOTORBIKE
from tests.world.offline import EnrolledPhone, a_phone

pytestmark = pytest.mark.anyio


@pytest.fixture
async def gate(hub: Hub) -> Gate:
    """A lot with room for five motorbikes."""
    return await set_up_gate(hub, capacity={MOTORBIKE: 5})


@pytest.fixture
async def phone(gate: Gate) -> EnrolledPhone:
    """A phone that is enrolled at this lot."""
    return await a_phone(gate)


async def let_storing_fail(owner_database: Database, *, sqlstate: str, above: int) -> None:
    """Let the database refuse to store more movements than so many in one statement."""
    async with owner_database.begin() as session:
        await session.execute(
            text(f"""
                CREATE OR REPLACE FUNCTION refuse_many() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF (SELECT count(*) FROM new_rows) > {above} THEN
                        RAISE EXCEPTION 'gave way' USING ERRCODE = '{sqlstate}';
                    END IF;
                    RETURN NULL;
                END $$
            """)
        )
        await session.execute(
            text(
                "CREATE OR REPLACE TRIGGER refuse_many AFTER INSERT ON movements"
                " REFERENCING NEW TABLE AS new_rows"
                " FOR EACH STATEMENT EXECUTE FUNCTION refuse_many()"
            )
        )


@pytest.mark.parametrize("sqlstate", ["40P01", "40001", "55P03", "57014", "23514"])
async def test_entries_of_a_batch_that_failed_are_decided_anew_one_by_one(
    gate: Gate, phone: EnrolledPhone, owner_database: Database, sqlstate: str
) -> None:
    """`opened` is said of vehicles that are inside, whatever became of the first attempt."""
    await let_storing_fail(owner_database, sqlstate=sqlstate, above=1)

    assert await phone.send(phone.entry(), phone.entry()) == ["opened", "opened"]

    assert all_are(await count_parked(owner_database, gate.lot), 2)


@pytest.mark.parametrize("sqlstate", ["40P01", "40001", "55P03", "57014"])
async def test_a_movement_that_must_give_way_again_and_again_is_to_be_sent_again(
    gate: Gate, phone: EnrolledPhone, owner_database: Database, sqlstate: str
) -> None:
    """It is nobody's fault, so it is no unreadable one that the phone would forget."""
    await let_storing_fail(owner_database, sqlstate=sqlstate, above=0)
    entry = phone.entry()

    answer = await phone.post([phone.sign(entry)])
    assert answer.status_code == 503, answer.text
    assert all_are(await count_parked(owner_database, gate.lot), 0)

    await let_storing_fail(owner_database, sqlstate=sqlstate, above=1)
    assert await phone.send(entry) == ["opened"]
    assert all_are(await count_parked(owner_database, gate.lot), 1)
