"""Verifying the books: whatever is changed, taken out or put in behind the hub's back is found."""

from collections.abc import Iterator

import psycopg
import pytest

from core.db import Database
from ops.postgres.supervisor import Cluster
from payments.ledger.verifying import verify_books
from tests.payments.ledger.books import DAY, ONE_DAY, a_posting, close, post
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase, Template, a_template
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECOND = DAY + ONE_DAY
# What an owner of the database does to the second of three closed days → the first wrong day, and a
# word of the reason.
TAMPERINGS = {
    "a posting's amount is another": (
        "UPDATE postings SET amount_vnd = amount_vnd + 1 WHERE amount_vnd = 200",
        SECOND,
        "The checkpoint of",
    ),
    "a posting is said to be of another time": (
        (
            "UPDATE postings SET posted_at = posted_at + interval '1 microsecond'"
            " WHERE amount_vnd = 200"
        ),
        SECOND,
        "Its hash",
    ),
    "a posting is of another cause": (
        "UPDATE postings SET cause_id = gen_random_uuid() WHERE amount_vnd = 200",
        SECOND,
        "Its hash",
    ),
    "a posting is of another credit": (
        "UPDATE postings SET item_id = gen_random_uuid() WHERE amount_vnd = 200",
        SECOND,
        "Its hash",
    ),
    "a posting is gone": (
        "DELETE FROM postings WHERE amount_vnd = 200",
        SECOND,
        "closed with 2 postings, and 1 are there",
    ),
    "a posting was put in": (
        (
            "INSERT INTO postings SELECT (jsonb_populate_record(p, jsonb_build_object("
            " 'id', gen_random_uuid(), 'cause_id', gen_random_uuid()))).* FROM postings p"
            " WHERE amount_vnd = 200"
        ),
        SECOND,
        "closed with 2 postings, and 3 are there",
    ),
    "a posting went to another day": (
        f"UPDATE postings SET day = '{SECOND + ONE_DAY}' WHERE amount_vnd = 200",
        SECOND,
        "closed with 2 postings, and 1 are there",
    ),
    "a posting of before the books came later": (
        "UPDATE postings SET day = '-infinity' WHERE amount_vnd = 900",
        DAY,
        "Of before the books it counted 0 postings, and 1 are there",
    ),
    "a checkpoint is another": (
        f"UPDATE ledger_checkpoints SET balance_vnd = balance_vnd + 1 WHERE day = '{SECOND}'",
        SECOND,
        "The checkpoint of",
    ),
    "a checkpoint is gone": (
        f"DELETE FROM ledger_checkpoints WHERE day = '{SECOND}' AND code = 'takings'",
        SECOND,
        "says nothing",
    ),
    "a checkpoint was put in": (
        (
            "INSERT INTO ledger_checkpoints SELECT org_id, code, subject_id,"
            f" CAST('{SECOND}' AS date), 0, 0 FROM ledger_accounts WHERE code = 'not_takings'"
        ),
        SECOND,
        "give nothing",
    ),
    "a day was closed by somebody else": (
        f"UPDATE ledger_days SET closed_by = gen_random_uuid() WHERE day = '{SECOND}'",
        SECOND,
        "Its hash",
    ),
    "the last day is open again": (
        f"UPDATE ledger_books SET closed_through = '{SECOND}'",
        SECOND + ONE_DAY,
        "closed through 2026-11-21, and the last day is 2026-11-22",
    ),
    "the last day is gone": (
        (
            f"UPDATE ledger_books SET closed_through = '{SECOND}';"
            f" DELETE FROM ledger_checkpoints WHERE day = '{SECOND + ONE_DAY}';"
            f" DELETE FROM ledger_days WHERE day = '{SECOND + ONE_DAY}'"
        ),
        SECOND,
        "By the log of changes 2026-11-22 was closed, too",
    ),
    "a day in the middle is gone": (
        f"SET session_replication_role = replica; DELETE FROM ledger_days WHERE day = '{SECOND}'",
        SECOND + ONE_DAY,
        "It does not follow from the day before",
    ),
    "the log of changes has another head": (
        (
            "UPDATE audit_log SET after = jsonb_set(after, '{hash}', '\"00\"')"
            f" WHERE after->>'day' = '{SECOND}'"
        ),
        SECOND,
        "the log of changes has 00",
    ),
}


async def three_closed_days(app_database: Database) -> PayableStall:
    """Three closed days of two postings each, and an open one."""
    stall = await a_payable_stall(app_database)
    for days in range(4):
        at = NOON + days * ONE_DAY
        amounts_vnd = (100 * (days + 1), 900 if days == 3 else 7)
        postings = [a_posting(stall, amount_vnd, at=at) for amount_vnd in amounts_vnd]
        await post(app_database, stall, *postings, now=at)
    for days in range(3):
        await close(app_database, stall, DAY + days * ONE_DAY)
    return stall


@pytest.fixture(scope="module")
def stall_template(cluster: Cluster) -> Iterator[Template[PayableStall]]:
    with a_template(cluster, three_closed_days) as template:
        yield template


async def test_sound_books_agree_with_what_is_open_beside_them(
    worker_database: Database, app_database: Database, stall: PayableStall
) -> None:
    await post(app_database, stall, a_posting(stall), now=NOON + 5 * ONE_DAY)

    verified = await verify_books(worker_database, stall.org.id)

    assert (verified.days, verified.postings, verified.fault) == (3, 6, None)
    assert verified.last is not None
    assert verified.last.day == SECOND + ONE_DAY


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_tampering_is_found_with_its_first_day(
    cluster: Cluster,
    fresh_database: FreshDatabase,
    worker_database: Database,
    stall: PayableStall,
    what: str,
) -> None:
    statement, day, reason = TAMPERINGS[what]
    with psycopg.connect(cluster.dsn(dbname=fresh_database.name), autocommit=True) as owner:
        owner.execute(statement.encode())

    verified = await verify_books(worker_database, stall.org.id)

    assert verified.fault is not None, "nothing was found"
    assert verified.fault.day == day, verified.fault
    assert any(reason in one for one in verified.fault.reasons), verified.fault


async def test_other_organisations_are_verified_by_themselves(
    fresh_database: FreshDatabase,
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
) -> None:
    neighbour = await a_payable_stall(app_database, code="HKXN")
    await post(app_database, neighbour, a_posting(neighbour, 5))
    await close(app_database, neighbour)
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("UPDATE postings SET amount_vnd = 6 WHERE amount_vnd = 5")

    assert (await verify_books(worker_database, stall.org.id)).fault is None
    assert (await verify_books(worker_database, neighbour.org.id)).fault is not None
