"""A recount stands beside the hub's own figure of that moment, and is never changed."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from core.clock import hanoi_day
from core.db import Database
from core.errors import InvalidRequest
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.recounts.errors import RecountIdTaken
from parking.recounts.queries import list_recounts
from parking.recounts.rules import RecountFacts, draw_moment
from parking.recounts.service import record_recount
from tests.world.constants import MANAGER, NOON
from tests.world.lots import CAR
from tests.world.parking_sessions import Gate, a_stay

pytestmark = pytest.mark.anyio

KEY = bytes(range(32))


async def count(
    database: Database,
    gate: Gate,
    *,
    motorbike: int = 0,
    car: int = 0,
    id_: UUID | None = None,
    note: str | None = None,
    **facts: object,
) -> RecountFacts:
    known = {"counted": {"motorbike": motorbike, "car": car}, "now": NOON, **facts}
    async with open_org_transaction(database, gate.org_id) as session:
        return await record_recount(
            session,
            gate.org_id,
            id_ or new_id(),
            lot_id=gate.lot.id,
            note=note,
            moments_key=KEY,
            actor=MANAGER,
            **known,  # type: ignore[arg-type]
        )


async def test_a_recount_keeps_what_the_hub_had_inside_at_that_moment(
    app_database: Database, gate: Gate
) -> None:
    for _ in range(3):
        await a_stay(app_database, gate)
    await a_stay(app_database, gate, vehicle_class=CAR)

    made = await count(app_database, gate, motorbike=5, car=1, note="Hai xe không vé")
    await a_stay(app_database, gate)

    async with open_org_transaction(app_database, gate.org_id) as session:
        (kept,) = await list_recounts(session, gate.org_id, gate.lot.id, before_id=None, limit=10)
    assert kept == made
    assert {(one.vehicle_class, one.counted, one.expected) for one in kept.lines} == {
        ("motorbike", 5, 3),
        ("car", 1, 1),
    }
    assert (kept.counted, kept.expected, kept.difference) == (6, 4, 2)
    assert (kept.counted_by, kept.note) == (MANAGER.id, "Hai xe không vé")


async def test_a_note_is_kept_without_a_whole_plate_and_is_the_same_again(
    app_database: Database, gate: Gate
) -> None:
    id_ = new_id()

    made = [
        await count(app_database, gate, id_=id_, note="Xe 29AA-123.45 không có lượt") for _ in "12"
    ]

    assert made[0] == made[1]
    assert "123.45" not in (made[0].note or "")


async def test_the_same_recount_again_is_the_first_and_no_other(
    app_database: Database, gate: Gate
) -> None:
    id_ = new_id()
    first = await count(app_database, gate, motorbike=2, id_=id_)
    await a_stay(app_database, gate)

    assert await count(app_database, gate, motorbike=2, id_=id_) == first
    with pytest.raises(RecountIdTaken):
        await count(app_database, gate, motorbike=3, id_=id_)


async def test_ten_taps_at_once_make_one_recount(app_database: Database, gate: Gate) -> None:
    id_, ready = new_id(), asyncio.Barrier(10)

    async def tap() -> RecountFacts:
        await ready.wait()
        return await count(app_database, gate, motorbike=2, id_=id_)

    first, *others = await asyncio.gather(*(tap() for _ in range(10)))

    assert others == [first] * 9


@pytest.mark.parametrize(
    "counted",
    [
        {"motorbike": 1},
        {"motorbike": 1, "car": 0, "bus": 1},
        {"motorbike": -1, "car": 0},
        {"motorbike": 100_001, "car": 0},
        {},
    ],
)
async def test_each_class_of_the_lot_is_counted_and_no_other(
    app_database: Database, gate: Gate, counted: dict[str, int]
) -> None:
    with pytest.raises(InvalidRequest):
        await count(app_database, gate, counted=counted)


async def test_a_recount_at_the_drawn_moment_is_the_random_one(
    app_database: Database, gate: Gate
) -> None:
    moment = draw_moment(KEY, gate.org_id, gate.lot.id, hanoi_day(NOON))
    assert hanoi_day(moment) == hanoi_day(NOON)
    minute = timedelta(minutes=1)
    at = {-1: False, 0: True, 30: True, 31: False}

    found = {n: await count(app_database, gate, now=moment + n * minute) for n in at}

    assert {n: one.is_random for n, one in found.items()} == at


def test_the_random_moment_is_another_one_for_each_day_lot_and_key() -> None:
    org_id, lot_id, day = new_id(), new_id(), hanoi_day(NOON)
    drawn = {
        draw_moment(KEY, org_id, lot_id, day + timedelta(days=n)) - timedelta(days=n)
        for n in range(20)
    }
    assert len(drawn) > 10
    assert draw_moment(KEY, org_id, lot_id, day) == draw_moment(KEY, org_id, lot_id, day)
    assert draw_moment(bytes(32), org_id, lot_id, day) != draw_moment(KEY, org_id, lot_id, day)


async def test_nobody_changes_a_recount(app_database: Database, gate: Gate) -> None:
    await count(app_database, gate, motorbike=2)

    with pytest.raises(ProgrammingError):
        async with open_org_transaction(app_database, gate.org_id) as session:
            await session.execute(text("UPDATE recounts SET counted = 0"))
