"""The job that drafts statements: payee by payee, and a payee's postings part by part.

Each part commits what it counted with the place up to which it was, so that a job goes on where a
dead worker stopped, and counts nothing twice. Of two runs of the same days the first to write a
payee's period has it; the other helps to write it to its end, and goes on after it.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.db import Database
from core.ids import new_id
from core.jobs.attempts import Handler, JobAttempt
from core.tenancy import open_org_transaction
from payments.bills.queries_payments import find_rails
from payments.ledger.legs import LegPlace, find_closing_time, read_legs
from payments.ledger.rules import takings
from payments.ledger.types import Leg
from payments.settlements import queries, queries_runs, queries_terms
from payments.settlements.rules import (
    CARRIED_READ_MAX,
    CARRIED_SHOWN_MAX,
    OF_PAYMENTS,
    LineTotal,
    SettlementStatus,
    Terms,
    charge_while_open,
    line_of,
    work_out,
)
from payments.settlements.types import Carried, DraftTarget, PeriodEnd, RunFacts, SettlementFacts

log = structlog.get_logger()

ONE_DAY: Final = timedelta(days=1)
PART_LEGS: Final = 5_000  # postings of one transaction
TRIES_MAX: Final = 3  # for the days of one payee, where other runs were first
PAYEES_AT_ONCE: Final = 200  # of a list; each is drafted in transactions of its own


class _Lost(Exception):
    """Another run has the payee's days; the transaction is rolled back."""


def make_drafter(database: Database) -> Handler:
    """Make the handler of `settlements.draft`: writes the statements of a run."""

    async def draft(attempt: JobAttempt) -> None:
        run = await _find_run(database, attempt)
        if run.finished_at is not None:
            return
        async with open_org_transaction(database, attempt.org_id) as session:
            carried = group_carried(
                await queries.list_carried(session, attempt.org_id, limit=CARRIED_READ_MAX)
            )
            total = 1 if run.payee_id else await queries_runs.count_payees(session, attempt.org_id)
        while True:
            async with open_org_transaction(database, attempt.org_id) as session:
                targets = await queries_runs.list_targets(
                    session, attempt.org_id, run, limit=PAYEES_AT_ONCE
                )
            if not targets:
                break
            for target in targets:
                await _draft_payee(database, attempt, run, target, carried)
                run = await _find_run(database, attempt)
                await attempt.report_progress(run.payees_done, total)
        async with _held(database, attempt) as session:
            await queries_runs.set_finished(session, attempt.org_id, run.id, now=clock.read_clock())
            await attempt.complete(session)
        log.info("settlements.drafted", run=str(run.id), statements=run.drafted)

    return draft


def group_carried(
    rows: Iterable[tuple[UUID, str, int | None, Any, UUID | None]],
) -> dict[UUID, Carried]:
    """Gather open breaks by the payee whose money they are about."""
    by_payee: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for id_, kind, amount_vnd, opened_at, payee_id in rows:
        if payee_id is not None:
            since = opened_at.isoformat()
            shown = {"id": str(id_), "kind": kind, "amount_vnd": amount_vnd, "opened_at": since}
            by_payee[payee_id].append(shown)
    return {
        payee_id: Carried(
            count=len(breaks),
            shown=breaks[:CARRIED_SHOWN_MAX],
        )
        for payee_id, breaks in by_payee.items()
    }


class _Begun(NamedTuple):
    """A statement that is being written."""

    settlement_id: UUID
    is_own: bool  # of this run: it reaches the run's last day


