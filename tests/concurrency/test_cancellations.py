"""A cancellation that meets a payment of its bill half-way: it waits, and sees what was done."""

import asyncio

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.service import cancel_bill
from payments.callbacks.types import DueNotice
from payments.credits.processing import process_notices
from tests.concurrency.races import Races
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.notices import sepay_body, store_notices
from tests.world.reads import list_breaks, list_outcomes, read_status
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_payable_stall
from tests.world.waits import wait_until_blocked

pytestmark = pytest.mark.anyio

DUE = text("SELECT id, endpoint_id, provider, body, received_at, attempts FROM notices")


@pytest.fixture
async def stall(app_database: Database) -> PayableStall:
    return await a_payable_stall(app_database, code=next_code())


@pytest.mark.slow
async def test_a_cancellation_waits_for_a_payment_under_way(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    await store_notices(
        app_database, stall, sepay_body(stall, amount_vnd=20_000, memo=bill.reference)
    )

    async with open_org_transaction(app_database, stall.org.id) as session:
        due = [DueNotice(*row) for row in await session.execute(DUE)]
        await process_notices(session, stall.org, due, now=NOON)
        cancels = [{"what": "cancel", "bill_id": bill.id}] * 2
        cancelling = asyncio.create_task(asyncio.to_thread(races.run, stall.org, cancels))
        await wait_until_blocked(app_database, 2)

    assert await cancelling == ["BillNotCancellable"] * 2
    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert find_violations(fresh_database.owner_url) == []


async def test_a_payment_waits_for_a_cancellation_under_way(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    body = sepay_body(stall, amount_vnd=20_000, memo=bill.reference)
    (notice_id,) = await store_notices(app_database, stall, body)

    async with open_org_transaction(app_database, stall.org.id) as session:
        await cancel_bill(session, stall.org.id, bill.id, actor=VENDOR, reason=None, now=NOON)
        credit = {"what": "settle_one", "notice_id": notice_id}
        settling = asyncio.create_task(asyncio.to_thread(races.run, stall.org, [credit]))
        await wait_until_blocked(app_database, 1)

    assert await settling == ["1"]
    assert await list_outcomes(app_database, stall) == ["closed_bill"]
    assert await read_status(app_database, stall, bill) == ("cancelled", 0, 20_000)
    assert await list_breaks(app_database, stall) == ["refund_due"]
    assert find_violations(fresh_database.owner_url) == []
