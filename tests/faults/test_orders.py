"""F3–F6: the outcome of a payment's reports must not depend on the order they come in.

The four: the bill is *created*, the credit is told (*credited*), told once more (*repeated*), and
told with another amount under the same id (*contradicted*). Each order, and each way to cut it
into settlements, has its own organisation in one database.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from itertools import permutations, product

import pytest
from sqlalchemy import text

from core.db import Database
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from payments.bills.references import make_reference
from payments.bills.rules import BillFacts
from payments.bills.service import open_bills
from payments.credits.jobs import rematch_waiting, sweep_backlog
from payments.credits.processor import NoticeProcessor
from tests.payments.invariants import find_violations, find_waiting
from tests.world.bills import a_bill, a_bill_request
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.reads import (
    count_rows,
    list_breaks,
    list_events,
    list_outcomes,
    read_ledger,
    read_status,
)
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = pytest.mark.anyio

STEPS = ("created", "credited", "repeated", "contradicted")
ORDERS = list(permutations(STEPS))
AMOUNT_VND, OTHER_VND = 20_000, 29_000


@dataclass(frozen=True, kw_only=True)
class Worker:
    """The worker's jobs on credits, run when a test says so."""

    databases: JobDatabases
    processor: NoticeProcessor

    async def sweep(self) -> int:
        """Process what is stored and not handled."""
        return await sweep_backlog(self.databases, self.processor, now=NOON)

    async def rematch(self) -> int:
        """Match again what found no bill."""
        return await rematch_waiting(self.databases, now=NOON)


@pytest.fixture
def worker(app_database: Database, worker_database: Database) -> Worker:
    """A worker of this database, at noon."""
    return Worker(
        databases=JobDatabases(app=app_database, worker=worker_database),
        processor=NoticeProcessor(app_database, read_clock=lambda: NOON),
    )


async def play(
    database: Database, worker: Worker, order: tuple[str, ...], *, settles_each: bool
) -> tuple[PayableStall, BillFacts]:
    """Let the four happen in an order, settling after each or only at the end."""
    stall = await a_payable_stall(database, code=next_code())
    reference = make_reference(stall.org.code, 77)
    told = {
        "credited": AMOUNT_VND,
        "repeated": AMOUNT_VND,
        "contradicted": OTHER_VND,
    }
    bill = None
    for step in order:
        if step == "created":
            bill = await a_bill(database, stall, reference=reference)
        else:
            body = sepay_body(
                stall,
                amount_vnd=told[step],
                memo=f"MBVCB.1.{reference}.CT",
                bank_reference="FT1",
                transaction_id=1,
            )
            await store_notices(database, stall, body)
        if settles_each:
            await worker.sweep()
            await worker.rematch()
    await worker.sweep()
    await worker.rematch()
    assert bill is not None
    return stall, bill


@pytest.mark.slow
async def test_every_order_of_four_ends_the_same(
    app_database: Database, worker: Worker, fresh_database: FreshDatabase
) -> None:
    """The first report stands; the rest is a repeat or evidence; the bill is settled once."""
    for order, settles_each in product(ORDERS, (True, False)):
        stall, bill = await play(app_database, worker, order, settles_each=settles_each)
        told = [step for step in order if step != "created"]
        where = f"{order}, settled {'each' if settles_each else 'at the end'}"
        is_other_first = told[0] == "contradicted"
        if is_other_first:
            expected = ("over_paid", AMOUNT_VND, OTHER_VND)
            outcomes = Counter(contradicted=2)
        else:
            expected = ("paid", AMOUNT_VND, AMOUNT_VND)
            outcomes = Counter(contradicted=1, repeat=1)

        assert await read_status(app_database, stall, bill) == expected, where
        said = Counter(await list_outcomes(app_database, stall))
        first = said - outcomes
        assert first.total() == 1, where
        assert set(first) <= {"settle", "over", "no_bill"}, where
        assert await count_rows(app_database, stall, "bank_transactions") == 1, where
        assert await count_rows(app_database, stall, "sightings") == 1, where
        breaks = ["contradiction", "refund_due"] if is_other_first else ["contradiction"]
        assert await list_breaks(app_database, stall) == breaks, where
        paid = [e for e in await list_events(app_database, stall) if e.startswith("bill.")]
        assert paid == ["bill.over_paid" if is_other_first else "bill.paid"], where
        books = await read_ledger(app_database, stall)
        assert books["clearing"] == -expected[2], where
    assert find_violations(fresh_database.owner_url) == []
    assert find_waiting(fresh_database.owner_url) == []


