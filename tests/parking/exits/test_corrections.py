"""A vehicle inside is corrected: within what its lot takes, and under the lock of its class."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.errors import Busy
from core.tenancy import open_org_transaction
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.rules import ExitReason
from parking.exits.undoing import correct_vehicle, undo_exit
from parking.sessions.errors import LotOrClassNotFound
from tests.parking.exits.test_paying_and_leaving import count_inside
from tests.world.constants import MANAGER, NOON
from tests.world.lots import CAR, MOTORBIKE
from tests.world.parking_sessions import Gate, a_gate, a_stay

pytestmark = pytest.mark.anyio


async def correct(
    session: AsyncSession, gate: Gate, stay_id: UUID, plate: str, vehicle_class: str
) -> None:
    await correct_vehicle(
        session,
        gate.org_id,
        stay_id,
        plate=plate,
        vehicle_class=vehicle_class,
        may_override=True,
        reason="Đọc nhầm",
        actor=MANAGER,
        now=NOON,
    )


async def test_a_vehicle_is_not_corrected_to_a_class_that_its_lot_does_not_take(
    app_database: Database,
) -> None:
    gate = await a_gate(app_database, capacity={MOTORBIKE: 5})
    stay_id = await a_stay(app_database, gate)

    async with open_org_transaction(app_database, gate.org_id) as session:
        with pytest.raises(LotOrClassNotFound):
            await correct(session, gate, stay_id, "30A11111", "car")

    assert await count_inside(app_database, gate) == (1, 1)


async def test_who_waited_while_another_changed_the_class_is_asked_to_try_again(
    app_database: Database,
) -> None:
    """The occupancy of the class that it has by now is not locked."""
    gate = await a_gate(app_database)
    stay_id = await a_stay(app_database, gate)

    async def correct_too() -> None:
        async with open_org_transaction(app_database, gate.org_id) as session:
            await correct(session, gate, stay_id, "29AA11111", "motorbike")

    async with open_org_transaction(app_database, gate.org_id) as session:
        await correct(session, gate, stay_id, "30A11111", "car")
        other = asyncio.create_task(correct_too())
        await asyncio.sleep(0.5)

    with pytest.raises(Busy):
        await other
    assert await count_inside(app_database, gate) == (1, 1)


async def read_alarms(database: Database, gate: Gate) -> list[tuple[str, int, int]]:
    async with open_org_transaction(database, gate.org_id) as session:
        rows = await session.scalars(
            text("SELECT data FROM events WHERE kind = 'parking.over_licence'")
        )
        return [
            (one["vehicle_class"], one["licensed_capacity"], one["inside_count"]) for one in rows
        ]


async def license_one(database: Database, gate: Gate) -> None:
    async with open_org_transaction(database, gate.org_id) as session:
        await session.execute(text("UPDATE occupancy SET licensed_capacity = 1"))


@pytest.mark.parametrize("others", [0, 1, 2])
async def test_one_that_is_corrected_into_a_class_that_is_full_by_licence_is_an_alarm(
    app_database: Database, others: int
) -> None:
    gate = await a_gate(app_database)
    await license_one(app_database, gate)
    for _ in range(others):
        await a_stay(app_database, gate, vehicle_class=CAR)
    stay_id = await a_stay(app_database, gate)

    async with open_org_transaction(app_database, gate.org_id) as session:
        await correct(session, gate, stay_id, "30A11111", "car")

    assert await read_alarms(app_database, gate) == ([("car", 1, 2)] if others == 1 else [])


async def test_an_exit_that_is_undone_into_a_lot_that_is_full_by_licence_is_an_alarm(
    app_database: Database,
) -> None:
    gate = await a_gate(app_database)
    await license_one(app_database, gate)
    stay_id = await a_stay(app_database, gate)
    async with open_org_transaction(app_database, gate.org_id) as session:
        request = LeaveRequest(
            session_id=stay_id, actor=gate.attendant, forced=ExitReason.MANUAL, words="quen"
        )
        await leave(session, gate.org_id, [request], now=NOON)
    await a_stay(app_database, gate)

    async with open_org_transaction(app_database, gate.org_id) as session:
        await undo_exit(session, gate.org_id, stay_id, actor=gate.attendant, now=NOON)

    assert await read_alarms(app_database, gate) == [("motorbike", 1, 2)]
