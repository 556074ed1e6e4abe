"""Passes, exemptions and watched plates, as they are in force."""

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

from core.clock import hanoi_day
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.passes.models import Pass, PassPlate, WatchedPlate
from parking.vehicles import VehicleClass
from tests.world.constants import APPROVER, MANAGER, NOON
from tests.world.lots import MOTORBIKE

TODAY = hanoi_day(NOON)


async def a_pass(
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
