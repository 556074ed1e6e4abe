"""Each invariant sees a violation, and the worker alarms about it and takes the alarm back."""

from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest

import payments.invariants
from core.db import Database
from payments.bills.references import make_reference
from payments.credits.processor import NoticeProcessor
from payments.invariants import INVARIANTS
from tests.payments.invariants import find_violations
from tests.world.builders import (
    NOON,
    Stall,
    a_bill,
    a_stall,
    list_breaks,
    pay,
    sepay_body,
    settle,
    store,
)
from tests.world.databases import FreshDatabase
from worker.jobs import JobContext, check_invariants

pytestmark = pytest.mark.anyio

SERIAL_OF_NO_BILL = 9_000_000

# What is done to sound books, by the owner and past every constraint → the invariant that sees it.
DAMAGES = {
    "a posting is lost": (
        "DELETE FROM postings WHERE id = (SELECT min(id::text)::uuid FROM postings)",
        {"clearing_is_what_was_told", "a_credit_posts_once", "balances_follow_from_explanations"},
    ),
    "a posting is one dong too high": (
        "UPDATE postings SET amount_vnd = amount_vnd + 1 WHERE debit_code = 'bank_clearing'",
        {"clearing_is_what_was_told", "a_credit_posts_once", "balances_follow_from_explanations"},
    ),
    "a posting went to a neighbour's takings": (
        (
            "ALTER TABLE postings DROP CONSTRAINT fk_postings_credit;"
            " UPDATE postings SET credit_subject_id = gen_random_uuid()"
            " WHERE credit_code = 'takings'"
        ),
        {"all_balances_are_zero", "balances_follow_from_explanations"},
    ),
    "a match posts for a credit that is gone": (
        "UPDATE postings SET cause_id = gen_random_uuid()",
        {"a_credit_posts_once"},
    ),
    "a credit is told and not posted": (
        (
            "INSERT INTO bank_transactions SELECT (jsonb_populate_record(c, jsonb_build_object("
            " 'id', gen_random_uuid(), 'bank_reference', 'FTLOST',"
            " 'provider_transaction_id', 'lost'))).* FROM bank_transactions c LIMIT 1"
        ),
        {"clearing_is_what_was_told", "one_explanation_in_force", "a_credit_posts_once"},
    ),
    "a credit lost its explanation": (
        "UPDATE matches SET reversed_at = now() WHERE verdict = 'settle'",
        {"one_explanation_in_force", "bills_agree_with_their_credits"},
    ),
    "money out is explained as money in": (
        "UPDATE bank_transactions SET direction = 'out'",
        {"one_explanation_in_force", "clearing_is_what_was_told", "a_credit_posts_once"},
    ),
    "one transaction became two credits": (
        (
            "ALTER TABLE bank_transactions"
            " DROP CONSTRAINT uq_bank_transactions_provider_transaction;"
            " INSERT INTO bank_transactions SELECT (jsonb_populate_record(c, jsonb_build_object("
            " 'id', gen_random_uuid(), 'bank_reference', 'FTTWICE'))).*"
            " FROM bank_transactions c LIMIT 1"
        ),
        {"a_transaction_is_one_credit"},
    ),
    "a bill says paid and is not": (
        "UPDATE bills SET status = 'paid', paid_at = now() WHERE status = 'open'",
        {"bills_agree_with_their_credits"},
    ),
    "a paid bill says open": (
        "UPDATE bills SET status = 'open', paid_at = NULL WHERE status = 'paid'",
        {"bills_agree_with_their_credits"},
    ),
    "a bill was paid more than its credits": (
        (
            "UPDATE bills SET paid_vnd = paid_vnd + 1, received_vnd = received_vnd + 1"
            " WHERE status = 'part_paid'"
        ),
        {"bills_agree_with_their_credits"},
    ),
    "a paid bill does not say when": (
        "UPDATE bills SET paid_at = NULL WHERE status = 'over_paid'",
        {"bills_agree_with_their_credits"},
    ),
    "a column of money holds fractions": (
        "ALTER TABLE bills ALTER COLUMN received_vnd TYPE numeric",
        {"money_is_whole"},
    ),
    "money that is too much is on nobody's list": (
        "DELETE FROM breaks WHERE kind = 'refund_due'",
        {"what_is_unapplied_is_on_a_list"},
    ),
    "nobody looks after money without a bill any more": (
        "UPDATE breaks SET closed_at = now(), resolution = 'x' WHERE kind = 'unknown_reference'",
        {"what_is_unapplied_is_on_a_list"},
    ),
}


