"""The books come to a database in use: with rows from before, and the old release still running."""

from collections.abc import Iterator

import psycopg
import pytest

from core.ids import new_id
from core.tenancy import open_org_transaction
from ops import migrate
from ops.postgres.supervisor import Cluster
from payments.ledger.rules import takings
from payments.ledger.verifying import verify_books
from tests.payments.ledger.books import DAY, a_posting, balance, close, days_of, plain_sum, post
from tests.world.databases import FreshDatabase, create_database, open_database_at
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BEFORE_THE_BOOKS = "m0029"
# As the release before wrote a posting: it knows neither day nor item.
OLD_POSTING = """
    INSERT INTO postings (
        org_id, id, debit_code, debit_subject_id, credit_code, credit_subject_id, amount_vnd,
        cause_kind, cause_id, step, effective_at, posted_at)
    VALUES (%(org)s, %(id)s, 'bank_clearing', %(account)s, 'takings', %(payee)s, %(amount_vnd)s,
            'match', %(id)s, 0, '2026-11-19T05:00:00Z', '2026-11-19T05:00:01Z')
"""


@pytest.fixture
def old_database(cluster: Cluster) -> Iterator[FreshDatabase]:
    with create_database(cluster) as database:
        yield database


async def test_old_rows_stay_before_the_books_and_count_in_the_first_close(
    old_database: FreshDatabase,
) -> None:
    settings = old_database.settings
    async with (
        open_database_at(old_database.app_url, settings) as app,
        open_database_at(old_database.worker_url, settings) as worker,
    ):
        stall = await a_payable_stall(app)
        migrate.downgrade(old_database.owner_url, BEFORE_THE_BOOKS)
        post_as_before(old_database, stall, 1_000)

        migrate.upgrade(old_database.owner_url)

        post_as_before(old_database, stall, 200)  # by a hub that was not restarted yet
        await post(app, stall, a_posting(stall, 30))
        key = takings(stall.payee_id)
        assert await balance(app, stall, key) == 1_230
        closed = await close(app, stall)
        assert (closed.postings, closed.postings_before) == (1, 2)
        assert await balance(app, stall, key) == 1_230
        async with open_org_transaction(app, stall.org.id) as session:
            before = await plain_sum(session, stall.org.id, key, "day = '-infinity'")
        assert before == 1_200
        assert (await verify_books(worker, stall.org.id)).fault is None

        post_as_before(old_database, stall, 7)  # too late: it is in no day, and that is found
        fault = (await verify_books(worker, stall.org.id)).fault
        assert fault is not None
        assert fault.day == DAY
        assert "counted 2 postings, and 3 are there" in fault.reasons[0]


async def test_an_organisation_has_its_books_whichever_release_made_it(
    old_database: FreshDatabase,
) -> None:
    migrate.downgrade(old_database.owner_url, BEFORE_THE_BOOKS)
    made = [add_organisation(old_database, "HKXA")]
    migrate.upgrade(old_database.owner_url)
    made.append(add_organisation(old_database, "HKXB"))

    with psycopg.connect(old_database.owner_url) as owner:
        books = owner.execute("SELECT org_id, closed_through FROM ledger_books").fetchall()
    assert sorted(books) == sorted((org_id, None) for org_id in made)
    async with open_database_at(old_database.app_url, old_database.settings) as app:
        stall = await a_payable_stall(app)
        await post(app, stall, a_posting(stall, 5))
        assert await days_of(app, stall) == [(DAY, 5)]


def post_as_before(database: FreshDatabase, stall: PayableStall, amount_vnd: int) -> None:
    values = {
        "org": stall.org.id,
        "id": new_id(),
        "account": stall.account_id,
        "payee": stall.payee_id,
        "amount_vnd": amount_vnd,
    }
    with psycopg.connect(database.app_url) as old_hub:
        old_hub.execute("SELECT set_config('app.org_id', %s, true)", [str(stall.org.id)])
        old_hub.execute(OLD_POSTING, values)


def add_organisation(database: FreshDatabase, code: str) -> object:
    org_id = new_id()
    with psycopg.connect(database.app_url) as hub:
        hub.execute("SELECT set_config('app.org_id', %s, true)", [str(org_id)])
        hub.execute(
            "INSERT INTO organisations (id, code, name, kind, is_live, created_at)"
            " VALUES (%s, %s, 'x', 'market_board', true, now())",
            [org_id, code],
        )
    return org_id