async def test_money_that_came_before_its_bill_was_visible_settles_it(
    app_database: Database, worker: Worker, fresh_database: FreshDatabase
) -> None:
    """F6: the bill is inserted and not committed yet when the callback is settled."""
    stall = await a_payable_stall(app_database, code=next_code())
    reference = make_reference(stall.org.code, 77)
    request = a_bill_request(stall, amount_vnd=AMOUNT_VND)
    async with open_org_transaction(app_database, stall.org.id) as slow:
        (bill,) = await open_bills(slow, stall.org.id, [request], [reference], now=NOON)
        assert isinstance(bill, BillFacts)
        await store_notices(
            app_database, stall, sepay_body(stall, amount_vnd=AMOUNT_VND, memo=reference)
        )
        await process_waiting(app_database, stall)
        assert await list_outcomes(app_database, stall) == ["no_bill"]
        assert (await read_ledger(app_database, stall))["unapplied"] == AMOUNT_VND
        assert await worker.rematch() == 0

    assert await worker.rematch() == 1
    assert await worker.rematch() == 0

    assert await read_status(app_database, stall, bill) == ("paid", AMOUNT_VND, AMOUNT_VND)
    books = await read_ledger(app_database, stall)
    assert (books["takings"], books["unapplied"]) == (AMOUNT_VND, 0)
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_a_credit_that_cannot_be_matched_does_not_stop_the_next(
    app_database: Database, owner_database: Database, worker: Worker
) -> None:
    """The ledger account of the first stall is missing; the second's bill is settled."""
    stalls = [await a_payable_stall(app_database, code=next_code()) for _ in range(2)]
    bills = []
    for stall in stalls:
        reference = make_reference(stall.org.code, 77)
        await store_notices(
            app_database, stall, sepay_body(stall, amount_vnd=AMOUNT_VND, memo=reference)
        )
        await process_waiting(app_database, stall)
        bills.append(await a_bill(app_database, stall, reference=reference))
    async with owner_database.begin() as owner:
        query = text("DELETE FROM ledger_accounts WHERE subject_id = :payee_id")
        await owner.execute(query, {"payee_id": stalls[0].payee_id})

    assert await worker.rematch() == 1

    assert (await read_status(app_database, stalls[1], bills[1]))[0] == "paid"


async def test_a_notice_that_failed_fifty_times_stops_nobody(
    app_database: Database, owner_database: Database, worker: Worker
) -> None:
    """Six hours of failures: its waiting time must not overflow, its neighbours settle."""
    poor = await a_payable_stall(app_database, code=next_code())
    async with owner_database.begin() as owner:
        query = text("DELETE FROM ledger_accounts WHERE subject_id = :payee_id")
        await owner.execute(query, {"payee_id": poor.payee_id})
    bad, good = (
        sepay_body(poor, amount_vnd=1_000, memo="x"),
        sepay_body(poor, amount_vnd=2_000, memo="tra hang", direction="out"),
    )
    await store_notices(app_database, poor, bad, good)
    rich = await a_payable_stall(app_database, code=next_code())
    bill = await a_bill(app_database, rich)
    await store_notices(
        app_database, rich, sepay_body(rich, amount_vnd=20_000, memo=bill.reference)
    )
    async with open_org_transaction(app_database, poor.org.id) as session:
        await session.execute(text("UPDATE notices SET attempts = 50"))

    assert await worker.sweep() == 2

    assert (await read_status(app_database, rich, bill))[0] == "paid"
    assert await list_outcomes(app_database, poor) == ["failed", "outgoing"]
    assert await list_breaks(app_database, poor) == ["stuck"]


@pytest.mark.parametrize(
    ("paid_after_s", "is_late"), [(-1, False), (0, False), (1, True), (86_400, True)]
)
async def test_money_around_the_expiry_settles_and_is_late_by_the_banks_clock(
    app_database: Database, paid_after_s: int, is_late: bool
) -> None:
    """F13: reported two days later, when the sweep has expired the bill."""
    stall = await a_payable_stall(app_database, code=next_code())
    bill = await a_bill(app_database, stall)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await session.execute(text("UPDATE bills SET status = 'expired'"))
    at = bill.expires_at + timedelta(seconds=paid_after_s)
    body = sepay_body(stall, amount_vnd=20_000, memo=bill.reference, occurred_at=at)
    now = NOON + timedelta(days=2)

    await store_notices(app_database, stall, body, now=now)
    await process_waiting(app_database, stall, now=now)

    assert (await read_status(app_database, stall, bill))[0] == "paid"
    assert await count_rows(app_database, stall, "bills", f"is_late = {is_late}") == 1
    assert await count_rows(app_database, stall, "matches", f"is_late = {is_late}") == 1
