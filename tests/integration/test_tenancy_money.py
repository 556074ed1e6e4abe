"""Two organisations on one database: neither sees, pays or corrects the other's money."""

import pytest
from sqlalchemy import text

from core.db import Sessions, open_org_transaction
from payments.bills.errors import BillNotFound
from payments.bills.service import cancel_bill
from payments.callbacks import corrections
from payments.callbacks.errors import CreditNotFound
from tests.builders import (
    NOON,
    VENDOR,
    Stall,
    a_bill,
    a_stall,
    list_breaks,
    pay,
    read_ledger,
    read_status,
)
from tests.concurrency.tenants import count_rows, find_credit
from tests.databases import Database
from tests.integration.invariants import find_violations

pytestmark = pytest.mark.anyio


@pytest.fixture
async def stalls(app_sessions: Sessions) -> tuple[Stall, Stall]:
    return await a_stall(app_sessions, code="HKXM"), await a_stall(app_sessions, code="HKXN")


async def test_one_bank_reference_in_two_organisations_is_two_payments(
    app_sessions: Sessions, stalls: tuple[Stall, Stall], database: Database
) -> None:
    for stall in stalls:
        bill = await a_bill(app_sessions, stall)
        assert await pay(app_sessions, stall, bill, bank_reference="FT1", transaction_id=1)
        assert await read_status(app_sessions, stall, bill) == ("paid", 20_000, 20_000)

    assert find_violations(database.owner_url) == []


async def test_a_reference_paid_at_another_organisation_moves_nothing_of_its_own(
    app_sessions: Sessions, stalls: tuple[Stall, Stall], database: Database
) -> None:
    mine, theirs = stalls
    bill = await a_bill(app_sessions, mine)

    assert await pay(app_sessions, theirs, bill) == "wrong_account"

    assert await read_status(app_sessions, mine, bill) == ("open", 0, 0)
    assert (await read_ledger(app_sessions, theirs))["unapplied"] == 20_000
    assert await list_breaks(app_sessions, theirs) == ["wrong_account"]
    assert await list_breaks(app_sessions, mine) == []
    assert await count_rows(app_sessions, mine, "notices") == 0
    assert find_violations(database.owner_url) == []


async def test_nobody_corrects_or_cancels_across(
    app_sessions: Sessions, stalls: tuple[Stall, Stall]
) -> None:
    mine, theirs = stalls
    bill = await a_bill(app_sessions, mine)
    await pay(app_sessions, mine, bill, memo="chuyen tien")
    credit_id = await find_credit(app_sessions, mine)

    with pytest.raises(CreditNotFound):
        async with open_org_transaction(app_sessions, theirs.org.id) as session:
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
        async with open_org_transaction(app_sessions, theirs.org.id) as session:
            await cancel_bill(session, mine.org.id, bill.id, actor=VENDOR, reason=None, now=NOON)


@pytest.mark.parametrize("table", ["notices", "credits", "matches", "transfers", "bills", "events"])
async def test_money_rows_are_invisible_across(
    app_sessions: Sessions, stalls: tuple[Stall, Stall], table: str
) -> None:
    mine, theirs = stalls
    bill = await a_bill(app_sessions, mine)
    await pay(app_sessions, mine, bill)

    assert await count_rows(app_sessions, mine, table) >= 1
    before = 1 if table == "events" else 0  # its own account's activation
    assert await count_rows(app_sessions, theirs, table) == before
    async with app_sessions.begin() as nobody:
        assert await nobody.scalar(text(f"SELECT count(*) FROM {table}")) == 0
