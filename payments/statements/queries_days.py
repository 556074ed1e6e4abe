"""SQL of the days of accounts: what each sums up to, and which statement owns it."""

from collections.abc import Iterable, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import InsertMany, run
from payments.statements.rules import DayBalance

SUM_STAGED_BY_DAY = text("""
    SELECT booked_on, count(*)::int,
           coalesce(sum(amount_vnd) FILTER (WHERE direction = 'in'), 0)::bigint,
           coalesce(sum(amount_vnd) FILTER (WHERE direction = 'out'), 0)::bigint
    FROM staged_lines WHERE org_id = :org_id AND statement_id = :statement_id
    GROUP BY booked_on
""")

FIND_DAY_BEFORE = text("""
    SELECT day, closing_vnd FROM statement_days
    WHERE org_id = :org_id AND receiving_account_id = :receiving_account_id AND day < :day
    ORDER BY day DESC LIMIT 1
""")

LIST_OWNED_DAYS = text("""
    SELECT day, closing_vnd FROM statement_days
    WHERE org_id = :org_id AND receiving_account_id = :receiving_account_id
      AND day BETWEEN :first AND :last
    ORDER BY day
    FOR NO KEY UPDATE
""")

INSERT_DAYS = InsertMany(
    "statement_days",
    {
        "day": "date",
        "line_count": "int",
        "in_vnd": "bigint",
        "out_vnd": "bigint",
        "closing_vnd": "bigint",
    },
    shared=("org_id", "receiving_account_id", "statement_id"),
    ending="ON CONFLICT DO NOTHING RETURNING day",
)

ADD_TO_DAY = text("""
    UPDATE statement_days d SET
        line_count = d.line_count + s.line_count, in_vnd = d.in_vnd + s.in_vnd,
        out_vnd = d.out_vnd + s.out_vnd,
        closing_vnd = d.closing_vnd + s.in_vnd - s.out_vnd
    FROM (
        SELECT booked_on, count(*)::int AS line_count,
               coalesce(sum(amount_vnd) FILTER (WHERE direction = 'in'), 0)::bigint AS in_vnd,
               coalesce(sum(amount_vnd) FILTER (WHERE direction = 'out'), 0)::bigint AS out_vnd
        FROM staged_lines WHERE org_id = :org_id AND statement_id = :statement_id
        GROUP BY booked_on) AS s
    WHERE d.org_id = :org_id AND d.receiving_account_id = :receiving_account_id
      AND d.day = s.booked_on AND d.day = ANY(CAST(:days AS date[]))
""")


async def sum_staged_by_day(
    session: AsyncSession, org_id: UUID, statement_id: UUID
) -> dict[date, tuple[int, int, int]]:
    """Return day → (lines, in_vnd, out_vnd) of the lines that are staged."""
    values = {"org_id": org_id, "statement_id": statement_id}
    rows = await session.execute(SUM_STAGED_BY_DAY, values)
    return {day: (int(count), int(in_vnd), int(out_vnd)) for day, count, in_vnd, out_vnd in rows}


async def find_day_before(
    session: AsyncSession, org_id: UUID, receiving_account_id: UUID, day: date
) -> DayBalance | None:
    """Find an account's newest owned day before another."""
    values = {"org_id": org_id, "receiving_account_id": receiving_account_id, "day": day}
    row = (await session.execute(FIND_DAY_BEFORE, values)).one_or_none()
    return None if row is None else DayBalance(day=row.day, closing_vnd=row.closing_vnd)


async def lock_owned_days(
    session: AsyncSession, org_id: UUID, receiving_account_id: UUID, first: date, last: date
) -> list[DayBalance]:
    """Lock an account's owned days between two days, in order."""
    values = {
        "org_id": org_id,
        "receiving_account_id": receiving_account_id,
        "first": first,
        "last": last,
    }
    rows = await session.execute(LIST_OWNED_DAYS, values)
    return [DayBalance(day=row.day, closing_vnd=row.closing_vnd) for row in rows]


async def take_days(
    session: AsyncSession,
    org_id: UUID,
    receiving_account_id: UUID,
    statement_id: UUID,
    rows: Iterable[tuple[date, int, int, int, int | None]],
) -> set[date]:
    """Make days a statement's own; return those that it got.

    Args:
        rows: (day, lines, in_vnd, out_vnd, closing_vnd), at least one.
    """
    values = INSERT_DAYS.write(
        rows,
        {
            "org_id": org_id,
            "receiving_account_id": receiving_account_id,
            "statement_id": statement_id,
        },
    )
    return {row[0] for row in await run(session, INSERT_DAYS.statement, values)}


async def add_to_days(
    session: AsyncSession,
    org_id: UUID,
    receiving_account_id: UUID,
    statement_id: UUID,
    days: Sequence[date],
) -> None:
    """Add what is staged still to the sums of days that another statement owns."""
    values = {
        "org_id": org_id,
        "receiving_account_id": receiving_account_id,
        "statement_id": statement_id,
        "days": days,
    }
    await session.execute(ADD_TO_DAY, values)
