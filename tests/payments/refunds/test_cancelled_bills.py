"""Cancelling a bill that was paid in part: the money is due back, and somebody is told."""

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.errors import BillNotCancellable
from payments.bills.rules import BillFacts
from payments.refunds.service import cancel_bill_and_propose_refund
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.notices import pay
from tests.world.reads import count_rows, list_breaks, read_ledger, read_status
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio


async def cancel(database: Database, stall: PayableStall, bill: BillFacts) -> BillFacts:
    async with open_org_transaction(database, stall.org.id) as session:
        return await cancel_bill_and_propose_refund(
            session, stall.org.id, bill.id, actor=VENDOR, reason="hết hàng", now=NOON
        )


async def test_what_a_cancelled_bill_was_paid_is_due_for_refund(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, amount_vnd=5_000)

    for _ in range(2):  # the second time answers like the first
        cancelled = await cancel(app_database, stall, bill)
        assert (cancelled.status, cancelled.paid_vnd) == ("cancelled", 5_000)

    due = f"kind = 'refund_due' AND subject_id = '{bill.id}' AND bill_id = '{bill.id}'"
    assert await count_rows(app_database, stall, "breaks", f"{due} AND amount_vnd = 5000") == 1
    books = await read_ledger(app_database, stall)
    assert (books["takings"], books["unapplied"]) == (5_000, 0)  # until the holder pays it back
    assert find_violations(fresh_database.owner_url) == []


async def test_a_refund_that_a_person_settled_is_not_proposed_again_by_a_second_tap(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, amount_vnd=5_000)
    await cancel(app_database, stall, bill)
    async with open_org_transaction(app_database, stall.org.id) as session:
        values = {"now": NOON}
        await session.execute(text("UPDATE breaks SET closed_at = :now"), values)

    await cancel(app_database, stall, bill)

    assert await list_breaks(app_database, stall) == []


async def test_a_bill_that_nobody_paid_leaves_nothing_to_do(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    await cancel(app_database, stall, bill)
    assert await list_breaks(app_database, stall) == []


async def test_a_paid_bill_is_not_cancelled(app_database: Database, stall: PayableStall) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    with pytest.raises(BillNotCancellable):
        await cancel(app_database, stall, bill)
    assert (await read_status(app_database, stall, bill))[0] == "paid"
    assert await list_breaks(app_database, stall) == []
