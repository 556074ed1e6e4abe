"""Lots: what a manager says about them, and how many vehicles they take."""

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import select

from core.audit import AuditRow
from core.db import Database
from core.errors import InvalidRequest
from core.tenancy import open_org_transaction
from parking.places import queries, service
from parking.places.errors import LotClosed, LotNotEmpty, OperatorNotFound, TooManyParts
from parking.places.rules import (
    ACCESSES_MAX,
    Direction,
    Licence,
    LicenceState,
    LotKind,
    check_lot,
    judge_licence,
)
from parking.places.service import LotFacts
from parking.vehicles import VehicleClass
from payments.payees.errors import PayeeNotFound
from tests.world.constants import MANAGER, NOON
from tests.world.lots import CAR, a_lot

pytestmark = pytest.mark.anyio

LICENCE = Licence(
    number="12/GP-SXD",
    issuer="Sở Xây dựng",
    from_on=date(2026, 1, 1),
    until_on=date(2026, 12, 31),
)


@pytest.mark.parametrize(
    ("today", "state"),
    [
        (date(2025, 12, 31), LicenceState.NOT_YET),
        (date(2026, 1, 1), LicenceState.VALID),
        (date(2026, 12, 1), LicenceState.VALID),
        (date(2026, 12, 2), LicenceState.ENDS_SOON),
        (date(2026, 12, 31), LicenceState.ENDS_SOON),  # its last day is one of its days
        (date(2027, 1, 1), LicenceState.ENDED),
    ],
)
def test_a_licence_covers_its_first_and_its_last_day(today: date, state: LicenceState) -> None:
    assert judge_licence(LICENCE, today) is state


def test_a_licence_without_an_end_does_not_run_out() -> None:
    assert judge_licence(replace(LICENCE, until_on=None), date(2050, 1, 1)) is LicenceState.VALID
    assert judge_licence(replace(LICENCE, number=None), date(2026, 5, 1)) is LicenceState.NONE


@pytest.mark.parametrize(
    ("latitude_e6", "longitude_e6", "code"),
    [
        (21_028_511, 105_854_167, None),  # Hoàn Kiếm
        (10_762_622, 106_660_172, None),
        (105_854_167, 21_028_511, "position_elsewhere"),  # swapped
        (21_028_511, None, "position_whole"),
        (None, 105_854_167, "position_whole"),
        (None, None, None),
    ],
)
def test_a_position_lies_in_the_country(
    latitude_e6: int | None, longitude_e6: int | None, code: str | None
) -> None:
    faults = check_lot(licence=LICENCE, latitude_e6=latitude_e6, longitude_e6=longitude_e6)

    assert [fault.code for fault in faults] == ([code] if code else [])


async def test_what_is_changed_is_in_the_audit_log_and_the_rest_stays(
    app_database: Database,
) -> None:
    lot = await a_lot(app_database)

    async with open_org_transaction(app_database, lot.org.id) as tx:
        await service.change_lot(
            tx, lot.org.id, lot.id, {"name": "Bãi B", "zone": "2"}, actor=MANAGER, now=NOON
        )
    async with open_org_transaction(app_database, lot.org.id) as tx:
        stored = await queries.get_lot(tx, lot.org.id, lot.id)
        row = await tx.scalar(select(AuditRow).where(AuditRow.action == "lot.changed"))

    assert (stored.name, stored.zone, stored.kind) == ("Bãi B", "2", "off_street")
    assert row is not None
    assert row.before == {"name": "Bãi xe Trần Quang Khải", "zone": None}
    assert row.after == {"name": "Bãi B", "zone": "2"}


async def test_the_same_again_changes_and_records_nothing(app_database: Database) -> None:
    lot = await a_lot(app_database)

    async with open_org_transaction(app_database, lot.org.id) as tx:
        for _ in range(2):
            await service.set_capacity(
                tx,
                lot.org.id,
                lot.id,
                CAR,
                capacity=7,
                licensed_capacity=5,
                actor=MANAGER,
                now=NOON,
            )
    async with open_org_transaction(app_database, lot.org.id) as tx:
        rows = (await tx.scalars(select(AuditRow).where(AuditRow.object_id == lot.id))).all()
        # In the order of VehicleClass.
        (motorbikes, cars) = (await queries.list_occupancy(tx, lot.org.id, [lot.id]))[lot.id]

    assert [row.action for row in rows] == ["lot.capacity_set"]
    assert (cars.vehicle_class, cars.capacity, cars.licensed_capacity) == (CAR, 7, 5)
    assert motorbikes.vehicle_class is VehicleClass.MOTORBIKE


