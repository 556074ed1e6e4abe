"""Exits for a reason in writing: so many unconfirmed ones a shift, each with a photo of its own."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.exits.errors import UnconfirmedLimitReached
from parking.exits.leaving import LeaveFacts, LeaveRequest, leave
from parking.exits.rules import ExitReason
from parking.exits.undoing import undo_exit
from parking.photos.errors import PhotoNotFound, PhotoUsed
from parking.sessions.service import attach_photo
from parking.shifts.service import close_shift
from parking.shifts.views import read_report
from tests.world.constants import NOON
from tests.world.lots import CAR, MOTORBIKE
from tests.world.parking_sessions import Gate, a_gate, a_stay, an_attendant, open_a_shift
from tests.world.photos import a_photo, an_entry_photo
from tests.world.waits import wait_until_blocked

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MOST = 2  # unconfirmed exits of a shift


@pytest.fixture
async def gate(app_database: Database) -> Gate:
    made = await a_gate(app_database)
    async with open_org_transaction(app_database, made.org_id) as session:
        await session.execute(text("UPDATE lots SET unconfirmed_exits_max = :most"), {"most": MOST})
    return made


def unconfirmed(gate: Gate, stay_id: UUID, **facts: Any) -> LeaveRequest:
    known = {"actor": gate.attendant, "forced": ExitReason.UNCONFIRMED, "words": "Đã chuyển khoản"}
    return LeaveRequest(session_id=stay_id, **{**known, **facts})


async def let_out(
    database: Database, gate: Gate, *requests: LeaveRequest
) -> list[LeaveFacts | HubError]:
    async with open_org_transaction(database, gate.org_id) as session:
        await session.connection()
        return await leave(session, gate.org_id, requests, now=NOON)


async def use_up(database: Database, gate: Gate, **facts: Any) -> None:
    for _ in range(MOST):
        (left,) = await let_out(
            database, gate, unconfirmed(gate, await a_stay(database, gate), **facts)
        )
        assert isinstance(left, LeaveFacts)


async def test_a_shift_lets_out_no_more_unconfirmed_transfers_than_its_lot_allows(
    app_database: Database, gate: Gate
) -> None:
    await use_up(app_database, gate)
    stay_id = await a_stay(app_database, gate)

    (refused,) = await let_out(app_database, gate, unconfirmed(gate, stay_id))

    assert isinstance(refused, UnconfirmedLimitReached)
    (owing,) = await let_out(
        app_database, gate, unconfirmed(gate, stay_id, forced=ExitReason.ARREARS)
    )
    assert isinstance(owing, LeaveFacts)  # that is another way out
    async with open_org_transaction(app_database, gate.org_id) as session:
        report = await read_report(session, gate.org_id, gate.shift_id)
    assert report.unconfirmed.count == MOST


async def test_the_limit_counts_within_one_batch_too(app_database: Database, gate: Gate) -> None:
    stay_ids = [await a_stay(app_database, gate) for _ in range(MOST + 1)]

    answers = await let_out(app_database, gate, *(unconfirmed(gate, one) for one in stay_ids))

    assert [isinstance(one, LeaveFacts) for one in answers] == [True] * MOST + [False]


async def test_who_may_override_lets_more_out(app_database: Database, gate: Gate) -> None:
    await use_up(app_database, gate)
    stay_id = await a_stay(app_database, gate)

    (left,) = await let_out(app_database, gate, unconfirmed(gate, stay_id, is_approved=True))

    assert isinstance(left, LeaveFacts)


async def test_the_next_shift_begins_anew_and_nobody_has_another_ones_limit(
    app_database: Database, gate: Gate
) -> None:
    await use_up(app_database, gate)
    other = await an_attendant(app_database, gate.lot)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await open_a_shift(session, gate.lot, other)
    (left,) = await let_out(
        app_database, gate, unconfirmed(gate, await a_stay(app_database, gate), actor=other)
    )
    assert isinstance(left, LeaveFacts)
    later = NOON + timedelta(minutes=1)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await close_shift(
            session,
            gate.org_id,
            gate.shift_id,
            counted_vnd=0,
            note=None,
            actor=gate.attendant,
            now=later,
        )
        await open_a_shift(session, gate.lot, gate.attendant, now=later)
    stay_id = await a_stay(app_database, gate)

    async with open_org_transaction(app_database, gate.org_id) as session:
        (left,) = await leave(session, gate.org_id, [unconfirmed(gate, stay_id)], now=later)

    assert isinstance(left, LeaveFacts)


async def test_without_a_shift_the_last_day_counts(app_database: Database, gate: Gate) -> None:
    other = await an_attendant(app_database, gate.lot)
    await use_up(app_database, gate, actor=other)

    (refused,) = await let_out(
        app_database, gate, unconfirmed(gate, await a_stay(app_database, gate), actor=other)
    )

    assert isinstance(refused, UnconfirmedLimitReached)


async def test_of_two_at_once_for_the_last_one_the_second_waits_and_stays(
    app_database: Database, gate: Gate
) -> None:
    await let_out(app_database, gate, unconfirmed(gate, await a_stay(app_database, gate)))
    # Each under an occupancy lock of its own.
    first_id = await a_stay(app_database, gate, vehicle_class=CAR)
    second_id = await a_stay(app_database, gate, vehicle_class=MOTORBIKE)

    async with open_org_transaction(app_database, gate.org_id) as session:
        (first,) = await leave(session, gate.org_id, [unconfirmed(gate, first_id)], now=NOON)
        at_once = asyncio.create_task(let_out(app_database, gate, unconfirmed(gate, second_id)))
        await wait_until_blocked(app_database)
    (second,) = await at_once

    assert isinstance(first, LeaveFacts)
    assert isinstance(second, UnconfirmedLimitReached)


async def test_one_photo_is_the_evidence_of_one_vehicle(app_database: Database, gate: Gate) -> None:
    photo = await a_photo(app_database, gate.org_id)
    stay_ids = [await a_stay(app_database, gate) for _ in range(3)]
    owing = {"forced": ExitReason.ARREARS, "photo": photo}

    answers = await let_out(
        app_database, gate, *(unconfirmed(gate, one, **owing) for one in stay_ids[:2])
    )
    (later,) = await let_out(app_database, gate, unconfirmed(gate, stay_ids[2], **owing))

    assert isinstance(answers[0], LeaveFacts)
    assert isinstance(answers[1], PhotoUsed)
    assert isinstance(later, PhotoUsed)


async def test_a_vehicle_that_leaves_unpaid_has_a_photo_that_is_kept(
    app_database: Database, gate: Gate
) -> None:
    request = unconfirmed(gate, await a_stay(app_database, gate), photo=bytes(32))

    (refused,) = await let_out(app_database, gate, request)

    assert isinstance(refused, PhotoNotFound)


async def attach(
    database: Database, gate: Gate, stay_id: UUID, photo: bytes, direction: str
) -> None:
    async with open_org_transaction(database, gate.org_id) as session:
        await attach_photo(
            session,
            gate.org_id,
            gate.lot.id,
            stay_id,
            new_id(),
            photo=photo,
            direction=direction,
            device_id=None,
            taken_by=new_id(),
            taken_at=NOON,
            now=NOON,
        )


async def test_a_photo_that_followed_its_entry_is_no_evidence_and_the_exits_own_one_is(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    came_in, went_out = [await a_photo(app_database, gate.org_id) for _ in range(2)]
    await attach(app_database, gate, stay_id, came_in, "in")

    (refused,) = await let_out(app_database, gate, unconfirmed(gate, stay_id, photo=came_in))
    (left,) = await let_out(app_database, gate, unconfirmed(gate, stay_id, photo=went_out))

    assert isinstance(refused, PhotoUsed)
    assert isinstance(left, LeaveFacts)


async def test_a_photo_of_a_way_in_does_not_follow_as_that_of_the_way_out(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    came_in = await an_entry_photo(app_database, gate.org_id, stay_id)
    await let_out(app_database, gate, unconfirmed(gate, stay_id))

    with pytest.raises(PhotoUsed):
        await attach(app_database, gate, stay_id, came_in, "out")

    await attach(app_database, gate, stay_id, await a_photo(app_database, gate.org_id), "out")


async def test_a_refused_photo_of_a_way_in_stays_free_for_its_own_vehicle(
    app_database: Database, gate: Gate
) -> None:
    stay_id, other_id = await a_stay(app_database, gate), await a_stay(app_database, gate)
    came_in = await an_entry_photo(app_database, gate.org_id, other_id)

    await let_out(app_database, gate, unconfirmed(gate, stay_id, photo=came_in))

    await attach(app_database, gate, other_id, came_in, "in")


async def test_an_exit_that_was_undone_keeps_its_photo(app_database: Database, gate: Gate) -> None:
    photo = await a_photo(app_database, gate.org_id)
    stay_id = await a_stay(app_database, gate)
    request = unconfirmed(gate, stay_id, photo=photo)
    await let_out(app_database, gate, request)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await undo_exit(session, gate.org_id, stay_id, actor=gate.attendant, now=NOON)

    (left,) = await let_out(app_database, gate, request)

    assert isinstance(left, LeaveFacts)


async def test_a_photo_that_was_sent_before_its_exit_stays_the_photo_of_the_way_out(
    app_database: Database, gate: Gate
) -> None:
    photo = await a_photo(app_database, gate.org_id)
    stay_id = await a_stay(app_database, gate)
    await attach(app_database, gate, stay_id, photo, "out")

    await let_out(app_database, gate, unconfirmed(gate, stay_id))

    async with open_org_transaction(app_database, gate.org_id) as session:
        query = text("SELECT exit_photo FROM parking_sessions WHERE id = :id")
        assert await session.scalar(query, {"id": stay_id}) == photo


async def test_of_two_vehicles_with_one_photo_at_once_one_leaves(
    app_database: Database, gate: Gate
) -> None:
    photo = await a_photo(app_database, gate.org_id)
    stay_ids = [
        await a_stay(app_database, gate, vehicle_class=vehicle_class)
        for vehicle_class in (CAR, MOTORBIKE)
    ]
    ready = asyncio.Barrier(2)

    async def go(stay_id: UUID) -> LeaveFacts | HubError:
        await ready.wait()
        (answer,) = await let_out(app_database, gate, unconfirmed(gate, stay_id, photo=photo))
        return answer

    answers = await asyncio.gather(*(go(one) for one in stay_ids))

    assert sorted(isinstance(one, LeaveFacts) for one in answers) == [False, True]
