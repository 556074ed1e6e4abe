"""A bill's owner is notified of each change after the commit, in order, whatever fails."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.ids import new_id
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from payments.bills import queries_owners
from payments.bills.cash import take_rest_in_cash
from payments.bills.errors import BillTooLong
from payments.bills.jobs import notify_owners
from payments.bills.owners import BillOwner, OwnersInbox
from payments.bills.owners_rules import Change
from payments.bills.queries_expiry import store_expiry
from payments.bills.rules import BillRequest, check_times
from payments.bills.service import cancel_bill
from payments.credits import assigning, corrections
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import MANAGER, NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.notices import pay, process_waiting, sepay_body, store_notices
from tests.world.reads import count_rows, find_match, list_breaks, read_status
from tests.world.stalls import PayableStall
from tests.world.waits import DEADLINE_S

pytestmark = pytest.mark.anyio

KIND = "test_session"
AFTERWARDS = NOON + timedelta(days=2)  # monitoring ended


class Notebook:
    """An owner of the tests: writes down what it receives, and fails on demand."""

    def __init__(self) -> None:
        self.heard: list[tuple[UUID, str | None, str]] = []
        self.fails: set[UUID] = set()
        self.hangs: set[UUID] = set()

    async def __call__(self, session: AsyncSession, change: Change, *, now: datetime) -> None:
        if change.owner_id in self.hangs:
            await session.execute(text("SELECT pg_sleep(60)"))
        # What a handler writes commits with handled_at, or not at all.
        await session.execute(
            text(
                "INSERT INTO audit_log (org_id, id, actor_kind, actor_name, action, object_kind,"
                " object_id, request_id, recorded_at) VALUES (:org, :id, 'system', 'owner',"
                " 'owner.notified', 'bill', :subject, '', :now)"
            ),
            {"org": change.org_id, "id": change.id, "subject": change.subject_id, "now": now},
        )
        if change.owner_id in self.fails:
            raise RuntimeError("the owner is faulty")
        self.heard.append((change.subject_id, change.from_status, change.to_status))


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


async def sweep(
    database: Database, stall: PayableStall, owner: BillOwner, *, now: datetime = NOON
) -> int:
    inbox = OwnersInbox(database, {KIND: owner}, read_clock=lambda: now, handle_within_s=1.0)
    handled = await inbox.sweep([stall.org.id], wait_s=30)
    await inbox.close()
    return handled


async def test_an_owner_is_notified_of_every_change_in_order(
    app_database: Database, stall: PayableStall, notebook: Notebook, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall, owner=(KIND, new_id()))
    nobodys = await a_bill(app_database, stall)
    await pay(app_database, stall, nobodys)
    for part_vnd in (5_000, 7_000):
        await pay(app_database, stall, bill, amount_vnd=part_vnd)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await take_rest_in_cash(
            session,
            stall.org.id,
            bill.id,
            payment_id=new_id(),
            amount_vnd=8_000,
            actor=VENDOR,
            now=NOON,
        )

    await sweep(app_database, stall, notebook)
    await sweep(app_database, stall, notebook)

    # The second part changed no status: nothing is told.
    assert notebook.heard == [(bill.id, "open", "part_paid"), (bill.id, "part_paid", "paid")]
    assert await count_rows(app_database, stall, "audit_log", "action = 'owner.notified'") == 2
    assert find_violations(fresh_database.owner_url) == []


async def test_an_owner_is_notified_of_a_cancelled_an_expired_and_a_corrected_bill(
    app_database: Database, stall: PayableStall, notebook: Notebook
) -> None:
    gone, late, wrong = [await a_bill(app_database, stall, owner=(KIND, new_id())) for _ in "abc"]
    await pay(app_database, stall, wrong)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await cancel_bill(session, stall.org.id, gone.id, actor=VENDOR, reason=None, now=NOON)
        credit_id = UUID(str(await session.scalar(text("SELECT id FROM bank_transactions"))))
        await corrections.mark_same_money(session, stall.org.id, credit_id, actor=MANAGER, now=NOON)
    after = NOON + timedelta(days=2)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await store_expiry(session, stall.org.id, since=NOON, limit=10, now=after)

    await sweep(app_database, stall, notebook, now=after)

    heard = {(bill, to): before for bill, before, to in notebook.heard}
    assert heard == {
        (gone.id, "cancelled"): "open",
        (late.id, "expired"): "open",
        (wrong.id, "paid"): "open",
        (wrong.id, "open"): "paid",
        (wrong.id, "expired"): "open",
    }
    assert [to for bill, _, to in notebook.heard if bill == wrong.id] == ["paid", "open", "expired"]


async def test_an_attempt_that_failed_in_two_processes_counts_once(
    app_database: Database, stall: PayableStall
) -> None:
    """The second locks the change between the first's failure and its being counted."""
    bill = await a_bill(app_database, stall, owner=(KIND, new_id()))
    await pay(app_database, stall, bill)
    counted = []
    for _ in range(2):
        async with open_org_transaction(app_database, stall.org.id) as session:
            change_id = UUID(str(await session.scalar(text("SELECT id FROM bill_changes"))))
            counted.append(
                await queries_owners.put_off(
                    session, stall.org.id, change_id, attempts=0, until=NOON, why="ValueError"
                )
            )
    assert counted == [True, False]
    assert await count_rows(app_database, stall, "bill_changes", "attempts = 1") == 1


