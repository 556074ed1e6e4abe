"""SQL of runs: orders to draft the statements of a period."""

from dataclasses import fields
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.settlements.errors import SettlementRunNotFound
from payments.settlements.types import DraftTarget, RunFacts

COLUMNS: Final = ", ".join(field.name for field in fields(RunFacts))
LOWEST: Final = UUID(int=0)

# The first day that was closed by itself, and the last: days between them are closed one by one.
FIND_CLOSED = text("""
    SELECT (SELECT min(day) FROM ledger_days WHERE org_id = :org_id),
           (SELECT max(day) FROM ledger_days WHERE org_id = :org_id)
""")

INSERT = text("""
    INSERT INTO settlement_runs (
        org_id, id, first_day, last_day, payee_id, created_by, created_at)
    VALUES (:org_id, :id, :first_day, :last_day, :payee_id, :by, :now)
    ON CONFLICT DO NOTHING
    RETURNING id
""")
FIND = text(f"SELECT {COLUMNS} FROM settlement_runs WHERE org_id = :org_id AND id = :id")  # noqa: S608
LIST = text(f"""
    SELECT {COLUMNS} FROM settlement_runs
    WHERE org_id = :org_id AND (CAST(:before_id AS uuid) IS NULL OR id < CAST(:before_id AS uuid))
    ORDER BY id DESC LIMIT :limit
""")  # noqa: S608 (our names)
SET_JOB = text("UPDATE settlement_runs SET job_id = :job_id WHERE org_id = :org_id AND id = :id")

LIST_PAYEES = text("""
    SELECT id, name, place, closed_at FROM payees
    WHERE org_id = :org_id AND id > :after_id
      AND (CAST(:payee_id AS uuid) IS NULL OR id = CAST(:payee_id AS uuid))
    ORDER BY id LIMIT :limit
""")
COUNT_PAYEES = text("SELECT count(*) FROM payees WHERE org_id = :org_id")
SET_REACHED = text("""
    UPDATE settlement_runs SET reached_payee_id = :payee_id, payees_done = payees_done + 1,
           drafted = drafted + :drafted
    WHERE org_id = :org_id AND id = :id
""")
SET_FINISHED = text("""
    UPDATE settlement_runs SET finished_at = :now WHERE org_id = :org_id AND id = :id
""")


async def find_closed_days(session: AsyncSession, org_id: UUID) -> tuple[date | None, date | None]:
    """Return the first and the last day that were closed by themselves."""
    first, last = (await session.execute(FIND_CLOSED, {"org_id": org_id})).one()
    return first, last


async def insert_run_once(
    session: AsyncSession,
    org_id: UUID,
    run_id: UUID,
    *,
    first_day: date,
    last_day: date,
    payee_id: UUID | None,
    by: UUID,
    now: datetime,
) -> bool:
    """Write a run unless its id is known; True means that this call wrote it."""
    days = {"first_day": first_day, "last_day": last_day, "payee_id": payee_id}
    values = {"org_id": org_id, "id": run_id, "by": by, "now": now, **days}
    return (await session.execute(INSERT, values)).one_or_none() is not None


async def get_run(session: AsyncSession, org_id: UUID, run_id: UUID) -> RunFacts:
    """Return a run.

    Raises:
        SettlementRunNotFound
    """
    rows = (await session.execute(FIND, {"org_id": org_id, "id": run_id})).mappings().all()
    if not rows:
        raise SettlementRunNotFound(run_id)
    return RunFacts(**rows[0])


async def list_runs(
    session: AsyncSession, org_id: UUID, *, before_id: UUID | None = None, limit: int
) -> list[RunFacts]:
    """List runs, the newest first."""
    values = {"org_id": org_id, "before_id": before_id, "limit": limit}
    return [RunFacts(**row) for row in (await session.execute(LIST, values)).mappings()]


async def set_job(session: AsyncSession, org_id: UUID, run_id: UUID, job_id: UUID) -> None:
    """Write which job drafts a run."""
    await session.execute(SET_JOB, {"org_id": org_id, "id": run_id, "job_id": job_id})


async def list_targets(
    session: AsyncSession, org_id: UUID, run: RunFacts, *, limit: int
) -> list[DraftTarget]:
    """List the next payees of a run, closed ones too, in the order of their ids."""
    values = {
        "org_id": org_id,
        "after_id": run.reached_payee_id or LOWEST,
        "payee_id": run.payee_id,
        "limit": limit,
    }
    return [DraftTarget(*row) for row in await session.execute(LIST_PAYEES, values)]


async def count_payees(session: AsyncSession, org_id: UUID) -> int:
    """Count the payees of an organisation."""
    return int((await session.execute(COUNT_PAYEES, {"org_id": org_id})).scalar_one())


async def set_reached(
    session: AsyncSession, org_id: UUID, run_id: UUID, payee_id: UUID, *, drafted: int
) -> None:
    """Write that a run is done with a payee, whose statement it drafted (1) or not (0)."""
    values = {"org_id": org_id, "id": run_id, "payee_id": payee_id, "drafted": drafted}
    await session.execute(SET_REACHED, values)


async def set_finished(session: AsyncSession, org_id: UUID, run_id: UUID, *, now: datetime) -> None:
    """Write that a run is done with all payees."""
    await session.execute(SET_FINISHED, {"org_id": org_id, "id": run_id, "now": now})
