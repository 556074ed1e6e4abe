"""Ordering a run: the statements of a period, drafted by a job."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import InvalidRequest, Violation
from core.jobs.errors import JobNotFound
from core.jobs.service import queue_job
from core.jobs.views import get_job
from payments.payees.queries import get_payee
from payments.settlements import queries_runs as queries
from payments.settlements.errors import (
    SettlementDayBeforeBooks,
    SettlementDayOpen,
    SettlementRunIdTaken,
)
from payments.settlements.rules import DRAFT, find_period_fault
from payments.settlements.types import RunFacts


async def start_run(
    session: AsyncSession,
    org_id: UUID,
    run_id: UUID,
    *,
    first_day: date,
    last_day: date,
    payee_id: UUID | None,
    actor: Actor,
    now: datetime,
) -> tuple[RunFacts, bool]:
    """Order the statements of a period; True: this call did. The same id again changes
    nothing, or goes on where its job failed for good.

    A payee's statement begins on the day after its last one: nothing lies between two. Where it has
    none it begins on `first_day`, or on the first day of any statement of the organisation, if that
    is earlier.

    Args:
        run_id: made by the client.
        last_day: a closed day of the books, so that nothing comes to it later.
        payee_id: None: all payees.

    Raises:
        InvalidRequest, PayeeNotFound, Busy
        SettlementRunIdTaken: the id came with another period or payee before.
        SettlementDayOpen, SettlementDayBeforeBooks
    """
    assert actor.id is not None
    if fault := find_period_fault(first_day, last_day):
        violation = Violation(field="last_day", code="bad_period", detail=fault)
        raise InvalidRequest(fault, violations=[violation])
    if payee_id is not None:
        await get_payee(session, org_id, payee_id)
    first_closed, last_closed = await queries.find_closed_days(session, org_id)
    if first_closed is None or last_closed is None or last_day > last_closed:
        raise SettlementDayOpen(last_day, last_closed)
    if last_day < first_closed:
        raise SettlementDayBeforeBooks(last_day)
    is_new = await queries.insert_run_once(
        session,
        org_id,
        run_id,
        first_day=first_day,
        last_day=last_day,
        payee_id=payee_id,
        by=actor.id,
        now=now,
    )
    run = await queries.get_run(session, org_id, run_id)
    if (run.first_day, run.last_day, run.payee_id) != (first_day, last_day, payee_id):
        raise SettlementRunIdTaken(run_id)
    if is_new or await is_stalled(session, org_id, run):
        job_id = await queue_job(session, org_id, DRAFT, {"run_id": str(run_id)})
        await queries.set_job(session, org_id, run_id, job_id)
        run = await queries.get_run(session, org_id, run_id)
    if is_new:
        record_change(
            session,
            org_id=org_id,
            actor=actor,
            action="settlement_run.started",
            object_kind="settlement_run",
            object_id=run_id,
            after={
                "first_day": first_day.isoformat(),
                "last_day": last_day.isoformat(),
                "payee_id": None if payee_id is None else str(payee_id),
            },
            now=now,
        )
    return run, is_new


async def is_stalled(session: AsyncSession, org_id: UUID, run: RunFacts) -> bool:
    """Whether the job of a run has ended for good before its end: who orders it again goes on."""
    if run.finished_at is not None or run.job_id is None:
        return False
    try:
        return (await get_job(session, org_id, run.job_id)).finished_at is not None
    except JobNotFound:  # its row was purged
        return True
