"""Each invariant sees a violation, and the worker alarms about it and takes the alarm back."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text

import payments.invariants.queries
from core.db import Database
from core.ids import new_id
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from payments.bills.cash import take_rest_in_cash
from payments.bills.references import make_reference
from payments.breaks.service import close_break
from payments.invariants.closing import CLOSING_INVARIANTS
from payments.invariants.jobs import check_invariants
from payments.invariants.parking import PARKING_INVARIANTS
from payments.invariants.queries import CHECKS, INVARIANTS
from payments.invariants.settlements import SETTLEMENT_INVARIANTS
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import MANAGER, NOON, VENDOR
from tests.world.databases import FreshDatabase, Template, a_template
from tests.world.lines import Line, add_lines, match
from tests.world.notices import pay, process_waiting, sepay_body, store_notices
from tests.world.reads import list_breaks
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = pytest.mark.anyio

SERIAL_OF_NO_BILL = 900_000

# What is done to sound books, by the owner and past every constraint → the invariant that sees it.
DAMAGES = {
    "a posting is lost": (
        "DELETE FROM postings WHERE id = (SELECT min(id::text)::uuid FROM postings)",
        {
            "bank_clearing_equals_unproved_credits",
            "a_credit_posts_once",
            "a_payment_posts_once",
            "balances_follow_from_explanations",
        },
    ),
    "a posting is one dong too high": (
        "UPDATE postings SET amount_vnd = amount_vnd + 1 WHERE debit_code = 'bank_clearing'",
        {
            "bank_clearing_equals_unproved_credits",
            "a_credit_posts_once",
            "a_payment_posts_once",
            "balances_follow_from_explanations",
        },
    ),
    "cash is posted to nobody's drawer": (
        (
            "ALTER TABLE postings DROP CONSTRAINT fk_postings_debit;"
            " UPDATE postings SET debit_subject_id = gen_random_uuid()"
            " WHERE debit_code = 'cash_in_drawer'"
        ),
        {"all_balances_are_zero", "balances_follow_from_explanations"},
    ),
    "a payment posts for nothing": (
        "UPDATE postings SET cause_id = gen_random_uuid() WHERE cause_kind = 'payment'",
        {"a_credit_posts_once", "a_payment_posts_once"},
    ),
    "a payment is no longer in force and its bill does not know": (
        "UPDATE payments SET reversed_at = now(), refundable_vnd = 0 WHERE source_kind = 'credit'",
        {
            "bills_agree_with_their_payments",
            "legs_agree_with_payments",
            "a_payment_posts_once",
            "balances_follow_from_explanations",
        },
    ),
    "a leg pays another bill than its payment": (
        "UPDATE match_legs SET bill_id = gen_random_uuid()",
        {"legs_agree_with_payments"},
    ),
    "a leg is in force and its match is not": (
        "UPDATE matches SET reversed_at = now() WHERE verdict = 'part'",
        {"one_explanation_in_force", "legs_agree_with_payments"},
    ),
    "a leg is one dong short": (
        "UPDATE match_legs SET applied_vnd = applied_vnd - 1",
        {"legs_agree_with_payments", "what_is_open_is_not_taken"},
    ),
    "money is open that a bill has taken": (
        "UPDATE bank_transactions SET open_vnd = 1 WHERE open_vnd = 0",
        {"what_is_open_is_not_taken"},
    ),
    "money that is too much is no longer open": (
        "UPDATE bank_transactions SET open_vnd = 0 WHERE open_vnd > 0",
        {"what_is_open_is_not_taken"},
    ),
    "a change that an owner is to be notified of is lost": (
        (
            "INSERT INTO bill_changes (org_id, id, subject_kind, subject_id, seq, owner_kind,"
            " owner_id, to_status, created_at, next_attempt_at) SELECT org_id, gen_random_uuid(),"
            " 'bill', id, 2, 'dues', id, 'paid', now(), now() FROM bills LIMIT 1"
        ),
        {"changes_are_counted"},
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
        {
            "bank_clearing_equals_unproved_credits",
            "one_explanation_in_force",
            "a_credit_posts_once",
        },
    ),
    "a credit lost its explanation": (
        "UPDATE matches SET reversed_at = now() WHERE verdict = 'settle'",
        {"one_explanation_in_force", "legs_agree_with_payments"},
    ),
    "money out is explained as money in": (
        "UPDATE bank_transactions SET direction = 'out'",
        {
            "one_explanation_in_force",
            "bank_clearing_equals_unproved_credits",
            "a_credit_posts_once",
        },
    ),
    "one transaction became two credits": (
        (
            "DROP INDEX uq_bank_transactions_provider_transaction;"
            " INSERT INTO bank_transactions SELECT (jsonb_populate_record(c, jsonb_build_object("
            " 'id', gen_random_uuid(), 'bank_reference', 'FTTWICE'))).*"
            " FROM bank_transactions c LIMIT 1"
        ),
        {"a_transaction_is_one_credit"},
    ),
    "a bill says paid and is not": (
        "UPDATE bills SET status = 'paid', paid_at = now() WHERE status = 'open'",
        {"bills_agree_with_their_payments"},
    ),
    "a paid bill says open": (
        "UPDATE bills SET status = 'open', paid_at = NULL WHERE status = 'paid'",
        {"bills_agree_with_their_payments"},
    ),
    "a bill was paid more than its credits": (
        (
            "UPDATE bills SET paid_vnd = paid_vnd + 1, received_vnd = received_vnd + 1"
            " WHERE status = 'part_paid'"
        ),
        {"bills_agree_with_their_payments"},
    ),
    "a paid bill does not say when": (
        "UPDATE bills SET paid_at = NULL WHERE status = 'over_paid'",
        {"bills_agree_with_their_payments"},
    ),
    "a vendor's takings are below zero": (
        (
            "ALTER TABLE postings DROP CONSTRAINT fk_postings_credit,"
            " DROP CONSTRAINT fk_postings_debit, DROP CONSTRAINT ck_postings_clearing_has_its_item;"
            " UPDATE postings SET debit_code = 'takings', debit_subject_id = credit_subject_id,"
            " credit_code = 'bank_clearing', credit_subject_id = debit_subject_id"
            " WHERE credit_code = 'takings'"
        ),
        {"takings_are_not_negative", "balances_follow_from_explanations"},
    ),
    "a column that is none of money holds fractions": (
        "ALTER TABLE bills ADD COLUMN share double precision; UPDATE bills SET share = 0.5",
        {"money_is_whole"},
    ),
    "a column of money holds fractions": (
        "ALTER TABLE bills ALTER COLUMN received_vnd TYPE numeric",
        {"money_is_whole"},
    ),
    "money that is too much is on nobody's list": (
        "DELETE FROM breaks WHERE kind = 'refund_due'",
        {"what_is_unapplied_is_on_a_list"},
    ),
    "a callback was handled and its money is not there": (
        (
            "INSERT INTO notices SELECT (jsonb_populate_record(n, jsonb_build_object("
            " 'id', gen_random_uuid()))).* FROM notices n WHERE outcome = 'settle' LIMIT 1"
        ),
        {"a_handled_notice_has_its_credit"},
    ),
    "money that is too much is only on the list of what may have come twice": (
        "UPDATE breaks SET kind = 'possible_duplicate' WHERE kind = 'refund_due'",
        {"what_is_unapplied_is_on_a_list"},
    ),
    "the list says another amount than is left": (
        "UPDATE breaks SET amount_vnd = amount_vnd - 1 WHERE kind = 'unknown_reference'",
        {"what_is_unapplied_is_on_a_list"},
    ),
    "more is due for refund than came too much": (
        "UPDATE breaks SET amount_vnd = amount_vnd + 1 WHERE kind = 'refund_due'",
        {"refunds_due_agree"},
    ),
    "more is to go back to a payer than was paid": (
        (
            "UPDATE breaks SET amount_vnd = 20001,"
            " matter_id = (SELECT id FROM bills WHERE status = 'over_paid')"
            " WHERE kind = 'refund_due'"
        ),
        {"refunds_are_no_more_than_paid", "refunds_due_agree"},
    ),
    "what no refund has taken of a payment cannot be refunded": (
        "UPDATE payments SET refundable_vnd = refundable_vnd - 1 WHERE reversed_at IS NULL",
        {"refunds_are_within_their_payments"},
    ),
    "a bill says that it was given back, and no refund was made": (
        "UPDATE bills SET status = 'refunded', refunded_at = now() WHERE status = 'paid'",
        {"bills_agree_with_their_refunds"},
    ),
    "a line says that less of it is explained": (
        (
            "UPDATE statement_lines SET open_vnd = 1, explanation = NULL"
            " WHERE explanation = 'credit'"
        ),
        {"lines_agree_with_their_proofs"},
    ),
    "a proof is taken back and nothing is posted": (
        "UPDATE proofs SET reversed_at = now()",
        {
            "lines_agree_with_their_proofs",
            "a_proof_posts_once",
            "bank_clearing_equals_unproved_credits",
            "balances_follow_from_explanations",
            "clearing_is_what_no_line_proves",
        },
    ),
    "a line is proved by another credit than was posted": (
        ("UPDATE proofs SET credit_id = c.id FROM bank_transactions c WHERE c.amount_vnd = 20000"),
        {"proofs_are_of_one_account", "clearing_is_what_no_line_proves"},
    ),
    "a line is lost": (
        (
            "ALTER TABLE proofs DROP CONSTRAINT fk_proofs_org_id_line_id;"
            " DELETE FROM statement_lines WHERE explanation IS NULL"
        ),
        {"statements_chain"},
    ),
    "a day does not begin where the day before it ended": (
        (
            "UPDATE statement_days SET closing_vnd = 26000;"
            " INSERT INTO statement_days SELECT (jsonb_populate_record(d, jsonb_build_object("
            " 'day', d.day + 1, 'closing_vnd', 25999, 'line_count', 0, 'in_vnd', 0))).*"
            " FROM statement_days d"
        ),
        {"statements_chain"},
    ),
    "nobody looks after money without a bill any more": (
        "UPDATE breaks SET closed_at = now(), resolution = 'x' WHERE kind = 'unknown_reference'",
        {"what_is_unapplied_is_on_a_list"},
    ),
}


async def a_stall_with_books(app_database: Database) -> PayableStall:
    """A stall with open, paid, part-paid and over-paid bills, a sale, lost money and cash."""
    stall = await a_payable_stall(app_database)
    for paid_vnd in (20_000, 15_000, 25_000):
        bill = await a_bill(app_database, stall)
        await pay(app_database, stall, bill, amount_vnd=paid_vnd)
    line = Line(amount_vnd=25_000, memo=bill.reference)
    await add_lines(app_database, stall, line, Line(amount_vnd=1_000))
    await match(app_database, stall)
    await a_bill(app_database, stall)
    for memo in ("tien hang", make_reference(stall.org.code, SERIAL_OF_NO_BILL)):
        await store_notices(app_database, stall, sepay_body(stall, amount_vnd=7_000, memo=memo))
    await process_waiting(app_database, stall)
    short = await a_bill(app_database, stall)
    await pay(app_database, stall, short, amount_vnd=12_000)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await take_rest_in_cash(
            session,
            stall.org.id,
            short.id,
            payment_id=new_id(),
            amount_vnd=8_000,
            actor=VENDOR,
            now=NOON,
        )
    return stall


@pytest.fixture(scope="module")
def stall_template(cluster: Cluster) -> Iterator[Template[PayableStall]]:
    with a_template(cluster, a_stall_with_books) as template:
        yield template


@pytest.fixture
async def databases(app_database: Database, worker_database: Database) -> JobDatabases:
    return JobDatabases(app=app_database, worker=worker_database)


def damage(fresh_database: FreshDatabase, statement: str) -> None:
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        changed = owner.execute(statement.encode())
        assert changed.rowcount != 0, "nothing was there to damage"


async def test_all_invariants_hold_for_sound_books(
    fresh_database: FreshDatabase, stall: PayableStall, databases: JobDatabases
) -> None:
    assert find_violations(fresh_database.owner_url) == []
    assert await check_invariants(databases, now=NOON) == 0
    assert "books_disagree" not in await list_breaks(databases.app, stall)


@pytest.mark.parametrize("what", DAMAGES)
async def test_a_violation_is_seen(
    fresh_database: FreshDatabase, stall: PayableStall, what: str
) -> None:
    statement, seen_by = DAMAGES[what]

    damage(fresh_database, statement)

    found = {violation.partition(":")[0] for violation in find_violations(fresh_database.owner_url)}
    assert found >= seen_by, stall.org.code


def test_every_invariant_has_a_violation_that_shows_it() -> None:
    shown_elsewhere = {
        *PARKING_INVARIANTS,  # tests/parking/test_books.py
        *CLOSING_INVARIANTS,  # tests/payments/closing/test_tampering.py
        "decisions_post_once",  # tests/payments/decisions/test_decided_books.py
        *SETTLEMENT_INVARIANTS,  # tests/payments/settlements/test_settlement_checks.py
        "toll_charges_are_kept_or_go_back",  # tests/payments/rails/test_toll_rail.py
    }
    shown = {name for _, seen_by in DAMAGES.values() for name in seen_by}
    assert shown == set(INVARIANTS) - shown_elsewhere


async def test_the_worker_opens_one_alarm_for_an_invariant_and_closes_it_when_it_holds_again(
    fresh_database: FreshDatabase, stall: PayableStall, databases: JobDatabases
) -> None:
    neighbour = await a_payable_stall(databases.app, code="HKXN")
    await pay(databases.app, neighbour, await a_bill(databases.app, neighbour))
    lift = "UPDATE bills SET received_vnd = received_vnd + 1 WHERE org_id = '{}'"
    damage(fresh_database, lift.format(stall.org.id))

    assert await check_invariants(databases, now=NOON) == 5  # one row for each of its bills
    assert await check_invariants(databases, now=NOON + timedelta(minutes=15)) == 5

    assert (await list_breaks(databases.app, stall)).count("books_disagree") == 1
    assert await list_breaks(databases.app, neighbour) == []
    damage(fresh_database, lift.replace("+ 1", "- 1").format(stall.org.id))
    assert await check_invariants(databases, now=NOON + timedelta(minutes=30)) == 0
    assert "books_disagree" not in await list_breaks(databases.app, stall)


async def test_an_alarm_that_cannot_be_opened_hides_neither_the_violation_nor_other_alarms(
    fresh_database: FreshDatabase,
    stall: PayableStall,
    databases: JobDatabases,
    capsys: pytest.CaptureFixture[str],
) -> None:
    neighbour = await a_payable_stall(databases.app, code="HKXN")
    await pay(databases.app, neighbour, await a_bill(databases.app, neighbour))
    damage(fresh_database, "UPDATE bills SET received_vnd = received_vnd + 1")
    damage(fresh_database, REFUSE_BREAKS.format(stall.org.id))

    assert await check_invariants(databases, now=NOON) == 6

    assert "books_disagree" in await list_breaks(databases.app, neighbour)
    assert "books_disagree" not in await list_breaks(databases.app, stall)
    assert "invariant.not_alarmed" in capsys.readouterr().out
    damage(fresh_database, "DROP TRIGGER refuse ON breaks")
    assert await check_invariants(databases, now=NOON + timedelta(minutes=15)) == 6
    assert "books_disagree" in await list_breaks(databases.app, stall)


REFUSE_BREAKS = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.org_id = '{}' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON breaks FOR EACH ROW EXECUTE FUNCTION refuse()
"""
LOST = "WHERE kind IN ('unknown_reference', 'refund_due') AND credit_id IS NOT NULL"


