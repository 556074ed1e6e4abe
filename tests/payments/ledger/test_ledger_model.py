"""Random histories of a few bills against a small model; after each step the books must hold.

Seeded: a failure prints its seed and the steps that led to it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import psycopg
import pytest

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.errors import BillNotCancellable
from payments.bills.rules import BillFacts
from payments.bills.service import cancel_bill
from tests.payments.invariants import find_waiting, list_violations
from tests.world.bills import a_bill
from tests.world.constants import NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.reads import count_rows, read_ledger, read_status
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = pytest.mark.anyio

STEPS_A_RUN = 40
SEEDS = [*range(5), *(pytest.param(seed, marks=pytest.mark.drill) for seed in range(5, 45))]


@dataclass
class ModelBill:
    """What a bill must be, by the rules of the design's state table alone."""

    facts: BillFacts
    status: str = "open"
    paid_vnd: int = 0
    received_vnd: int = 0
    is_late: bool = False

    def credit(self, amount_vnd: int, at: datetime) -> None:
        self.received_vnd += amount_vnd
        if self.status not in ("open", "part_paid"):
            return
        self.is_late = self.is_late or at > self.facts.expires_at
        missing_vnd = (self.facts.amount_vnd or self.paid_vnd + amount_vnd) - self.paid_vnd
        self.paid_vnd += min(amount_vnd, missing_vnd)
        if amount_vnd < missing_vnd:
            self.status = "part_paid"
        else:
            self.status = "paid" if amount_vnd == missing_vnd else "over_paid"


@dataclass
class History:
    """A run: the real stall, the model, and what was done."""

    database: Database
    stall: PayableStall
    random: Random
    now: datetime = NOON
    bills: list[ModelBill] = field(default_factory=list)
    reported: list[tuple[int, int, str, datetime]] = field(default_factory=list)  # id, amount, memo
    sales_vnd: int = 0
    contradicted: set[int] = field(default_factory=set)
    done: list[str] = field(default_factory=list)

    async def open(self) -> None:
        amount_vnd = self.random.choice([None, 1, 20_000, 20_000, 499_999_999])
        bill = await a_bill(self.database, self.stall, amount_vnd=amount_vnd, now=self.now)
        self.bills.append(ModelBill(bill))
        self.done.append(f"open {amount_vnd}")

    async def pay(self) -> None:
        """Pay exactly, short, over, or several times in one batch."""
        bodies = []
        for _ in range(self.random.choice([1, 1, 1, 2, 5])):
            bill = self.random.choice(self.bills)
            amount_vnd = bill.facts.amount_vnd or 15_000
            amount_vnd += self.random.choice([0, 0, 0, 1, -1, 7_000])
            bodies.append(self._tell(max(1, amount_vnd), bill))
        await self._deliver(*bodies)

    async def sell(self) -> None:
        """Money without a word: a counter sale."""
        amount_vnd = self.random.randint(1, 90_000)
        number = len(self.reported) + 1
        self.reported.append((number, amount_vnd, "chuyen tien", self.now))
        self.sales_vnd += amount_vnd
        self.done.append(f"sell {amount_vnd}")
        await self._deliver(self._body(*self.reported[-1]))

    async def repeat(self) -> None:
        if self.reported:
            again = self.random.choices(self.reported, k=self.random.choice([1, 3]))
            self.done.append(f"repeat {[number for number, *_ in again]}")
            await self._deliver(*(self._body(*one) for one in again))

    async def contradict(self) -> None:
        if self.reported:
            number, amount_vnd, memo, at = self.random.choice(self.reported)
            self.contradicted.add(number)
            self.done.append(f"contradict {number}")
            await self._deliver(self._body(number, amount_vnd + 5, memo, at))

    async def cancel(self) -> None:
        bill = self.random.choice(self.bills)
        self.done.append(f"cancel {bill.facts.reference}")
        is_cancellable = bill.status in ("open", "part_paid", "cancelled")
        try:
            async with open_org_transaction(self.database, self.stall.org.id) as session:
                await cancel_bill(
                    session,
                    self.stall.org.id,
                    bill.facts.id,
                    actor=VENDOR,
                    reason=None,
                    now=self.now,
                )
        except BillNotCancellable:
            assert not is_cancellable
        else:
            assert is_cancellable
            bill.status = "cancelled"

    async def wait(self) -> None:
        """Let time pass: bills expire, and take their money all the same."""
        self.now += timedelta(minutes=self.random.choice([1, 10, 60]))
        self.done.append(f"now {self.now:%H:%M}")

    def _tell(self, amount_vnd: int, bill: ModelBill) -> bytes:
        number = len(self.reported) + 1
        memo = self.random.choice(["{}", "MBVCB.1.{}.CT tu 1", "tra {} nhe"])
        self.reported.append((number, amount_vnd, memo.format(bill.facts.reference), self.now))
        bill.credit(amount_vnd, self.now)
        self.done.append(f"pay {bill.facts.reference} {amount_vnd}")
        return self._body(*self.reported[-1])

    def _body(self, number: int, amount_vnd: int, memo: str, at: datetime) -> bytes:
        return sepay_body(
            self.stall,
            amount_vnd=amount_vnd,
            memo=memo,
            transaction_id=number,
            bank_reference=f"FT{number}",
            occurred_at=at,
        )

    async def _deliver(self, *bodies: bytes) -> None:
        await store_notices(self.database, self.stall, *bodies, now=self.now)
        await process_waiting(self.database, self.stall, now=self.now)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
async def test_any_history_of_payments_agrees_with_the_state_table(
    app_database: Database, fresh_database: FreshDatabase, seed: int
) -> None:
    history = History(
        app_database, await a_payable_stall(app_database, code=next_code()), Random(seed)
    )
    await history.open()
    steps = [
        history.open, history.pay, history.pay, history.pay, history.sell, history.repeat,
        history.contradict, history.cancel, history.wait,
    ]  # fmt: skip

    with psycopg.connect(fresh_database.owner_url) as owner:
        for _ in range(STEPS_A_RUN):
            await history.random.choice(steps)()
            where = f"seed {seed}: {history.done[-6:]}"
            assert list_violations(owner) == [], where
            await _compare(history, where)
    assert find_waiting(fresh_database.owner_url) == []


async def _compare(history: History, where: str) -> None:
    database, stall = history.database, history.stall
    for bill in history.bills:
        status = await read_status(database, stall, bill.facts)
        assert status == (bill.status, bill.paid_vnd, bill.received_vnd), where
    applied_vnd = sum(bill.paid_vnd for bill in history.bills)
    reported_vnd = sum(amount_vnd for _, amount_vnd, *_ in history.reported)
    assert await read_ledger(database, stall) == {
        "clearing": -reported_vnd,
        "takings": applied_vnd + history.sales_vnd,
        "unapplied": reported_vnd - applied_vnd - history.sales_vnd,
        "not_takings": 0,
    }, where
    assert await count_rows(database, stall, "bank_transactions") == len(history.reported), where
    late = sum(bill.is_late for bill in history.bills)
    assert await count_rows(database, stall, "bills", "is_late") == late, where
    contradictions = "kind = 'contradiction' AND closed_at IS NULL"
    breaks = await count_rows(database, stall, "breaks", contradictions)
    assert breaks == len(history.contradicted), where
