"""Days, terms and postings that a statement takes in: late payees, idle days, dead runs."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from core.db import Database
from core.jobs.service import queue_job
from core.tenancy import open_org_transaction
from payments.payees.service import close_payee
from payments.settlements import jobs, runs
from payments.settlements.rules import Terms
from tests.core.jobs.steps import ended
from tests.payments.invariants import find_violations
from tests.world.breaks import a_decision, a_short_bill, approve_it, undo_it
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.settlements import (
    DAY,
    MARKET_TERMS,
    ONE_DAY,
    agree,
    close_through,
    draft,
    drafting,
    find_settlement_faults,
    lines_of,
    order,
    sell,
    statements_of,
)
from tests.world.stalls import PayableStall, another_payee

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

DAYS = [DAY + n * ONE_DAY for n in range(4)]


async def test_what_is_written_off_is_told_apart_and_nobody_pays_commission_for_it(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
) -> None:
    await agree(app_database, stall, replace(MARKET_TERMS, fixed_charge_vnd=0))
    _, break_id = await a_short_bill(app_database, stall)  # 15.000 of 20.000 ₫ are paid
    decided = await a_decision(app_database, stall, break_id, amount_vnd=5_000)
    await approve_it(app_database, stall, decided.id)
    await close_through(app_database, stall, DAY)
    (first,) = await draft(app_database, worker_database, stall)
    assert find_violations(fresh_database.owner_url) == []
    await undo_it(app_database, stall, decided.id, now=NOON + ONE_DAY)
    await close_through(app_database, stall, DAYS[1])
    (second,) = await draft(app_database, worker_database, stall, last_day=DAYS[1])

    for found, gross_vnd, given_up_vnd in ((first, 15_000, 5_000), (second, 0, -5_000)):
        lines = await lines_of(app_database, stall, found)
        assert lines["written_off"].net_vnd == given_up_vnd
        assert found.gross_vnd == gross_vnd
    assert set(await lines_of(app_database, stall, first)) == {"vietqr", "written_off"}
    assert (first.charges_vnd, first.commission_vnd, first.net_vnd) == (16, 375, 14_609)
    assert (second.commission_vnd, second.net_vnd, second.payee_vnd) == (0, 0, 0)
    assert find_settlement_faults(fresh_database) == []


async def test_a_payee_without_a_statement_begins_where_those_of_its_organisation_do(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
) -> None:
    late = replace(stall, payee_id=await another_payee(app_database, stall))
    await sell(app_database, stall, 20_000)
    await sell(app_database, late, 3_000)
    await close_through(app_database, stall, DAY)
    await draft(app_database, worker_database, stall, payee_id=stall.payee_id)
    await sell(app_database, late, 4_000, at=NOON + ONE_DAY)
    await close_through(app_database, stall, DAYS[1])

    (found,) = await draft(
        app_database, worker_database, stall, first_day=DAYS[1], last_day=DAYS[1]
    )

    assert found.payee_id == late.payee_id
    assert (found.first_day, found.last_day, found.gross_vnd) == (DAY, DAYS[1], 7_000)
    assert find_settlement_faults(fresh_database) == []


async def test_terms_of_the_first_day_with_money_count_though_idle_days_come_before(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    await sell(app_database, stall, 10_000)
    await close_through(app_database, stall, DAY)
    (first,) = await draft(app_database, worker_database, stall)
    await agree(app_database, stall, Terms(commission_bps=300), from_day=DAYS[2])
    await close_through(app_database, stall, DAYS[1])
    await sell(app_database, stall, 10_000, at=NOON + timedelta(days=2))
    await close_through(app_database, stall, DAYS[2])

    (second,) = await draft(app_database, worker_database, stall, last_day=DAYS[2])

    assert (first.commission_vnd, second.commission_vnd) == (0, 300)
    assert (second.first_day, second.last_day) == (DAYS[1], DAYS[2])


async def test_what_a_dead_run_began_is_ended_by_the_next_one_which_then_goes_on(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "PART_LEGS", 3)
    await sell(app_database, stall, 1_000, count=7)
    await close_through(app_database, stall, DAY)
    real, parts = jobs.queries.set_reached, [0]

    async def die_once(*args: Any, **facts: Any) -> None:
        await real(*args, **facts)
        parts[0] += 1
        if parts[0] == 2:
            msg = "the database is away"
            raise ConnectionError(msg)

    with monkeypatch.context() as patches:
        patches.setattr(jobs.queries, "set_reached", die_once)
        patches.setattr(runs, "queue_job", partial(queue_job, attempts_max=1))
        async with drafting(app_database, worker_database):
            dead = await order(app_database, stall)
            assert dead.job_id is not None
            assert (await ended(app_database, dead.job_id, org_id=stall.org.id)).status == "failed"
    (begun,) = await statements_of(app_database, stall)
    assert not begun.is_ready
    await sell(app_database, stall, 500, at=NOON + ONE_DAY)
    await close_through(app_database, stall, DAYS[1])

    (own,) = await draft(app_database, worker_database, stall, first_day=DAYS[1], last_day=DAYS[1])

    first, second = await statements_of(app_database, stall)
    assert (first.id, first.run_id, first.is_ready) == (begun.id, dead.id, True)
    assert (first.gross_vnd, first.postings) == (7_000, 7)
    assert second == own
    assert (own.first_day, own.last_day, own.gross_vnd) == (DAYS[1], DAYS[1], 500)
    assert find_settlement_faults(fresh_database) == []


async def test_a_closed_payee_has_no_fixed_charge_from_the_next_period_on(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    await agree(app_database, stall, Terms(commission_bps=1_000, fixed_charge_vnd=11_000))
    async with open_org_transaction(app_database, stall.org.id) as session:
        await close_payee(
            session, stall.org.id, stall.payee_id, actor=MANAGER, reason=None, now=NOON
        )
    await close_through(app_database, stall, *DAYS[:2])
    (last,) = await draft(app_database, worker_database, stall)
    assert last.fixed_charge_vnd == 11_000  # it was open on that day

    assert await draft(app_database, worker_database, stall, last_day=DAYS[1]) == []

    await sell(app_database, stall, 5_000, at=NOON + timedelta(days=2))
    await close_through(app_database, stall, DAYS[2])
    (late,) = await draft(app_database, worker_database, stall, last_day=DAYS[2])
    assert (late.gross_vnd, late.commission_vnd, late.fixed_charge_vnd) == (5_000, 500, 0)
