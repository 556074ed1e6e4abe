"""Passes, exemptions and watched plates: sold by the services, or written as in force."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from core.clock import hanoi_day
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.passes import queries
from parking.passes.models import Pass, PassPlate, WatchedPlate
from parking.passes.owner import handle_bill_change
from parking.passes.rules import OWNER_KIND, ExemptAs, PassKind
from parking.passes.service import add_pass, open_bill
from parking.passes.types import BillWanted, PassView, PassWanted
from parking.vehicles import VehicleClass
from payments.bills.owners import OwnersInbox
from payments.bills.references import make_reference
from payments.bills.rules import BillFacts
from tests.world.constants import APPROVER, MANAGER, NOON
from tests.world.entries import a_plate
from tests.world.lots import CAR, MOTORBIKE
from tests.world.notices import pay
from tests.world.parking_sessions import Gate, a_tariff_document
from tests.world.serials import next_serial

TODAY = hanoi_day(NOON)
MONTH_VND = {MOTORBIKE: 120_000, CAR: 2_000_000}


def with_monthly_prices(monthly_vnd: dict[VehicleClass, int] | None = None) -> dict[str, Any]:
    """Return the tests' tariff with what a month costs, by day and night."""
    document = a_tariff_document()
    for vehicle_class, value_vnd in (MONTH_VND if monthly_vnd is None else monthly_vnd).items():
        for table in document["rate_tables"]:
            if vehicle_class.value in table["vehicle_classes"]:
                price = {"scope": "day_and_night", "value_vnd": value_vnd}
                table["monthly_prices"] = [price]
    return document


async def a_pass(
    database: Database,
    gate: Gate,
    *plates: str,
    is_paid: bool = True,
    is_everywhere: bool = False,
    vehicle_class: VehicleClass = MOTORBIKE,
    valid_from: date | None = None,
    months: int = 1,
    now: datetime = NOON,
) -> UUID:
    """Sell a pass, a month from today on and paid for unless a test says otherwise."""
    pass_id = new_id()
    wanted = PassWanted(
        kind=PassKind.MONTHLY,
        vehicle_class=vehicle_class,
        plates=plates or (a_plate(),),
        holder_name="Chị Hoa",
        lot_id=None if is_everywhere else gate.lot.id,
        seller_lot_id=gate.lot.id if is_everywhere else None,
        valid_from=valid_from or hanoi_day(now),
        months=months,
    )
    async with open_org_transaction(database, gate.org_id) as session:
        await add_pass(session, gate.org_id, wanted, id_=pass_id, actor=MANAGER, now=now)
    if is_paid:
        bill = await show_bill(database, gate, pass_id, now=now)
        assert await pay(database, gate.stall, bill, now=now) == "settle"
        await notify_passes(database, gate, now=now)
    return pass_id


async def an_exemption(
    database: Database,
    gate: Gate,
    *plates: str,
    exempt_as: ExemptAs = ExemptAs.RESIDENT,
    days: int = 30,
    now: datetime = NOON,
) -> UUID:
    """Exempt vehicles from today on."""
    pass_id = new_id()
    wanted = PassWanted(
        kind=PassKind.EXEMPT,
        vehicle_class=MOTORBIKE,
        plates=plates or (a_plate(),),
        holder_name="Tổ dân phố 5",
        lot_id=gate.lot.id,
        valid_from=hanoi_day(now),
        valid_until=hanoi_day(now) + timedelta(days=days),
        exempt_as=exempt_as,
        reason="Công văn 12/UBND",
    )
    async with open_org_transaction(database, gate.org_id) as session:
        await add_pass(session, gate.org_id, wanted, id_=pass_id, actor=MANAGER, now=now)
    return pass_id


async def show_bill(
    database: Database, gate: Gate, pass_id: UUID, *, now: datetime = NOON
) -> BillFacts:
    """Show the bill of what waits to be paid, as a manager does."""
    wanted = BillWanted(
        id=new_id(),
        reference=make_reference(gate.lot.org.code, next_serial()),
        monitored_for_s=86_400,
    )
    async with open_org_transaction(database, gate.org_id) as session:
        return await open_bill(session, gate.org_id, pass_id, wanted, actor=MANAGER, now=now)


async def notify_passes(database: Database, gate: Gate, *, now: datetime = NOON) -> int:
    """Let passes hear what their bills became; return how many changes there were."""
    inbox = OwnersInbox(database, {OWNER_KIND: handle_bill_change}, read_clock=lambda: now)
    return await inbox.sweep([gate.org_id], wait_s=10)


async def look_at_pass(database: Database, gate: Gate, pass_id: UUID) -> PassView:
    """Return a pass as it stands."""
    async with open_org_transaction(database, gate.org_id) as session:
        return await queries.view_pass(session, gate.org_id, pass_id)


async def a_pass_in_force(
    database: Database,
    org_id: UUID,
    *,
    plates: Sequence[str],
    lot_id: UUID | None = None,
    kind: str = "monthly",
    vehicle_class: VehicleClass = MOTORBIKE,
    valid_from: date = TODAY,
    valid_until: date = TODAY + timedelta(days=29),
    is_in_force: bool = True,
    is_revoked: bool = False,
) -> UUID:
    """Add a pass for these plates; at every lot unless one is given."""
    pass_id = new_id()
    async with open_org_transaction(database, org_id) as session:
        session.add(
            Pass(
                org_id=org_id,
                id=pass_id,
                lot_id=lot_id,
                vehicle_class=vehicle_class.value,
                kind=kind,
                holder_name="Cô Lan",
                plates_max=max(1, len(plates)),
                valid_from=valid_from,
                valid_until=valid_until,
                price_vnd=120_000,
                reason=None if kind == "monthly" else "cư dân",
                exempt_as=None if kind == "monthly" else "resident",
                in_force_at=NOON if is_in_force else None,
                created_by=MANAGER.id,
                created_at=NOON,
                revoked_at=NOON if is_revoked else None,
            )
        )
        await session.flush()
        for plate in plates:
            session.add(
                PassPlate(
                    org_id=org_id, pass_id=pass_id, vehicle_class=vehicle_class.value, plate=plate
                )
            )
    return pass_id


async def a_watched_plate(
    database: Database,
    org_id: UUID,
    plate: str,
    *,
    from_on: date = TODAY,
    expires_on: date = TODAY + timedelta(days=30),
    is_approved: bool = True,
    is_removed: bool = False,
) -> None:
    """Put a motorbike's plate on the watch list."""
    async with open_org_transaction(database, org_id) as session:
        session.add(
            WatchedPlate(
                org_id=org_id,
                id=new_id(),
                vehicle_class=MOTORBIKE.value,
                plate=plate,
                reason="mất cắp",
                source="Công an phường, CV 12/2026",
                from_on=from_on,
                expires_on=expires_on,
                proposed_by=MANAGER.id,
                proposed_at=NOON,
                approved_by=APPROVER.id if is_approved else None,
                approved_at=NOON if is_approved else None,
                removed_at=NOON if is_removed else None,
            )
        )
