"""Entries at the same instant, each in a transaction of its own, as two processes write them."""

import asyncio
from collections.abc import Sequence

import pytest

from core.db import Database
from parking.sessions.answers import make_answer
from parking.sessions.queries import enter_vehicles
from parking.sessions.rules import EntryAnswer, EntryRequest
from parking.sessions.writer import EntryWriter
from tests.world.constants import NOON
from tests.world.entries import a_plate, all_are, an_entry, count_parked, verdicts
from tests.world.lots import CAR, MOTORBIKE, a_lot
from tests.world.passes import a_pass_in_force

pytestmark = pytest.mark.anyio

AT_ONCE = 6


async def enter_at_once(
    database: Database, flushes: Sequence[Sequence[EntryRequest]]
) -> list[EntryAnswer]:
    """Write each flush in its own transaction, all of them begun before any goes on."""
    ready = asyncio.Barrier(len(flushes))

    async def write(requests: Sequence[EntryRequest]) -> list[EntryAnswer]:
        async with database.begin() as session:
            await session.connection()
            await ready.wait()
            rows = await enter_vehicles(session, requests, now=NOON)
        answers = [make_answer(r, row) for r, row in zip(requests, rows, strict=True)]
        return [answer for answer in answers if isinstance(answer, EntryAnswer)]

    written = await asyncio.gather(*map(write, flushes))
    return [answer for answers in written for answer in answers]


async def test_one_plate_at_several_gates_at_once_is_let_in_once(
    app_database: Database, gate_database: Database, owner_database: Database
) -> None:
    lot = await a_lot(app_database)
    flushes = [[an_entry(lot, plate="29AA12345")] for _ in range(AT_ONCE)]

    answers = await enter_at_once(gate_database, flushes)

    assert verdicts(answers) == ["already_inside"] * (AT_ONCE - 1) + ["opened"]
    assert all_are(await count_parked(owner_database, lot), 1)


async def test_the_last_free_space_is_given_once(
    app_database: Database, gate_database: Database, owner_database: Database
) -> None:
    lot = await a_lot(app_database, capacity={MOTORBIKE: 4})
    flushes = [[an_entry(lot), an_entry(lot)] for _ in range(AT_ONCE)]

    answers = await enter_at_once(gate_database, flushes)

    assert verdicts(answers) == ["full"] * (2 * AT_ONCE - 4) + ["opened"] * 4
    assert all_are(await count_parked(owner_database, lot), 4)


async def test_the_same_request_at_once_is_opened_once(
    app_database: Database, gate_database: Database, owner_database: Database
) -> None:
    lot = await a_lot(app_database)
    entry = an_entry(lot)

    answers = await enter_at_once(gate_database, [[entry]] * AT_ONCE)

    assert verdicts(answers) == ["opened"] + ["repeat"] * (AT_ONCE - 1)
    assert all_are(await count_parked(owner_database, lot), 1)


async def test_flushes_over_the_same_lots_in_opposite_orders_do_not_wait_for_each_other(
    app_database: Database, gate_database: Database, owner_database: Database
) -> None:
    lots = [await a_lot(app_database) for _ in range(4)]
    forth = [[an_entry(lot) for lot in lots for _ in range(3)] for _ in range(3)]
    back = [[an_entry(lot) for lot in reversed(lots) for _ in range(3)] for _ in range(3)]

    answers = await enter_at_once(gate_database, [*forth, *back])

    assert verdicts(answers) == ["opened"] * 72
    for lot in lots:
        assert all_are(await count_parked(owner_database, lot), 18)


async def test_a_ticket_of_another_class_at_once_fails_a_flush_and_not_its_vehicles(
    app_database: Database, gate_database: Database, owner_database: Database
) -> None:
    lot = await a_lot(app_database)
    writers = [EntryWriter(gate_database, read_clock=lambda: NOON) for _ in range(2)]
    requests = [[an_entry(lot, plate=a_plate(), ticket="T2"), an_entry(lot)] for _ in writers]
    requests[1][0] = an_entry(lot, ticket="T2", vehicle_class=CAR)

    answers = await asyncio.gather(
        *[
            writer.enter(request)
            for writer, of_writer in zip(writers, requests, strict=True)
            for request in of_writer
        ]
    )

    assert verdicts(answers) == ["already_inside", "opened", "opened", "opened"]


async def test_one_pass_serves_one_of_its_vehicles_at_a_time_at_whatever_lot(
    app_database: Database, gate_database: Database, owner_database: Database
) -> None:
    lot = await a_lot(app_database)
    neighbour = await a_lot(app_database, org=lot.org)
    pass_id = await a_pass_in_force(app_database, lot.org.id, plates=("29AA11111", "29AA22222"))
    writers = [EntryWriter(gate_database, read_clock=lambda: NOON) for _ in range(2)]

    answers = await asyncio.gather(
        writers[0].enter(an_entry(lot, plate="29AA11111")),
        writers[1].enter(an_entry(neighbour, plate="29AA22222")),
    )

    assert verdicts(answers) == ["opened", "opened"]
    assert sorted(answer.pass_id is not None for answer in answers) == [False, True]
    assert {answer.pass_id for answer in answers} == {None, pass_id}
    assert sorted(answer.is_pass_in_use for answer in answers) == [False, True]
