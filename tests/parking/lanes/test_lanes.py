"""Commands to lanes: in time, once, to one controller, and for whom a barrier opens."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.clock import read_clock
from core.db import Database
from core.errors import Busy, HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.rules import ExitReason
from parking.lanes import queries, service
from parking.lanes.errors import (
    LaneAnswered,
    LaneBusy,
    LaneCommandNotFound,
    LaneNotServed,
    LaneReasonNeeded,
)
from parking.lanes.rules import (
    WAITERS_A_LANE_MAX,
    LaneCommandFacts,
    LaneResult,
    LaneState,
    OpenWanted,
    PassingFacts,
    needs_words,
)
from parking.lanes.waiting import LaneWaiters
from parking.photos.errors import PhotoNotFound, PhotoUsed
from tests.world.lanes import PHOTO, a_served_lane
from tests.world.parking_sessions import Gate, a_gate, a_stay
from tests.world.photos import a_photo, an_entry_photo

pytestmark = pytest.mark.anyio

Move = Callable[[AsyncSession], Awaitable[Any]]
CONTROLLER = Actor(kind="api_key", id=new_id(), name="Thanh chắn")
OTHER = Actor(kind="api_key", id=new_id(), name="Thanh chắn khác")


@pytest.fixture
async def gate(app_database: Database) -> Gate:
    made = await a_gate(app_database, now=read_clock())
    await a_served_lane(app_database, made.lot)
    return made


def hand(**facts: Any) -> OpenWanted:
    wanted = {"id": new_id(), "session_id": None, "reason": "Kẹt thẻ", "photo": PHOTO, **facts}
    return OpenWanted(**wanted)


async def open_lane(database: Database, gate: Gate, wanted: OpenWanted) -> LaneCommandFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await service.open_lane(
            session,
            gate.org_id,
            gate.lot.id,
            gate.lot.way_out_id,
            wanted,
            actor=gate.attendant,
            now=read_clock(),
        )


async def fetch(database: Database, gate: Gate, by: Actor = CONTROLLER) -> LaneCommandFacts | None:
    assert by.id is not None
    async with open_org_transaction(database, gate.org_id) as session:
        return await service.fetch(session, gate.org_id, gate.lot.id, gate.lot.way_out_id, by=by.id)


async def answer(
    database: Database, gate: Gate, id_: UUID, result: str, by: Actor = CONTROLLER
) -> LaneCommandFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await service.answer(
            session,
            gate.org_id,
            gate.lot.way_out_id,
            id_,
            LaneResult(result),
            actor=by,
            now=read_clock(),
        )


async def read(database: Database, gate: Gate, id_: UUID) -> LaneCommandFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        found = await queries.find_command(session, gate.org_id, id_)
    assert found is not None
    return found


async def make_old(owner: Database) -> None:
    async with owner.begin() as session:
        await session.execute(
            text("UPDATE lane_commands SET expires_at = expires_at - interval '6 s'")
        )


async def test_a_command_is_fetched_once_and_answered(app_database: Database, gate: Gate) -> None:
    wanted = hand()
    command = await open_lane(app_database, gate, wanted)
    assert command.state is LaneState.WAITING
    assert command.expires_at - command.requested_at == timedelta(seconds=5)

    fetched = await fetch(app_database, gate)

    assert fetched is not None
    assert fetched.id == wanted.id
    assert await fetch(app_database, gate) is None  # never given out again
    done = await answer(app_database, gate, wanted.id, "opened")
    assert done.state is LaneState.OPENED
    assert await answer(app_database, gate, wanted.id, "opened") == done
    with pytest.raises(LaneAnswered):
        await answer(app_database, gate, wanted.id, "stuck")
    with pytest.raises(LaneCommandNotFound):
        await answer(app_database, gate, wanted.id, "opened", by=OTHER)
    again = await open_lane(app_database, gate, wanted)
    assert again == done  # the same id opens nothing again
    assert await fetch(app_database, gate) is None


async def test_a_command_that_is_over_is_not_carried_out_and_shows_silent(
    app_database: Database, owner_database: Database, gate: Gate
) -> None:
    wanted = hand()
    await open_lane(app_database, gate, wanted)
    await make_old(owner_database)

    assert await fetch(app_database, gate) is None
    assert (await read(app_database, gate, wanted.id)).state is LaneState.SILENT


async def test_an_answer_that_comes_late_is_shown(
    app_database: Database, owner_database: Database, gate: Gate
) -> None:
    wanted = hand()
    await open_lane(app_database, gate, wanted)
    await fetch(app_database, gate)
    await make_old(owner_database)
    assert (await read(app_database, gate, wanted.id)).state is LaneState.SILENT

    assert (await answer(app_database, gate, wanted.id, "stuck")).state is LaneState.STUCK


async def race(database: Database, gate: Gate, *moves: Move) -> list[Any]:
    """Make each move in its own transaction, all from one instant; return answers or errors."""
    ready = asyncio.Barrier(len(moves))

    async def make(move: Move) -> Any:
        try:
            async with open_org_transaction(database, gate.org_id) as session:
                await session.connection()
                await ready.wait()
                return await move(session)
        except HubError as error:
            return error

    return list(await asyncio.gather(*map(make, moves)))


async def test_of_two_openings_at_once_one_is_told_that_the_lane_is_busy(
    app_database: Database, gate: Gate
) -> None:
    place = (gate.org_id, gate.lot.id, gate.lot.way_out_id)

    async def opening(session: AsyncSession) -> Any:
        return await service.open_lane(
            session, *place, hand(), actor=gate.attendant, now=read_clock()
        )

    answers = await race(app_database, gate, *[opening] * 4)

    assert sorted(type(one).__name__ for one in answers) == ["LaneBusy"] * 3 + ["LaneCommandFacts"]


async def test_of_controllers_at_once_one_gets_the_command(
    app_database: Database, gate: Gate
) -> None:
    await open_lane(app_database, gate, hand())
    place = (gate.org_id, gate.lot.id, gate.lot.way_out_id)

    async def fetching(session: AsyncSession) -> Any:
        return await service.fetch(session, *place, by=new_id())

    got = await race(app_database, gate, *[fetching] * 6)

    assert len([one for one in got if one is not None]) == 1


async def test_a_vehicle_that_left_just_now_needs_no_words_and_the_next_opening_does(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate, entered_at=read_clock())
    plain = OpenWanted(id=new_id(), session_id=stay_id)
    with pytest.raises(LaneReasonNeeded):  # it is inside still
        await open_lane(app_database, gate, plain)
    async with open_org_transaction(app_database, gate.org_id) as session:
        request = LeaveRequest(
            session_id=stay_id, actor=gate.attendant, forced=ExitReason.MANUAL, words="Hỏng máy"
        )
        await leave(session, gate.org_id, [request], now=read_clock())

    await open_lane(app_database, gate, plain)

    with pytest.raises(LaneBusy):
        await open_lane(app_database, gate, OpenWanted(id=new_id(), session_id=stay_id))
    await fetch(app_database, gate)
    await answer(app_database, gate, plain.id, "stuck")
    second = OpenWanted(id=new_id(), session_id=stay_id)
    await open_lane(app_database, gate, second)  # the first was stuck
    await fetch(app_database, gate)
    await answer(app_database, gate, second.id, "opened")
    with pytest.raises(LaneReasonNeeded):
        await open_lane(app_database, gate, OpenWanted(id=new_id(), session_id=stay_id))
    await open_lane(app_database, gate, hand(session_id=stay_id))


async def let_out(database: Database, gate: Gate, stay_id: UUID) -> None:
    """Let a vehicle leave by hand."""
    async with open_org_transaction(database, gate.org_id) as session:
        request = LeaveRequest(
            session_id=stay_id, actor=gate.attendant, forced=ExitReason.MANUAL, words="Hỏng máy"
        )
        await leave(session, gate.org_id, [request], now=read_clock())


async def test_a_lane_that_leads_both_ways_opens_once_each_way(
    app_database: Database, owner_database: Database, gate: Gate
) -> None:
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE parking_accesses SET direction = 'both'"))
    stay_id = await a_stay(app_database, gate, entered_at=read_clock())
    way_in = OpenWanted(id=new_id(), session_id=stay_id)
    await open_lane(app_database, gate, way_in)
    await fetch(app_database, gate)
    await answer(app_database, gate, way_in.id, "opened")
    async with owner_database.begin() as session:  # an hour ago
        await session.execute(
            text("UPDATE lane_commands SET requested_at = requested_at - interval '1 hour'")
        )
    await let_out(app_database, gate, stay_id)

    await open_lane(app_database, gate, OpenWanted(id=new_id(), session_id=stay_id))


async def test_a_vehicle_that_left_opens_one_lane_and_no_other(
    app_database: Database, owner_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate, entered_at=read_clock())
    await let_out(app_database, gate, stay_id)
    await open_lane(app_database, gate, OpenWanted(id=new_id(), session_id=stay_id))
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE parking_accesses SET direction = 'both'"))
        await session.execute(text("UPDATE lane_commands SET access_id = :other"),
                              {"other": gate.lot.way_in_id})  # fmt: skip

    with pytest.raises(LaneReasonNeeded):
        await open_lane(app_database, gate, OpenWanted(id=new_id(), session_id=stay_id))


async def test_a_command_that_nobody_fetched_in_time_costs_no_words(
    app_database: Database, owner_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate, entered_at=read_clock())
    await let_out(app_database, gate, stay_id)
    await open_lane(app_database, gate, OpenWanted(id=new_id(), session_id=stay_id))
    await make_old(owner_database)

    await open_lane(app_database, gate, OpenWanted(id=new_id(), session_id=stay_id))


async def test_one_photo_opens_one_lane_once_by_hand(
    app_database: Database, owner_database: Database, gate: Gate
) -> None:
    wanted = hand()
    first = await open_lane(app_database, gate, wanted)
    assert await open_lane(app_database, gate, wanted) == first
    await make_old(owner_database)

    with pytest.raises(PhotoUsed):
        await open_lane(app_database, gate, hand())
    with pytest.raises(PhotoUsed):
        await open_lane(app_database, gate, hand(session_id=await a_stay(app_database, gate)))

    photo = await a_photo(app_database, gate.org_id)
    await open_lane(app_database, gate, hand(photo=photo))


async def test_a_photo_of_a_way_in_opens_no_lane_by_hand(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    came_in = await an_entry_photo(app_database, gate.org_id, stay_id)

    with pytest.raises(PhotoUsed):
        await open_lane(app_database, gate, hand(session_id=stay_id, photo=came_in))


async def test_by_hand_takes_a_reason_and_a_photo_that_is_kept(
    app_database: Database, owner_database: Database, gate: Gate
) -> None:
    with pytest.raises(LaneReasonNeeded):
        await open_lane(app_database, gate, OpenWanted(id=new_id(), session_id=None))
    with pytest.raises(PhotoNotFound):
        await open_lane(app_database, gate, hand(photo=bytes(32)))

    await open_lane(app_database, gate, hand())

    async with owner_database.begin() as session:
        row = (
            await session.execute(
                text("SELECT action, reason FROM audit_log WHERE object_kind = 'parking_access'")
            )
        ).one()
    assert tuple(row) == ("lane.opening_by_hand", "Kẹt thẻ")


async def test_a_lane_without_a_controller_opens_on_no_command(
    app_database: Database, owner_database: Database, gate: Gate
) -> None:
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE parking_accesses SET has_controller = false"))

    with pytest.raises(LaneNotServed):
        await open_lane(app_database, gate, hand())


async def never_gone() -> bool:
    return False


async def test_a_command_of_another_process_is_found_at_once_and_waiting_is_bounded(
    app_database: Database, gate_database: Database, gate: Gate
) -> None:
    here = LaneWaiters(app_database, gate_database)

    def wait() -> Any:
        return here.fetch(
            gate.org_id,
            gate.lot.id,
            gate.lot.way_out_id,
            by=new_id(),
            wait_s=8,
            is_gone=never_gone,
        )

    async with here.running():
        tasks = [asyncio.create_task(wait()) for _ in range(WAITERS_A_LANE_MAX)]
        await asyncio.sleep(0.2)
        with pytest.raises(Busy):
            await wait()
        wanted = hand()
        await open_lane(app_database, gate, wanted)  # nobody wakes them in this process
        done, _ = await asyncio.wait(tasks, timeout=4, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result().id for task in done] == [wanted.id]
        here.close()
        assert [await task for task in tasks if task not in done] == [None] * 3


@pytest.mark.parametrize(
    ("direction", "ago_s", "needs"), [("out", 119, False), ("out", 121, True), ("in", 1, True)]
)
def test_words_are_needed_two_minutes_after_a_vehicle_left(
    direction: str, ago_s: int, needs: bool
) -> None:
    now = read_clock()
    passing = PassingFacts(
        status="left",
        entered_at=now - timedelta(hours=1),
        left_at=now - timedelta(seconds=ago_s),
        was_opened=False,
    )

    assert needs_words(passing, direction, now=now) is needs
