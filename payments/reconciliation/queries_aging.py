"""SQL of what stays without its other side: lines without a credit, credits without a line."""

from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# Asked once: a person may close the question in words, and the line stays open.
ASK_ABOUT_LINES = text("""
    UPDATE statement_lines l SET listed_at = :now
    FROM (SELECT id FROM statement_lines
          WHERE org_id = :org_id AND receiving_account_id = :account_id AND open_vnd > 0
            AND booked_on <= :booked_until AND direction = 'in' AND listed_at IS NULL
          ORDER BY booked_on, id LIMIT :limit) AS due
    WHERE l.org_id = :org_id AND l.id = due.id
    RETURNING l.id, l.booked_on, l.open_vnd
""")
# Days whose credits can be on no later line, since a statement has one so much later.
ASK_ABOUT_DAYS = text("""
    UPDATE statement_days d SET listed_at = :now
    FROM (SELECT day FROM statement_days
          WHERE org_id = :org_id AND receiving_account_id = :account_id AND listed_at IS NULL
            AND day + CAST(:window AS int) <= (
                SELECT max(day) FROM statement_days
                WHERE org_id = :org_id AND receiving_account_id = :account_id)
          ORDER BY day LIMIT :limit) AS due
    WHERE d.org_id = :org_id AND d.receiving_account_id = :account_id AND d.day = due.day
    RETURNING d.day
""")
LIST_CREDITS_WITHOUT_LINE = text("""
    SELECT c.id, c.amount_vnd FROM bank_transactions c
    JOIN matches m ON m.org_id = c.org_id AND m.credit_id = c.id AND m.reversed_at IS NULL
    WHERE c.org_id = :org_id AND c.receiving_account_id = :account_id AND c.direction = 'in'
      AND c.occurred_at >= :since AND c.occurred_at < :until AND m.verdict <> 'same_money'
      AND NOT EXISTS (SELECT FROM proofs p WHERE p.org_id = c.org_id AND p.credit_id = c.id
                      AND p.reversed_at IS NULL)
    ORDER BY c.occurred_at, c.id LIMIT :limit
""")
DAYS_MAX: Final = 62  # of one account in one run; the rest follows


async def ask_about_lines(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    *,
    booked_until: date,
    limit: int,
    now: datetime,
) -> list[tuple[UUID, date, int]]:
    """Mark open lines of money in as asked about; return (line, booking date, đồng) of each."""
    values = {
        "org_id": org_id,
        "account_id": account_id,
        "booked_until": booked_until,
        "limit": limit,
        "now": now,
    }
    rows = await session.execute(ASK_ABOUT_LINES, values)
    return [(row[0], row[1], row[2]) for row in rows]


async def ask_about_days(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, window_days: int, now: datetime
) -> list[date]:
    """Mark days as asked about whose credits no line to come can be; return them."""
    values = {
        "org_id": org_id,
        "account_id": account_id,
        "window": window_days,
        "limit": DAYS_MAX,
        "now": now,
    }
    return list((await session.execute(ASK_ABOUT_DAYS, values)).scalars())


async def list_credits_without_line(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    *,
    since: datetime,
    until: datetime,
    limit: int,
) -> list[tuple[UUID, int]]:
    """List (credit, đồng) of an account in [since, until) that no line proves."""
    values = {
        "org_id": org_id,
        "account_id": account_id,
        "since": since,
        "until": until,
        "limit": limit,
    }
    rows = await session.execute(LIST_CREDITS_WITHOUT_LINE, values)
    return [(row[0], row[1]) for row in rows]
