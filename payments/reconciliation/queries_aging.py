"""SQL of what stays without its other side: lines without a credit, credits without a line."""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from payments.reconciliation.queries import OPENED_ON

# Asked once: a person may close the question in words, and the line stays open.
ASK_ABOUT_LINES = text(f"""
    UPDATE statement_lines l SET listed_at = :now
    FROM (SELECT id FROM statement_lines
          WHERE org_id = :org_id AND receiving_account_id = :account_id AND open_vnd > 0
            AND booked_on <= :booked_until AND booked_on >= {OPENED_ON}
            AND direction = 'in' AND listed_at IS NULL
          ORDER BY booked_on, id LIMIT :limit) AS due
    WHERE l.org_id = :org_id AND l.id = due.id
    RETURNING l.id, l.booked_on, l.open_vnd
""")  # noqa: S608 (our words)
# Days whose credits can be on no later line, since a statement has one so much later.
LIST_DUE_DAYS = text(f"""
    SELECT day FROM statement_days
    WHERE org_id = :org_id AND receiving_account_id = :account_id AND listed_at IS NULL
      AND day >= {OPENED_ON}
      AND day + CAST(:window AS int) <= (
          SELECT max(day) FROM statement_days
          WHERE org_id = :org_id AND receiving_account_id = :account_id)
    ORDER BY day LIMIT :limit
""")  # noqa: S608 (our words)
SET_LISTED = text("""
    UPDATE statement_days SET listed_at = :now
    WHERE org_id = :org_id AND receiving_account_id = :account_id
      AND day = ANY(CAST(:days AS date[]))
""")
_DAY: Final = "CAST(c.occurred_at AT TIME ZONE 'Asia/Ho_Chi_Minh' AS date)"
_WITHOUT_LINE: Final = f"""
    SELECT c.id, c.amount_vnd, {_DAY} FROM {{source}}
    JOIN matches m ON m.org_id = c.org_id AND m.credit_id = c.id AND m.reversed_at IS NULL
    WHERE c.org_id = :org_id AND c.receiving_account_id = :account_id AND c.direction = 'in'
      AND {{condition}} AND m.verdict <> 'same_money'
      AND NOT EXISTS (SELECT FROM proofs p WHERE p.org_id = c.org_id AND p.credit_id = c.id
                      AND p.reversed_at IS NULL)
      AND NOT EXISTS (SELECT FROM breaks k WHERE k.org_id = c.org_id AND k.subject_id = c.id
                      AND k.kind = 'credit_without_line' AND k.closed_at IS NULL)
    ORDER BY c.occurred_at, c.id LIMIT :limit
"""  # noqa: S608 (our words)
LIST_CREDITS_WITHOUT_LINE = text(
    _WITHOUT_LINE.format(
        source="bank_transactions c",
        condition="c.occurred_at >= :since AND c.occurred_at < :until",
    )
)
# Of days that people were asked about already: nobody asks about those again.
_OF_LISTED_DAYS: Final = f"""
    EXISTS (SELECT FROM statement_days d WHERE d.org_id = c.org_id
            AND d.receiving_account_id = c.receiving_account_id AND d.day = {_DAY}
            AND d.listed_at IS NOT NULL AND d.day >= {OPENED_ON})"""
LIST_LATE_WITHOUT_LINE = text(
    _WITHOUT_LINE.format(
        source="bank_transactions c",
        # With its end, which is none, the planner sees that it is a short time.
        condition=f"""c.received_at >= (
          SELECT matched_at - CAST(:overlap AS interval) FROM account_matching
          WHERE org_id = :org_id AND receiving_account_id = :account_id)
      AND c.received_at < 'infinity' AND {_OF_LISTED_DAYS}""",  # noqa: S608 (our words)
    )
)
LIST_AGAIN_WITHOUT_LINE = text(
    _WITHOUT_LINE.format(
        source="bank_transactions c",
        condition=f"c.id = ANY(CAST(:ids AS uuid[])) AND {_OF_LISTED_DAYS}",
    )
)
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


async def list_due_days(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, window_days: int
) -> list[date]:
    """List days that nobody was asked about, and whose credits no line to come can be."""
    values = {
        "org_id": org_id,
        "account_id": account_id,
        "window": window_days,
        "limit": DAYS_MAX,
    }
    return list((await session.execute(LIST_DUE_DAYS, values)).scalars())


async def set_listed(
    session: AsyncSession, org_id: UUID, account_id: UUID, days: Collection[date], *, now: datetime
) -> None:
    """Mark days as asked about, with all their credits."""
    values = {"org_id": org_id, "account_id": account_id, "days": list(days), "now": now}
    await session.execute(SET_LISTED, values)


async def list_credits_without_line(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    *,
    since: datetime,
    until: datetime,
    limit: int,
) -> list[tuple[UUID, int, date]]:
    """List (credit, đồng, day) of an account in [since, until) that no line proves.

    Here and below: without those that people are asked about now.
    """
    values = {
        "org_id": org_id,
        "account_id": account_id,
        "since": since,
        "until": until,
        "limit": limit,
    }
    return _as_credits(await run(session, LIST_CREDITS_WITHOUT_LINE, values))


async def list_late_without_line(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, overlap: timedelta, limit: int
) -> list[tuple[UUID, int, date]]:
    """List such credits of listed days that were received since the account's last run."""
    values = {"org_id": org_id, "account_id": account_id, "overlap": overlap, "limit": limit}
    return _as_credits(await run(session, LIST_LATE_WITHOUT_LINE, values))


async def list_again_without_line(
    session: AsyncSession, org_id: UUID, account_id: UUID, credit_ids: Collection[UUID]
) -> list[tuple[UUID, int, date]]:
    """List those of some credits that no line proves any more, of listed days."""
    values = {
        "org_id": org_id,
        "account_id": account_id,
        "ids": list(credit_ids),
        "limit": len(credit_ids),
    }
    return _as_credits(await run(session, LIST_AGAIN_WITHOUT_LINE, values))


def _as_credits(rows: list[tuple[Any, ...]]) -> list[tuple[UUID, int, date]]:
    return [(row[0], row[1], row[2]) for row in rows]
