"""Vehicles that left and came back while a phone was offline, however its queue is sent."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from ops.postgres.supervisor import Cluster
from parking.exits.applier import apply_device
from parking.exits.movement_applier import MovementApplier
from tests.world.databases import Template
from tests.world.entries import all_are, count_parked
from tests.world.gates import Gate, KnownGate, a_gate_template
from tests.world.lots import MOTORBIKE
from tests.world.offline import EnrolledPhone, a_phone
from tests.world.parking_sessions import a_tariff

pytestmark = pytest.mark.anyio

PLATE = "29AA12345"
PIECES = [(4,), (1, 3), (2, 2), (3, 1), (1, 1, 1, 1)]  # how many of a queue come at once
EVERYDAY = {((4,), False), ((1, 1, 1, 1), True)}  # the two furthest apart


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[KnownGate]]:
    """A lot with room for five motorbikes."""
    with a_gate_template(cluster, capacity={MOTORBIKE: 5}) as template:
        yield template


@pytest.fixture
async def gate(gate: Gate) -> Gate:
    """The same lot with a tariff."""
    await a_tariff(gate.hub.services.database, gate.lot, now=read_clock())
    return gate


@pytest.fixture
async def phone(gate: Gate) -> EnrolledPhone:
    """A phone that is enrolled at this lot."""
    return await a_phone(gate)


async def apply(gate: Gate, phone: EnrolledPhone) -> int:
    """Let the worker come by; return how many movements were applied."""
    database = gate.hub.services.database
    return await apply_device(database, gate.lot.org.id, phone.device_id, now=read_clock())


async def list_stays(owner_database: Database) -> list[str]:
    async with owner_database.begin() as session:
        query = text("SELECT status FROM parking_sessions ORDER BY entered_at")
        return [row[0] for row in await session.execute(query)]


async def read_rest(owner_database: Database) -> tuple[int, int]:
    """Return how many breaks are open, and how many movements keep what they asked."""
    async with owner_database.begin() as session:
        breaks = await session.scalar(text("SELECT count(*) FROM breaks"))
        kept = await session.scalar(text("SELECT count(*) FROM movements WHERE request::text > ''"))
        return int(breaks or 0), int(kept or 0)


@pytest.fixture(autouse=True)
def no_hub_applies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub dies before it applies what it stored: a worker does, when a test says so."""
    monkeypatch.setattr(MovementApplier, "wake", lambda *_: None)


def a_day(phone: EnrolledPhone, *, comings: int) -> list[dict[str, Any]]:
    """A vehicle that is in, out, in, …: of so many comings the last one stays."""
    at = read_clock() - timedelta(hours=10)
    day = []
    for coming in range(comings):
        at += timedelta(hours=1)
        entry = phone.entry(at=at, plate=PLATE)
        day.append(entry)
        if coming < comings - 1:
            day.append(phone.exit(entry, at=at + timedelta(minutes=30)))
    return day


@pytest.mark.parametrize(
    ("pieces", "is_applied_between"),
    [
        pytest.param(*way, marks=() if way in EVERYDAY else pytest.mark.slow)
        for way in product(PIECES, (False, True))
    ],
)
async def test_a_vehicle_that_left_and_came_back_twice_has_each_of_its_stays(
    gate: Gate,
    phone: EnrolledPhone,
    owner_database: Database,
    pieces: Sequence[int],
    is_applied_between: bool,
) -> None:
    """It was inside when the line was lost; the queue comes whole or in pieces."""
    first, *rest = a_day(phone, comings=3)
    assert await phone.send(first) == ["opened"]

    for size in pieces:
        piece, rest = rest[:size], rest[size:]
        assert set(await phone.send(*piece)) <= {"opened", "waiting"}
        assert set(await phone.send(*piece)) <= {"opened", "waiting"}
        if is_applied_between:
            await apply(gate, phone)
    await apply(gate, phone)

    assert await list_stays(owner_database) == ["left", "left", "inside"]
    assert all_are(await count_parked(owner_database, gate.lot), 1)
    assert await read_rest(owner_database) == (0, 0)


async def test_what_is_sent_between_an_exit_and_the_entry_that_waits_for_it_waits_as_well(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    """The worker has applied the exit and not yet the entry when the next batch comes."""
    first, *rest = a_day(phone, comings=3)
    await phone.send(first)
    assert await phone.send(*rest[:2]) == ["waiting", "waiting"]
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE movements SET seq = seq + 10 WHERE kind = 'exit'"))
        await session.execute(text("DELETE FROM inside"))

    assert await phone.send(*rest[2:]) == ["waiting", "waiting"]


async def test_a_vehicle_that_is_inside_again_before_its_entry_is_applied_is_a_break(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    first, out, back = a_day(phone, comings=2)
    await phone.send(first)
    assert await phone.send(out, back) == ["waiting", "waiting"]
    async with owner_database.begin() as session:
        await session.execute(text("DELETE FROM movements WHERE kind = 'exit'"))

    assert await apply(gate, phone) == 1

    assert await list_stays(owner_database) == ["inside"]
    assert await read_rest(owner_database) == (1, 0)
