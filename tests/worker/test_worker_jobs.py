"""The worker's rounds: they look at what is recent, go on where one fails, and leave nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

import payments.bills.jobs
import payments.credits.jobs
import worker.jobs
from core.clock import read_clock
from core.db import Database
from core.ids import first_id_at, new_id
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from payments.bills.jobs import ExpiryProgress, expire_bills
from payments.bills.queries_expiry import FIND_EXPIRED_UNSTORED, STORE_EXPIRY
from payments.bills.references import make_reference
from payments.callbacks.queries import INSERT_REJECTION, insert_rejection
from payments.callbacks.types import NewRejection
from payments.credits.jobs import rematch_waiting
from payments.credits.queries_matches import FIND_WAITING_MATCHES
from tests.world.bills import a_bill
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.plans import scans_of
from tests.world.reads import count_rows, list_breaks, read_status
from tests.world.serials import next_code, next_number
from tests.world.stalls import PayableStall, a_payable_stall
from worker.jobs import purge_expired

pytestmark = pytest.mark.anyio

AFTERWARDS = NOON + timedelta(days=2)


@pytest.fixture
async def databases(app_database: Database, worker_database: Database) -> JobDatabases:
    return JobDatabases(app=app_database, worker=worker_database)


async def test_money_whose_bill_appears_within_a_day_is_explained_and_later_not_looked_for(
    app_database: Database, stall: PayableStall, databases: JobDatabases
) -> None:
    soon, late = [a_free_reference(stall) for _ in range(2)]
    for reference in (soon, late):
        await store_notices(
            app_database, stall, sepay_body(stall, amount_vnd=20_000, memo=reference)
        )
    await process_waiting(app_database, stall)

    paid = await a_bill(app_database, stall, reference=soon)
    assert await rematch_waiting(databases, now=NOON + timedelta(hours=23)) == 1
    assert (await read_status(app_database, stall, paid))[0] == "paid"

    await a_bill(app_database, stall, reference=late)
    assert await rematch_waiting(databases, now=NOON + timedelta(days=2)) == 0


async def money_before_its_bill(
    database: Database, stall: PayableStall, *, bills: int = 1
) -> list[Any]:
    """Pay for bills that are opened only afterwards."""
    references = [a_free_reference(stall) for _ in range(bills)]
    bodies = [sepay_body(stall, amount_vnd=20_000, memo=reference) for reference in references]
    await store_notices(database, stall, *bodies)
    await process_waiting(database, stall)
    return [await a_bill(database, stall, reference=reference) for reference in references]


async def cannot_be_judged(fresh_database: FreshDatabase, stall: PayableStall) -> None:
    """Let nothing be posted for this stall any more."""
    query = "DELETE FROM ledger_accounts WHERE subject_id = %s"
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute(query, [stall.payee_id])


async def test_credits_that_always_fail_starve_nobody_and_rest_longer_each_time(
    app_database: Database,
    stall: PayableStall,
    databases: JobDatabases,
    fresh_database: FreshDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(payments.credits.jobs, "REMATCH_MAX", 10)
    await money_before_its_bill(app_database, stall, bills=12)
    await cannot_be_judged(fresh_database, stall)
    other = await a_payable_stall(app_database, code=next_code())
    (paid,) = await money_before_its_bill(app_database, other)

    assert await rematch_waiting(databases, now=NOON) == 1
    assert (await read_status(app_database, other, paid))[0] == "paid"
    assert await count_rows(app_database, stall, "matches", "attempts = 1") == 9

    await rematch_waiting(
        databases, now=NOON + timedelta(seconds=1)
    )  # the three that had no turn yet
    assert await count_rows(app_database, stall, "matches", "attempts = 1") == 12
    await rematch_waiting(databases, now=NOON + timedelta(seconds=2))
    assert await count_rows(app_database, stall, "matches", "attempts = 1") == 12


@pytest.mark.slow
async def test_a_credit_that_always_fails_opens_one_break_which_closes_when_it_is_explained(
    app_database: Database,
    stall: PayableStall,
    databases: JobDatabases,
    fresh_database: FreshDatabase,
) -> None:
    (bill,) = await money_before_its_bill(app_database, stall)
    refuse = """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'no'; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON bills FOR EACH ROW EXECUTE FUNCTION refuse();
    """
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute(refuse)
    for seconds in range(0, 1_200, 2):  # a round every 2 s
        now = NOON + timedelta(seconds=seconds)
        assert await rematch_waiting(databases, now=now) == 0

    attempts = await count_rows(app_database, stall, "matches", "attempts BETWEEN 6 AND 12")
    assert attempts == 1  # and not 600
    assert await list_breaks(app_database, stall) == ["stuck", "unknown_reference"]

    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute("DROP TRIGGER refuse ON bills")
    assert await rematch_waiting(databases, now=NOON + timedelta(hours=1)) == 1
    assert (await read_status(app_database, stall, bill))[0] == "paid"
    assert await list_breaks(app_database, stall) == []


def a_free_reference(stall: PayableStall) -> str:
    """Make a reference that no bill carries yet."""
    return make_reference(stall.org.code, 700_000 + next_number())


async def test_all_bills_past_their_time_are_expired_in_one_round(
    app_database: Database,
    stall: PayableStall,
    databases: JobDatabases,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(payments.bills.jobs, "EXPIRE_MAX", 2)
    for _ in range(5):
        await a_bill(app_database, stall)

    assert await expire_bills(databases, ExpiryProgress(), now=AFTERWARDS) == 5

    assert await count_rows(app_database, stall, "bills", "status = 'expired'") == 5


async def test_the_next_round_begins_where_the_last_one_ended(
    app_database: Database, stall: PayableStall, databases: JobDatabases
) -> None:
    progress = ExpiryProgress()
    assert await expire_bills(databases, progress, now=NOON) == 0
    for day in range(3):
        await a_bill(app_database, stall, now=NOON + timedelta(days=day))
        await expire_bills(databases, progress, now=NOON + timedelta(days=day, hours=1))

    assert (
        await expire_bills(databases, progress, now=NOON + timedelta(days=10)) == 1
    )  # the others before
    assert await count_rows(app_database, stall, "bills", "status = 'expired'") == 3


async def test_an_organisation_whose_bills_cannot_be_expired_holds_up_no_other(
    app_database: Database,
    stall: PayableStall,
    databases: JobDatabases,
    fresh_database: FreshDatabase,
) -> None:
    others = [await a_payable_stall(app_database, code=next_code()) for _ in range(2)]
    for one in (stall, *others):
        await a_bill(app_database, one)
    refuse = f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'no'; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON bills FOR EACH ROW
        WHEN (NEW.org_id = '{stall.org.id}') EXECUTE FUNCTION refuse();
    """
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute(refuse)

    progress = ExpiryProgress()
    assert await expire_bills(databases, progress, now=AFTERWARDS) == 2

    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute("DROP TRIGGER refuse ON bills")
    assert (
        await expire_bills(databases, progress, now=AFTERWARDS + timedelta(days=5)) == 1
    )  # it is not forgotten


