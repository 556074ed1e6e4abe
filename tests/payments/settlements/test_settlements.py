"""Statements of a stall's days: what they say, what comes late, and runs that meet or die."""

import asyncio
from functools import partial
from typing import Any

import pytest

from core.db import Database
from core.ids import new_id
from core.jobs.service import queue_job
from core.tenancy import open_org_transaction
from payments.bills.cash import take_rest_in_cash
from payments.settlements import jobs, runs
from payments.settlements.errors import (
    SettlementDayBeforeBooks,
    SettlementDayOpen,
    SettlementRunIdTaken,
)
from payments.settlements.rules import Terms
from tests.core.jobs.steps import ended
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.notices import pay, process_waiting, sepay_body, store_notices
from tests.world.refunds import an_instructed_refund, find_payments, hold_by
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
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio


async def a_worked_day(database: Database, stall: PayableStall) -> None:
    """Two bills, one with its rest in cash, a counter sale, and a refund: docs/settlements.md."""
    await hold_by(database, stall, "organisation")
    bill = await a_bill(database, stall, amount_vnd=200_000)
    await pay(database, stall, bill)
    short = await a_bill(database, stall, amount_vnd=100_000)
    await pay(database, stall, short, amount_vnd=60_001)
    async with open_org_transaction(database, stall.org.id) as session:
        await take_rest_in_cash(
            session,
            stall.org.id,
            short.id,
            amount_vnd=39_999,
            payment_id=new_id(),
            actor=VENDOR,
            now=NOON,
        )
    await store_notices(
        database, stall, sepay_body(stall, amount_vnd=35_000, memo="pho bo hai bat")
    )
    await process_waiting(database, stall)
    (payment_id,) = await find_payments(database, stall, bill)
    await an_instructed_refund(database, stall, payment_id=payment_id, amount_vnd=15_000)


async def test_the_worked_day_says_what_docs_say(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
) -> None:
    await agree(app_database, stall, MARKET_TERMS)
    await a_worked_day(app_database, stall)
    await close_through(app_database, stall, DAY)

    (found,) = await draft(app_database, worker_database, stall)

    lines = await lines_of(app_database, stall, found)
    assert {name: (one.net_vnd, one.postings) for name, one in lines.items()} == {
        "vietqr": (260_001, 2),
        "cash": (39_999, 1),
        "counter_sale": (35_000, 1),
        "refund": (-15_000, 1),
    }
    assert (found.gross_vnd, found.refunds_vnd) == (335_000, 15_000)
    assert [dict(one) for one in found.charges] == [
        {"channel": "vietqr", "bps": 11, "amount_vnd": 286}
    ]
    assert (found.charges_vnd, found.fixed_charge_vnd) == (286, 11_000)
    assert found.commission_vnd == 8_000
    assert found.net_vnd == 300_714
    assert [(one["name"], one["amount_vnd"]) for one in found.shares] == [
        ("Ban quản lý chợ", 45_107),
        ("Phường", 10_014),
    ]
    assert found.payee_vnd == 245_593
    assert (found.first_day, found.last_day, found.postings) == (DAY, DAY, 5)
    assert found.cut_off_at == NOON + ONE_DAY
    assert find_violations(fresh_database.owner_url) == []


async def test_what_is_posted_late_falls_into_the_next_statement(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
) -> None:
    await sell(app_database, stall, 20_000)
    await close_through(app_database, stall, DAY)
    # It happened on the closed day, and our clock says so, too.
    await sell(app_database, stall, 7_000, at=NOON)
    (first,) = await draft(app_database, worker_database, stall)
    await sell(app_database, stall, 3_000, at=NOON + ONE_DAY)
    await close_through(app_database, stall, DAY + ONE_DAY)

    (second,) = await draft(app_database, worker_database, stall, last_day=DAY + ONE_DAY)

    assert (first.gross_vnd, second.gross_vnd) == (20_000, 10_000)
    assert (second.first_day, second.last_day) == (DAY + ONE_DAY, DAY + ONE_DAY)
    assert find_settlement_faults(fresh_database) == []


async def test_only_closed_days_are_settled_and_a_period_ends_on_one_closed_by_itself(
    app_database: Database, stall: PayableStall
) -> None:
    with pytest.raises(SettlementDayOpen):
        await order(app_database, stall)
    await close_through(app_database, stall, DAY)
    with pytest.raises(SettlementDayOpen) as refused:
        await order(app_database, stall, last_day=DAY + ONE_DAY)
    assert refused.value.closed_through == DAY
    with pytest.raises(SettlementDayBeforeBooks):
        await order(app_database, stall, first_day=DAY - ONE_DAY, last_day=DAY - ONE_DAY)
    run = await order(app_database, stall)
    assert await order(app_database, stall, id_=run.id) == run
    with pytest.raises(SettlementRunIdTaken):
        await order(app_database, stall, id_=run.id, first_day=DAY - ONE_DAY)


