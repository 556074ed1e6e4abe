"""Two at once at the way out: one of them wins, and the books agree whichever it is."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.collections.rules import CollectionRail
from parking.exits.errors import NothingDue, NotPaid, PassNotValid
from parking.exits.leaving import LeaveFacts, LeaveRequest, leave
from parking.exits.paying import Taken, collect, open_bill
from parking.exits.rules import ExitReason
from parking.exits.standing import get_stay, read_standing
from parking.passes.models import Pass, PassPlate
from parking.shifts.errors import NoOpenShift
from parking.shifts.service import close_shift
from tests.payments.invariants import find_violations
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.lots import CAR
from tests.world.notices import pay
from tests.world.parking_sessions import (
    HOURLY_VND,
    PER_VISIT_VND,
    Gate,
    a_bill_wanted,
    a_stay,
    cash,
)
from tests.world.reads import list_breaks

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Move = Callable[[AsyncSession], Awaitable[Any]]
MIDNIGHT = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)  # the 21st begins in Hà Nội


async def race(database: Database, gate: Gate, *moves: Move) -> list[Any]:
    """Make each move in its own transaction, all from one instant; return answers or errors."""
    ready = asyncio.Barrier(len(moves))

    async def make(move: Move) -> Any:
        try:
            async with open_org_transaction(database, gate.org_id) as session:
                await session.connection()
                await ready.wait()
                return await move(session)
        except HubError as error:
            return error

    return list(await asyncio.gather(*map(make, moves)))


def collecting(gate: Gate, stay_id: UUID, taken: Taken, *, now: datetime = NOON) -> Move:
    async def move(session: AsyncSession) -> Any:
        return await collect(
            session, gate.org_id, stay_id, taken, priced_at=now, actor=gate.attendant, now=now
        )

    return move


def billing(gate: Gate, stay_id: UUID, amount_vnd: int, *, now: datetime = NOON) -> Move:
    async def move(session: AsyncSession) -> Any:
        wanted = a_bill_wanted(gate, amount_vnd)
        return await open_bill(
            session, gate.org_id, stay_id, wanted, priced_at=now, actor=gate.attendant, now=now
        )

    return move


def leaving(gate: Gate, *stay_ids: UUID, now: datetime = NOON, **facts: Any) -> Move:
    async def move(session: AsyncSession) -> Any:
        requests = [LeaveRequest(session_id=one, actor=gate.attendant, **facts) for one in stay_ids]
        return await leave(session, gate.org_id, requests, now=now)

    return move


def closing(gate: Gate, counted_vnd: int, *, after_s: float = 0) -> Move:
    async def move(session: AsyncSession) -> Any:
        await asyncio.sleep(after_s)
        return await close_shift(
            session,
            gate.org_id,
            gate.shift_id,
            counted_vnd=counted_vnd,
            note=None,
            actor=gate.attendant,
            now=NOON,
        )

    return move


async def read_paid(database: Database, gate: Gate, stay_id: UUID) -> tuple[int, int]:
    async with open_org_transaction(database, gate.org_id) as session:
        stay = await get_stay(session, gate.org_id, stay_id)
        standing = await read_standing(session, gate.org_id, stay, at=NOON)
    return standing.stay.paid_vnd, standing.due_vnd


async def test_of_two_who_take_cash_at_once_one_is_told_that_nothing_is_due(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate)

    answers = await race(
        app_database,
        gate,
        *(collecting(gate, stay_id, cash(PER_VISIT_VND)) for _ in range(4)),
    )

    assert sorted(type(one).__name__ for one in answers) == ["CollectionFacts", *["NothingDue"] * 3]
    assert await read_paid(app_database, gate, stay_id) == (PER_VISIT_VND, 0)
    assert find_violations(fresh_database.owner_url) == []


async def test_cash_and_a_transfer_at_once_are_never_both_kept(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    for _ in range(5):
        stay_id = await a_stay(app_database, gate)
        async with open_org_transaction(app_database, gate.org_id) as session:
            bill = await billing(gate, stay_id, PER_VISIT_VND)(session)
        (taken,), outcome = await asyncio.gather(
            race(app_database, gate, collecting(gate, stay_id, cash(PER_VISIT_VND))),
            pay(app_database, gate.stall, bill),
        )

        assert (outcome, isinstance(taken, NothingDue)) in (
            ("settle", True),
            ("closed_bill", False),
        )
        assert await read_paid(app_database, gate, stay_id) == (PER_VISIT_VND, 0)
    assert set(await list_breaks(app_database, gate.stall)) <= {"refund_due"}
    assert find_violations(fresh_database.owner_url) == []


async def test_an_exit_and_a_top_up_at_once_lose_neither(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    """One lets it out owing an hour, the other takes that hour in cash."""
    later = NOON + timedelta(minutes=50)
    for _ in range(4):
        stay_id = await a_stay(app_database, gate, vehicle_class=CAR)
        now = NOON - timedelta(minutes=5)
        async with open_org_transaction(app_database, gate.org_id) as session:
            await collecting(gate, stay_id, cash(HOURLY_VND), now=now)(session)

        taken, (left,) = await race(
            app_database,
            gate,
            collecting(gate, stay_id, cash(HOURLY_VND), now=later),
            leaving(gate, stay_id, now=later, forced=ExitReason.ARREARS, words="Bỏ chạy"),
        )

        assert taken.amount_vnd == HOURLY_VND
        assert left.reason in ("arrears", "paid")
        assert await read_paid(app_database, gate, stay_id) == (2 * HOURLY_VND, 0)
    assert find_violations(fresh_database.owner_url) == []


async def test_a_vehicle_leaves_unforced_only_once_the_top_up_was_written(
    app_database: Database, gate: Gate
) -> None:
    later = NOON + timedelta(minutes=50)
    stay_id = await a_stay(app_database, gate, vehicle_class=CAR)

    taken, (left,) = await race(
        app_database,
        gate,
        collecting(gate, stay_id, cash(2 * HOURLY_VND), now=later),
        leaving(gate, stay_id, now=later),
    )

    assert taken.amount_vnd == 2 * HOURLY_VND
    assert isinstance(left, (LeaveFacts, NotPaid))
    assert isinstance(left, NotPaid) or left.paid_vnd == 2 * HOURLY_VND


async def test_two_phones_that_let_the_same_vehicle_out_count_it_once(
    app_database: Database, gate: Gate
) -> None:
    stays = [await a_stay(app_database, gate) for _ in range(3)]
    async with open_org_transaction(app_database, gate.org_id) as session:
        for one in stays:
            await collecting(gate, one, cash(PER_VISIT_VND))(session)

    answers = await race(app_database, gate, leaving(gate, *stays), leaving(gate, *reversed(stays)))

    repeats = [one.is_repeat for answer in answers for one in answer]
    assert sorted(repeats) == [False] * 3 + [True] * 3
    async with open_org_transaction(app_database, gate.org_id) as session:
        assert await session.scalar(text("SELECT sum(inside_count) FROM occupancy")) == 0


async def test_of_two_who_close_a_shift_at_once_one_closes_it(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await collecting(gate, stay_id, cash(PER_VISIT_VND))(session)

    answers = await race(app_database, gate, closing(gate, 5_000), closing(gate, 4_000))

    assert sorted(type(one).__name__ for one in answers) == ["ShiftClosed", "ShiftFacts"]
    async with open_org_transaction(app_database, gate.org_id) as session:
        taken = text("SELECT count(*) FROM postings WHERE cause_kind = 'shift_close' AND step = 0")
        assert await session.scalar(taken) == 1
    assert find_violations(fresh_database.owner_url) == []


async def test_cash_that_is_recorded_while_its_shift_closes_is_counted_or_refused(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stays = [await a_stay(app_database, gate) for _ in range(6)]

    *taken, closed = await race(
        app_database,
        gate,
        *(collecting(gate, one, cash(PER_VISIT_VND)) for one in stays),
        closing(gate, 0, after_s=0.02),
    )

    kept = [one for one in taken if not isinstance(one, NoOpenShift)]
    assert closed.expected_vnd == PER_VISIT_VND * len(kept)
    assert find_violations(fresh_database.owner_url) == []


async def test_a_pass_covers_its_last_day_until_midnight_in_hanoi(
    app_database: Database, gate: Gate
) -> None:
    pass_id = new_id()
    async with open_org_transaction(app_database, gate.org_id) as session:
        session.add(
            Pass(
                org_id=gate.org_id,
                id=pass_id,
                lot_id=gate.lot.id,
                vehicle_class="motorbike",
                kind="monthly",
                holder_name="Chị Hoa",
                plates_max=1,
                valid_from=datetime(2026, 11, 1, tzinfo=UTC).date(),
                valid_until=datetime(2026, 11, 20, tzinfo=UTC).date(),
                price_vnd=100_000,
                in_force_at=NOON - timedelta(days=19),
                created_by=new_id(),
                created_at=NOON,
            )
        )
        await session.flush()
        for plate in ("29AA00001", "29AA00002"):
            session.add(
                PassPlate(
                    org_id=gate.org_id, pass_id=pass_id, vehicle_class="motorbike", plate=plate
                )
            )
    shown = Taken(id=new_id(), rail=CollectionRail.PASS, amount_vnd=None, pass_id=pass_id)
    last, after = MIDNIGHT - timedelta(seconds=1), MIDNIGHT
    on_it = await a_stay(app_database, gate, plate="29AA00001", pass_id=pass_id)
    shows_it = await a_stay(app_database, gate, plate="29AA00002")

    too_late, in_time = await race(
        app_database,
        gate,
        collecting(gate, shows_it, shown, now=after),
        leaving(gate, on_it, now=last),
    )

    assert isinstance(too_late, PassNotValid)
    assert (in_time[0].reason, in_time[0].price_vnd) == ("pass", 0)
    overnight = await a_stay(app_database, gate, plate="29AA00001", pass_id=pass_id)
    async with open_org_transaction(app_database, gate.org_id) as session:
        stay = await get_stay(session, gate.org_id, overnight)
        dues = [
            (await read_standing(session, gate.org_id, stay, at=at)).due_vnd
            for at in (last, after + timedelta(minutes=1))
        ]
    assert dues == [0, PER_VISIT_VND]
