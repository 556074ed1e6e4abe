"""Runs of the matching: killed in the middle, two at once, by the clock, and what they undo."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from payments.credits.corrections import mark_same_money
from payments.reconciliation import matching, queries
from payments.reconciliation.jobs import make_matcher, queue_matching, queue_matching_of
from payments.refunds.rules import write_memo
from payments.statements.rules import MATCH
from tests.core.jobs.steps import ended, running
from tests.payments.invariants import find_violations
from tests.payments.ledger.books import close
from tests.world.bills import a_bill
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.lines import (
    TODAY,
    Line,
    add_lines,
    match,
    read_bank,
    read_proofs,
    read_rules,
    receive,
)
from tests.world.notices import pay
from tests.world.reads import count_rows, read_ledger, read_status
from tests.world.refunds import (
    a_refund,
    an_instructed_refund,
    find_payments,
    hold_by,
    read_in_transit,
    take,
)
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LINES = 12
HOUR = timedelta(hours=1)


def ft(number: int) -> str:
    return f"FT2632400{number:04d}"


async def add_many(database: Database, stall: PayableStall) -> list[UUID]:
    """Write credits and their lines, some alike."""
    bill = await a_bill(database, stall)
    for number in range(LINES):
        memo = f"{bill.reference} ck" if number % 3 == 0 else "ck"
        await receive(database, stall, memo=memo, bank_reference=ft(number))
    lines = [
        Line(memo=f"{bill.reference} ck") if number % 3 == 0 else Line(bank_reference=ft(number))
        for number in range(LINES)
    ]
    return await add_lines(database, stall, *lines)


async def queued(database: Database, stall: PayableStall) -> UUID:
    async with open_org_transaction(database, stall.org.id) as session:
        return await queue_matching_of(session, stall.org.id, stall.account_id)


async def test_a_run_that_dies_between_chunks_is_gone_on_with(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await add_many(app_database, stall)
    monkeypatch.setattr(matching, "CHUNK_LINES", 5)
    whole, calls = matching.match_credits, []

    async def dies_once(*given: Any, **facts: Any) -> Any:
        calls.append(facts["after"])
        done = await whole(*given, **facts)
        if len(calls) == 2:  # its work is done and not committed
            raise ConnectionResetError
        return done

    monkeypatch.setattr(matching, "match_credits", dies_once)
    job_id = await queued(app_database, stall)
    async with running(worker_database, {MATCH: make_matcher(app_database, read_clock=read_clock)}):
        job = await ended(app_database, job_id, org_id=stall.org.id)

    assert (job.status, job.attempts) == ("done", 2)
    assert await count_rows(app_database, stall, "proofs") == LINES
    assert await read_bank(app_database, stall) == LINES * 20_000
    assert (await read_ledger(app_database, stall))["clearing"] == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_two_runs_at_once_prove_each_line_and_each_credit_once(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await add_many(app_database, stall)

    proofs = await asyncio.gather(*[match(app_database, stall, chunk=2) for _ in range(3)])

    assert sum(proofs) == LINES
    assert await read_bank(app_database, stall) == LINES * 20_000
    assert find_violations(fresh_database.owner_url) == []


async def test_a_run_is_queued_for_open_lines_when_credits_came_and_not_else(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    databases = JobDatabases(app=app_database, worker=worker_database)
    await receive(app_database, stall)  # long ago, and no line's
    assert await queue_matching(databases, now=read_clock()) == 0  # no line is open
    await add_lines(app_database, stall, Line(bank_reference=ft(1)))

    async def run() -> int:
        queued = await queue_matching(databases, now=read_clock())
        async with running(
            worker_database, {MATCH: make_matcher(app_database, read_clock=read_clock)}
        ):
            async with open_org_transaction(app_database, stall.org.id) as session:
                job_ids = (await session.execute(text("SELECT id FROM jobs"))).scalars().all()
            for job_id in job_ids:
                await ended(app_database, job_id, org_id=stall.org.id)
        return queued

    assert await run() == 1  # it has never been matched
    assert await run() == 0
    async with open_org_transaction(app_database, stall.org.id) as session:
        await session.execute(
            text("UPDATE account_matching SET matched_at = :at"), {"at": NOON + HOUR}
        )  # and looked through just now
    await receive(app_database, stall, bank_reference=ft(1), now=NOON + HOUR)
    assert await run() == 1
    assert await count_rows(app_database, stall, "proofs") == 1
    assert await queue_matching(databases, now=read_clock() + timedelta(days=1)) == 0  # all is done


async def test_a_run_for_new_credits_looks_at_the_lines_around_their_days_alone(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    old, new = await add_lines(
        app_database,
        stall,
        Line(bank_reference=ft(1), booked_on=TODAY - timedelta(days=9)),
        Line(bank_reference=ft(2)),
    )
    async with open_org_transaction(app_database, stall.org.id) as session:
        await matching.begin_run(session, stall.org.id, stall.account_id, now=NOON)
        await session.execute(
            text("UPDATE account_matching SET matched_at = :at, swept_at = :at"), {"at": NOON}
        )
    await receive(app_database, stall, bank_reference=ft(1), days_before=9)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await session.execute(
            text("UPDATE account_matching SET matched_at = :at"), {"at": NOON + HOUR}
        )
    await receive(app_database, stall, bank_reference=ft(2), now=NOON + HOUR)

    for is_whole, rules in ((False, [None, "bank_reference"]), (True, ["bank_reference"] * 2)):
        async with open_org_transaction(app_database, stall.org.id) as session:
            job_id = await queue_matching_of(
                session, stall.org.id, stall.account_id, is_whole=is_whole
            )
        async with running(
            worker_database, {MATCH: make_matcher(app_database, read_clock=read_clock)}
        ):
            assert (await ended(app_database, job_id, org_id=stall.org.id)).status == "done"
        assert await read_rules(app_database, stall, [old, new]) == rules


async def set_run(database: Database, stall: PayableStall, *, at: datetime = NOON) -> None:
    """Let the account have been looked through at an instant, and swept not long ago."""
    async with open_org_transaction(database, stall.org.id) as session:
        await queries.lock_account(session, stall.org.id, stall.account_id)
        await session.execute(
            text("UPDATE account_matching SET matched_at = :at, swept_at = now()"), {"at": at}
        )


async def find_due(database: Database) -> list[bool]:
    """Whether each due account is due as a whole."""
    async with database.begin() as session:
        due = await queries.find_due_accounts(
            session, stale_before=read_clock() - HOUR, overlap=timedelta(minutes=10), limit=9
        )
    return [is_whole for _, _, is_whole in due]


async def test_credits_that_no_open_line_can_be_make_no_account_due(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    await add_lines(app_database, stall, Line(booked_on=TODAY - timedelta(days=9)))
    await set_run(app_database, stall)

    for days_before, due in ((0, []), (14, []), (7, []), (8, [False])):
        await receive(
            app_database,
            stall,
            bank_reference=ft(days_before),
            days_before=days_before,
            now=NOON + HOUR,
        )
        if days_before == 8:  # of the days that a minute's run looks at
            async with open_org_transaction(app_database, stall.org.id) as session:
                await session.execute(
                    text("UPDATE account_matching SET matched_at = matched_at - :ago"),
                    {"ago": 2 * timedelta(days=1)},
                )
        assert await find_due(worker_database) == due


async def test_an_account_with_a_proof_by_the_same_money_is_due_without_open_lines(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    await receive(app_database, stall, bank_reference=ft(1))
    await add_lines(app_database, stall, Line(bank_reference=ft(1)))
    await match(app_database, stall)
    await set_run(app_database, stall, at=NOON + HOUR)
    assert await find_due(worker_database) == []
    async with open_org_transaction(app_database, stall.org.id) as session:
        query = text("SELECT credit_id FROM proofs")
        credit_id = (await session.execute(query)).scalar_one()
        await mark_same_money(session, stall.org.id, credit_id, actor=MANAGER, now=NOON)

    assert await find_due(worker_database) == [True]
    await match(app_database, stall)
    await set_run(app_database, stall, at=NOON + HOUR)
    assert await find_due(worker_database) == []  # though its line is open


async def test_a_proof_goes_over_to_the_credit_that_stays_of_the_same_money(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    for _ in range(2):
        await receive(app_database, stall, memo=f"{bill.reference} ck")
    (line,) = await add_lines(app_database, stall, Line(memo=f"{bill.reference} ck"))
    await match(app_database, stall)
    _, (proof,) = (await read_proofs(app_database, stall))[line]

    async with open_org_transaction(app_database, stall.org.id) as session:
        await mark_same_money(session, stall.org.id, proof["credit_id"], actor=MANAGER, now=NOON)
    assert find_violations(fresh_database.owner_url) == []  # until a run puts it right, too
    await match(app_database, stall)

    _, (other,) = (await read_proofs(app_database, stall))[line]
    assert other["credit_id"] != proof["credit_id"]
    assert (await read_ledger(app_database, stall))["clearing"] == 0
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("is_closed", [False, True])
async def test_a_posting_has_the_day_of_its_booking_or_the_first_open_one(
    app_database: Database, stall: PayableStall, is_closed: bool
) -> None:
    await receive(app_database, stall, bank_reference=ft(1), days_before=1)
    await add_lines(app_database, stall, Line(bank_reference=ft(1)))
    if is_closed:
        await close(app_database, stall, TODAY)

    await match(app_database, stall, now=NOON + timedelta(days=2))

    async with open_org_transaction(app_database, stall.org.id) as session:
        row = await session.execute(text("SELECT day FROM postings WHERE cause_kind = 'proof'"))
        assert row.scalar_one() == TODAY + timedelta(days=int(is_closed))


async def test_a_line_that_names_a_refund_confirms_it_and_takes_it_out_of_transit(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await hold_by(app_database, stall, "organisation")
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    (payment_id,) = await find_payments(app_database, stall, bill)
    refund = await an_instructed_refund(
        app_database, stall, payment_id=payment_id, amount_vnd=5_000
    )
    memo = f"MBCT.{write_memo(refund.id).lower()} 0011"

    lines = await add_lines(
        app_database,
        stall,
        Line(amount_vnd=-5_001, memo=memo),
        Line(amount_vnd=-5_000, memo=memo, bank_reference="FT26330000777"),
        Line(amount_vnd=-5_000, memo=memo),
    )
    await match(app_database, stall)

    assert await read_rules(app_database, stall, lines) == [None, "refund_code", None]
    async with open_org_transaction(app_database, stall.org.id) as session:
        row = await session.execute(text("SELECT status, bank_reference, ended_by FROM refunds"))
        assert tuple(row.one()) == ("returned", "FT26330000777", None)
    assert (await read_status(app_database, stall, bill))[0] == "part_refunded"
    assert await read_in_transit(app_database, stall) == 0
    assert await read_bank(app_database, stall) == -5_000
    assert find_violations(fresh_database.owner_url) == []


async def test_a_refund_that_its_payee_gave_back_is_proved_by_the_banks_reference(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    (payment_id,) = await find_payments(app_database, stall, bill)
    refund = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=20_000)
    await take(app_database, stall, refund, "confirm", bank_reference="FT26330000777")

    lines = await add_lines(
        app_database, stall, Line(amount_vnd=-20_000, bank_reference="ft26330000777")
    )
    await match(app_database, stall)

    assert await read_rules(app_database, stall, lines) == ["refund_reference"]
    assert await read_in_transit(app_database, stall) == 0
    assert find_violations(fresh_database.owner_url) == []