@pytest.fixture
async def stall(app_database: Database) -> Stall:
    """A stall whose bills are open, paid, part-paid and over-paid, with a sale and lost money."""
    stall = await a_stall(app_database)
    for paid_vnd in (20_000, 15_000, 25_000):
        await pay(app_database, stall, await a_bill(app_database, stall), amount_vnd=paid_vnd)
    await a_bill(app_database, stall)
    for memo in ("tien hang", make_reference(stall.org.code, SERIAL_OF_NO_BILL)):
        await store(app_database, stall, sepay_body(stall, amount_vnd=7_000, memo=memo))
    await settle(app_database, stall)
    return stall


@pytest.fixture
async def routing(app_database: Database, worker_database: Database) -> AsyncIterator[JobContext]:
    processor = NoticeProcessor(app_database, read_clock=lambda: NOON)
    yield JobContext(
        app_database=app_database, worker_database=worker_database, processor=processor
    )
    await processor.close()


def damage(fresh_database: FreshDatabase, statement: str) -> None:
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        changed = owner.execute(statement.encode())
        assert changed.rowcount != 0, "nothing was there to damage"


async def test_all_invariants_hold_for_sound_books(
    fresh_database: FreshDatabase, stall: Stall, routing: JobContext
) -> None:
    assert find_violations(fresh_database.owner_url) == []
    assert await check_invariants(routing, now=NOON) == 0
    assert "books_disagree" not in await list_breaks(routing.app_database, stall)


@pytest.mark.parametrize("what", DAMAGES)
async def test_a_violation_is_seen(fresh_database: FreshDatabase, stall: Stall, what: str) -> None:
    statement, seen_by = DAMAGES[what]

    damage(fresh_database, statement)

    found = {violation.partition(":")[0] for violation in find_violations(fresh_database.owner_url)}
    assert found >= seen_by, stall.org.code


def test_every_invariant_has_a_violation_that_shows_it() -> None:
    assert {name for _, seen_by in DAMAGES.values() for name in seen_by} == set(INVARIANTS)


async def test_the_worker_opens_one_alarm_for_an_invariant_and_closes_it_when_it_holds_again(
    fresh_database: FreshDatabase, stall: Stall, routing: JobContext
) -> None:
    neighbour = await a_stall(routing.app_database, code="HKXN")
    await pay(routing.app_database, neighbour, await a_bill(routing.app_database, neighbour))
    lift = "UPDATE bills SET received_vnd = received_vnd + 1 WHERE org_id = '{}'"
    damage(fresh_database, lift.format(stall.org.id))

    assert await check_invariants(routing, now=NOON) == 4  # one row for each of its bills
    assert await check_invariants(routing, now=NOON + timedelta(minutes=15)) == 4

    assert (await list_breaks(routing.app_database, stall)).count("books_disagree") == 1
    assert await list_breaks(routing.app_database, neighbour) == []
    damage(fresh_database, lift.replace("+ 1", "- 1").format(stall.org.id))
    assert await check_invariants(routing, now=NOON + timedelta(minutes=30)) == 0
    assert "books_disagree" not in await list_breaks(routing.app_database, stall)


async def test_an_invariant_that_takes_too_long_is_an_error_and_the_others_are_asked(
    fresh_database: FreshDatabase,
    stall: Stall,
    routing: JobContext,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bounds = ("SET LOCAL statement_timeout = 100", *payments.invariants.BOUNDS[1:])
    monkeypatch.setattr(payments.invariants, "BOUNDS", bounds)
    slow = "SELECT CAST(NULL AS uuid) AS org_id, 1 AS one FROM pg_sleep(5)"
    monkeypatch.setitem(INVARIANTS, "clearing_is_what_was_told", slow)
    damage(fresh_database, "UPDATE bills SET paid_at = NULL WHERE status = 'paid'")

    assert await check_invariants(routing, now=NOON) == 1

    assert "books_disagree" in await list_breaks(routing.app_database, stall)
    told = capsys.readouterr().out
    assert "invariant.not_checked" in told
    assert "clearing_is_what_was_told" in told