async def test_what_has_outlived_its_retention_is_deleted_however_much_it_is(
    app_database: Database,
    stall: PayableStall,
    databases: JobDatabases,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker.jobs, "DELETE_MAX", 2)
    async with open_org_transaction(app_database, stall.org.id) as session:
        for _ in range(5):
            await reject(session, stall, at=NOON)

    assert await purge_expired(databases, now=NOON + timedelta(days=31)) >= 5

    assert await count_rows(app_database, stall, "rejections") == 0


async def reject(session: Any, stall: PayableStall, *, at: datetime, kept_max: int = 200) -> None:
    rejection = NewRejection(
        id=new_id(),
        endpoint_id=stall.endpoint_id,
        refusal="bad_signature",
        detail="x",
        skew_s=None,
        body_start=b"{}",
        received_at=at,
    )
    since = at - timedelta(hours=1)
    await insert_rejection(session, stall.org.id, rejection, since=since, kept_max=kept_max)


async def test_refused_messages_are_kept_up_to_their_number_an_hour(
    app_database: Database, stall: PayableStall
) -> None:
    now = read_clock()
    async with open_org_transaction(app_database, stall.org.id) as session:
        for _ in range(5):
            await reject(session, stall, at=now, kept_max=3)
        assert await session.scalar(text("SELECT count(*) FROM rejections")) == 3
        await reject(session, stall, at=now + timedelta(hours=2), kept_max=3)

    assert await count_rows(app_database, stall, "rejections") == 4