async def test_a_faulty_owner_holds_nobody_up_and_a_person_is_told(
    app_database: Database, stall: PayableStall, notebook: Notebook
) -> None:
    faulty = await a_bill(app_database, stall, owner=(KIND, new_id()))
    good = await a_bill(app_database, stall, owner=(KIND, new_id()))
    owner_id = faulty.owner_id
    assert owner_id is not None
    notebook.fails.add(owner_id)
    assert await pay(app_database, stall, faulty, amount_vnd=1) == "part"
    assert await pay(app_database, stall, good) == "settle"

    now = NOON
    for _ in range(6):
        await sweep(app_database, stall, notebook, now=now)
        now += timedelta(minutes=20)

    assert notebook.heard == [(good.id, "open", "paid")]
    assert await count_rows(app_database, stall, "audit_log", "action = 'owner.notified'") == 1
    assert await list_breaks(app_database, stall) == ["stuck"]
    assert await read_status(app_database, stall, faulty) == ("part_paid", 1, 1)
    assert await pay(app_database, stall, faulty, amount_vnd=19_999) == "settle"
    notebook.fails.clear()
    await sweep(app_database, stall, notebook, now=now + timedelta(hours=1))
    heard = [(before, to) for bill_id, before, to in notebook.heard if bill_id == faulty.id]
    assert heard == [("open", "part_paid"), ("part_paid", "paid")]
    assert await list_breaks(app_database, stall) == []


@pytest.mark.slow
async def test_an_owner_that_hangs_is_cut_off_and_the_next_bill_is_handled(
    app_database: Database, stall: PayableStall, notebook: Notebook
) -> None:
    hanging = await a_bill(app_database, stall, owner=(KIND, new_id()))
    good = await a_bill(app_database, stall, owner=(KIND, new_id()))
    assert hanging.owner_id is not None
    notebook.hangs.add(hanging.owner_id)
    for bill in (hanging, good):
        await pay(app_database, stall, bill)

    async with asyncio.timeout(20):
        await sweep(app_database, stall, notebook)

    assert notebook.heard == [(good.id, "open", "paid")]
    assert await count_rows(app_database, stall, "bill_changes", "error = 'TimeoutError'") == 1


async def test_changes_are_handled_from_a_wake_up_on_and_all_others_seconds_later(
    app_database: Database, stall: PayableStall, notebook: Notebook
) -> None:
    """The one before is a dead process's, and no worker runs: nothing else wakes the inbox."""
    left, fresh = [await a_bill(app_database, stall, owner=(KIND, new_id())) for _ in "ab"]
    later = NOON + timedelta(minutes=1)
    await pay(app_database, stall, left)
    await pay(app_database, stall, fresh, now=later)
    inbox = OwnersInbox(
        app_database, {KIND: notebook}, read_clock=lambda: later, full_look_after_s=0.5
    )

    inbox.wake(stall.org.id, later)
    await asyncio.sleep(0.3)
    assert notebook.heard == [(fresh.id, "open", "paid")]
    async with asyncio.timeout(DEADLINE_S):
        while len(notebook.heard) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await inbox.close()
    assert notebook.heard[1:] == [(left.id, "open", "paid")]


