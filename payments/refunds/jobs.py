"""The job of refunds: what was instructed long ago, and of which nobody has said the end."""

from datetime import datetime
from functools import partial
from typing import Final

import structlog

from core.audit import SYSTEM
from core.jobs.periodic import JobDatabases, PeriodicJob
from core.tenancy import open_org_transaction
from payments.refunds.errors import RefundStepNotPossible
from payments.refunds.queries import find_unanswered
from payments.refunds.rules import UNKNOWN_AFTER, Step
from payments.refunds.steps import StepTaken, take_step

log = structlog.get_logger()

EVERY_S: Final = 600.0
AT_ONCE_MAX: Final = 100  # refunds in one round, of all organisations


def list_jobs(databases: JobDatabases) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for refunds."""
    return (PeriodicJob("doubt_refunds", EVERY_S, partial(doubt_refunds, databases)),)


async def doubt_refunds(databases: JobDatabases, *, now: datetime) -> int:
    """Ask what became of refunds that were instructed three days ago; return how many."""
    async with databases.worker.begin() as session:
        due = await find_unanswered(session, before=now - UNKNOWN_AFTER, limit=AT_ONCE_MAX)
    doubted = 0
    for org_id, refund_id in due:
        try:
            async with open_org_transaction(databases.app, org_id) as session:
                taken = StepTaken(step=Step.DOUBT)
                await take_step(session, org_id, refund_id, taken, actor=SYSTEM, now=now)
        except RefundStepNotPossible:  # somebody answered meanwhile
            continue
        except Exception as error:  # the others are asked about all the same
            log.error("refund.not_doubted", refund=str(refund_id), error=repr(error))
            continue
        doubted += 1
    return doubted
