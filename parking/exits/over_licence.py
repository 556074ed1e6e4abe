"""The alarm that more vehicles are inside than the licence allows, where a correction passes it.

The way in raises it by itself; a stay that is parted, found inside or opened again adds one, too.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.exits.rules import StayFacts
from parking.places.queries import list_occupancy
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent


async def tell_over_licence(
    session: AsyncSession, org_id: UUID, stay: StayFacts, *, now: datetime
) -> None:
    """Raise the alarm if the vehicle that was just counted in is the first one too many.

    The occupancy of its place is locked.
    """
    places = (await list_occupancy(session, org_id, [stay.lot_id]))[stay.lot_id]
    place = next(one for one in places if one.vehicle_class == stay.vehicle_class)
    if place.inside_count != place.licensed_capacity + 1:
        return
    passed = NewEvent(
        kind=EventKind.PARKING_OVER_LICENCE,
        data={
            "lot_id": str(stay.lot_id),
            "vehicle_class": stay.vehicle_class,
            "licensed_capacity": place.licensed_capacity,
            "inside_count": place.inside_count,
        },
    )
    await outbox.record(session, org_id, [passed], now=now)
