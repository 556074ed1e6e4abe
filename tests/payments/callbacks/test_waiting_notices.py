"""Notices that cannot be settled yet: they wait behind new money, and stop asking in the end."""

from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import first_id_at
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from payments.breaks.service import close_break
from payments.callbacks import queries as notice_queries
from payments.callbacks.queries import COUNT_NOTICES
from payments.callbacks.views import COUNTED_FOR, count_notices
from payments.ledger import service as ledger
from payments.onboarding.service import set_accounts
from tests.world.bills import a_bill
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.payees import an_account
from tests.world.plans import scans_of
from tests.world.reads import count_rows, list_breaks, list_outcomes, read_ledger
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio

NOT_OURS = "7654321"


async def a_stray(database: Database, stall: PayableStall) -> UUID:
    """Store a notice for an account that is not known here."""
    body = sepay_body(stall, amount_vnd=20_000, memo="x", account_number=NOT_OURS)
    (notice_id,) = await store_notices(database, stall, body)
    return notice_id


async def settle_through(database: Database, stall: PayableStall, *, until: timedelta) -> datetime:
    """Settle every hour; return the last instant."""
    for hours in range(int(until / timedelta(hours=1)) + 1):
        now = NOON + timedelta(hours=hours)
        await process_waiting(database, stall, now=now)
    return now


async def close_open_break(database: Database, stall: PayableStall) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        break_id = await session.scalar(text("SELECT id FROM breaks WHERE closed_at IS NULL"))
        await close_break(
            session, stall.org.id, break_id, resolution="not ours", actor=MANAGER, now=NOON
        )


async def list_the_account(database: Database, stall: PayableStall, *, now: datetime) -> None:
    """Give the stray's account to the stall, and let the endpoint speak for it."""
    async with open_org_transaction(database, stall.org.id) as session:
        account = await an_account(session, stall.org, stall.payee_id, account_number=NOT_OURS)
        accounts = [stall.account_id, account]
        await set_accounts(
            session, stall.org.id, stall.endpoint_id, accounts, actor=MANAGER, now=now
        )


async def test_new_money_goes_before_what_was_tried_before(
    app_database: Database, stall: PayableStall
) -> None:
    for _ in range(3):
        await a_stray(app_database, stall)
    await process_waiting(app_database, stall)
    later = NOON + timedelta(minutes=5)
    bill = await a_bill(app_database, stall)
    body = sepay_body(stall, amount_vnd=20_000, memo=bill.reference)
    (fresh,) = await store_notices(app_database, stall, body, now=later)

    async with open_org_transaction(app_database, stall.org.id) as session:
        first = await notice_queries.lock_due_notices(session, stall.org.id, limit=1, now=later)
        both = await notice_queries.lock_due_notices(session, stall.org.id, limit=3, now=later)

    assert [notice.id for notice in first] == [fresh]
    assert len(both) == 3
    assert both[0].id == fresh


