"""Vehicles inside a lot that has a tariff, and the attendant who lets them out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.db import Database
from core.ids import first_id_at, new_id
from core.tenancy import open_org_transaction
from parking.collections.rules import CollectionRail
from parking.exits.paying import BillWanted, Taken
from parking.sessions.tickets import TICKET_PATH, write_ticket_code
from parking.shifts.service import open_shift
from parking.tariffs.service import add_version, assign_to_lot, create_tariff
from parking.vehicles import VehicleClass
from payments.bills.references import make_reference
from tests.world.constants import MANAGER, NOON
from tests.world.endpoints import an_endpoint
from tests.world.lots import MOTORBIKE, LotFacts, a_lot
from tests.world.serials import next_number, next_serial
from tests.world.stalls import PayableStall

HOURLY_VND, PER_VISIT_VND = 25_000, 5_000
GRACE = timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A lot with its attendant, whose shift is open."""

    lot: LotFacts
    attendant: Actor
    shift_id: UUID
    stall: PayableStall  # the lot's payee, as those who pay bills know it

    @property
    def org_id(self) -> UUID:
        """The organisation that runs the lot."""
        return self.lot.org.id


def a_tariff_document(**facts: Any) -> dict[str, Any]:
    """Return a tariff: cars 25.000 ₫ a started hour, motorbikes 5.000 ₫ a visit."""
    hourly = {"type": "incrementingRate", "value_vnd": HOURLY_VND, "increment_minutes": 60}
    visit = {"type": "flatRate", "value_vnd": PER_VISIT_VND}
    return {
        "format": 1,
        "code": "thu",
        "name": "Biểu giá thử",
        "name_en": "Test tariff",
        "legal_basis": "QĐ 44/2017/QĐ-UBND",
        "valid_from_on": "2018-01-01",
        "payment_timing": "payPriorToExit",
        "exit_grace_minutes": GRACE // timedelta(minutes=1),
        "seller": {"name": "Bãi xe", "address": "Hà Nội", "tax_code": "0100108688"},
        "rate_tables": [
            {
                "vehicle_classes": ["car"],
                "rate_line_collections": [{"rate_lines": [hourly]}],
            },
            {
                "vehicle_classes": ["motorbike"],
                "rate_line_collections": [{"rate_lines": [visit]}],
            },
        ],
        **facts,
    }


async def a_gate(
    database: Database,
    *,
    lot: LotFacts | None = None,
    document: dict[str, Any] | None = None,
    change_vnd: int = 0,
    now: datetime = NOON,
    **facts: Any,
) -> Gate:
    """Make a lot with a tariff and an attendant whose shift is open.

    Args:
        document: the tariff's.
        facts: of the lot, as `a_lot` takes them.
    """
    lot = lot or await a_lot(database, **facts)
    attendant = await an_attendant(database, lot)
    shift_id = new_id()
    await a_tariff(database, lot, document, now=now)
    async with open_org_transaction(database, lot.org.id) as session:
        await open_a_shift(
            session,
            lot,
            attendant,
            id_=shift_id,
            change_vnd=change_vnd,
            now=now - timedelta(hours=4),
        )
    stall = await as_stall(database, lot)
    return Gate(lot=lot, attendant=attendant, shift_id=shift_id, stall=stall)


async def a_tariff(
    database: Database,
    lot: LotFacts,
    document: dict[str, Any] | None = None,
    *,
    since: datetime | None = None,
    now: datetime = NOON,
) -> None:
    """Let a lot take a tariff, since a year ago or another time."""
    tariff_id, since = new_id(), since or now - timedelta(days=365)
    async with open_org_transaction(database, lot.org.id) as session:
        await create_tariff(
            session, lot.org.id, tariff_id, name="Biểu giá thử", actor=MANAGER, now=now
        )
        await add_version(
            session,
            lot.org.id,
            new_id(),
            tariff_id=tariff_id,
            valid_from=since,
            document=document or a_tariff_document(),
            legal_basis="QĐ 44/2017/QĐ-UBND",
            actor=MANAGER,
            now=now,
        )
        await assign_to_lot(
            session,
            lot.org.id,
            new_id(),
            lot_id=lot.id,
            tariff_id=tariff_id,
            from_at=since,
            actor=MANAGER,
            now=now,
        )


async def as_stall(database: Database, lot: LotFacts, *, is_sandbox: bool = False) -> PayableStall:
    """Return a lot's payee as those who pay bills know it, with an endpoint of its account."""
    async with open_org_transaction(database, lot.org.id) as session:
        endpoint_id = await an_endpoint(session, lot.org, [lot.account_id], is_sandbox=is_sandbox)
        number = await session.scalar(
            text("SELECT account_number FROM receiving_accounts WHERE id = :id"),
            {"id": lot.account_id},
        )
    return PayableStall(
        org=lot.org,
        payee_id=lot.payee_id,
        account_id=lot.account_id,
        account_number=str(number),
        endpoint_id=endpoint_id,
    )


