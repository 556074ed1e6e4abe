"""SQL of the days of accounts: what each sums up to, and which statement owns it."""

from collections.abc import Iterable
from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import InsertMany, insert_many
from payments.statements.rules import DayBalance, DayPair

# A million lines take seconds to add up: the job that read them does it, so that who accepts them
# waits for the number of days only.
INSERT_SUMS = text("""
    INSERT INTO statement_day_sums (org_id, statement_id, day, line_count, in_vnd, out_vnd)
    SELECT :org_id, :statement_id, booked_on, count(*),
           coalesce(sum(amount_vnd) FILTER (WHERE direction = 'in'), 0),
           coalesce(sum(amount_vnd) FILTER (WHERE direction = 'out'), 0)
    FROM staged_lines WHERE org_id = :org_id AND statement_id = :statement_id
    GROUP BY booked_on
""")

LIST_SUMS = text("""
    SELECT day, line_count, in_vnd, out_vnd FROM statement_day_sums
    WHERE org_id = :org_id AND statement_id = :statement_id
""")

# What two statements say of one day, side by side: both have lines of it, or one has.
COMPARE_DAYS = text("""
    SELECT d.day, d.statement_id, d.line_count, d.in_vnd, d.out_vnd,
           coalesce(s.line_count, 0) AS own_line_count, coalesce(s.in_vnd, 0) AS own_in_vnd,
           coalesce(s.out_vnd, 0) AS own_out_vnd
    FROM statement_days d LEFT JOIN statement_day_sums s
      ON s.org_id = d.org_id AND s.statement_id = :statement_id AND s.day = d.day
    WHERE d.org_id = :org_id AND d.receiving_account_id = :receiving_account_id
      AND d.day BETWEEN :first AND :last
    ORDER BY d.day
""")

LIST_OWNED_DAYS = text("""
    SELECT day, closing_vnd - in_vnd + out_vnd AS opening_vnd, closing_vnd FROM statement_days
    WHERE org_id = :org_id AND receiving_account_id = :receiving_account_id
      AND day BETWEEN :first AND :last
    ORDER BY day
""")

FIND_NEWEST_DAY = text("""
    SELECT max(day) FROM statement_days
    WHERE org_id = :org_id AND receiving_account_id = :receiving_account_id
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
)

CONTINUE_DAY = text("""
    UPDATE statement_days SET
        line_count = line_count + :line_count, in_vnd = in_vnd + :in_vnd,
        out_vnd = out_vnd + :out_vnd, closing_vnd = closing_vnd + :in_vnd - :out_vnd
    WHERE org_id = :org_id AND receiving_account_id = :receiving_account_id AND day = :day
""")


async def insert_sums(session: AsyncSession, org_id: UUID, statement_id: UUID) -> None:
    """Add up the lines that are staged, day by day."""
    await session.execute(INSERT_SUMS, {"org_id": org_id, "statement_id": statement_id})


async def compare_days(
    session: AsyncSession,
    org_id: UUID,
    receiving_account_id: UUID,
    statement_id: UUID,
    first: date,
    last: date,
) -> list[DayPair]:
    """List the days between two that another statement owns, with what each says of them."""
    values = {
        "org_id": org_id,
        "receiving_account_id": receiving_account_id,
        "statement_id": statement_id,
        "first": first,
        "last": last,
    }
    return [
        DayPair(
            day=row.day,
            other_id=row.statement_id,
            own=(row.own_line_count, row.own_in_vnd, row.own_out_vnd),
            other=(row.line_count, row.in_vnd, row.out_vnd),
        )
        for row in await session.execute(COMPARE_DAYS, values)
    ]


async def list_sums(
    session: AsyncSession, org_id: UUID, statement_id: UUID
) -> dict[date, tuple[int, int, int]]:
    """Return day → (lines, in_vnd, out_vnd) of a statement, as it was read."""
    values = {"org_id": org_id, "statement_id": statement_id}
    rows = await session.execute(LIST_SUMS, values)
    return {day: (int(count), int(in_vnd), int(out_vnd)) for day, count, in_vnd, out_vnd in rows}


async def list_owned_days(
    session: AsyncSession, org_id: UUID, receiving_account_id: UUID, first: date, last: date
) -> list[DayBalance]:
    """List an account's owned days between two days, in order."""
    values = {
        "org_id": org_id,
        "receiving_account_id": receiving_account_id,
        "first": first,
        "last": last,
    }
    rows = await session.execute(LIST_OWNED_DAYS, values)
    return [
        DayBalance(day=row.day, opening_vnd=row.opening_vnd, closing_vnd=row.closing_vnd)
        for row in rows
    ]


async def find_newest_day(
    session: AsyncSession, org_id: UUID, receiving_account_id: UUID
) -> date | None:
    """Find an account's last owned day."""
    values = {"org_id": org_id, "receiving_account_id": receiving_account_id}
    newest: date | None = (await session.execute(FIND_NEWEST_DAY, values)).scalar_one()
    return newest


async def insert_days(
    session: AsyncSession,
    org_id: UUID,
    receiving_account_id: UUID,
    statement_id: UUID,
    rows: Iterable[tuple[date, int, int, int, int | None]],
) -> None:
    """Make days a statement's own; at least one. The account's lock is held.

    Args:
        rows: (day, lines, in_vnd, out_vnd, closing_vnd).
    """
    await insert_many(
        session,
        INSERT_DAYS,
        rows,
        org_id=org_id,
        receiving_account_id=receiving_account_id,
        statement_id=statement_id,
    )


async def continue_day(
    session: AsyncSession,
    org_id: UUID,
    receiving_account_id: UUID,
    day: date,
    moved: tuple[int, int, int],
) -> None:
    """Add (lines, in_vnd, out_vnd) to a day: the rest of it came in another file."""
    line_count, in_vnd, out_vnd = moved
    values = {
        "org_id": org_id,
        "receiving_account_id": receiving_account_id,
        "day": day,
        "line_count": line_count,
        "in_vnd": in_vnd,
        "out_vnd": out_vnd,
    }
    await session.execute(CONTINUE_DAY, values)