async def test_after_three_days_a_stray_notice_is_left_alone_until_its_account_comes(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    await a_stray(app_database, stall)
    await settle_through(app_database, stall, until=timedelta(days=4))
    attempts = await count_rows(app_database, stall, "notices", "attempts < 80")
    assert attempts == 1
    much_later = NOON + timedelta(days=300)

    async with worker_database.begin() as session:
        assert await notice_queries.find_backlog(session, now=much_later) == []
    assert await process_waiting(app_database, stall, now=much_later) == 0
    assert await list_breaks(app_database, stall) == ["unknown_account"]

    await list_the_account(app_database, stall, now=much_later)
    async with worker_database.begin() as session:
        assert await notice_queries.find_backlog(session, now=much_later) == [stall.org.id]
    assert await process_waiting(app_database, stall, now=much_later) == 1
    assert await list_outcomes(app_database, stall) == ["counter_sale"]


async def test_what_a_person_closed_is_not_opened_again_by_the_next_try(
    app_database: Database, stall: PayableStall
) -> None:
    await a_stray(app_database, stall)
    await process_waiting(app_database, stall)
    await close_open_break(app_database, stall)

    await settle_through(app_database, stall, until=timedelta(hours=5))

    assert await count_rows(app_database, stall, "breaks") == 1
    assert await list_breaks(app_database, stall) == []


async def test_a_notice_that_is_settled_at_last_leaves_nothing_to_do(
    app_database: Database, stall: PayableStall
) -> None:
    await a_stray(app_database, stall)
    await a_stray(app_database, stall)
    await process_waiting(app_database, stall)
    assert await list_breaks(app_database, stall) == ["unknown_account"]
    now = NOON + timedelta(hours=2)

    await list_the_account(app_database, stall, now=now)
    await process_waiting(app_database, stall, now=now)

    assert await list_breaks(app_database, stall) == []
    closed = "resolution = 'account_listed' AND closed_by IS NULL"
    assert await count_rows(app_database, stall, "breaks", closed) == 1


async def test_an_unknown_account_is_one_alarm_however_many_notices_name_it(
    app_database: Database, stall: PayableStall
) -> None:
    for _ in range(40):
        await a_stray(app_database, stall)
    await settle_through(app_database, stall, until=timedelta(hours=30))
    await store_notices(
        app_database,
        stall,
        sepay_body(stall, amount_vnd=5_000, memo="x", account_number="999888777"),
    )
    await process_waiting(app_database, stall)

    assert await list_breaks(app_database, stall) == ["unknown_account"] * 2
    number, anywhere = "reason_facts ->> 'account'", f"reason_facts::text LIKE '%{NOT_OURS}%'"
    assert await count_rows(app_database, stall, "breaks", anywhere) == 0
    assert await count_rows(app_database, stall, "breaks", f"{number} LIKE '%4321'") == 1
    assert await count_rows(app_database, stall, "notices", "attempts > 9") == 0


async def test_what_waits_at_an_endpoint_is_counted_without_reading_its_history(
    app_database: Database, stall: PayableStall, cluster: Cluster, fresh_database: FreshDatabase
) -> None:
    fill = f"""
        SET session_replication_role = replica;
        INSERT INTO notices (org_id, id, endpoint_id, provider, source, body, headers, received_at,
            handled_at, attempts, next_attempt_at)
        SELECT '{stall.org.id}', (lpad(to_hex(i), 12, '0') || md5(i::text)::char(20))::uuid,
            '{stall.endpoint_id}', 'sepay', 'callback', 'x', '{{}}', now(), now(), 1, now()
        FROM generate_series(1, 60000) i;
    """
    with psycopg.connect(cluster.dsn(dbname=fresh_database.name), autocommit=True) as owner:
        owner.execute(fill)
        owner.execute("VACUUM ANALYZE notices")
    for _ in range(3):
        await a_stray(app_database, stall)
    values = {
        "org_id": stall.org.id,
        "endpoint_ids": [stall.endpoint_id],
        "first_id": first_id_at(NOON - COUNTED_FOR),
    }
    async with open_org_transaction(app_database, stall.org.id) as session:
        counts = await count_notices(session, stall.org.id, [stall.endpoint_id], now=NOON)
        assert await scans_of(session, COUNT_NOTICES, values) == {}
    assert counts[stall.endpoint_id].waiting == 3


async def test_a_notice_that_fails_opens_one_break_and_closes_it_when_it_is_processed(
    app_database: Database, owner_database: Database, stall: PayableStall
) -> None:
    """The stall's ledger accounts are gone for a while."""
    async with owner_database.begin() as owner:
        values = {"payee_id": stall.payee_id}
        query = text("DELETE FROM ledger_accounts WHERE subject_id = :payee_id")
        await owner.execute(query, values)
    await store_notices(app_database, stall, sepay_body(stall, amount_vnd=1_000, memo="x"))
    await settle_through(app_database, stall, until=timedelta(hours=6))
    assert await list_breaks(app_database, stall) == ["stuck"]

    await close_open_break(app_database, stall)
    await settle_through(app_database, stall, until=timedelta(hours=12))
    assert await list_breaks(app_database, stall) == []

    async with open_org_transaction(app_database, stall.org.id) as session:
        await session.execute(text("UPDATE breaks SET closed_at = NULL"))
        await ledger.open_payee_accounts(session, stall.org.id, stall.payee_id, now=NOON)
    await process_waiting(app_database, stall, now=NOON + timedelta(days=1))
    assert (await read_ledger(app_database, stall))["takings"] == 1_000
    assert await list_breaks(app_database, stall) == []


async def test_a_notice_that_failed_for_three_days_is_tried_once_a_day(
    app_database: Database, owner_database: Database, stall: PayableStall
) -> None:
    async with owner_database.begin() as owner:
        values = {"payee_id": stall.payee_id}
        query = text("DELETE FROM ledger_accounts WHERE subject_id = :payee_id")
        await owner.execute(query, values)
    await store_notices(app_database, stall, sepay_body(stall, amount_vnd=1_000, memo="x"))
    now = NOON + timedelta(days=3, minutes=1)
    await process_waiting(app_database, stall, now=now)

    await process_waiting(app_database, stall, now=now + timedelta(hours=23))
    assert await count_rows(app_database, stall, "notices", "attempts = 1") == 1
    await process_waiting(app_database, stall, now=now + timedelta(hours=25))
    assert await count_rows(app_database, stall, "notices", "attempts = 2") == 1