@pytest.mark.slow
async def test_the_rounds_read_what_is_recent_by_an_index(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    cluster: Cluster,
    fresh_database: FreshDatabase,
) -> None:
    """On a year's bills, matches and refused messages, none of the rounds reads a whole table."""
    fill = f"""
        SET session_replication_role = replica;
        INSERT INTO bills (org_id, id, link_id, payee_id, receiving_account_id, rail, reference,
            public_token, amount_vnd, purpose, status, created_by, created_at, expires_at,
            monitor_until)
        SELECT '{stall.org.id}', md5('b' || i)::uuid, md5('l')::uuid, '{stall.payee_id}',
            '{stall.account_id}', 'vietqr', lpad(i::text, 13, '0'), lpad(i::text, 22, '0'), 20000,
            'Pho', 'expired', md5('c')::uuid, at, at, at
        FROM generate_series(1, 60000) i,
            LATERAL (SELECT now() - interval '9 min' * (60000 - i)) t (at);
        INSERT INTO matches (org_id, id, credit_id, rule, verdict, named, reason, reason_facts,
            applied_vnd, is_late, matched_at)
        SELECT '{stall.org.id}', md5('m' || i)::uuid, md5('k' || i)::uuid, 'none', 'no_bill',
            'PPHKXM' || i, 'no_such_bill', '{{}}', 0, false, now() - interval '9 min' * (60000 - i)
        FROM generate_series(1, 60000) i;
        INSERT INTO rejections (org_id, id, endpoint_id, refusal, detail, body_start, received_at)
        SELECT '{stall.org.id}', (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
                || lpad(i::text, 20, '0'))::uuid, '{stall.endpoint_id}', 'bad_signature', 'x', 'x',
            at
        FROM generate_series(1, 60000) i,
            LATERAL (SELECT now() - interval '9 min' * (60000 - i)) t (at);
    """
    with psycopg.connect(cluster.dsn(dbname=fresh_database.name), autocommit=True) as owner:
        owner.execute(fill)
        owner.execute("VACUUM ANALYZE bills")
        owner.execute("VACUUM ANALYZE matches")
        owner.execute("VACUUM ANALYZE rejections")
    now = datetime.now(UTC)
    since = now - timedelta(hours=1)
    org = {"org_id": stall.org.id}
    async with worker_database.begin() as session:
        assert await scans_of(session, FIND_EXPIRED_UNSTORED, {"since": since, "now": now}) == {}
        assert "matches" not in await scans_of(
            session, FIND_WAITING_MATCHES, {"since": since, "now": now, "limit": 200}
        )
    async with open_org_transaction(app_database, stall.org.id) as session:
        values = {**org, "since": since, "now": now, "limit": 10}
        assert await scans_of(session, STORE_EXPIRY, values) == {}
        rejection = {
            **org, "id": new_id(), "endpoint_id": stall.endpoint_id, "refusal": "x", "detail": "x",
            "skew_s": None, "body_start": b"x", "received_at": now, "kept_max": 200,
            "first_id": first_id_at(since),
        }  # fmt: skip
        assert await scans_of(session, INSERT_REJECTION, rejection) == {}
