"""Money on unknown accounts stays on the list until none of it waits any more."""

import asyncio

import pytest

from core.db import Database
from core.tenancy import open_org_transaction
from payments.callbacks import queries as notice_queries
from payments.credits import waiting_accounts
from payments.credits.processing import process_notices
from tests.payments.invariants import find_violations
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.endpoints import add_account
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.payees import an_account
from tests.world.reads import count_rows, list_breaks, list_outcomes
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio

NOT_OURS = "7654321"
CLOSED = "kind = 'unknown_account' AND resolution = 'account_listed'"


async def a_stray(database: Database, stall: PayableStall, virtual_account: str | None) -> None:
    body = sepay_body(
        stall,
        amount_vnd=20_000,
        memo="x",
        account_number=NOT_OURS,
        virtual_account=virtual_account,
    )
    await store_notices(database, stall, body)


async def list_the_account(database: Database, stall: PayableStall, number: str) -> None:
    """Give an account to the stall, and let its endpoint speak for it."""
    async with open_org_transaction(database, stall.org.id) as session:
        account_id = await an_account(session, stall.org, stall.payee_id, account_number=number)
        await add_account(session, stall.org, stall.endpoint_id, account_id)
        await notice_queries.wake_notices(session, stall.org.id, stall.endpoint_id, now=NOON)


@pytest.mark.parametrize("order", [("VQR01", "vqr02"), ("VQR02", "VQR01"), ("VQR01", NOT_OURS)])
async def test_another_virtual_account_of_the_same_number_leaves_the_rest_on_the_list(
    app_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
    order: tuple[str, str],
) -> None:
    for virtual_account in ("VQR01", "vqr01", "VQR02"):
        await a_stray(app_database, stall, virtual_account)
    await process_waiting(app_database, stall)
    assert await list_breaks(app_database, stall) == ["unknown_account"]

    await list_the_account(app_database, stall, order[0])
    await process_waiting(app_database, stall)
    assert "waits_for_account" in await list_outcomes(app_database, stall)
    assert await list_breaks(app_database, stall) == ["unknown_account"]

    await list_the_account(app_database, stall, order[1])
    await process_waiting(app_database, stall)
    assert await list_outcomes(app_database, stall) == ["counter_sale"] * 3
    assert await list_breaks(app_database, stall) == []
    assert await count_rows(app_database, stall, "breaks", CLOSED) == 1
    assert find_violations(fresh_database.owner_url) == []


async def test_money_without_a_virtual_account_stays_on_the_list_too(
    app_database: Database, stall: PayableStall
) -> None:
    for virtual_account in ("VQR01", None):
        await a_stray(app_database, stall, virtual_account)
    await process_waiting(app_database, stall)

    await list_the_account(app_database, stall, "VQR01")
    await process_waiting(app_database, stall)
    assert await list_breaks(app_database, stall) == ["unknown_account"]

    await list_the_account(app_database, stall, NOT_OURS)
    await process_waiting(app_database, stall)
    assert await list_breaks(app_database, stall) == []


async def test_another_unknown_account_does_not_hold_up_the_one_that_is_listed(
    app_database: Database, stall: PayableStall
) -> None:
    await a_stray(app_database, stall, None)
    other = sepay_body(stall, amount_vnd=5_000, memo="x", account_number="999888777")
    await store_notices(app_database, stall, other)
    await process_waiting(app_database, stall)
    assert await list_breaks(app_database, stall) == ["unknown_account"] * 2

    await list_the_account(app_database, stall, NOT_OURS)
    await process_waiting(app_database, stall)

    assert await list_breaks(app_database, stall) == ["unknown_account"]


@pytest.mark.slow
async def test_two_batches_that_handle_the_last_notices_at_once_close_the_break(
    app_database: Database, stall: PayableStall
) -> None:
    """Each handles one notice of the matter while the other is not committed."""
    for _ in range(2):
        await a_stray(app_database, stall, "VQR01")
    await process_waiting(app_database, stall)
    await list_the_account(app_database, stall, "VQR01")
    ready = asyncio.Barrier(2)

    async def settle_one() -> None:
        async with open_org_transaction(app_database, stall.org.id) as session:
            due = await notice_queries.lock_due_notices(session, stall.org.id, limit=1, now=NOON)
            await ready.wait()
            assert await process_notices(session, stall.org, due, now=NOON) == 1
            await asyncio.sleep(0.3)  # not committed while the other one looks

    await asyncio.gather(settle_one(), settle_one())

    assert await list_outcomes(app_database, stall) == ["counter_sale"] * 2
    assert await list_breaks(app_database, stall) == []


async def test_with_too_many_that_wait_the_break_stays(
    app_database: Database, stall: PayableStall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_accounts, "WAITING_MAX", 1)
    for virtual_account in ("VQR01", "VQR02", "VQR03"):
        await a_stray(app_database, stall, virtual_account)
    await process_waiting(app_database, stall)

    await list_the_account(app_database, stall, "VQR01")
    await process_waiting(app_database, stall)

    assert await list_breaks(app_database, stall) == ["unknown_account"]
