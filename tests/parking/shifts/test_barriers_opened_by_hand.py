"""Barriers that were opened by hand, as the hand-over and the control of a day count them."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.clock import hanoi_day
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.rules import ExitReason
from parking.lanes.rules import OpenWanted
from parking.lanes.service import open_lane
from parking.overview.day import read_day
from parking.overview.leakage import read_leakage
from parking.overview.openings import list_opened_by_hand
from parking.shifts.service import close_shift
from parking.shifts.views import read_report
from tests.parking.exits.test_movements import Phone
from tests.world.constants import NOON
from tests.world.lanes import a_served_lane
from tests.world.parking_sessions import Gate, a_stay, an_attendant, open_a_shift
from tests.world.photos import a_photo

pytestmark = pytest.mark.anyio


class Barrier:
    """The barrier at the way out of a gate, with the attendant who opens it."""

    def __init__(self, gate: Gate, app: Database, owner: Database) -> None:
        self.gate, self.app, self.owner = gate, app, owner

    async def let_out_by_hand(self) -> UUID:
        """Let a vehicle out because the barrier does not open."""
        stay_id = await a_stay(self.app, self.gate)
        request = LeaveRequest(
            session_id=stay_id, actor=self.gate.attendant, forced=ExitReason.MANUAL, words="Kẹt"
        )
        async with open_org_transaction(self.app, self.gate.org_id) as session:
            await leave(session, self.gate.org_id, [request], now=NOON)
        return stay_id

    async def open(self, *, after: timedelta, session_id: UUID | None = None) -> None:
        """Send an opening with a reason, so long after noon."""
        photo = await a_photo(self.app, self.gate.org_id)
        wanted = OpenWanted(id=new_id(), session_id=session_id, reason="Xe cứu thương", photo=photo)
        async with open_org_transaction(self.app, self.gate.org_id) as session:
            await open_lane(
                session,
                self.gate.org_id,
                self.gate.lot.id,
                self.gate.lot.way_out_id,
                wanted,
                actor=self.gate.attendant,
                now=NOON,
            )
        async with self.owner.begin() as session:  # the database's clock says when: not now
            await session.execute(
                text(
                    "UPDATE lane_commands SET requested_at = :at, expires_at = :at WHERE id = :id"
                ),
                {"id": wanted.id, "at": NOON + after},
            )

    async def close_shift(self, *, after: timedelta) -> None:
        async with open_org_transaction(self.app, self.gate.org_id) as session:
            await close_shift(
                session,
                self.gate.org_id,
                self.gate.shift_id,
                counted_vnd=0,
                note=None,
                actor=self.gate.attendant,
                now=NOON + after,
            )

    async def count(self) -> tuple[int, int, int]:
        """Return what the hand-over, the manager's list and the day's control say."""
        day, org_id, lot_id = hanoi_day(NOON), self.gate.org_id, self.gate.lot.id
        async with open_org_transaction(self.app, org_id) as session:
            report = await read_report(session, org_id, self.gate.shift_id)
            shown = await read_day(session, org_id, lot_id, day, now=NOON)
            leakage = await read_leakage(session, org_id, lot_id, day, now=NOON)
        by_hand = shown.opened_by_hand[self.gate.shift_id]
        return report.manual_opens, by_hand, leakage.opened_by_hand


@pytest.fixture
async def barrier(gate: Gate, app_database: Database, owner_database: Database) -> Barrier:
    await a_served_lane(app_database, gate.lot)
    return Barrier(gate, app_database, owner_database)


@pytest.fixture
async def phone(gate: Gate, app_database: Database, worker_database: Database) -> Phone:
    return Phone(gate, app_database, worker_database)


async def test_commands_with_a_reason_exits_and_reports_without_network_are_all_counted(
    barrier: Barrier, phone: Phone
) -> None:
    assert await barrier.count() == (0, 0, 0)
    shift = {"shift_id": str(barrier.gate.shift_id)}

    await barrier.open(after=timedelta(minutes=1))
    await barrier.open(after=timedelta(minutes=2))
    await barrier.let_out_by_hand()
    for minutes in (3, 4, 5):
        at = NOON + timedelta(minutes=minutes)
        await phone.keep("manual_open", at=at, reason="Barie hỏng", **shift)
    assert await phone.apply() == ["applied"] * 3

    # The control of a day has those who left by hand among those who left.
    assert await barrier.count() == (2 + 1 + 3, 6, 2 + 3)


async def test_a_vehicle_let_out_by_hand_counts_once_though_its_barrier_had_a_command(
    barrier: Barrier,
) -> None:
    stay_id = await barrier.let_out_by_hand()

    await barrier.open(after=timedelta(seconds=5), session_id=stay_id)

    assert await barrier.count() == (1, 1, 1)


async def test_each_shift_counts_its_own_persons_openings_between_its_open_and_its_close(
    barrier: Barrier, phone: Phone
) -> None:
    second, minute = timedelta(seconds=1), timedelta(minutes=1)
    since = -timedelta(hours=4)  # it began at 8:00
    await barrier.close_shift(after=minute)
    other = await an_attendant(barrier.app, barrier.gate.lot)
    async with open_org_transaction(barrier.app, barrier.gate.org_id) as session:
        other_id = await open_a_shift(session, barrier.gate.lot, other, now=NOON)
    for after in (since - second, since, minute - second, minute, minute + second):
        await barrier.open(after=after)
    # Another person's shift, and one that is over by far: neither is this shift's.
    late = NOON + timedelta(hours=1)
    for shift_id, at in ((other_id, NOON), (barrier.gate.shift_id, late)):
        await phone.keep("manual_open", at=at, reason="Barie hỏng", shift_id=str(shift_id))
    assert await phone.apply() == ["other_shift", "other_shift"]

    assert await barrier.count() == (2, 2, 5 + 2)


async def test_what_a_phone_without_network_opened_is_in_the_shift_that_was_closed_since(
    barrier: Barrier, phone: Phone
) -> None:
    shift_id = str(barrier.gate.shift_id).upper()
    await phone.keep("manual_open", reason="Barie hỏng", shift_id=shift_id)
    await barrier.close_shift(after=timedelta(minutes=1))
    assert await barrier.count() == (0, 0, 0)

    await phone.apply()

    assert await barrier.count() == (1, 1, 1)


async def test_an_opening_by_command_is_listed_with_its_photo_on_its_day_alone(
    barrier: Barrier,
) -> None:
    await barrier.open(after=timedelta(hours=1))
    await barrier.open(after=timedelta(days=1))

    async with open_org_transaction(barrier.app, barrier.gate.org_id) as session:
        shown = await list_opened_by_hand(
            session, barrier.gate.org_id, barrier.gate.lot.id, hanoi_day(NOON)
        )

    assert [(one.opened_at, one.reason, len(one.photos)) for one in shown] == [
        (NOON + timedelta(hours=1), "Xe cứu thương", 1)
    ]
