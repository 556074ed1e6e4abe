"""A monthly pass that is shown at the way out, or taken back: for one vehicle, and no money."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.clock import day_bounds
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.collections.rules import CollectionFacts, CollectionRail
from parking.exits.paying import Taken
from parking.exits.rules import ExitReason
from parking.exits.undoing import reverse_collection
from tests.parking.exits.test_paying_and_leaving import let_out, look, take
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.lots import CAR
from tests.world.parking_sessions import HOURLY_VND, PER_VISIT_VND, Gate, a_gate, a_stay
from tests.world.sold_passes import a_pass, with_monthly_prices

pytestmark = pytest.mark.anyio

FIRST, SECOND, NO_ONES = "29AA11111", "29AA22222", "29AA22223"
LATER = NOON + timedelta(hours=1)


@pytest.fixture
async def gate(app_database: Database) -> Gate:
    return await a_gate(app_database, document=with_monthly_prices())


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
