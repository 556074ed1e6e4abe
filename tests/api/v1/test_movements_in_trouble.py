"""Movements of phones where the database gives way, or the phone says what cannot be."""

import base64
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from identity.devices.signatures import MOVEMENT
from ops.postgres.supervisor import Cluster
from tests.world.databases import Template
from tests.world.entries import all_are, count_parked
from tests.world.gates import Gate, KnownGate, a_gate_template
from tests.world.lots import MOTORBIKE
from tests.world.offline import EnrolledPhone, a_phone, an_id_at

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[KnownGate]]:
    """A lot with room for five motorbikes."""
    with a_gate_template(cluster, capacity={MOTORBIKE: 5}) as template:
        yield template


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


@pytest.mark.parametrize("depth", [500, 1_800])
async def test_a_movement_that_nests_without_end_is_unreadable_and_the_others_count(
    gate: Gate, phone: EnrolledPhone, depth: int
) -> None:
    now = read_clock()
    for nested in ("[" * depth + "]" * depth, '{"a":' * (depth // 4) + "1" + "}" * (depth // 4)):
        body = (
            f'{{"id":"{an_id_at(now)}","seq":1,"kind":"exit","device_at":"{now.isoformat()}",'
            f'"offset_ms":0,"data":{{"a":{nested}}}}}'
        )
        signature = phone.phone.sign(MOVEMENT, body.encode())
        signed = {"body": body, "signature": base64.urlsafe_b64encode(signature).decode()}

        answer = await phone.post([signed, phone.sign(phone.entry())])

        assert answer.status_code == 200, answer.text
        told = [one["verdict"] for one in answer.json()["results"]]
        is_deep = nested.startswith("[" * 600)
        assert told == ["unreadable" if is_deep else "waiting", "opened"]


@pytest.mark.parametrize("path", ["entries", "exits", "movements"])
async def test_a_body_that_nests_without_end_is_a_fault_of_who_sends_it(
    gate: Gate, phone: EnrolledPhone, path: str
) -> None:
    body = '{"a":' + "[" * 7_000 + "]" * 7_000 + "}"
    answer = await phone.client.post(
        f"/v1/lots/{gate.lot.id}/{path}",
        content=body,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code in (400, 422), answer.text
