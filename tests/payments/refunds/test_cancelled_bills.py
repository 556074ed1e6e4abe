"""Cancelling a bill that was paid in part: the money is due back, and somebody is told."""

import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.cash import take_back_cash, take_rest_in_cash
from payments.bills.errors import BillNotCancellable
from payments.bills.rules import BillFacts
from payments.breaks.service import close_break
from payments.credits.assigning import confirm_for_bill
from payments.credits.views import get_credit
from payments.refunds.service import cancel_bill_and_propose_refund
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import MANAGER, NOON, VENDOR
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


async def list_refunds(database: Database, stall: PayableStall) -> list[int]:
    """Return what is open to be given back, in đồng."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text(
            "SELECT amount_vnd FROM breaks WHERE kind = 'refund_due' AND closed_at IS NULL"
        )
        return list((await session.execute(query)).scalars())


async def move_part(
    database: Database, stall: PayableStall, amount_vnd: int, to: BillFacts
) -> None:
    """Let the management take the payment of this amount for another bill."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT id FROM bank_transactions WHERE amount_vnd = :amount_vnd")
        credit_id = (await session.execute(query, {"amount_vnd": amount_vnd})).scalar_one()
        seen = (await get_credit(session, stall.org.id, credit_id)).match_id
        await confirm_for_bill(
            session,
            stall.org.id,
            credit_id,
            bill_id=to.id,
            payee_id=stall.payee_id,
            by_management=True,
            seen_match_id=seen,
            actor=MANAGER,
            now=NOON,
        )


async def test_a_part_that_is_taken_from_a_cancelled_bill_is_not_due_for_refund(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill, other = [await a_bill(app_database, stall) for _ in range(2)]
    for part_vnd in (5_000, 7_000):
        await pay(app_database, stall, bill, amount_vnd=part_vnd)
    await cancel(app_database, stall, bill)
    assert await list_refunds(app_database, stall) == [12_000]

    await move_part(app_database, stall, 7_000, other)

    assert await list_refunds(app_database, stall) == [5_000]
    assert find_violations(fresh_database.owner_url) == []
    await move_part(app_database, stall, 5_000, other)
    assert await list_refunds(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_cash_that_is_taken_back_from_a_cancelled_bill_is_not_due_for_refund(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill, other = [await a_bill(app_database, stall) for _ in range(2)]
    await pay(app_database, stall, bill, amount_vnd=12_000)
    cash_id = new_id()
    said = {"payment_id": cash_id, "actor": VENDOR, "now": NOON}
    async with open_org_transaction(app_database, stall.org.id) as session:
        await take_rest_in_cash(session, stall.org.id, bill.id, amount_vnd=8_000, **said)
    await move_part(app_database, stall, 12_000, other)
    await cancel(app_database, stall, bill)
    assert await list_refunds(app_database, stall) == [8_000]

    async with open_org_transaction(app_database, stall.org.id) as session:
        await take_back_cash(session, stall.org.id, bill.id, **said)

    assert await list_refunds(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_a_refund_that_a_person_settled_is_not_proposed_again_by_a_correction(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill, other = [await a_bill(app_database, stall) for _ in range(2)]
    for part_vnd in (5_000, 7_000):
        await pay(app_database, stall, bill, amount_vnd=part_vnd)
    await cancel(app_database, stall, bill)
    async with open_org_transaction(app_database, stall.org.id) as session:
        break_id = (await session.execute(text("SELECT id FROM breaks"))).scalar_one()
        await close_break(
            session, stall.org.id, break_id, resolution="đã trả lại", actor=MANAGER, now=NOON
        )

    await move_part(app_database, stall, 7_000, other)

    assert await list_refunds(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


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
