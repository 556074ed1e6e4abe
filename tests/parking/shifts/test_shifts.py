"""A shift is opened by a person, and closed by a blind count that posts its cash once."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import pytest

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from parking.collections.rules import CollectionRail
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.paying import Taken, collect
from parking.exits.rules import ExitReason
from parking.shifts.deposits import OWNER_KIND, DepositWanted, handle_deposit_change, open_deposit
from parking.shifts.errors import NothingToDeposit, ShiftAlreadyOpen, ShiftClosed, ShiftIdTaken
from parking.shifts.rules import ShiftFacts
from parking.shifts.service import close_shift, open_shift
from parking.shifts.views import ShiftReport, read_report
from payments.bills.owners import OwnersInbox
from payments.bills.references import make_reference
from payments.bills.rules import BillFacts
from payments.ledger import service as ledger
from payments.ledger.rules import cash_in_drawer, cash_variance, takings
from tests.payments.invariants import find_violations
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase, Template, a_template
from tests.world.notices import pay
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_gate, a_stay, cash
from tests.world.reads import list_events, read_status
from tests.world.serials import next_serial

pytestmark = pytest.mark.anyio

CHANGE_VND = 200_000


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[Gate]]:
    """A lot whose attendant was given change."""
    with a_template(cluster, partial(a_gate, change_vnd=CHANGE_VND)) as template:
        yield template


async def close(database: Database, gate: Gate, counted_vnd: int) -> ShiftFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await close_shift(
            session,
            gate.org_id,
            gate.shift_id,
            counted_vnd=counted_vnd,
            note=None,
            actor=gate.attendant,
            now=NOON,
        )


async def take(database: Database, gate: Gate, taken: Taken) -> UUID:
    """Let a motorbike pay so, and return its session."""
    stay_id = await a_stay(database, gate)
    async with open_org_transaction(database, gate.org_id) as session:
        await collect(
            session, gate.org_id, stay_id, taken, priced_at=NOON, actor=gate.attendant, now=NOON
        )
    return stay_id


def on_behalf() -> Taken:
    return Taken(id=new_id(), rail=CollectionRail.FLOAT, amount_vnd=PER_VISIT_VND)


async def deposit(
    database: Database, gate: Gate, *, id_: UUID | None = None, now: datetime = NOON
) -> BillFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await open_deposit(
            session,
            gate.org_id,
            gate.shift_id,
            DepositWanted(
                id=id_ or new_id(),
                reference=make_reference(gate.lot.org.code, next_serial()),
                valid_for=timedelta(minutes=15),
                monitored_for=timedelta(days=1),
            ),
            actor=gate.attendant,
            now=now,
        )


async def report(database: Database, gate: Gate) -> ShiftReport:
    async with open_org_transaction(database, gate.org_id) as session:
        return await read_report(session, gate.org_id, gate.shift_id)


async def balances(database: Database, gate: Gate) -> tuple[int, int, int]:
    """Cash in the drawer (a debit), takings, variance (a debit)."""
    async with open_org_transaction(database, gate.org_id) as session:
        keys = (
            cash_in_drawer(gate.shift_id),
            takings(gate.lot.payee_id),
            cash_variance(gate.lot.payee_id),
        )
        drawer, taken, variance = [
            await ledger.read_balance(session, gate.org_id, key) for key in keys
        ]
    return -drawer, taken, -variance


async def test_a_close_posts_the_cash_of_all_tickets_once(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    for _ in range(3):
        await take(app_database, gate, cash(PER_VISIT_VND))
    assert await balances(app_database, gate) == (0, 0, 0)

    closed = await close(app_database, gate, CHANGE_VND + 3 * PER_VISIT_VND)

    assert (closed.expected_vnd, closed.variance_vnd) == (CHANGE_VND + 3 * PER_VISIT_VND, 0)
    assert await close(app_database, gate, CHANGE_VND + 3 * PER_VISIT_VND) == closed
    assert await balances(app_database, gate) == (3 * PER_VISIT_VND, 3 * PER_VISIT_VND, 0)
    assert find_violations(fresh_database.owner_url) == []
    with pytest.raises(ShiftClosed):
        await close(app_database, gate, CHANGE_VND)


@pytest.mark.parametrize("variance_vnd", [-2_000, 3_000])
async def test_a_count_that_differs_is_a_variance(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase, variance_vnd: int
) -> None:
    await take(app_database, gate, cash(PER_VISIT_VND))

    closed = await close(app_database, gate, CHANGE_VND + PER_VISIT_VND + variance_vnd)

    assert closed.variance_vnd == variance_vnd
    drawer, taken, variance = await balances(app_database, gate)
    assert (drawer, taken, variance) == (
        PER_VISIT_VND + variance_vnd,
        PER_VISIT_VND,
        -variance_vnd,
    )
    assert find_violations(fresh_database.owner_url) == []


async def test_a_shift_without_cash_posts_nothing(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    await close(app_database, gate, CHANGE_VND)

    assert await balances(app_database, gate) == (0, 0, 0)
    assert find_violations(fresh_database.owner_url) == []


async def test_a_person_has_one_open_shift_and_a_repeat_opens_none(
    app_database: Database, gate: Gate
) -> None:
    async def begin(id_: UUID, change_vnd: int) -> ShiftFacts:
        async with open_org_transaction(app_database, gate.org_id) as session:
            assert gate.attendant.id is not None
            return await open_shift(
                session,
                gate.org_id,
                id_,
                lot_id=gate.lot.id,
                staff_id=gate.attendant.id,
                change_vnd=change_vnd,
                actor=gate.attendant,
                now=NOON,
            )

    assert (await begin(gate.shift_id, CHANGE_VND)).id == gate.shift_id
    with pytest.raises(ShiftIdTaken):
        await begin(gate.shift_id, 0)
    with pytest.raises(ShiftAlreadyOpen):
        await begin(new_id(), CHANGE_VND)
    await close(app_database, gate, CHANGE_VND)
    await begin(new_id(), CHANGE_VND)
    assert (await begin(gate.shift_id, CHANGE_VND)).closed_at == NOON


async def test_what_was_paid_on_behalf_is_cleared_by_one_deposit_bill(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    for _ in range(3):
        await take(app_database, gate, on_behalf())
    id_ = new_id()
    bill = await deposit(app_database, gate, id_=id_)
    assert (bill.amount_vnd, (await deposit(app_database, gate)).id) == (3 * PER_VISIT_VND, id_)
    await take(app_database, gate, on_behalf())

    more = await deposit(app_database, gate)

    assert more.amount_vnd == 4 * PER_VISIT_VND
    assert (await read_status(app_database, gate.stall, bill))[0] == "cancelled"
    assert await pay(app_database, gate.stall, more) == "settle"
    with pytest.raises(NothingToDeposit):
        await deposit(app_database, gate)
    inbox = OwnersInbox(app_database, {OWNER_KIND: handle_deposit_change}, read_clock=lambda: NOON)
    await inbox.sweep([gate.org_id], wait_s=5)
    assert (await list_events(app_database, gate.stall))[-1] == "parking.deposit_paid"
    closed = await close(app_database, gate, CHANGE_VND)
    assert closed.variance_vnd == 0
    told = await report(app_database, gate)
    assert (told.on_behalf_vnd, told.deposited_vnd) == (4 * PER_VISIT_VND, 4 * PER_VISIT_VND)
    assert await balances(app_database, gate) == (0, 4 * PER_VISIT_VND, 0)
    assert find_violations(fresh_database.owner_url) == []


async def test_a_deposit_bill_past_its_time_gives_way_to_a_fresh_one(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    await take(app_database, gate, on_behalf())
    first = await deposit(app_database, gate)
    in_time = await deposit(app_database, gate, now=first.expires_at - timedelta(seconds=1))
    assert in_time.id == first.id

    fresh = await deposit(app_database, gate, now=first.expires_at)

    assert (fresh.amount_vnd, fresh.expires_at > first.expires_at) == (PER_VISIT_VND, True)
    assert (await read_status(app_database, gate.stall, first))[0] == "cancelled"
    assert await pay(app_database, gate.stall, fresh, now=first.expires_at) == "settle"
    assert (await report(app_database, gate)).deposited_vnd == PER_VISIT_VND
    assert find_violations(fresh_database.owner_url) == []


async def test_the_report_says_what_happened_and_hides_the_cash_until_it_is_counted(
    app_database: Database, gate: Gate
) -> None:
    paid = await take(app_database, gate, cash(PER_VISIT_VND))
    exempt = await take(
        app_database,
        gate,
        Taken(id=new_id(), rail=CollectionRail.EXEMPT, amount_vnd=None, reason="Xe cứu hoả"),
    )
    gone = await a_stay(app_database, gate)
    await a_stay(app_database, gate)
    async with open_org_transaction(app_database, gate.org_id) as session:
        requests = [LeaveRequest(session_id=one, actor=gate.attendant) for one in (paid, exempt)]
        requests.append(
            LeaveRequest(
                session_id=gone, actor=gate.attendant, forced=ExitReason.ARREARS, words="Bỏ chạy"
            )
        )
        await leave(session, gate.org_id, requests, now=NOON)

    before = await report(app_database, gate)
    await close(app_database, gate, CHANGE_VND + PER_VISIT_VND)
    after = await report(app_database, gate)

    assert (before.entered, before.left, before.inside["motorbike"]) == (4, 3, 1)
    assert (before.arrears.count, before.arrears.amount_vnd) == (1, PER_VISIT_VND)
    assert set(before.by_rail) == {"exempt"}
    assert before.shift.expected_vnd is None
    assert after.by_rail["cash"].amount_vnd == PER_VISIT_VND
    assert after.shift.variance_vnd == 0
