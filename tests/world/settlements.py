"""Settlement statements of what a stall took: runs, and the worker that drafts them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from core.audit import Actor
from core.clock import hanoi_day
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.ledger import service as ledger
from payments.ledger.closing import close_day
from payments.ledger.rules import NewPosting, cash_in_drawer, takings
from payments.settlements import queries, runs, steps
from payments.settlements.jobs import make_drafter
from payments.settlements.rules import DRAFT, Share, Terms
from payments.settlements.terms import set_terms
from payments.settlements.types import Filters, LineFacts, RunFacts, SettlementFacts
from tests.core.jobs.steps import ended, running
from tests.payments.invariants import find_violations
from tests.world.constants import APPROVER, MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.refunds import FINANCE
from tests.world.stalls import PayableStall

DAY = hanoi_day(NOON)
ONE_DAY = timedelta(days=1)
MARKET_TERMS = Terms(
    commission_bps=250,
    fixed_charge_vnd=11_000,
    charge_bps={"vietqr": 11, "toll": 200},
    shares=(Share(name="Ban quản lý chợ", bps=1_500), Share(name="Phường", bps=333)),
)
REVIEWER = Actor(kind="staff", id=UUID(int=5), name="reviewer")


async def close_through(database: Database, stall: PayableStall, *days: date) -> None:
    """Close days of the stall's organisation in their order, each at noon of the next one."""
    for day in days:
        at = NOON + (day - DAY) + ONE_DAY
        await close_day(database, stall.org.id, day, actor=MANAGER, now=at)


async def agree(
    database: Database,
    stall: PayableStall,
    terms: Terms,
    *,
    from_day: date = DAY,
    seen_version: int = 0,
    actor: Actor = MANAGER,
) -> None:
    """Agree on terms with the stall."""
    async with open_org_transaction(database, stall.org.id) as session:
        await set_terms(
            session,
            stall.org.id,
            stall.payee_id,
            terms,
            from_day=from_day,
            seen_version=seen_version,
            actor=actor,
            now=NOON,
        )


async def order(
    database: Database,
    stall: PayableStall,
    *,
    first_day: date = DAY,
    last_day: date = DAY,
    payee_id: UUID | None = None,
    id_: UUID | None = None,
) -> RunFacts:
    """Order the statements of a period."""
    async with open_org_transaction(database, stall.org.id) as session:
        run, _ = await runs.start_run(
            session,
            stall.org.id,
            id_ or new_id(),
            first_day=first_day,
            last_day=last_day,
            payee_id=payee_id,
            actor=FINANCE,
            now=NOON,
        )
        return run


@asynccontextmanager
async def drafting(
    database: Database, worker_database: Database, **more: Any
) -> AsyncIterator[Any]:
    """Run a worker that drafts statements."""
    async with running(worker_database, {DRAFT: make_drafter(database)}, **more) as runner:
        yield runner


async def draft(
    database: Database, worker_database: Database, stall: PayableStall, **facts: Any
) -> list[SettlementFacts]:
    """Order a run, let it end, and return the statements that it drafted."""
    async with drafting(database, worker_database):
        run = await order(database, stall, **facts)
        assert run.job_id is not None
        job = await ended(database, run.job_id, org_id=stall.org.id)
        assert job.status == "done", job
    return await statements_of(database, stall, run_id=run.id)


async def statements_of(
    database: Database, stall: PayableStall, **filters: Any
) -> list[SettlementFacts]:
    """List statements of the stall's organisation, the oldest first."""
    async with open_org_transaction(database, stall.org.id) as session:
        found = await queries.list_settlements(
            session, stall.org.id, Filters(**filters), limit=1_000
        )
    return found[::-1]


async def lines_of(
    database: Database, stall: PayableStall, settlement: SettlementFacts
) -> Mapping[str, LineFacts]:
    """Return the lines of a statement by their names."""
    async with open_org_transaction(database, stall.org.id) as session:
        found = await queries.list_lines(session, stall.org.id, settlement.id)
    return {one.line: one for one in found}


async def take(
    database: Database,
    stall: PayableStall,
    settlement: SettlementFacts,
    step: str,
    *,
    actor: Actor | None = None,
    **said: Any,
) -> SettlementFacts:
    """Take a statement a step further; the approver approves, finance does the rest."""
    act = {
        "review": steps.review,
        "approve": steps.approve,
        "send": steps.send,
        "discard": steps.discard,
    }[step]
    if step == "discard":
        said.setdefault("words", "Sai điều khoản")
    who = actor or (APPROVER if step == "approve" else FINANCE)
    async with open_org_transaction(database, stall.org.id) as session:
        return await act(session, stall.org.id, settlement.id, actor=who, now=NOON, **said)


async def sell(
    database: Database, stall: PayableStall, amount_vnd: int, *, at: Any = NOON, count: int = 1
) -> None:
    """Post cash sales, written at an instant."""
    postings = [
        NewPosting(
            debit=cash_in_drawer(stall.payee_id),
            credit=takings(stall.payee_id),
            amount_vnd=amount_vnd,
            cause_kind="shift_close",
            cause_id=new_id(),
            step=0,
            effective_at=at,
        )
        for _ in range(count)
    ]
    async with open_org_transaction(database, stall.org.id) as session:
        await ledger.post(session, stall.org.id, postings, now=at)


def find_settlement_faults(fresh_database: FreshDatabase) -> list[str]:
    """What does not hold of statements; `sell` posts without a shift, which is another check's."""
    found = find_violations(fresh_database.owner_url)
    return [one for one in found if one.startswith("settlements_")]