async def test_a_closed_lot_takes_no_vehicles_and_no_changes(app_database: Database) -> None:
    lot = await a_lot(app_database)

    async with open_org_transaction(app_database, lot.org.id) as tx:
        await service.close_lot(tx, lot.org.id, lot.id, actor=MANAGER, now=NOON)
        classes = (await queries.list_occupancy(tx, lot.org.id, [lot.id]))[lot.id]
        assert {one.free for one in classes} == {0}
        for change in (
            service.change_lot(tx, lot.org.id, lot.id, {"name": "X"}, actor=MANAGER, now=NOON),
            service.set_capacity(
                tx,
                lot.org.id,
                lot.id,
                CAR,
                capacity=1,
                licensed_capacity=1,
                actor=MANAGER,
                now=NOON,
            ),
            service.add_access(
                tx,
                lot.org.id,
                lot.id,
                name="Cổng 3",
                direction=Direction.IN,
                actor=MANAGER,
                now=NOON,
            ),
        ):
            with pytest.raises(LotClosed):
                await change


async def test_a_class_is_not_taken_away_while_vehicles_of_it_are_inside(
    app_database: Database, owner_database: Database
) -> None:
    lot = await a_lot(app_database)
    async with open_org_transaction(app_database, lot.org.id) as tx:
        row = (await tx.connection()).exec_driver_sql
        await row("UPDATE occupancy SET inside_count = 3 WHERE vehicle_class = 'car'")

    async with open_org_transaction(app_database, lot.org.id) as tx:
        with pytest.raises(LotNotEmpty):
            await service.set_capacity(
                tx,
                lot.org.id,
                lot.id,
                CAR,
                capacity=0,
                licensed_capacity=0,
                actor=MANAGER,
                now=NOON,
            )
        # A lot that is only to take no more cars says so with its capacity alone.
        await service.set_capacity(
            tx,
            lot.org.id,
            lot.id,
            CAR,
            capacity=0,
            licensed_capacity=5,
            actor=MANAGER,
            now=NOON,
        )


async def test_a_lot_has_a_bounded_number_of_lanes(app_database: Database) -> None:
    lot = await a_lot(app_database)

    async with open_org_transaction(app_database, lot.org.id) as tx:
        for n in range(ACCESSES_MAX - 2):  # a way in and a way out are there
            await service.add_access(
                tx,
                lot.org.id,
                lot.id,
                name=f"Cổng {n}",
                direction=Direction.BOTH,
                actor=MANAGER,
                now=NOON,
            )
        with pytest.raises(TooManyParts):
            await service.add_access(
                tx,
                lot.org.id,
                lot.id,
                name="một nữa",
                direction=Direction.IN,
                actor=MANAGER,
                now=NOON,
            )


async def test_a_lot_stands_on_an_operator_and_a_payee_of_its_organisation(
    app_database: Database,
) -> None:
    mine, theirs = await a_lot(app_database), await a_lot(app_database)

    async with open_org_transaction(app_database, theirs.org.id) as tx:
        operator_id = (await queries.list_operators(tx, theirs.org.id))[0].id
    async with open_org_transaction(app_database, mine.org.id) as tx:
        (own,) = await queries.list_operators(tx, mine.org.id)
        facts = LotFacts(
            operator_id=operator_id,
            payee_id=mine.payee_id,
            name="Bãi C",
            address="Hà Nội",
            kind=LotKind.SIDEWALK,
        )
        with pytest.raises(OperatorNotFound):
            await service.add_lot(tx, mine.org.id, facts, actor=MANAGER, now=NOON)
        wrong = replace(facts, operator_id=own.id, payee_id=theirs.payee_id)
        with pytest.raises(PayeeNotFound):
            await service.add_lot(tx, mine.org.id, wrong, actor=MANAGER, now=NOON)


@pytest.mark.parametrize("tax_code", ["", "123", "01001091066", "0100109106-01", "MST0100109"])
async def test_a_tax_code_has_the_form_of_one(app_database: Database, tax_code: str) -> None:
    lot = await a_lot(app_database)

    async with open_org_transaction(app_database, lot.org.id) as tx:
        with pytest.raises(InvalidRequest):
            await service.add_operator(
                tx,
                lot.org.id,
                name="Công ty",
                address="Hà Nội",
                tax_code=tax_code,
                actor=MANAGER,
                now=NOON,
            )
