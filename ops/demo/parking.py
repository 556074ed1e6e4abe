"""The demo's parking sites: lots, posted prices, attendants, passes, and a morning behind them.

Everything is made by the services that a manager's pages and a gate's phone use; only the times are
those of the day so far.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.clock import day_bounds, hanoi_day
from core.db import Database
from core.ids import first_id_at, new_id
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts
from parking.collections.rules import CollectionRail
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.paying import Taken, collect
from parking.exits.standing import get_stay, read_standing
from parking.places import service as places
from parking.places.rules import Direction, LotKind, PaymentTiming
from parking.sessions import queries as sessions
from parking.sessions.rules import EntryRequest, Method, TimeSource, hash_entry, read_vehicle_plate
from parking.shifts.service import open_shift
from parking.tariffs.reading import read_sample_facts
from parking.tariffs.service import add_version, assign_to_lot, create_tariff
from parking.vehicles import VehicleClass

CAR, MOTORBIKE = VehicleClass.CAR, VehicleClass.MOTORBIKE
OPERATOR: Final = ("Công ty Khai thác điểm đỗ xe (mẫu)", "Hà Nội", "0100000000")
LICENSED_FROM: Final = date(2026, 1, 1)
LICENSED_UNTIL: Final = date(2027, 12, 31)
OPENS_AT_HOUR: Final = 6
VEHICLES_A_LOT: Final = 14  # that came so far today, with two of three gone again
CHANGE_VND: Final = 200_000


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


async def add_morning(
    database: Database,
    gate: Database,
    org: OrgFacts,
    lots: Mapping[str, UUID],
    attendants: Mapping[str, Actor],
    *,
    now: datetime,
) -> None:
    """Let vehicles come since the morning, and most of them pay in cash and go again.

    Args:
        gate: sessions of the role that lets vehicles in.
        attendants: label of a site → who works there; a site without one stays empty.
    """
    chance = random.Random(org.code)  # noqa: S311 (the same morning at every start)
    opened_at = max(
        day_bounds(hanoi_day(now))[0] + timedelta(hours=OPENS_AT_HOUR),
        now - timedelta(hours=12),
    )
    opened_at = min(opened_at, now - timedelta(hours=1))  # at night the shift has just begun
    sites = {site.label: site for site in SITES}
    for label, attendant in attendants.items():
        assert attendant.id is not None
        async with open_org_transaction(database, org.id) as session:
            await open_shift(
                session,
                org.id,
                _id_at(opened_at),
                lot_id=lots[label],
                staff_id=attendant.id,
                change_vnd=CHANGE_VND,
                actor=attendant,
                now=opened_at,
            )
        stays = _draw_stays(chance, sites[label], opened_at, now)
        entries = [
            _an_entry(org, lots[label], attendant, vehicle_class, plate, came_at)
            for vehicle_class, plate, came_at, _ in stays
        ]
        for entry in entries:
            async with gate.begin() as session:
                await sessions.enter_vehicles(session, [entry], now=entry.entered_at)
        for entry, (*_, left_at) in zip(entries, stays, strict=True):
            if left_at < now:
                async with open_org_transaction(database, org.id) as session:
                    await _pay_and_leave(session, org, entry.id, attendant, at=left_at)


def _draw_stays(
    chance: random.Random, site: Site, opened_at: datetime, now: datetime
) -> Sequence[tuple[VehicleClass, str, datetime, datetime]]:
    """Draw (class, plate, came, leaves) of a lot's vehicles, in the order they came."""
    span_s = int((now - opened_at).total_seconds())
    stays = []
    for came_s in sorted(chance.sample(range(60, span_s - 60), VEHICLES_A_LOT)):
        vehicle_class = chance.choice(list(site.room))
        number = f"{chance.randint(100, 999)}.{chance.randint(10, 99)}"
        series = chance.choice("ABCDEFGHK")
        plate = f"30{series}-{number}" if vehicle_class is CAR else f"29-{series}1 {number}"
        came_at = opened_at + timedelta(seconds=came_s)
        left_at = came_at + timedelta(minutes=chance.randint(20, 60 * 6))
        stays.append((vehicle_class, plate, came_at, left_at))
    return stays


def _an_entry(
    org: OrgFacts,
    lot_id: UUID,
    attendant: Actor,
    vehicle_class: VehicleClass,
    plate: str,
    came_at: datetime,
) -> EntryRequest:
    assert attendant.id is not None
    compact = read_vehicle_plate(plate, vehicle_class)
    return EntryRequest(
        org_id=org.id,
        lot_id=lot_id,
        id=_id_at(came_at),
        vehicle_class=vehicle_class,
        plate=compact,
        ticket_kind=None,
        ticket=None,
        ticket_key=new_id(),
        access_id=None,
        device_id=None,
        shift_id=None,
        entered_by=attendant.id,
        photo=None,
        method=Method.VISUAL,
        read_text=None,
        read_score_bps=None,
        entered_at=came_at,
        time_source=TimeSource.HUB,
        request_hash=hash_entry(
            lot_id=lot_id,
            vehicle_class=vehicle_class.value,
            plate=compact,
            ticket_kind=None,
            ticket=None,
            access_id=None,
            photo=None,
        ),
    )


def _id_at(instant: datetime) -> UUID:
    """Make an id of an instant: its milliseconds, and the rest of a new one."""
    return UUID(int=first_id_at(instant).int | new_id().int & ((1 << 80) - 1))


async def _pay_and_leave(
    session: AsyncSession, org: OrgFacts, session_id: UUID, attendant: Actor, *, at: datetime
) -> None:
    stay = await get_stay(session, org.id, session_id)
    standing = await read_standing(session, org.id, stay, at=at)
    if standing.due_vnd:
        taken = Taken(id=new_id(), rail=CollectionRail.CASH, amount_vnd=standing.due_vnd)
        await collect(session, org.id, session_id, taken, priced_at=at, actor=attendant, now=at)
    await leave(session, org.id, [LeaveRequest(session_id=session_id, actor=attendant)], now=at)
