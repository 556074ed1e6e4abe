"""Lots with their operator and payee, and how many vehicles of each class they take."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts, OrgKind
from parking.places.models import Lot, Occupancy, ParkingAccess, ParkingOperator
from parking.vehicles import VehicleClass
from tests.world.constants import NOON
from tests.world.organisations import an_organisation
from tests.world.payees import a_payee, an_account
from tests.world.serials import next_code

CAR, MOTORBIKE = VehicleClass.CAR, VehicleClass.MOTORBIKE
ROOM = 100  # for each class, unless a test is about it


@dataclass(frozen=True, kw_only=True)
class LotFacts:
    """A lot that takes vehicles, and whom its money is for."""

    org: OrgFacts
    id: UUID
    payee_id: UUID
    account_id: UUID
    way_in_id: UUID
    way_out_id: UUID


async def a_lot(
    database: Database,
    *,
    org: OrgFacts | None = None,
    code: str | None = None,
    name: str = "Bãi xe Trần Quang Khải",
    capacity: Mapping[VehicleClass, int] | None = None,
    licensed: Mapping[VehicleClass, int] | None = None,
    payment_timing: str = "payPriorToExit",
    is_crowd_mode: bool = False,
    is_live: bool = True,
    paid_to: tuple[UUID, UUID] | None = None,
    now: datetime = NOON,
) -> LotFacts:
    """Make a lot with a way in and a way out; its payee can be paid.

    Args:
        database: of the hub's role (`app_database`).
        org: whose lot it is; a new live organisation unless given.
        code: of the new organisation.
        capacity: vehicles of each class that there is room for; cars and motorbikes, ROOM each.
        licensed: how many of them the licence allows; as many as there is room for.
        paid_to: the payee and account of the organisation that its money is for; new ones unless
            given.
    """
    room = capacity or {CAR: ROOM, MOTORBIKE: ROOM}
    if org is None:
        async with database.begin() as session:
            org = await an_organisation(
                session,
                code=code or next_code(),
                kind=OrgKind.PARKING_OPERATOR,
                is_live=is_live,
                now=now,
            )
    async with open_org_transaction(database, org.id) as session:
        if paid_to is None:
            payee_id = await a_payee(session, org, now=now)
            account_id = await an_account(session, org, payee_id, now=now)
        else:
            payee_id, account_id = paid_to
        lot_id = await _add_lot(
            session,
            org,
            payee_id,
            name=name,
            payment_timing=payment_timing,
            is_crowd_mode=is_crowd_mode,
            now=now,
        )
        for vehicle_class, count in room.items():
            session.add(
                Occupancy(
                    org_id=org.id,
                    lot_id=lot_id,
                    vehicle_class=vehicle_class.value,
                    capacity=count,
                    licensed_capacity=(licensed or room)[vehicle_class],
                )
            )
        way_in_id, way_out_id = new_id(), new_id()
        for access_id, direction in ((way_in_id, "in"), (way_out_id, "out")):
            session.add(
                ParkingAccess(
                    org_id=org.id,
                    id=access_id,
                    lot_id=lot_id,
                    name=f"Làn {direction}",
                    direction=direction,
                    created_at=now,
                )
            )
    return LotFacts(
        org=org,
        id=lot_id,
        payee_id=payee_id,
        account_id=account_id,
        way_in_id=way_in_id,
        way_out_id=way_out_id,
    )


async def _add_lot(
    session: AsyncSession,
    org: OrgFacts,
    payee_id: UUID,
    *,
    name: str,
    payment_timing: str,
    is_crowd_mode: bool,
    now: datetime,
) -> UUID:
    operator = ParkingOperator(
        org_id=org.id,
        id=new_id(),
        name="Công ty TNHH MTV Khai thác điểm đỗ xe",
        address="69 Trần Hưng Đạo, Hà Nội",
        tax_code="0100108688",
        created_at=now,
    )
    session.add(operator)
    await session.flush()
    lot_id = new_id()
    session.add(
        Lot(
            org_id=org.id,
            id=lot_id,
            operator_id=operator.id,
            payee_id=payee_id,
            name=name,
            address="Trần Quang Khải, Hoàn Kiếm, Hà Nội",
            kind="off_street",
            licence_number="123/GP-SXD",
            licence_issuer="Sở Xây dựng Hà Nội",
            payment_timing=payment_timing,
            is_crowd_mode=is_crowd_mode,
            created_at=now,
        )
    )
    await session.flush()
    return lot_id
