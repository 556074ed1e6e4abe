"""A stay that no tariff prices: its vehicle leaves all the same, and its money is recorded."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from uuid import UUID

import psycopg
import pytest

from core.db import Database
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from parking.exits.leaving import LeaveFacts
from parking.exits.rules import ExitReason
from parking.exits.standing import get_stay
from parking.tariffs.errors import NoRateForVehicle
from parking.tariffs.records_errors import LotHasNoTariff
from parking.vehicles import VehicleClass
from tests.parking.exits.test_movements import Phone
from tests.parking.exits.test_paying_and_leaving import (
    count_inside,
    let_out,
    notify,
    show_bill,
)
from tests.payments.invariants import find_violations
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase, Template, a_template
from tests.world.lots import MOTORBIKE
from tests.world.notices import pay
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_gate, a_stay
from tests.world.reads import list_breaks

pytestmark = pytest.mark.anyio

OTHER = VehicleClass.OTHER


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[Gate]]:
    """A lot that takes a class without a price."""
    with a_template(cluster, partial(a_gate, capacity={OTHER: 5, MOTORBIKE: 5})) as template:
        yield template


def take_tariff_away(fresh_database: FreshDatabase) -> None:
    with psycopg.connect(fresh_database.owner_url) as owner:
        assert owner.execute("DELETE FROM lot_tariffs").rowcount == 1


@pytest.mark.parametrize("reason", [ExitReason.MANUAL, ExitReason.UNCONFIRMED, ExitReason.ARREARS])
async def test_a_vehicle_without_a_price_is_let_out_by_hand_and_a_person_looks(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase, reason: ExitReason
) -> None:
    stay_id = await a_stay(app_database, gate, vehicle_class=OTHER)
    assert isinstance((await let_out(app_database, gate, stay_id))[0], NoRateForVehicle)

    (left,) = await let_out(app_database, gate, stay_id, forced=reason, words="Chưa có giá")

    assert isinstance(left, LeaveFacts)
    assert (left.reason, left.price_vnd, left.arrears_vnd) == (reason.value, None, 0)
    assert await count_inside(app_database, gate) == (0, 0)
    assert await list_breaks(app_database, gate.stall) == ["parking_conflict"]
    (again,) = await let_out(app_database, gate, stay_id, forced=reason, words="Chưa có giá")
    assert (again.is_repeat, again.price_vnd) == (True, None)
    assert find_violations(fresh_database.owner_url) == []


async def test_a_lot_that_lost_its_tariff_lets_nobody_stay_for_ever(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate)
    take_tariff_away(fresh_database)
    assert isinstance((await let_out(app_database, gate, stay_id))[0], LotHasNoTariff)

    (left,) = await let_out(
        app_database, gate, stay_id, forced=ExitReason.MANUAL, words="Chưa có giá"
    )

    assert isinstance(left, LeaveFacts)


async def test_cash_and_the_exit_of_a_phone_without_network_are_written_without_a_price(
    app_database: Database,
    worker_database: Database,
    gate: Gate,
    fresh_database: FreshDatabase,
) -> None:
    phone = Phone(gate, app_database, worker_database)
    stay_id = await a_stay(app_database, gate, vehicle_class=OTHER)
    await phone.take_cash(stay_id)
    await phone.let_out(stay_id, at=NOON + timedelta(minutes=1))

    assert await phone.apply() == ["applied", "applied"]

    stay = await phone.look(stay_id)
    assert (stay.status, stay.price_vnd, stay.paid_vnd) == ("left", None, PER_VISIT_VND)
    assert await list_breaks(app_database, gate.stall) == ["parking_conflict"]
    assert find_violations(fresh_database.owner_url) == []


async def test_what_is_paid_by_a_code_counts_though_the_price_is_gone(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate)
    bill = await show_bill(app_database, gate, stay_id, PER_VISIT_VND)
    take_tariff_away(fresh_database)

    await pay(app_database, gate.stall, bill)
    assert await notify(app_database, gate) == 1

    assert (await read_stay(app_database, gate, stay_id)) == (PER_VISIT_VND, PER_VISIT_VND)
    (left,) = await let_out(app_database, gate, stay_id, forced=ExitReason.ARREARS, words="Mở tay")
    assert (left.price_vnd, left.paid_vnd, left.arrears_vnd) == (PER_VISIT_VND, PER_VISIT_VND, 0)
    assert find_violations(fresh_database.owner_url) == []


async def read_stay(database: Database, gate: Gate, stay_id: UUID) -> tuple[int, int]:
    async with open_org_transaction(database, gate.org_id) as session:
        stay = await get_stay(session, gate.org_id, stay_id)
    return stay.paid_vnd, stay.bill_paid_vnd
