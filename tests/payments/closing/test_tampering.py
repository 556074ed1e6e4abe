"""A closed day that somebody changed: `./phopay ledger verify` names it, live checks alarm."""

import psycopg
import pytest

from core.db import Database
from payments.closing.service import read_sections
from payments.ledger.verifying import verify_books
from tests.payments.closing.days import FRIDAY, MONDAY, SATURDAY, SUNDAY, THURSDAY
from tests.payments.closing.test_worked_monday import live_through
from tests.payments.invariants import find_violations
from tests.world.databases import FreshDatabase
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

# What the owner does to closed days, past every constraint → the day that verify names, and the
# live check that sees it (it looks at the last day only).
TAMPERED = {
    "a carried item is worth more": (
        "UPDATE carried_items SET amount_vnd = amount_vnd + 1 WHERE amount_vnd = 50000",
        SATURDAY, None,
    ),
    "a carried item is gone": (
        "DELETE FROM carried_items WHERE amount_vnd = 60000", SUNDAY, None,
    ),
    "an item was never cleared": (
        "UPDATE carried_items SET cleared_day = NULL WHERE amount_vnd = 30000",
        MONDAY, "closed_clearing_is_carried",
    ),
    "an item is cleared a day early": (
        "UPDATE carried_items SET cleared_day = '2026-11-22' WHERE amount_vnd = 30000",
        SUNDAY, "carried_items_follow_from_their_day",
    ),
    "an account carried less": (
        ("ALTER TABLE ledger_day_accounts DROP CONSTRAINT ck_ledger_day_accounts_all_is_carried;"
        " UPDATE ledger_day_accounts SET carried_vnd = 0 WHERE day = '2026-11-20'"),
        FRIDAY, None,
    ),
    "another one closed it over": (
        ("UPDATE ledger_day_accounts SET proof = 'closed_over', over_by_1 = gen_random_uuid(),"
        " over_by_2 = gen_random_uuid() WHERE day = '2026-11-21'"),
        SATURDAY, None,
    ),
    "the last day's items were made up": (
        "UPDATE carried_items SET credit_id = gen_random_uuid() WHERE amount_vnd = 80000",
        MONDAY, "carried_items_follow_from_their_day",
    ),
    "the account's clearing is another": (
        ("UPDATE ledger_day_accounts SET clearing_vnd = 1, carried_vnd = 1"
        " WHERE day = '2026-11-23'"),
        MONDAY, "closed_clearing_is_carried",
    ),
    "a balance of clearing is another": (
        (
            "UPDATE ledger_checkpoints SET balance_vnd = -80001 WHERE code = 'bank_clearing'"
            " AND day = '2026-11-23'"
        ),
        MONDAY,
        "closed_clearing_is_carried",
    ),
    "a day is said to be of the old kind": (
        "UPDATE ledger_days SET hash_version = 1 WHERE day = '2026-11-19'", THURSDAY, None,
    ),
}  # fmt: skip


@pytest.fixture
async def lived(app_database: Database, stall: PayableStall) -> PayableStall:
    await live_through(app_database, stall)
    return stall


async def test_each_change_of_a_closed_day_is_found(
    lived: PayableStall, worker_database: Database, fresh_database: FreshDatabase
) -> None:
    """One database for all: each change is taken back by a savepoint of the owner's."""
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute(
            "CREATE SCHEMA kept; CREATE TABLE kept.items AS TABLE carried_items;"
            " CREATE TABLE kept.accounts AS TABLE ledger_day_accounts;"
            " CREATE TABLE kept.points AS TABLE ledger_checkpoints;"
            " CREATE TABLE kept.days AS SELECT day, hash_version FROM ledger_days"
        )
        for name, (change, day, check) in TAMPERED.items():
            owner.execute(change)
            found = await verify_books(worker_database, lived.org.id, read_sections=read_sections)
            assert found.fault is not None, name
            assert found.fault.day == day, (name, found.fault)
            if check is not None:
                seen = {one.partition(":")[0] for one in find_violations(fresh_database.owner_url)}
                assert check in seen, name
            owner.execute(
                "DELETE FROM carried_items; DELETE FROM ledger_day_accounts;"
                " DELETE FROM ledger_checkpoints;"
                " INSERT INTO ledger_checkpoints TABLE kept.points;"
                " INSERT INTO ledger_day_accounts TABLE kept.accounts;"
                " INSERT INTO carried_items TABLE kept.items;"
                " UPDATE ledger_days d SET hash_version = k.hash_version FROM kept.days k"
                " WHERE k.day = d.day"
            )
    found = await verify_books(worker_database, lived.org.id, read_sections=read_sections)
    assert (found.days, found.fault) == (5, None)


async def test_books_that_say_that_they_are_closed_further_are_seen(
    lived: PayableStall, fresh_database: FreshDatabase
) -> None:
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("UPDATE ledger_books SET closed_through = '2026-11-22'")

    seen = {one.partition(":")[0] for one in find_violations(fresh_database.owner_url)}
    assert "books_are_closed_through_their_last_day" in seen


async def test_the_application_changes_nothing_of_a_closed_day_but_what_clears_an_item(
    lived: PayableStall, fresh_database: FreshDatabase
) -> None:
    for query in (
        "UPDATE ledger_day_accounts SET carried_vnd = 0",
        "DELETE FROM ledger_day_accounts",
        "UPDATE carried_items SET amount_vnd = 1",
        "UPDATE carried_items SET first_day = first_day",
        "DELETE FROM carried_items",
        "UPDATE ledger_days SET hash_version = 1",
        "UPDATE opening_balances SET amount_vnd = 1",
        "DELETE FROM account_proofs",
        "UPDATE closed_over_days SET by_1 = by_2",
    ):
        with psycopg.connect(fresh_database.app_url) as app:
            app.execute(f"SET LOCAL app.org_id = '{lived.org.id}'")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(query)
