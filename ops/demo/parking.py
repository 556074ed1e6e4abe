"""The demo's parking sites: lots with their licences, lanes and posted prices.

Everything is made by the services that a manager's pages use.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.clock import day_bounds, hanoi_day
from core.ids import new_id
from identity.organisations.rules import OrgFacts
from parking.passes.rules import ExemptAs, PassKind
from parking.passes.service import add_pass
from parking.passes.types import PassWanted
from parking.places import service as places
from parking.places.rules import Direction, LotKind, PaymentTiming
from parking.tariffs.reading import read_sample_facts
from parking.tariffs.service import add_version, assign_to_lot, create_tariff
from parking.vehicles import VehicleClass

CAR, MOTORBIKE = VehicleClass.CAR, VehicleClass.MOTORBIKE
OPERATOR: Final = ("Công ty Khai thác điểm đỗ xe (mẫu)", "Hà Nội", "0100000000")
LICENSED_FROM: Final = date(2026, 1, 1)
LICENSED_UNTIL: Final = date(2027, 12, 31)
# Plates that are exempt at all sites, one of each class.
PASS_PLATES: Final = {CAR: "30K-555.21", MOTORBIKE: "29-H1 246.80"}
PASS_FOR: Final = timedelta(days=90)
TOLL_CLIENT: Final = "bai-xe-mau"


@dataclass(frozen=True, kw_only=True)
class Site:
    """A lot of the demo. The pilot's sites are real; how many vehicles they hold is made up."""

    label: str  # of its payee
    kind: LotKind
    room: Mapping[VehicleClass, int]
    tariffs: tuple[str, ...]  # samples; together they are what the lot posts
    timing: PaymentTiming
    has_controller: bool = False


SITES: Final = (
    Site(
        label="TQK",
        kind=LotKind.OFF_STREET,
        room={CAR: 60, MOTORBIKE: 200},
        tariffs=("hn-dong-da-cars", "hn-two-wheelers"),
        timing=PaymentTiming.PAY_PRIOR_TO_EXIT,
        has_controller=True,
    ),
    *(
        Site(
            label=label,
            kind=LotKind.ON_STREET,
            room={CAR: room},
            tariffs=(tariff,),
            timing=PaymentTiming.PAY_AND_EXIT,
        )
        for label, room, tariff in (
            ("LTK", 40, "hn-hoan-kiem-restricted"),
            ("PCT", 25, "hn-hoan-kiem-other"),
            ("LTT1", 30, "hn-hoan-kiem-restricted"),
            ("LTT2", 30, "hn-hoan-kiem-restricted"),
            ("NTH", 20, "hn-iparking-overnight"),
        )
    ),
    Site(
        label="PD",
        kind=LotKind.SIDEWALK,
        room={MOTORBIKE: 150},
        tariffs=("hn-two-wheelers",),
        timing=PaymentTiming.PAY_ON_ENTRY,
    ),
)


async def add_lots(
    session: AsyncSession,
    org: OrgFacts,
    payees: Mapping[str, tuple[UUID, str, str]],
    *,
    actor: Actor,
    now: datetime,
) -> dict[str, UUID]:
    """Add the sites as lots with their licences, lanes and posted prices; return their ids.

    Args:
        payees: label of a site → (payee, name, place).
    """
    name, address, tax_code = OPERATOR
    operator = await places.add_operator(
        session, org.id, name=name, address=address, tax_code=tax_code, actor=actor, now=now
    )
    lots = {}
    for number, site in enumerate(SITES, start=1):
        payee_id, lot_name, place = payees[site.label]
        facts = places.LotFacts(
            operator_id=operator.id,
            payee_id=payee_id,
            name=lot_name,
            address=place,
            kind=site.kind,
            licence_number=f"{number:02d}/GP (mẫu)",
            licence_issuer="Sở Xây dựng Hà Nội (mẫu)",
            licence_from=LICENSED_FROM,
            licence_until=LICENSED_UNTIL,
            payment_timing=site.timing,
        )
        lot = await places.add_lot(session, org.id, facts, actor=actor, now=now)
        lots[site.label] = lot.id
        for vehicle_class, count in site.room.items():
            await places.set_capacity(
                session,
                org.id,
                lot.id,
                vehicle_class,
                capacity=count,
                licensed_capacity=count,
                actor=actor,
                now=now,
            )
        for lane, direction in (("Làn vào", Direction.IN), ("Làn ra", Direction.OUT)):
            await places.add_access(
                session,
                org.id,
                lot.id,
                name=lane,
                direction=direction,
                has_controller=site.has_controller,
                actor=actor,
                now=now,
            )
        await _post_prices(session, org, site, lot.id, lot_name, actor=actor, now=now)
    return lots


async def _post_prices(
    session: AsyncSession,
    org: OrgFacts,
    site: Site,
    lot_id: UUID,
    lot_name: str,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    samples = [read_sample_facts(name) for name in site.tariffs]
    document: dict[str, Any] = {
        **samples[0],
        "payment_timing": site.timing.value,
        "rate_tables": [table for sample in samples for table in sample["rate_tables"]],
    }
    tariff_id, since = new_id(), day_bounds(LICENSED_FROM)[0]
    await create_tariff(
        session, org.id, tariff_id, name=f"Biểu giá {lot_name}", actor=actor, now=now
    )
    await add_version(
        session,
        org.id,
        new_id(),
        tariff_id=tariff_id,
        valid_from=since,
        document=document,
        legal_basis=document["legal_basis"],
        actor=actor,
        now=now,
    )
    await assign_to_lot(
        session,
        org.id,
        new_id(),
        lot_id=lot_id,
        tariff_id=tariff_id,
        from_at=since,
        actor=actor,
        now=now,
    )


async def add_passes(session: AsyncSession, org: OrgFacts, *, actor: Actor, now: datetime) -> None:
    """Exempt a vehicle of each class at all sites."""
    today = hanoi_day(now)
    for vehicle_class, plate in PASS_PLATES.items():
        wanted = PassWanted(
            kind=PassKind.EXEMPT,
            vehicle_class=vehicle_class,
            plates=(plate,),
            holder_name="Tổ trật tự phường (mẫu)",
            valid_from=today,
            valid_until=today + PASS_FOR,
            exempt_as=ExemptAs.STATE,
            reason="Xe công vụ của phường, danh sách mẫu",
        )
        await add_pass(session, org.id, wanted, id_=new_id(), actor=actor, now=now)
