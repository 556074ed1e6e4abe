"""The simulation: it agrees with the hub, can be played again, and finds what was planted."""

import asyncio
from dataclasses import replace
from datetime import date

import psycopg
import pytest

from loadtests.simulation.command import main
from loadtests.simulation.run import Plan, Result, describe, first_day, simulate
from loadtests.simulation.town import Town
from ops.postgres.supervisor import Cluster
from tests.world.databases import FreshDatabase, create_database

SMALL = Plan(seed=3, days=1, bills=14, orgs=1)
PLAYED_AGAIN = 12  # steps
MONEY_CHANGED = """
    UPDATE postings SET amount_vnd = amount_vnd + 1000
    WHERE id = (SELECT id FROM postings WHERE credit_code = 'takings' ORDER BY id LIMIT 1)
"""
# Of money that never came: the sums agree, and only the list of breaks does not.
BREAK_MADE_UP = """
    INSERT INTO breaks (org_id, id, kind, subject_id, amount_vnd, reason, reason_facts, opened_at)
    SELECT org_id, gen_random_uuid(), 'stuck', id, 1000, 'notice_failed', '{}', now()
    FROM bills LIMIT 1
"""
# The sums agree; a line has lost its credit.
PROOF_LOST = """
    UPDATE proofs SET reversed_at = proved_at
    WHERE id = (SELECT id FROM proofs ORDER BY id LIMIT 1) AND reversed_at IS NULL
"""
# The sums agree; the day's hash does not.
CLOSED_DAY_CHANGED = """
    UPDATE postings SET cause_id = gen_random_uuid()
    WHERE id = (SELECT id FROM postings ORDER BY id LIMIT 1) AND EXISTS (SELECT FROM ledger_days)
"""


def play(
    fresh: FreshDatabase, plan: Plan, *, planted: str = "", at_step: int | None = None
) -> Result:
    """Run a plan; plant a fault by SQL as the owner: after a step, or once it finds its row."""
    done: list[int] = []  # after which step

    async def plant(town: Town, step: int) -> None:
        if not done and at_step in (None, step):
            with psycopg.connect(fresh.owner_url) as owner:
                done.extend([step] * owner.execute(planted.encode()).rowcount)

    result = asyncio.run(simulate(fresh.settings, plan, interfere=plant if planted else None))
    assert len(done) == bool(planted)
    return result


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_small_seed_agrees_to_the_end_and_decides_the_same_again(cluster: Cluster) -> None:
    results = []
    for plan in (SMALL, replace(SMALL, until=PLAYED_AGAIN)):
        with create_database(cluster) as fresh:
            results.append(play(fresh, plan))

    whole, again = results
    assert whole.is_good, describe(whole)
    assert (whole.bills, whole.statements > 0) == (SMALL.bills, True)
    assert whole.did.keys() >= {"open_bill", "pay_bill", "import_statements", "close_day"}
    assert (again.is_good, again.steps) == (True, PLAYED_AGAIN)
    assert again.decisions == whole.decisions[:PLAYED_AGAIN]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("planted", "told"),
    [(MONEY_CHANGED, "takings of"), (BREAK_MADE_UP, "is not in the model")],
    ids=["money", "break"],
)
def test_what_was_planted_is_found_and_printed_with_its_seed_and_step(
    fresh_database: FreshDatabase, planted: str, told: str
) -> None:
    plan = Plan(seed=5, days=1, bills=10, orgs=1, until=11)

    result = play(fresh_database, plan, planted=planted, at_step=11)

    said = "\n".join(describe(result))
    assert not result.is_good
    assert told in said
    assert "seed 5: DISAGREED after 11 steps" in said
    assert "simulate --seed 5 --days 1 --bills 10 --orgs 1 --until 11" in said
    assert "step 11 " in said


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("planted", "told"),
    [(PROOF_LOST, "proved by"), (CLOSED_DAY_CHANGED, "does not agree")],
    ids=["proof", "closed-day"],
)
def test_a_lost_proof_and_a_changed_closed_day_are_found_at_the_days_end(
    fresh_database: FreshDatabase, planted: str, told: str
) -> None:
    result = play(fresh_database, SMALL, planted=planted)

    assert not result.is_good
    assert told in "\n".join(result.problems)


def test_a_run_begins_on_a_monday_and_is_over_by_now() -> None:
    sunday = date(2026, 11, 29)
    assert first_day(3, today=sunday) == date(2026, 11, 23)
    for days in range(1, 22):
        first = first_day(days, today=sunday)
        assert first.weekday() == 0
        assert days <= (sunday - first).days < days + 7


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_three_seeds_of_two_days_agree() -> None:
    plans = [Plan(seed=seed, days=2, bills=24) for seed in range(1, 4)]
    assert main(plans) == 0