async def test_a_wake_up_during_a_look_moves_it_back_to_an_earlier_change(
    app_database: Database, stall: PayableStall, notebook: Notebook
) -> None:
    """Clocks of two hubs differ: what was written last is due before the others."""
    bills = [await a_bill(app_database, stall, owner=(KIND, new_id())) for _ in "abc"]
    due = [NOON + timedelta(minutes=minutes) for minutes in (2, 3, 1)]
    for bill, now in zip(bills, due, strict=True):
        await pay(app_database, stall, bill, now=now)
    inbox = OwnersInbox(
        app_database, {KIND: notebook}, read_clock=lambda: max(due), full_look_after_s=3_600
    )

    for since in due:
        inbox.wake(stall.org.id, since)
    async with asyncio.timeout(DEADLINE_S):
        while len(notebook.heard) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await inbox.close()
    assert {bill_id for bill_id, _, _ in notebook.heard} == {bill.id for bill in bills}


async def test_several_processes_at_once_notify_an_owner_once_and_in_order(
    app_database: Database, stall: PayableStall, notebook: Notebook
) -> None:
    bills = [await a_bill(app_database, stall, owner=(KIND, new_id())) for _ in range(12)]
    for bill in bills:
        await store_notices(
            app_database,
            stall,
            sepay_body(stall, amount_vnd=5_000, memo=bill.reference),
        )
    await process_waiting(app_database, stall)
    for bill in bills:
        await store_notices(
            app_database,
            stall,
            sepay_body(stall, amount_vnd=15_000, memo=bill.reference),
        )
    await process_waiting(app_database, stall)

    await asyncio.gather(*(sweep(app_database, stall, notebook) for _ in range(4)))

    assert len(notebook.heard) == 24
    for bill in bills:
        heard = [to for bill_id, _, to in notebook.heard if bill_id == bill.id]
        assert heard == ["part_paid", "paid"]


async def test_the_owner_of_a_static_code_is_notified_of_its_sales_and_of_those_that_are_none(
    app_database: Database, stall: PayableStall, notebook: Notebook, fresh_database: FreshDatabase
) -> None:
    lot_id = new_id()
    async with open_org_transaction(app_database, stall.org.id) as session:
        await session.execute(
            text("UPDATE payee_accounts SET owner_kind = :kind, owner_id = :id"),
            {"kind": KIND, "id": lot_id},
        )
    await store_notices(app_database, stall, sepay_body(stall, amount_vnd=9_000, memo="gui xe"))
    await process_waiting(app_database, stall)
    async with open_org_transaction(app_database, stall.org.id) as session:
        credit_id = UUID(str(await session.scalar(text("SELECT id FROM bank_transactions"))))
        said = {"payee_id": stall.payee_id, "actor": MANAGER, "now": NOON}
        await corrections.mark_not_takings(
            session, stall.org.id, credit_id, reason="gia dinh", **said
        )
        await corrections.mark_takings_again(session, stall.org.id, credit_id, **said)

    await sweep(app_database, stall, notebook)

    assert notebook.heard == [
        (credit_id, None, "received"),
        (credit_id, "received", "withdrawn"),
        (credit_id, None, "received"),
    ]
    assert await count_rows(app_database, stall, "bill_changes", f"owner_id = '{lot_id}'") == 3
    assert find_violations(fresh_database.owner_url) == []


async def test_the_worker_handles_what_a_dead_hub_left_and_leaves_other_kinds_alone(
    app_database: Database, worker_database: Database, stall: PayableStall, notebook: Notebook
) -> None:
    bill = await a_bill(app_database, stall, owner=(KIND, new_id()))
    unknown = await a_bill(app_database, stall, owner=("of_a_newer_release", new_id()))
    for one in (bill, unknown):
        await pay(app_database, stall, one)
    databases = JobDatabases(app=app_database, worker=worker_database)

    assert await notify_owners(databases, {KIND: notebook}, now=NOON) == 1
    assert await notify_owners(databases, {KIND: notebook}, now=NOON) == 0

    assert notebook.heard == [(bill.id, "open", "paid")]
    waiting = "handled_at IS NULL AND attempts = 0"
    assert await count_rows(app_database, stall, "bill_changes", waiting) == 1


@pytest.mark.parametrize(
    ("is_owned", "valid_for", "is_refused"),
    [
        (False, timedelta(hours=24), False),
        (False, timedelta(hours=24, seconds=1), True),
        (True, timedelta(days=730), False),
        (True, timedelta(days=732), True),
    ],
)
async def test_a_keyed_bill_is_open_for_a_day_and_an_owned_one_for_two_years(
    stall: PayableStall, is_owned: bool, valid_for: timedelta, is_refused: bool
) -> None:
    request = BillRequest(
        payee_id=stall.payee_id,
        amount_vnd=1,
        purpose="",
        expires_at=NOON + valid_for,
        monitor_until=NOON + valid_for,
        created_by=new_id(),
        owner_kind="dues" if is_owned else None,
        owner_id=new_id() if is_owned else None,
        due_on=(NOON + timedelta(days=10)).date() if is_owned else None,
    )
    if not is_refused:
        check_times(request, now=NOON)
        return
    with pytest.raises(BillTooLong):
        check_times(request, now=NOON)


