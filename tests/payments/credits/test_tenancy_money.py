"""Two organisations on one database: neither sees, pays or corrects the other's money."""

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.errors import BillNotFound
from payments.bills.service import cancel_bill
from payments.credits import corrections
from payments.credits.errors import CreditNotFound
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.notices import pay
from tests.world.reads import count_rows, find_credit, list_breaks, read_ledger, read_status
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = pytest.mark.anyio


@pytest.fixture
async def stalls(app_database: Database) -> tuple[PayableStall, PayableStall]:
    return await a_payable_stall(app_database, code="HKXM"), await a_payable_stall(
        app_database, code="HKXN"
    )


async def test_one_bank_reference_in_two_organisations_is_two_payments(
    app_database: Database, stalls: tuple[PayableStall, PayableStall], fresh_database: FreshDatabase
) -> None:
    for stall in stalls:
        bill = await a_bill(app_database, stall)
        assert await pay(app_database, stall, bill, bank_reference="FT1", transaction_id=1)
        assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)

    assert find_violations(fresh_database.owner_url) == []


async def test_a_reference_paid_at_another_organisation_moves_nothing_of_its_own(
    app_database: Database, stalls: tuple[PayableStall, PayableStall], fresh_database: FreshDatabase
) -> None:
    mine, theirs = stalls
    bill = await a_bill(app_database, mine)

    assert await pay(app_database, theirs, bill) == "wrong_account"

    assert await read_status(app_database, mine, bill) == ("open", 0, 0)
    assert (await read_ledger(app_database, theirs))["unapplied"] == 20_000
    assert await list_breaks(app_database, theirs) == ["wrong_account"]
    assert await list_breaks(app_database, mine) == []
    assert await count_rows(app_database, mine, "notices") == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_nobody_corrects_or_cancels_across(
    app_database: Database, stalls: tuple[PayableStall, PayableStall]
) -> None:
    mine, theirs = stalls
    bill = await a_bill(app_database, mine)
    await pay(app_database, mine, bill, memo="chuyen tien")
    credit_id = await find_credit(app_database, mine)

    with pytest.raises(CreditNotFound):
        async with open_org_transaction(app_database, theirs.org.id) as session:
            await corrections.mark_not_takings(
                session,
                theirs.org.id,
                credit_id,
                payee_id=mine.payee_id,
                actor=VENDOR,
                reason="",
                now=NOON,
            )
    # Even a caller that names the other organisation finds nothing: the transaction is its own.
    with pytest.raises(BillNotFound):
        async with open_org_transaction(app_database, theirs.org.id) as session:
            await cancel_bill(session, mine.org.id, bill.id, actor=VENDOR, reason=None, now=NOON)


@pytest.mark.parametrize(
    "table", ["notices", "bank_transactions", "matches", "postings", "bills", "events"]
)
async def test_money_rows_are_invisible_across(
    app_database: Database, stalls: tuple[PayableStall, PayableStall], table: str
) -> None:
    mine, theirs = stalls
    bill = await a_bill(app_database, mine)
    await pay(app_database, mine, bill)

    assert await count_rows(app_database, mine, table) >= 1
    before = 1 if table == "events" else 0  # its own account's activation
    assert await count_rows(app_database, theirs, table) == before
    async with app_database.begin() as nobody:
        assert await nobody.scalar(text(f"SELECT count(*) FROM {table}")) == 0
