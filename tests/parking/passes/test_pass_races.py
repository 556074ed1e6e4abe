"""Races of passes: held at a barrier, each in a transaction of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds, hanoi_day
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.standing import get_stay, read_standing
from parking.passes.errors import NothingToPay
from parking.passes.rules import PassState
from parking.passes.service import change_plates, open_bill, renew_pass, revoke_pass
from parking.passes.types import BillWanted
from parking.sessions.rules import EntryAnswer
from parking.sessions.writer import EntryWriter
from payments.bills.references import make_reference
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.entries import a_plate, an_entry
from tests.world.lots import a_lot
from tests.world.notices import pay
from tests.world.parking_sessions import PER_VISIT_VND, Gate
from tests.world.passes import (
    a_pass,
    look_at_pass,
    notify_passes,
    show_bill,
)
from tests.world.reads import list_breaks
from tests.world.serials import next_serial

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TODAY = hanoi_day(NOON)
Act = Callable[[AsyncSession], Awaitable[Any]]


@pytest.fixture
async def writers(gate_database: Database) -> AsyncIterator[list[EntryWriter]]:
    """What two processes write entries with."""
    writers = [EntryWriter(gate_database, read_clock=lambda: NOON) for _ in range(2)]
    yield writers
    for writer in writers:
        await writer.drain()


async def race(database: Database, gate: Gate, *acts: Act) -> list[Any]:
    """Do all of this at the same instant; return what each said, errors among it."""
    ready = asyncio.Barrier(len(acts))

    async def do(act: Act) -> Any:
        async with open_org_transaction(database, gate.org_id) as session:
            await ready.wait()
            return await act(session)

    return await asyncio.gather(*map(do, acts), return_exceptions=True)


async def test_of_many_renewals_at_once_one_waits_to_be_paid(
    app_database: Database, gate: Gate
) -> None:
    pass_id = await a_pass(app_database, gate)

    def renewing(months: int) -> Act:
        return lambda session: renew_pass(
            session, gate.org_id, pass_id, months=months, id_=new_id(), actor=MANAGER, now=NOON
        )

    answers = await race(app_database, gate, *map(renewing, (1, 2, 1, 2, 3)))

    assert answers == [None] * 5
    sold = await look_at_pass(app_database, gate, pass_id)
    assert len([term for term in sold.terms if term.is_waiting]) == 1


async def test_of_many_who_show_the_bill_at_once_all_show_the_same(
    app_database: Database, gate: Gate
) -> None:
    pass_id = await a_pass(app_database, gate, is_paid=False)

    def showing() -> Act:
        wanted = BillWanted(
            id=new_id(),
            reference=make_reference(gate.lot.org.code, next_serial()),
            monitored_for_s=3_600,
        )
        return lambda session: open_bill(
            session, gate.org_id, pass_id, wanted, actor=MANAGER, now=NOON
        )

    bills = await race(app_database, gate, *(showing() for _ in range(5)))

    assert len({bill.id for bill in bills}) == 1


async def test_a_pass_that_is_revoked_while_it_is_paid_is_never_in_force(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    for turn in range(6):
        pass_id = await a_pass(app_database, gate, is_paid=False)
        bill = await show_bill(app_database, gate, pass_id)

        async def revoke(pass_id: Any = pass_id, turn: int = turn) -> None:
            await asyncio.sleep(0.004 * turn)
            async with open_org_transaction(app_database, gate.org_id) as session:
                await revoke_pass(
                    session, gate.org_id, pass_id, actor=MANAGER, reason="Thôi", now=NOON
                )

        await asyncio.gather(
            revoke(), pay(app_database, gate.stall, bill, bank_reference=f"FT{turn}")
        )
        await notify_passes(app_database, gate)

        gone = await look_at_pass(app_database, gate, pass_id)
        assert gone.state(TODAY) is PassState.REVOKED
        assert gone.in_force_at is None
        # Either the bill was cancelled first, or it was paid for nothing.
        breaks = await list_breaks(app_database, gate.stall)
        assert len(breaks) == turn + 1
        assert set(breaks) <= {"refund_due", "nothing_given"}
    assert find_violations(fresh_database.owner_url) == []


async def test_a_bill_that_is_paid_while_another_is_asked_for_counts_once(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    later = NOON + timedelta(days=3)
    for turn in range(6):
        pass_id = await a_pass(app_database, gate, is_paid=False)
        bill = await show_bill(app_database, gate, pass_id)

        async def show(pass_id: Any = pass_id, turn: int = turn) -> Any:
            await asyncio.sleep(0.004 * turn)
            try:
                return await show_bill(app_database, gate, pass_id, now=later)
            except NothingToPay as error:
                return error

        shown, _ = await asyncio.gather(
            show(), pay(app_database, gate.stall, bill, bank_reference=f"FT{turn}", now=later)
        )
        await notify_passes(app_database, gate, now=later)

        sold = await look_at_pass(app_database, gate, pass_id)
        is_paid = sold.in_force_at is not None
        assert is_paid == isinstance(shown, NothingToPay)
    assert find_violations(fresh_database.owner_url) == []


async def test_two_who_change_the_plates_leave_the_plates_of_one(
    app_database: Database, gate: Gate
) -> None:
    pass_id = await a_pass(app_database, gate)
    sets = [tuple(sorted(a_plate() for _ in range(3))) for _ in range(4)]

    def changing(plates: tuple[str, ...]) -> Act:
        return lambda session: change_plates(
            session,
            gate.org_id,
            pass_id,
            plates=plates,
            actor=MANAGER,
            reason="Đổi xe",
            now=NOON,
        )

    answers = await race(app_database, gate, *map(changing, sets))

    assert answers == [None] * 4
    assert (await look_at_pass(app_database, gate, pass_id)).plates in sets


async def test_of_two_vehicles_of_a_pass_at_two_lots_at_once_one_is_on_it(
    app_database: Database, gate: Gate, writers: list[EntryWriter]
) -> None:
    elsewhere = await a_lot(app_database, org=gate.lot.org)
    for _ in range(5):
        plates = [a_plate(), a_plate()]
        pass_id = await a_pass(app_database, gate, *plates, is_everywhere=True)
        ready = asyncio.Barrier(2)

        async def enter(
            writer: EntryWriter, lot: Any, plate: str, ready: asyncio.Barrier = ready
        ) -> EntryAnswer:
            await ready.wait()
            return await writer.enter(an_entry(lot, plate=plate))

        answers = await asyncio.gather(*map(enter, writers, (gate.lot, elsewhere), plates))

        assert sorted(str(one.verdict.value) for one in answers) == ["opened"] * 2
        assert [one.pass_id for one in answers].count(pass_id) == 1


async def test_a_pass_ends_at_midnight_in_hanoi_for_those_who_come_and_those_who_stay(
    app_database: Database, gate: Gate, writers: list[EntryWriter]
) -> None:
    stays, comes = a_plate(), a_plate()
    first = await a_pass(app_database, gate, stays)
    second = await a_pass(app_database, gate, comes)
    sold = await look_at_pass(app_database, gate, first)
    midnight = day_bounds(sold.valid_until)[1]
    last = midnight - timedelta(milliseconds=1)
    ready = asyncio.Barrier(2)

    async def enter(writer: EntryWriter, plate: str, at: Any) -> EntryAnswer:
        await ready.wait()
        return await writer.enter(an_entry(gate.lot, plate=plate, entered_at=at))

    in_time, too_late = await asyncio.gather(
        enter(writers[0], stays, last), enter(writers[1], comes, midnight)
    )

    assert (in_time.pass_id, too_late.pass_id) == (first, None)
    assert second != first
    async with open_org_transaction(app_database, gate.org_id) as session:
        stay = await get_stay(session, gate.org_id, in_time.session_id)
        dues = [
            (await read_standing(session, gate.org_id, stay, at=at)).due_vnd
            for at in (last, midnight + timedelta(minutes=1))
        ]
    assert dues == [0, PER_VISIT_VND]


async def test_a_renewal_that_is_paid_over_midnight_leaves_no_gap(
    app_database: Database, gate: Gate, writers: list[EntryWriter]
) -> None:
    plate = a_plate()
    pass_id = await a_pass(app_database, gate, plate)
    midnight = day_bounds((await look_at_pass(app_database, gate, pass_id)).valid_until)[1]
    before, after = midnight - timedelta(seconds=1), midnight + timedelta(seconds=1)
    entered = await writers[0].enter(an_entry(gate.lot, plate=plate, entered_at=before))
    async with open_org_transaction(app_database, gate.org_id) as session:
        await renew_pass(
            session, gate.org_id, pass_id, months=1, id_=new_id(), actor=MANAGER, now=before
        )
    bill = await show_bill(app_database, gate, pass_id, now=before)
    await pay(app_database, gate.stall, bill, bank_reference="FT2", now=before)

    await notify_passes(app_database, gate, now=after)

    async with open_org_transaction(app_database, gate.org_id) as session:
        request = LeaveRequest(session_id=entered.session_id, actor=gate.attendant)
        (left,) = await leave(session, gate.org_id, [request], now=midnight + timedelta(hours=1))
    assert (left.reason, left.price_vnd) == ("pass", 0)


async def test_who_is_inside_on_a_revoked_pass_pays_from_midnight_on(
    app_database: Database, gate: Gate, writers: list[EntryWriter]
) -> None:
    plate = a_plate()
    pass_id = await a_pass(app_database, gate, plate)
    entered = await writers[0].enter(an_entry(gate.lot, plate=plate))
    async with open_org_transaction(app_database, gate.org_id) as session:
        await revoke_pass(session, gate.org_id, pass_id, actor=MANAGER, reason="Thôi", now=NOON)
    midnight = day_bounds(TODAY)[1]

    async with open_org_transaction(app_database, gate.org_id) as session:
        stay = await get_stay(session, gate.org_id, entered.session_id)
        dues = [
            (await read_standing(session, gate.org_id, stay, at=at)).due_vnd
            for at in (midnight - timedelta(seconds=1), midnight + timedelta(minutes=1))
        ]
    assert dues == [0, PER_VISIT_VND]
