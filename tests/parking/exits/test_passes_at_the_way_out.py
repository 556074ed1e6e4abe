"""A monthly pass that is shown at the way out, or taken back: for one vehicle, and no money."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text

from core.clock import day_bounds
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from parking.collections.rules import CollectionFacts, CollectionRail
from parking.exits.errors import PassNotValid
from parking.exits.paying import Taken
from parking.exits.rules import ExitReason
from parking.exits.undoing import correct_vehicle, reverse_collection
from parking.sessions.queries import enter_vehicles
from tests.parking.exits.test_paying_and_leaving import let_out, look, take
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase, Template, a_template
from tests.world.entries import an_entry
from tests.world.lots import CAR
from tests.world.parking_sessions import HOURLY_VND, PER_VISIT_VND, Gate, a_gate, a_stay
from tests.world.passes import a_pass, with_monthly_prices

pytestmark = pytest.mark.anyio

FIRST, SECOND, NO_ONES = "29AA11111", "29AA22222", "29AA22223"
LATER = NOON + timedelta(hours=1)


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[Gate]]:
    """A lot whose tariff has monthly prices."""
    with a_template(cluster, partial(a_gate, document=with_monthly_prices())) as template:
        yield template


async def enter(gate_database: Database, gate: Gate, plate: str) -> UUID:
    entry = an_entry(gate.lot, plate=plate)
    async with gate_database.begin() as session:
        await enter_vehicles(session, [entry], now=NOON)
    return entry.id


async def show_pass(
    database: Database, gate: Gate, stay_id: UUID, pass_id: UUID, *, now: datetime = NOON
) -> CollectionFacts:
    taken = Taken(id=new_id(), rail=CollectionRail.PASS, amount_vnd=None, pass_id=pass_id)
    return await take(database, gate, stay_id, taken, now=now)


async def take_back(
    database: Database, gate: Gate, collected: CollectionFacts, *, now: datetime = NOON
) -> None:
    async with open_org_transaction(database, gate.org_id) as session:
        await reverse_collection(
            session,
            gate.org_id,
            collected.id,
            may_override=True,
            reason="Không phải vé của xe này",
            actor=MANAGER,
            now=now,
        )


async def correct(database: Database, gate: Gate, stay_id: UUID, plate: str) -> None:
    async with open_org_transaction(database, gate.org_id) as session:
        await correct_vehicle(
            session,
            gate.org_id,
            stay_id,
            plate=plate,
            vehicle_class="motorbike",
            may_override=True,
            reason="Đọc nhầm",
            actor=gate.attendant,
            now=NOON,
        )


async def test_the_second_vehicle_of_a_pass_cannot_leave_on_it_while_the_first_is_inside(
    app_database: Database, gate_database: Database, gate: Gate
) -> None:
    pass_id = await a_pass(app_database, gate, FIRST, SECOND)
    first, second = [await enter(gate_database, gate, plate) for plate in (FIRST, SECOND)]

    with pytest.raises(PassNotValid):
        await show_pass(app_database, gate, second, pass_id, now=LATER)

    await let_out(app_database, gate, first, now=LATER)
    await show_pass(app_database, gate, second, pass_id, now=LATER)


async def test_a_pass_that_was_shown_is_in_use_until_its_vehicle_has_left(
    app_database: Database, gate_database: Database, gate: Gate
) -> None:
    first, second = [await enter(gate_database, gate, plate) for plate in (FIRST, SECOND)]
    pass_id = await a_pass(app_database, gate, FIRST, SECOND)
    collected = await show_pass(app_database, gate, first, pass_id)

    with pytest.raises(PassNotValid):
        await show_pass(app_database, gate, second, pass_id)

    await take_back(app_database, gate, collected)
    await show_pass(app_database, gate, second, pass_id)
    await let_out(app_database, gate, second)
    await show_pass(app_database, gate, first, pass_id)


async def test_of_two_that_show_a_pass_at_once_one_is_on_it(
    app_database: Database, gate_database: Database, gate: Gate
) -> None:
    stays = [await enter(gate_database, gate, plate) for plate in (FIRST, SECOND)]
    pass_id = await a_pass(app_database, gate, FIRST, SECOND)

    answers = await asyncio.gather(
        *(show_pass(app_database, gate, one, pass_id) for one in stays), return_exceptions=True
    )

    assert sorted(type(one).__name__ for one in answers) == ["CollectionFacts", "PassNotValid"]


async def test_who_comes_in_while_a_pass_that_was_shown_is_in_use_pays(
    app_database: Database, gate_database: Database, gate: Gate
) -> None:
    first = await enter(gate_database, gate, FIRST)
    pass_id = await a_pass(app_database, gate, FIRST, SECOND)
    await show_pass(app_database, gate, first, pass_id)

    second = await enter(gate_database, gate, SECOND)

    assert (await look(app_database, gate, second, now=LATER)).due_vnd == PER_VISIT_VND


async def test_a_plate_that_is_corrected_to_a_pass_in_use_pays(
    app_database: Database, gate_database: Database, gate: Gate
) -> None:
    await a_pass(app_database, gate, FIRST, SECOND)
    await enter(gate_database, gate, FIRST)
    wrong = await enter(gate_database, gate, NO_ONES)

    await correct(app_database, gate, wrong, SECOND)

    assert (await look(app_database, gate, wrong, now=LATER)).due_vnd == PER_VISIT_VND


async def test_a_plate_that_is_corrected_to_a_free_pass_has_it_alone(
    app_database: Database, gate_database: Database, gate: Gate
) -> None:
    pass_id = await a_pass(app_database, gate, FIRST, SECOND)
    wrong = await enter(gate_database, gate, NO_ONES)

    await correct(app_database, gate, wrong, FIRST)
    second = await enter(gate_database, gate, SECOND)

    assert (await look(app_database, gate, wrong, now=LATER)).stay.pass_id == pass_id
    assert (await look(app_database, gate, wrong, now=LATER)).due_vnd == 0
    assert (await look(app_database, gate, second, now=LATER)).due_vnd == PER_VISIT_VND


async def test_a_pass_pays_nothing_of_what_comes_after_its_last_day(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    plate = "30A12345"
    stay_id = await a_stay(
        app_database, gate, vehicle_class=CAR, plate=plate, entered_at=NOON - timedelta(hours=3)
    )
    pass_id = await a_pass(app_database, gate, plate, vehicle_class=CAR)
    collected = await show_pass(app_database, gate, stay_id, pass_id)
    assert collected.amount_vnd == 3 * HOURLY_VND
    async with open_org_transaction(app_database, gate.org_id) as session:
        await session.execute(text("UPDATE passes SET valid_until = :on"), {"on": NOON.date()})

    _, midnight = day_bounds(NOON.date())
    standing = await look(app_database, gate, stay_id, now=midnight + timedelta(hours=8))

    assert standing.price.amount_vnd == 8 * HOURLY_VND
    assert standing.due_vnd == standing.price.amount_vnd
    assert standing.stay.paid_vnd == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_a_vehicle_that_left_on_a_pass_which_is_taken_back_owes_its_stay(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate, plate=FIRST)
    pass_id = await a_pass(app_database, gate, FIRST)
    collected = await show_pass(app_database, gate, stay_id, pass_id)
    (left,) = await let_out(app_database, gate, stay_id)
    assert (left.reason, left.paid_vnd) == ("pass", 0)

    await take_back(app_database, gate, collected)

    standing = await look(app_database, gate, stay_id)
    assert (standing.due_vnd, standing.stay.price_vnd) == (PER_VISIT_VND, PER_VISIT_VND)
    assert find_violations(fresh_database.owner_url) == []


async def test_arrears_that_a_pass_covers_are_not_owed_again(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate, plate=FIRST)
    pass_id = await a_pass(app_database, gate, FIRST)
    await let_out(app_database, gate, stay_id, forced=ExitReason.ARREARS, words="Xe bỏ chạy")

    await show_pass(app_database, gate, stay_id, pass_id)

    stay = (await look(app_database, gate, stay_id)).stay
    assert (stay.price_vnd, stay.paid_vnd, stay.arrears_vnd) == (0, 0, 0)
    assert find_violations(fresh_database.owner_url) == []