async def test_what_a_person_took_off_the_list_is_no_violation(
    fresh_database: FreshDatabase, stall: PayableStall, databases: JobDatabases
) -> None:
    database = databases.app
    async with open_org_transaction(database, stall.org.id) as session:
        ids = list((await session.execute(text(f"SELECT id FROM breaks {LOST}"))).scalars())
        for break_id in ids:
            await close_break(
                session, stall.org.id, break_id, resolution="looked at", actor=MANAGER, now=NOON
            )
    assert len(ids) == 2

    assert find_violations(fresh_database.owner_url) == []
    assert await check_invariants(databases, now=NOON) == 0
    assert "books_disagree" not in await list_breaks(database, stall)


@pytest.mark.parametrize(
    "closed",
    [
        "closed_by = NULL",
        "closed_by = gen_random_uuid(), kind = 'possible_duplicate'",
        "closed_by = gen_random_uuid(), opened_at = opened_at - interval '1 day'",
    ],
    ids=["by nobody", "about something else", "of an explanation before"],
)
async def test_a_closed_break_is_no_list_unless_a_person_closed_it_for_this_explanation(
    fresh_database: FreshDatabase, stall: PayableStall, closed: str
) -> None:
    damage(
        fresh_database, f"UPDATE breaks SET closed_at = now(), resolution = 'x', {closed} {LOST}"
    )

    found = find_violations(fresh_database.owner_url)

    assert len(found) == 2
    assert all(one.startswith("what_is_unapplied_is_on_a_list:") for one in found), stall.org.code


async def test_an_invariant_that_takes_too_long_is_an_error_and_the_others_are_checked(
    fresh_database: FreshDatabase,
    stall: PayableStall,
    databases: JobDatabases,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bounds = ("SET LOCAL statement_timeout = 100", *payments.invariants.queries.BOUNDS[1:])
    monkeypatch.setattr(payments.invariants.queries, "BOUNDS", bounds)
    slow = "SELECT CAST(NULL AS uuid) AS org_id, 1 AS one FROM pg_sleep(5)"
    monkeypatch.setitem(CHECKS, "bank_clearing_equals_unproved_credits", slow)
    damage(fresh_database, "UPDATE bills SET paid_at = NULL WHERE status = 'over_paid'")

    assert await check_invariants(databases, now=NOON) == 1

    assert "books_disagree" in await list_breaks(databases.app, stall)
    told = capsys.readouterr().out
    assert "invariant.not_checked" in told
    assert "bank_clearing_equals_unproved_credits" in told