async def open_a_shift(
    session: AsyncSession,
    lot: LotFacts,
    attendant: Actor,
    *,
    id_: UUID | None = None,
    change_vnd: int = 0,
    now: datetime = NOON,
) -> UUID:
    """Open an attendant's shift within a transaction of the test's; return its id."""
    assert attendant.id is not None
    shift = await open_shift(
        session,
        lot.org.id,
        id_ or new_id(),
        lot_id=lot.id,
        staff_id=attendant.id,
        change_vnd=change_vnd,
        actor=attendant,
        now=now,
    )
    return shift.id


async def an_attendant(database: Database, lot: LotFacts) -> Actor:
    """Employ somebody at a lot's gate; they have no shift yet."""
    attendant = Actor(kind="staff", id=new_id(), name="Anh Tú")
    async with open_org_transaction(database, lot.org.id) as session:
        await session.execute(
            text(
                "INSERT INTO staff (org_id, id, login, display_name, password_hash, roles,"
                " created_at) VALUES (:org, :id, :login, 'Anh Tú', 'x', '{attendant}', :now)"
            ),
            {
                "org": lot.org.id,
                "id": attendant.id,
                "login": f"tu{next_number()}",
                "now": NOON,
            },
        )
    return attendant


async def a_stay(
    database: Database,
    gate: Gate,
    *,
    vehicle_class: VehicleClass = MOTORBIKE,
    plate: str | None = None,
    ticket: str | None = None,
    ticket_kind: str = "ticket",
    entered_at: datetime = NOON - timedelta(hours=1),
    entry_by: UUID | None = None,
    pass_id: UUID | None = None,
) -> UUID:
    """Let a vehicle be inside; return its parking session."""
    if plate is None and ticket is None:
        plate = f"29AA{next_number() % 100_000:05d}"
    session_id = UUID(int=first_id_at(entered_at).int | new_id().int & ((1 << 76) - 1) | (7 << 76))
    values = {
        "org": gate.org_id,
        "id": session_id,
        "lot": gate.lot.id,
        "class": vehicle_class.value,
        "plate": plate,
        "ticket": ticket,
        "ticket_kind": ticket and ticket_kind,
        "key": uuid4(),
        "at": entered_at,
        "by": entry_by or gate.attendant.id,
        "shift": gate.shift_id,
        "pass": pass_id,
    }
    async with open_org_transaction(database, gate.org_id) as session:
        await session.execute(
            text(
                "UPDATE occupancy SET inside_count = inside_count + 1"
                " WHERE org_id = :org AND lot_id = :lot AND vehicle_class = :class"
            ),
            values,
        )
        await session.execute(
            text(
                "INSERT INTO parking_sessions (org_id, id, lot_id, vehicle_class, plate, ticket,"
                " ticket_kind, ticket_key, status, entered_at, entry_by, entry_shift_id,"
                " request_hash, pass_id) VALUES (:org, :id, :lot, :class, :plate, :ticket,"
                " :ticket_kind, :key, 'inside', :at, :by, :shift, '', :pass)"
            ),
            values,
        )
        for kind, credential in (
            ("plate", plate and f"{vehicle_class.value}:{plate}"),
            (ticket_kind, ticket),
        ):
            if credential is not None:
                await session.execute(
                    text(
                        "INSERT INTO inside (org_id, lot_id, kind, credential, tail, session_id,"
                        " vehicle_class, entered_at) VALUES (:org, :lot, :kind, :credential,"
                        " :tail, :id, :class, :at)"
                    ),
                    values | {"kind": kind, "credential": credential, "tail": credential[-3:]},
                )
    return session_id


def a_bill_wanted(gate: Gate, amount_vnd: int, *, id_: UUID | None = None) -> BillWanted:
    """Ask for a bill of a stay's as the phone at the gate does."""
    return BillWanted(
        id=id_ or new_id(),
        amount_vnd=amount_vnd,
        reference=make_reference(gate.lot.org.code, next_serial()),
        valid_for=timedelta(minutes=15),
        monitored_for=timedelta(days=1),
    )


def cash(amount_vnd: int, *, id_: UUID | None = None) -> Taken:
    """Say that cash was taken."""
    return Taken(id=id_ or new_id(), rail=CollectionRail.CASH, amount_vnd=amount_vnd)


async def ticket_path_of(database: Database, gate: Gate, stay_id: UUID) -> str:
    """Return the address that the code on a stay's ticket has."""
    async with open_org_transaction(database, gate.org_id) as session:
        key = await session.scalar(
            text("SELECT ticket_key FROM parking_sessions WHERE id = :id"), {"id": stay_id}
        )
    return TICKET_PATH + write_ticket_code(gate.lot.org.code, stay_id, key)