async def test_a_statement_begins_where_the_last_one_ended_and_none_is_made_of_nothing(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    await sell(app_database, stall, 20_000)
    days = [DAY + n * ONE_DAY for n in range(4)]
    await close_through(app_database, stall, *days[:2])
    (first,) = await draft(app_database, worker_database, stall, last_day=days[0])
    assert await draft(app_database, worker_database, stall, last_day=days[1]) == []
    await sell(app_database, stall, 5_000, at=NOON + 3 * ONE_DAY)
    await close_through(app_database, stall, *days[2:])

    (second,) = await draft(
        app_database, worker_database, stall, first_day=days[3], last_day=days[3]
    )

    assert first.last_day == days[0]
    assert (second.first_day, second.last_day) == (days[1], days[3])  # nothing lies between


async def test_two_runs_at_once_settle_each_posting_once(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "PART_LEGS", 3)
    await sell(app_database, stall, 1_000, count=20)
    await close_through(app_database, stall, DAY)
    ready = asyncio.Barrier(2)
    real, inserts = jobs.queries.insert_settlement, [0]

    async def insert_together(*args: Any, **facts: Any) -> bool:
        inserts[0] += 1
        if inserts[0] <= 2:
            async with asyncio.timeout(20):
                await ready.wait()
        return await real(*args, **facts)

    monkeypatch.setattr(jobs.queries, "insert_settlement", insert_together)
    ordered = [await order(app_database, stall) for _ in range(2)]
    async with (
        drafting(app_database, worker_database, name="one"),
        drafting(app_database, worker_database, name="two"),
    ):
        for run in ordered:
            assert run.job_id is not None
            job = await ended(app_database, run.job_id, org_id=stall.org.id)
            assert job.status == "done", job

    (found,) = await statements_of(app_database, stall)
    assert (found.gross_vnd, found.postings) == (20_000, 20)
    assert find_settlement_faults(fresh_database) == []


@pytest.mark.slow  # a job that failed waits for ten seconds
@pytest.mark.parametrize("dies_at", [4])
async def test_a_worker_that_dies_between_parts_is_gone_on_with(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
    monkeypatch: pytest.MonkeyPatch,
    dies_at: int,
) -> None:
    monkeypatch.setattr(jobs, "PART_LEGS", 3)
    await sell(app_database, stall, 1_000, count=20)
    await close_through(app_database, stall, DAY)
    real, left = jobs.queries.set_reached, [dies_at]

    async def die_once(*args: Any, **facts: Any) -> None:
        await real(*args, **facts)
        left[0] -= 1
        if left[0] == 0:
            msg = "the worker is gone"
            raise ConnectionError(msg)

    monkeypatch.setattr(jobs.queries, "set_reached", die_once)

    (found,) = await draft(app_database, worker_database, stall)

    assert left[0] < 0
    assert (found.gross_vnd, found.postings, found.is_ready) == (20_000, 20, True)
    assert find_settlement_faults(fresh_database) == []


async def test_terms_count_for_statements_whose_first_money_comes_on_their_day_or_later(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    days = [DAY + n * ONE_DAY for n in range(3)]
    await agree(app_database, stall, Terms(commission_bps=300), from_day=days[1])
    for n, day in enumerate(days):
        await sell(app_database, stall, 10_000, at=NOON + n * ONE_DAY)
        await close_through(app_database, stall, day)

    (first,) = await draft(app_database, worker_database, stall, last_day=days[1])
    (second,) = await draft(app_database, worker_database, stall, last_day=days[2])

    assert (first.gross_vnd, first.commission_vnd) == (20_000, 0)  # it began before
    assert (second.gross_vnd, second.commission_vnd) == (10_000, 300)


async def test_open_breaks_of_the_payees_money_are_listed_and_not_deducted(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    await pay(app_database, stall, bill, amount_vnd=5_000)  # again: a refund is due
    await close_through(app_database, stall, DAY)

    (found,) = await draft(app_database, worker_database, stall)

    assert found.carried_count == 1
    assert [(one["kind"], one["amount_vnd"]) for one in found.carried] == [("refund_due", 5_000)]
    assert found.net_vnd == found.gross_vnd == 20_000


async def test_a_run_whose_job_failed_for_good_goes_on_when_it_is_ordered_again(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "PART_LEGS", 3)
    monkeypatch.setattr(runs, "queue_job", partial(queue_job, attempts_max=1))
    await sell(app_database, stall, 1_000, count=7)
    await close_through(app_database, stall, DAY)
    real, parts = jobs.queries.set_reached, [0]

    async def die_once(*args: Any, **facts: Any) -> None:
        await real(*args, **facts)
        parts[0] += 1
        if parts[0] == 2:
            msg = "the database is away"
            raise ConnectionError(msg)

    monkeypatch.setattr(jobs.queries, "set_reached", die_once)
    async with drafting(app_database, worker_database):
        run = await order(app_database, stall)
        assert run.job_id is not None
        assert (await ended(app_database, run.job_id, org_id=stall.org.id)).status == "failed"
        again = await order(app_database, stall, id_=run.id)
        assert again.job_id not in (None, run.job_id)
        assert again.job_id is not None
        assert (await ended(app_database, again.job_id, org_id=stall.org.id)).status == "done"

    (found,) = await statements_of(app_database, stall)
    assert (found.gross_vnd, found.postings, found.is_ready) == (7_000, 7, True)
    assert (await order(app_database, stall, id_=run.id)).job_id == again.job_id  # it has ended
