"""Lots of the load tests, with all that a day there needs: tariff, payee, attendant, shift, phone.

Made by the hub's own services, under the hub's own role; the sandbox is told whom to call back.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.db import Database, open_database, open_engine
from core.ids import new_id
from core.sealing import Sealer
from core.settings import Settings
from core.tenancy import open_org_transaction
from identity.devices.models import Device
from identity.devices.rules import UNNAMED_PERMISSIONS
from identity.devices.tokens import DeviceTokens
from identity.organisations.rules import OrgFacts, OrgKind
from identity.people.models import Staff
from loadtests.city import BIN, MANAGER, PAYEES_OF_FIRST, Market, Stall, found_market
from loadtests.wire import Booth
from parking.places.models import Lot, Occupancy, ParkingOperator
from parking.shifts.service import open_shift
from parking.tariffs.service import add_version, assign_to_lot, create_tariff

ROOM: Final = 1_000_000
CLASSES: Final = ("motorbike", "car")
PER_VISIT_VND, HOURLY_VND = 5_000, 25_000
PAYER: Final = {
    "bin": "970407", "number": "19036000012345", "holder": "TRAN VAN TAI",
    "payer": "tai", "balance_vnd": 10**14,
}  # fmt: skip
TARIFF: Final[dict[str, Any]] = {
    "format": 1,
    "code": "tai",
    "name": "Biểu giá",
    "name_en": "Tariff",
    "legal_basis": "QĐ 44/2017/QĐ-UBND",
    "valid_from_on": "2018-01-01",
    "payment_timing": "payPriorToExit",
    "exit_grace_minutes": 15,
    "seller": {"name": "Bãi xe", "address": "Hà Nội", "tax_code": "0100108688"},
    "rate_tables": [
        {
            "vehicle_classes": ["car"],
            "rate_line_collections": [
                {
                    "rate_lines": [
                        {
                            "type": "incrementingRate",
                            "value_vnd": HOURLY_VND,
                            "increment_minutes": 60,
                        }
                    ]
                }
            ],
        },
        {
            "vehicle_classes": ["motorbike"],
            "rate_line_collections": [
                {"rate_lines": [{"type": "flatRate", "value_vnd": PER_VISIT_VND}]}
            ],
        },
    ],
}


@dataclass(frozen=True, kw_only=True)
class StaffedLot:
    """A lot, and who stands there with which phone."""

    org: OrgFacts
    id: UUID
    device_id: UUID
    key: ec.EllipticCurvePrivateKey
    staff_id: UUID
    shift_id: UUID


def found_all(
    app_url: str, settings: Settings, lots: int, *, now: datetime
) -> tuple[list[Market], list[StaffedLot]]:
    """Make organisations until there are so many lots, each with a payee of its own."""

    async def found() -> tuple[list[Market], list[StaffedLot]]:
        engine = open_engine(app_url, settings)
        database = open_database(engine)
        sealer = Sealer.from_settings(settings)
        markets: list[Market] = []
        made: list[StaffedLot] = []
        try:
            while len(made) < lots:
                # The first of all would be a large market.
                number = len(markets) + (1 if lots < PAYEES_OF_FIRST else 0)
                market = await found_market(
                    database, sealer, number, kind=OrgKind.PARKING_OPERATOR, now=now
                )
                markets.append(market)
                made += await found_lots(database, market, lots - len(made), now=now)
        finally:
            await engine.dispose()
        return markets, made

    return asyncio.run(found())


async def found_lots(
    database: Database, market: Market, count: int, *, now: datetime
) -> list[StaffedLot]:
    """Make a lot for each of an organisation's first stalls, with a tariff and an open shift."""
    tariff_id = new_id()
    async with open_org_transaction(database, market.org.id) as session:
        operator_id = await _found_operator(session, market.org, tariff_id, now=now)
    made = []
    for stall in market.stalls[:count]:
        async with open_org_transaction(database, market.org.id) as session:
            lot = await _found_lot(session, market.org, stall, operator_id, tariff_id, now=now)
            made.append(lot)
    return made