async def test_an_owner_hears_that_a_part_paid_bill_is_past_its_time(
    app_database: Database, stall: PayableStall, notebook: Notebook, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall, owner=(KIND, new_id()))
    await pay(app_database, stall, bill, amount_vnd=5_000)
    for _ in range(2):  # the second round finds nothing
        await expire(app_database, stall)
    await sweep(app_database, stall, notebook, now=AFTERWARDS)
    await sweep(app_database, stall, notebook, now=AFTERWARDS)

    assert notebook.heard == [(bill.id, "open", "part_paid"), (bill.id, "part_paid", "expired")]
    assert await read_status(app_database, stall, bill) == ("expired", 5_000, 5_000)
    assert find_violations(fresh_database.owner_url) == []
    async with open_org_transaction(app_database, stall.org.id) as session:
        await take_rest_in_cash(
            session,
            stall.org.id,
            bill.id,
            payment_id=new_id(),
            amount_vnd=15_000,
            actor=VENDOR,
            now=AFTERWARDS,
        )
    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)


@pytest.mark.parametrize(
    ("parts_vnd", "taken_back", "ends"),
    [
        ([20_000], 0, "expired"),  # nothing is left
        ([5_000, 15_000], 1, "expired"),  # a part is left, and its time is over as well
        ([5_000, 15_000], 0, "expired"),
    ],
)
async def test_a_bill_that_loses_a_late_payment_is_expired_again(
    app_database: Database,
    stall: PayableStall,
    notebook: Notebook,
    fresh_database: FreshDatabase,
    parts_vnd: list[int],
    taken_back: int,
    ends: str,
) -> None:
    bill = await a_bill(app_database, stall, owner=(KIND, new_id()))
    await expire(app_database, stall)
    for part_vnd in parts_vnd:
        await pay(app_database, stall, bill, amount_vnd=part_vnd, now=AFTERWARDS)
    async with open_org_transaction(app_database, stall.org.id) as session:
        find = text("SELECT id FROM bank_transactions ORDER BY id")
        credit_id = list((await session.execute(find)).scalars())[taken_back]
        await assigning.assign_credit(
            session,
            stall.org.id,
            credit_id,
            payee_id=stall.payee_id,
            by_management=True,
            seen_match_id=await find_match(app_database, stall, credit_id),
            actor=MANAGER,
            now=AFTERWARDS,
        )
    for _ in range(5):
        await sweep(app_database, stall, notebook, now=AFTERWARDS)

    left_vnd = sum(parts_vnd) - parts_vnd[taken_back]
    assert await read_status(app_database, stall, bill) == (ends, left_vnd, left_vnd)
    assert [to for _, _, to in notebook.heard][-1] == ends
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize(("taken_back", "is_late"), [(0, True), (1, False)])
async def test_a_bill_is_late_by_the_payments_that_are_left(
    app_database: Database, stall: PayableStall, taken_back: int, is_late: bool
) -> None:
    """A half in time, a half late; one of them turns out to be something else."""
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, amount_vnd=10_000)
    an_hour_later = NOON + timedelta(hours=1)
    await pay(app_database, stall, bill, amount_vnd=10_000, now=an_hour_later)
    assert await count_rows(app_database, stall, "bills", "is_late") == 1
    async with open_org_transaction(app_database, stall.org.id) as session:
        find = text("SELECT id FROM bank_transactions ORDER BY id")
        credit_id = list((await session.execute(find)).scalars())[taken_back]
        await assigning.assign_credit(
            session,
            stall.org.id,
            credit_id,
            payee_id=stall.payee_id,
            by_management=True,
            seen_match_id=await find_match(app_database, stall, credit_id),
            actor=MANAGER,
            now=an_hour_later,
        )

    assert await count_rows(app_database, stall, "bills", "is_late") == is_late
    assert await read_status(app_database, stall, bill) == ("part_paid", 10_000, 10_000)


async def expire(database: Database, stall: PayableStall) -> None:
    """Let the worker's sweep come by when nobody watches the bills any more."""
    async with open_org_transaction(database, stall.org.id) as session:
        await store_expiry(session, stall.org.id, since=NOON, limit=100, now=AFTERWARDS)
