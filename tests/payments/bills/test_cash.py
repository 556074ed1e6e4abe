"""The rest of a short bill in cash: recorded once, for what is owed, and posted to the drawer."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.audit import Actor
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.cash import take_back_cash, take_rest_in_cash
from payments.bills.errors import (
    BillNotFound,
    CashNotFound,
    CashNotOwed,
    CashNotReversible,
    PaymentIdTaken,
)
from payments.bills.rules import BillFacts
from payments.ledger import service as ledger
from payments.ledger.rules import cash_in_drawer
from payments.refunds.service import cancel_bill_and_propose_refund
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import MANAGER, NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.notices import pay
from tests.world.reads import count_rows, list_events, read_ledger, read_status
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio


@pytest.fixture
async def short(app_database: Database, stall: PayableStall) -> BillFacts:
    """A bill of 20.000 ₫ of which 12.000 ₫ came."""
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, amount_vnd=12_000)
    return bill


async def take(
    database: Database,
    stall: PayableStall,
    bill_id: UUID,
    amount_vnd: int = 8_000,
    *,
    payment_id: UUID | None = None,
    actor: Actor = VENDOR,
) -> BillFacts:
    async with open_org_transaction(database, stall.org.id) as session:
        return await take_rest_in_cash(
            session,
            stall.org.id,
            bill_id,
            payment_id=payment_id or new_id(),
            amount_vnd=amount_vnd,
            actor=actor,
            now=NOON,
        )


async def test_the_rest_in_cash_pays_the_bill_and_lies_in_the_drawer(
    app_database: Database, stall: PayableStall, short: BillFacts, fresh_database: FreshDatabase
) -> None:
    bill = await take(app_database, stall, short.id)

    assert (bill.status, bill.paid_vnd, bill.paid_at) == ("paid", 20_000, NOON)
    books = await read_ledger(app_database, stall)
    assert (books["takings"], books["clearing"]) == (20_000, -12_000)
    async with open_org_transaction(app_database, stall.org.id) as session:
        drawer = cash_in_drawer(stall.payee_id)
        assert await ledger.read_balance(session, stall.org.id, drawer) == -8_000
        row = await session.execute(
            text(
                "SELECT rail, source_kind, source_id = id, recorded_by FROM payments"
                " WHERE rail = 'cash'"
            )
        )
        assert tuple(row.one()) == ("cash", "cash", True, VENDOR.id)
    assert (await list_events(app_database, stall))[-1] == "bill.paid"
    assert await count_rows(app_database, stall, "audit_log", "action = 'bill.cash_taken'") == 1
    assert find_violations(fresh_database.owner_url) == []


async def test_the_same_cash_again_answers_the_same_and_is_one_payment(
    app_database: Database, stall: PayableStall, short: BillFacts, fresh_database: FreshDatabase
) -> None:
    payment_id = new_id()
    for _ in range(2):
        assert (await take(app_database, stall, short.id, payment_id=payment_id)).status == "paid"

    assert await count_rows(app_database, stall, "payments", "rail = 'cash'") == 1
    with pytest.raises(PaymentIdTaken):
        await take(app_database, stall, short.id, 7_000, payment_id=payment_id)
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("amount_vnd", [1, 7_999, 8_001, 20_000])
async def test_cash_is_taken_for_just_what_is_owed(
    app_database: Database, stall: PayableStall, short: BillFacts, amount_vnd: int
) -> None:
    with pytest.raises(CashNotOwed):
        await take(app_database, stall, short.id, amount_vnd)
    assert await read_status(app_database, stall, short) == ("part_paid", 12_000, 12_000)


async def test_only_a_part_paid_bill_owes_cash(
    app_database: Database, stall: PayableStall, short: BillFacts
) -> None:
    fresh = await a_bill(app_database, stall, amount_vnd=8_000)
    with pytest.raises(CashNotOwed):
        await take(app_database, stall, fresh.id)
    with pytest.raises(BillNotFound):
        await take(app_database, stall, new_id())
    await take(app_database, stall, short.id)
    with pytest.raises(CashNotOwed):
        await take(app_database, stall, short.id)
    other = await a_bill(app_database, stall)
    await pay(app_database, stall, other, amount_vnd=12_000)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await cancel_bill_and_propose_refund(
            session, stall.org.id, other.id, actor=VENDOR, reason=None, now=NOON
        )
    with pytest.raises(CashNotOwed):
        await take(app_database, stall, other.id)


async def test_cash_that_is_recorded_by_two_people_at_once_is_recorded_once(
    app_database: Database, stall: PayableStall, short: BillFacts, fresh_database: FreshDatabase
) -> None:
    ready = asyncio.Barrier(6)
    same = new_id()

    async def press(payment_id: UUID) -> object:
        await ready.wait()
        return await take(app_database, stall, short.id, payment_id=payment_id)

    ids = [same, same, same, new_id(), new_id(), new_id()]
    ends = await asyncio.gather(*map(press, ids), return_exceptions=True)

    assert {type(end) for end in ends} <= {BillFacts, CashNotOwed}
    assert any(isinstance(end, BillFacts) for end in ends)
    assert await read_status(app_database, stall, short) == ("paid", 20_000, 20_000)
    assert await count_rows(app_database, stall, "payments", "rail = 'cash'") == 1
    assert find_violations(fresh_database.owner_url) == []


async def test_cash_and_a_transfer_of_the_rest_at_once_lose_and_double_nothing(
    app_database: Database, stall: PayableStall, short: BillFacts, fresh_database: FreshDatabase
) -> None:
    ends = await asyncio.gather(
        take(app_database, stall, short.id),
        pay(app_database, stall, short, amount_vnd=8_000),
        return_exceptions=True,
    )

    cash, transfer = ends
    assert transfer == ("closed_bill" if isinstance(cash, BillFacts) else "settle")
    assert (await read_status(app_database, stall, short))[:2] == ("paid", 20_000)
    assert find_violations(fresh_database.owner_url) == []


async def take_back(
    database: Database,
    stall: PayableStall,
    bill_id: UUID,
    payment_id: UUID,
    *,
    actor: Actor = VENDOR,
    now: datetime = NOON,
) -> BillFacts:
    async with open_org_transaction(database, stall.org.id) as session:
        return await take_back_cash(
            session, stall.org.id, bill_id, payment_id=payment_id, actor=actor, now=now
        )


async def test_cash_that_was_recorded_by_mistake_is_owed_again(
    app_database: Database, stall: PayableStall, short: BillFacts, fresh_database: FreshDatabase
) -> None:
    payment_id = new_id()
    await take(app_database, stall, short.id, payment_id=payment_id)

    for _ in range(2):
        bill = await take_back(app_database, stall, short.id, payment_id)
        assert (bill.status, bill.paid_vnd, bill.received_vnd) == ("part_paid", 12_000, 12_000)
        assert (bill.paid_at, bill.code_amount_vnd) == (None, 8_000)

    async with open_org_transaction(app_database, stall.org.id) as session:
        drawer = cash_in_drawer(stall.payee_id)
        assert await ledger.read_balance(session, stall.org.id, drawer) == 0
    assert (await read_ledger(app_database, stall))["takings"] == 12_000
    assert (await list_events(app_database, stall)).count("bill.cash_taken_back") == 1
    where = "action = 'bill.cash_taken_back'"
    assert await count_rows(app_database, stall, "audit_log", where) == 1
    assert find_violations(fresh_database.owner_url) == []

    assert (await take(app_database, stall, short.id)).status == "paid"  # the customer has cash now
    assert find_violations(fresh_database.owner_url) == []


async def test_cash_that_is_taken_back_twice_at_once_is_taken_back_once(
    app_database: Database, stall: PayableStall, short: BillFacts, fresh_database: FreshDatabase
) -> None:
    payment_id = new_id()
    await take(app_database, stall, short.id, payment_id=payment_id)
    ready = asyncio.Barrier(6)

    async def press(_: int) -> BillFacts:
        await ready.wait()
        return await take_back(app_database, stall, short.id, payment_id)

    ends = await asyncio.gather(*map(press, range(6)))

    assert {end.status for end in ends} == {"part_paid"}
    assert await read_status(app_database, stall, short) == ("part_paid", 12_000, 12_000)
    where = "cause_kind = 'payment_reversal'"
    assert await count_rows(app_database, stall, "postings", where) == 1
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize(
    ("actor", "now"),
    [
        (MANAGER, NOON),
        (VENDOR, NOON + timedelta(days=1)),
        (VENDOR, datetime(2026, 11, 20, 17, 0, tzinfo=UTC)),  # midnight in Hà Nội
    ],
)
async def test_cash_is_taken_back_by_who_recorded_it_on_its_day_alone(
    app_database: Database, stall: PayableStall, short: BillFacts, actor: Actor, now: datetime
) -> None:
    payment_id = new_id()
    await take(app_database, stall, short.id, payment_id=payment_id)

    with pytest.raises(CashNotReversible):
        await take_back(app_database, stall, short.id, payment_id, actor=actor, now=now)

    assert (await read_status(app_database, stall, short))[:2] == ("paid", 20_000)
    last_second = datetime(2026, 11, 20, 16, 59, 59, tzinfo=UTC)
    await take_back(app_database, stall, short.id, payment_id, now=last_second)


async def test_only_cash_of_the_bill_is_taken_back(
    app_database: Database, stall: PayableStall, short: BillFacts
) -> None:
    payment_id = new_id()
    await take(app_database, stall, short.id, payment_id=payment_id)
    other = await a_bill(app_database, stall)

    with pytest.raises(CashNotFound):
        await take_back(app_database, stall, other.id, payment_id)
    with pytest.raises(CashNotFound):
        await take_back(app_database, stall, short.id, new_id())
    with pytest.raises(BillNotFound):
        await take_back(app_database, stall, new_id(), payment_id)
    async with open_org_transaction(app_database, stall.org.id) as session:
        query = text("SELECT id FROM payments WHERE source_kind = 'credit'")
        by_bank = await session.scalar(query)
    with pytest.raises(CashNotFound):
        await take_back(app_database, stall, short.id, by_bank)


async def test_money_that_came_after_the_cash_stays_when_the_cash_is_taken_back(
    app_database: Database, stall: PayableStall, short: BillFacts, fresh_database: FreshDatabase
) -> None:
    payment_id = new_id()
    await take(app_database, stall, short.id, payment_id=payment_id)
    assert await pay(app_database, stall, short, amount_vnd=8_000) == "closed_bill"

    bill = await take_back(app_database, stall, short.id, payment_id)

    assert (bill.status, bill.paid_vnd, bill.received_vnd) == ("part_paid", 12_000, 20_000)
    assert find_violations(fresh_database.owner_url) == []