async def _draft_payee(
    database: Database,
    attempt: JobAttempt,
    run: RunFacts,
    target: DraftTarget,
    carried: dict[UUID, Carried],
) -> None:
    """Draft a payee's statement to its end, in as many transactions as its postings take.

    One that another run began and did not end is written to its end before: no later one could be
    reviewed ahead of it.
    """
    org_id, own = attempt.org_id, carried.get(target.payee_id, Carried())
    begun: _Begun | None = None
    is_over, tries = False, 0
    while not is_over:
        try:
            async with _held(database, attempt) as session:
                begun = begun or await _open_settlement(session, org_id, run, target)
                is_written = begun is None or await _count_part(
                    session, org_id, begun.settlement_id, target, own
                )
                is_over = is_written and (begun is None or begun.is_own)
                if is_over:
                    drafted = 0 if begun is None else 1
                    await queries_runs.set_reached(
                        session, org_id, run.id, target.payee_id, drafted=drafted
                    )
        except _Lost:  # the other run may end earlier: begin where it does
            tries += 1
            assert tries < TRIES_MAX, "other runs took its days again and again"
            continue
        if is_written:
            begun = None
        await attempt.report_progress(run.payees_done)


async def _open_settlement(
    session: AsyncSession, org_id: UUID, run: RunFacts, target: DraftTarget
) -> _Begun | None:
    """Begin a payee's statement, or go on with one that a dead worker began; None: no need.

    Raises:
        _Lost: another run was first.
    """
    last = await queries.find_period_end(session, org_id, target.payee_id)
    if last is not None and (last.run_id == run.id or not last.is_ready):
        return _Begun(last.settlement_id, is_own=last.run_id == run.id)
    first_day = await _find_first_day(session, org_id, run, last)
    if first_day > run.last_day:
        return None
    cut_off_at = await find_closing_time(
        session, org_id, first_day=first_day, last_day=run.last_day
    )
    assert cut_off_at is not None, "the last day of a run is closed: a foreign key says so"
    firsts = [
        leg
        for is_credit in (True, False)
        for leg in await read_legs(
            session,
            org_id,
            takings(target.payee_id),
            first_day=first_day,
            last_day=run.last_day,
            until=cut_off_at,
            is_credit=is_credit,
            limit=1,
        )
    ]
    # A period may begin with idle days: what is agreed on the first day with money counts.
    begins = max(first_day, min((leg.day for leg in firsts), default=run.first_day))
    agreed = await queries_terms.find_terms_on(session, org_id, target.payee_id, begins)
    terms = _charged(Terms() if agreed is None else agreed.terms, target, first_day)
    if not firsts and not terms.fixed_charge_vnd:
        return None
    settlement_id = new_id()
    facts = {
        "run_id": run.id,
        "payee_name": target.name,
        "payee_place": target.place,
        "cut_off_at": cut_off_at,
        "terms_id": None if agreed is None else agreed.id,
        "by": run.created_by,
        "now": clock.read_clock(),
    }
    is_ours = await queries.insert_settlement(
        session,
        org_id,
        settlement_id,
        facts=facts,
        first_day=first_day,
        last_day=run.last_day,
        previous_last_day=None if last is None else last.last_day,
        payee_id=target.payee_id,
    )
    if not is_ours:
        raise _Lost
    return _Begun(settlement_id, is_own=True)


async def _find_first_day(
    session: AsyncSession, org_id: UUID, run: RunFacts, last: PeriodEnd | None
) -> date:
    """Return where a payee's next statement begins: no day of its organisation's is left out."""
    if last is not None:
        return last.last_day + ONE_DAY
    found = await queries.find_first_day(session, org_id)
    return run.first_day if found is None else min(run.first_day, found)


def _charged(terms: Terms, target: DraftTarget, first_day: date) -> Terms:
    closed_on = None if target.closed_at is None else clock.hanoi_day(target.closed_at)
    return charge_while_open(terms, closed_on=closed_on, first_day=first_day)


