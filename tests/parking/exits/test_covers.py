"""Until when a stay that is paid may go on without paying more."""

from datetime import datetime, timedelta

import pytest

from core.db import Database
from core.tenancy import open_org_transaction
from parking.exits.paying import collect
from parking.exits.standing import COVERED_WITHIN, get_stay, may_stay_until, read_standing
from parking.vehicles import VehicleClass
from tests.world.constants import NOON
from tests.world.lots import CAR, MOTORBIKE
from tests.world.parking_sessions import (
    HOURLY_VND,
    PER_VISIT_VND,
    Gate,
    a_stay,
    cash,
)

pytestmark = pytest.mark.anyio

GRACE = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)


async def cover(
    database: Database,
    gate: Gate,
    amount_vnd: int,
    *,
    since: timedelta,
    after: timedelta,
    of: VehicleClass = MOTORBIKE,
) -> datetime | None:
    """Let a vehicle have come in so long before noon, pay at noon, and ask so long after."""
    stay_id = await a_stay(database, gate, entered_at=NOON - since, vehicle_class=of)
    async with open_org_transaction(database, gate.org_id) as session:
        if amount_vnd:
            taken = cash(amount_vnd)
            await collect(
                session, gate.org_id, stay_id, taken, priced_at=NOON, actor=gate.attendant, now=NOON
            )
        stay = await get_stay(session, gate.org_id, stay_id)
        standing = await read_standing(session, gate.org_id, stay, at=NOON + after)
    return may_stay_until(standing, at=NOON + after)


@pytest.mark.parametrize(
    ("since", "after", "until"),
    [
        (timedelta(), MINUTE, timedelta(hours=1)),  # the hour that was paid
        (timedelta(minutes=55), MINUTE, GRACE),  # longer than what is left of the hour
        (timedelta(minutes=40), GRACE + MINUTE, timedelta(minutes=20)),  # grace is over
        (timedelta(), timedelta(minutes=60, seconds=30), timedelta(minutes=61)),  # the last minute
        (timedelta(), timedelta(minutes=61), None),  # it owes again
    ],
)
async def test_an_hour_that_is_paid_covers_until_its_end_and_grace_at_least(
    app_database: Database,
    gate: Gate,
    since: timedelta,
    after: timedelta,
    until: timedelta | None,
) -> None:
    found = await cover(app_database, gate, HOURLY_VND, since=since, after=after, of=CAR)

    assert found == (None if until is None else NOON + until)


async def test_a_price_of_a_visit_covers_as_far_as_it_looks(
    app_database: Database, gate: Gate
) -> None:
    found = await cover(app_database, gate, PER_VISIT_VND, since=timedelta(), after=MINUTE)

    assert found == NOON + MINUTE + COVERED_WITHIN


async def test_of_a_stay_of_weeks_grace_alone_is_told(app_database: Database, gate: Gate) -> None:
    since = timedelta(days=8)

    assert await cover(app_database, gate, PER_VISIT_VND, since=since, after=MINUTE) == NOON + GRACE


async def test_what_was_not_paid_covers_nothing(app_database: Database, gate: Gate) -> None:
    assert await cover(app_database, gate, 0, since=timedelta(), after=MINUTE) is None