def set_up_sandbox(sandbox_url: str, hub_url: str, markets: Sequence[Market]) -> None:
    """Open a driver's account and the lots' accounts, and tell the bank whom to call back."""
    with httpx.Client(base_url=sandbox_url, trust_env=False, timeout=30) as sandbox:
        sandbox.post("/control/pace", json={"memo_style": "as_typed"}).raise_for_status()
        sandbox.post("/control/accounts", json=PAYER).raise_for_status()
        for market in markets:
            names = [{"bin": BIN, "number": stall.account_number} for stall in market.stalls]
            opened = [{**name, "holder": "NGUYEN THI A"} for name in names]
            sandbox.post("/control/accounts", json={"accounts": opened}).raise_for_status()
            subscription = {
                "provider": "sepay",
                "url": f"{hub_url}/v1/callbacks/sepay/{market.address}",
                "secret": market.secret,
                "accounts": names,
            }
            sandbox.post("/control/subscriptions", json=subscription).raise_for_status()


def make_booths(settings: Settings, lots: Sequence[StaffedLot], *, now: datetime) -> list[Booth]:
    """Return each lot as its phone knows it, with a token for a quarter of an hour."""
    tokens = DeviceTokens.from_settings(settings)
    return [
        Booth(
            org_id=str(lot.org.id),
            lot_id=str(lot.id),
            shift_id=str(lot.shift_id),
            token=tokens.make_token(
                org_id=lot.org.id,
                org_code=lot.org.code,
                device_id=lot.device_id,
                lot_id=lot.id,
                shift_id=lot.shift_id,
                staff_id=lot.staff_id,
                permissions=UNNAMED_PERMISSIONS,
                now=now,
            ),
        )
        for lot in lots
    ]


async def _found_operator(
    session: AsyncSession, org: OrgFacts, tariff_id: UUID, *, now: datetime
) -> UUID:
    operator_id = new_id()
    session.add(
        ParkingOperator(
            org_id=org.id,
            id=operator_id,
            name="Bãi xe",
            address="Hà Nội",
            tax_code="0100108688",
            created_at=now,
        )
    )
    await create_tariff(session, org.id, tariff_id, name="Biểu giá", actor=MANAGER, now=now)
    await add_version(
        session,
        org.id,
        new_id(),
        tariff_id=tariff_id,
        valid_from=now - timedelta(days=1),
        document=TARIFF,
        legal_basis=TARIFF["legal_basis"],
        actor=MANAGER,
        now=now,
    )
    return operator_id


async def _found_lot(
    session: AsyncSession,
    org: OrgFacts,
    stall: Stall,
    operator_id: UUID,
    tariff_id: UUID,
    *,
    now: datetime,
) -> StaffedLot:
    lot_id, device_id, staff_id, shift_id = new_id(), new_id(), new_id(), new_id()
    key = ec.generate_private_key(ec.SECP256R1())
    session.add(
        Lot(
            org_id=org.id,
            id=lot_id,
            operator_id=operator_id,
            payee_id=stall.payee_id,
            name="Bãi",
            address="Hà Nội",
            kind="off_street",
            payment_timing="payPriorToExit",
            created_at=now,
        )
    )
    session.add(
        Staff(
            org_id=org.id,
            id=staff_id,
            login=f"tu{staff_id.hex}",
            display_name="Anh Tú",
            password_hash="",  # nobody signs in with it
            roles=["attendant"],
            created_at=now,
        )
    )
    await session.flush()
    for vehicle_class in CLASSES:
        session.add(
            Occupancy(
                org_id=org.id,
                lot_id=lot_id,
                vehicle_class=vehicle_class,
                capacity=ROOM,
                licensed_capacity=ROOM,
            )
        )
    session.add(
        Device(
            org_id=org.id,
            id=device_id,
            name="Cổng",
            scope_kind="lot",
            scope_id=lot_id,
            public_key=key.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            ),
            enrolled_by=MANAGER.id,
            enrolled_at=now,
        )
    )
    await assign_to_lot(
        session,
        org.id,
        new_id(),
        lot_id=lot_id,
        tariff_id=tariff_id,
        from_at=now - timedelta(days=1),
        actor=MANAGER,
        now=now,
    )
    await open_shift(
        session,
        org.id,
        shift_id,
        lot_id=lot_id,
        staff_id=staff_id,
        change_vnd=0,
        actor=Actor(kind="staff", id=staff_id, name="Anh Tú"),
        now=now,
    )
    return StaffedLot(
        org=org,
        id=lot_id,
        device_id=device_id,
        key=key,
        staff_id=staff_id,
        shift_id=shift_id,
    )