async def _count_part(
    session: AsyncSession,
    org_id: UUID,
    settlement_id: UUID,
    target: DraftTarget,
    carried: Carried,
) -> bool:
    """Count the next postings of a statement; True: it is written, or was discarded meanwhile.

    Its row is held, so that of two workers each goes on where the other stopped.
    """
    settlement = await queries.lock_settlement(session, org_id, settlement_id)
    if settlement.status is SettlementStatus.DISCARDED or settlement.is_ready:
        return True
    legs = await _read_part(session, org_id, settlement)
    if legs:
        moved = await _sum_lines(session, org_id, legs)
        await queries.add_lines(session, org_id, settlement_id, moved)
    is_end_of_side = len(legs) < PART_LEGS
    if is_end_of_side and settlement.side == "debit":
        await _count(session, org_id, settlement, len(legs))
        await _finish(session, org_id, settlement, target, carried)
        return True
    await queries.set_reached(
        session,
        org_id,
        settlement_id,
        side="debit" if is_end_of_side else settlement.side,
        reached_at=None if is_end_of_side else legs[-1].posted_at,
        reached_id=None if is_end_of_side else legs[-1].id,
        count=len(legs),
    )
    if is_end_of_side:  # the other side has few: refunds and corrections
        return await _count_part(session, org_id, settlement_id, target, carried)
    return False


async def _read_part(
    session: AsyncSession, org_id: UUID, settlement: SettlementFacts
) -> Sequence[Leg]:
    after = None
    if settlement.reached_at is not None and settlement.reached_id is not None:
        after = LegPlace(settlement.reached_at, settlement.reached_id)
    return await read_legs(
        session,
        org_id,
        takings(settlement.payee_id),
        first_day=settlement.first_day,
        last_day=settlement.last_day,
        until=settlement.cut_off_at,
        is_credit=settlement.side == "credit",
        after=after,
        limit=PART_LEGS,
    )


async def _count(
    session: AsyncSession, org_id: UUID, settlement: SettlementFacts, count: int
) -> None:
    await queries.set_reached(
        session,
        org_id,
        settlement.id,
        side=settlement.side,
        reached_at=settlement.reached_at,
        reached_id=settlement.reached_id,
        count=count,
    )


async def _sum_lines(
    session: AsyncSession, org_id: UUID, legs: Sequence[Leg]
) -> dict[str, LineTotal]:
    """Sum postings by the line of the statement to which each belongs."""
    rails = await find_rails(
        session, org_id, {leg.cause_id for leg in legs if leg.cause_kind in OF_PAYMENTS}
    )
    credited: dict[str, int] = defaultdict(int)
    debited: dict[str, int] = defaultdict(int)
    counts: dict[str, int] = defaultdict(int)
    for leg in legs:
        line = line_of(leg.cause_kind, rails.get(leg.cause_id))
        (credited if leg.is_credit else debited)[line] += leg.amount_vnd
        counts[line] += 1
    return {
        line: LineTotal(credited_vnd=credited[line], debited_vnd=debited[line], postings=count)
        for line, count in counts.items()
    }


async def _finish(
    session: AsyncSession,
    org_id: UUID,
    settlement: SettlementFacts,
    target: DraftTarget,
    carried: Carried,
) -> None:
    """Work the amounts out of the lines by the terms of the statement."""
    lines = await queries.list_lines(session, org_id, settlement.id)
    terms = Terms()
    if settlement.terms_id is not None:
        agreed = await queries_terms.find_terms(session, org_id, settlement.terms_id)
        assert agreed is not None, "a foreign key holds it"
        terms = _charged(agreed.terms, target, settlement.first_day)
    totals = {
        one.line: LineTotal(
            credited_vnd=one.credited_vnd, debited_vnd=one.debited_vnd, postings=one.postings
        )
        for one in lines
    }
    await queries.set_drafted(
        session,
        org_id,
        settlement.id,
        work_out(totals, terms),
        carried,
        commission_bps=terms.commission_bps,
        now=clock.read_clock(),
    )


async def _find_run(database: Database, attempt: JobAttempt) -> RunFacts:
    run_id = UUID(attempt.arguments["run_id"])
    async with open_org_transaction(database, attempt.org_id) as session:
        return await queries_runs.get_run(session, attempt.org_id, run_id)


@asynccontextmanager
async def _held(database: Database, attempt: JobAttempt) -> AsyncIterator[AsyncSession]:
    """Open a transaction that commits only while the job is this attempt's."""
    async with open_org_transaction(database, attempt.org_id) as session:
        await attempt.hold(session)
        yield session
