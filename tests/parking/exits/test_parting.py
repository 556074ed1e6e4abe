"""One stay of two vehicles becomes two, and the money stays with the first."""

import pytest
from sqlalchemy import text

from core.db import Database
from core.errors import InvalidRequest
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.exits.errors import CredentialInside, StayIdTaken
from parking.exits.joining import join_stays
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.parting import part_stay
from parking.exits.rules import ExitReason
from tests.parking.exits.joining_steps import (
    HOUR,
    PLATE,
    TICKET,
    part,
    read,
    read_due,
    read_inside,
    take_cash,
)
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.parking_sessions import (
    PER_VISIT_VND,
    Gate,
    a_stay,
)
from tests.world.passes import a_pass_in_force

pytestmark = pytest.mark.anyio


async def test_a_stay_of_two_vehicles_is_parted_and_the_money_stays_with_the_first(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate, plate=PLATE, ticket=TICKET)
    await take_cash(app_database, gate, stay_id, PER_VISIT_VND)
    request_id = new_id()

    parted = [await part(app_database, gate, stay_id, id_=request_id, ticket=TICKET) for _ in "12"]

    assert parted[0] == parted[1]
    first, second = await read(app_database, gate, stay_id), parted[0]
    assert (first.plate, first.ticket, first.paid_vnd) == (PLATE, None, PER_VISIT_VND)
    assert (second.plate, second.ticket, second.paid_vnd) == (None, TICKET, 0)
    assert second.entered_at == first.entered_at
    assert await read_inside(app_database, gate) == (
        2,
        {(f"motorbike:{PLATE}", stay_id), (TICKET, second.id)},
    )
    assert await read_due(app_database, gate, second.id) == PER_VISIT_VND
    assert find_violations(fresh_database.owner_url) == []


async def test_a_second_vehicle_may_have_a_plate_of_its_own_and_takes_the_pass_along(
    app_database: Database, gate: Gate
) -> None:
    pass_id = await a_pass_in_force(app_database, gate.org_id, plates=[PLATE])
    stay_id = await a_stay(app_database, gate, plate=PLATE, ticket=TICKET, pass_id=pass_id)

    second = await part(app_database, gate, stay_id, plate=PLATE)
    third = await part(app_database, gate, stay_id, plate="29AA99999")

    assert (second.pass_id, third.pass_id) == (pass_id, None)
    assert (await read(app_database, gate, stay_id)).pass_id is None
    assert (await read_inside(app_database, gate))[0] == 3


@pytest.mark.parametrize("kind", ["token", "tag"])
async def test_a_token_that_the_second_vehicle_takes_along_is_still_a_token(
    app_database: Database, gate: Gate, kind: str
) -> None:
    stay_id = await a_stay(app_database, gate, plate=PLATE, ticket=TICKET, ticket_kind=kind)

    second = await part(app_database, gate, stay_id, ticket=TICKET)

    assert (second.ticket, second.ticket_kind) == (TICKET, kind)
    async with open_org_transaction(app_database, gate.org_id) as session:
        listed = await session.execute(text("SELECT kind, session_id FROM inside ORDER BY kind"))
        assert {(row[0], row[1]) for row in listed} == {("plate", stay_id), (kind, second.id)}


async def test_reasons_of_joining_and_parting_are_kept_without_whole_plates(
    app_database: Database, gate: Gate
) -> None:
    stays = [
        await a_stay(app_database, gate, ticket=TICKET, entered_at=NOON - 2 * HOUR),
        await a_stay(app_database, gate, plate=PLATE),
    ]
    why = "Xe 29AA-123.45 vào hai lần"
    async with open_org_transaction(app_database, gate.org_id) as session:
        kept = await join_stays(session, gate.org_id, *stays, reason=why, actor=MANAGER, now=NOON)
        await part_stay(
            session, gate.org_id, kept.id, new_id(), plate=None, ticket=TICKET,
            ticket_kind="ticket", reason=why, actor=MANAGER, now=NOON,
        )  # fmt: skip
        reasons = (await session.scalars(text("SELECT reason FROM stay_links"))).all()

    assert len(reasons) == 2
    assert not [one for one in reasons if "123.45" in one or "12345" in one], reasons


@pytest.mark.parametrize("licensed", [0, 1, 2])
async def test_a_parted_vehicle_that_is_one_too_many_for_the_licence_is_an_alarm(
    app_database: Database, gate: Gate, licensed: int
) -> None:
    stay_id = await a_stay(app_database, gate, plate=PLATE, ticket=TICKET)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await session.execute(text("UPDATE occupancy SET licensed_capacity = :n"), {"n": licensed})

    await part(app_database, gate, stay_id, ticket=TICKET)

    async with open_org_transaction(app_database, gate.org_id) as session:
        query = text("SELECT data FROM events WHERE kind = 'parking.over_licence'")
        told = (await session.scalars(query)).all()
    assert [(one["licensed_capacity"], one["inside_count"]) for one in told] == (
        [(1, 2)] if licensed == 1 else []
    )


async def test_one_that_left_can_be_parted_because_the_other_is_still_there(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate, plate=PLATE, ticket=TICKET)
    async with open_org_transaction(app_database, gate.org_id) as session:
        request = LeaveRequest(
            session_id=stay_id, actor=gate.attendant, forced=ExitReason.MANUAL, words="quen"
        )
        await leave(session, gate.org_id, [request], now=NOON)

    second = await part(app_database, gate, stay_id, ticket=TICKET)

    assert (await read(app_database, gate, stay_id)).status == "left"
    assert await read_inside(app_database, gate) == (1, {(TICKET, second.id)})


async def test_no_vehicle_is_left_without_a_name_or_takes_that_of_another(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate, plate=PLATE)
    await a_stay(app_database, gate, ticket=TICKET)
    request_id = new_id()

    for facts in ({}, {"plate": PLATE}):
        with pytest.raises(InvalidRequest):
            await part(app_database, gate, stay_id, **facts)
    with pytest.raises(CredentialInside):
        await part(app_database, gate, stay_id, ticket=TICKET)
    await part(app_database, gate, stay_id, id_=request_id, ticket="C1")
    with pytest.raises(StayIdTaken):
        await part(app_database, gate, stay_id, id_=request_id, ticket="C2")
    assert (await read_inside(app_database, gate))[0] == 3
