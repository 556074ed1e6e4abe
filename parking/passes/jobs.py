"""Jobs of passes: announcing those that end within a week, once for each last day."""

from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from core.clock import hanoi_day
from core.jobs.periodic import JobDatabases, PeriodicJob
from core.tenancy import open_org_transaction
from parking.passes import queries
from parking.passes.rules import WARN_BEFORE
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent

log = structlog.get_logger()

WARN_EVERY_S: Final = 600.0  # a pass that is paid on its last days is announced soon after
WARN_MAX: Final = 500  # passes of one organisation in one transaction


def list_jobs(databases: JobDatabases) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for passes."""
    return (PeriodicJob("warn_of_ends", WARN_EVERY_S, partial(warn_of_ends, databases)),)


async def warn_of_ends(databases: JobDatabases, *, now: datetime) -> int:
    """Announce passes that end within a week; return how many."""
    today = hanoi_day(now)
    async with databases.worker.begin() as session:
        org_ids = await queries.find_ending_orgs(session, today=today, until=today + WARN_BEFORE)
    warned = 0
    for org_id in org_ids:
        try:
            warned += await _warn_of_ends_in(databases, org_id, now=now)
        except Exception as error:  # one failure does not affect the other organisations
            log.error("passes.not_warned", org_id=str(org_id), error=repr(error))
    return warned


async def _warn_of_ends_in(databases: JobDatabases, org_id: UUID, *, now: datetime) -> int:
    today = hanoi_day(now)
    warned = 0
    while True:
        async with open_org_transaction(databases.app, org_id) as session:
            ending = await queries.mark_warned(
                session, org_id, today=today, until=today + WARN_BEFORE, limit=WARN_MAX
            )
            sellers = {seller for _, _, seller, _ in ending if seller is not None}
            payees = await queries.find_lot_payees(session, org_id, sellers)
            events = [
                NewEvent(
                    kind=EventKind.PARKING_PASS_ENDING,
                    payee_id=None if seller is None else payees.get(seller),
                    data={
                        "pass_id": str(pass_id),
                        "lot_id": None if lot_id is None else str(lot_id),
                        "valid_until": valid_until.isoformat(),
                    },
                )
                for pass_id, lot_id, seller, valid_until in ending
            ]
            if events:
                await outbox.record(session, org_id, events, now=now)
        warned += len(ending)
        if len(ending) < WARN_MAX:
            return warned
