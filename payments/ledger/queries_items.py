"""SQL of bank clearing by its items, and of balances of many accounts at the end of a day.

Each reads the days that were asked for and no others, however long the books are.
"""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.ledger.queries_days import BEFORE_ALL, FOR_EVER
from payments.ledger.rules import OPENING, OPENING_REVERSAL, AccountCode, AccountKey

SHARE_BOOKS = text("SELECT closed_through FROM ledger_books WHERE org_id = :org_id FOR SHARE")
# Both legs of clearing, debits minus credits; what a go-live posts for the past is in no item.
_LEGS: Final = """
    SELECT debit_subject_id AS subject_id, item_id, amount_vnd AS vnd, cause_kind, cause_id, day
    FROM postings WHERE org_id = :org_id AND debit_code = 'bank_clearing' {more}
    UNION ALL
    SELECT credit_subject_id, item_id, -amount_vnd, cause_kind, cause_id, day
    FROM postings WHERE org_id = :org_id AND credit_code = 'bank_clearing' {more}
"""
_OF_DAYS: Final = "AND day > CAST(:after AS date) AND day <= CAST(:until AS date)"
SUM_ITEMS = text(f"""
    SELECT subject_id, item_id, CAST(sum(vnd) AS bigint) AS vnd
    FROM ({_LEGS.format(more=_OF_DAYS)}) AS legs
    WHERE subject_id = ANY(CAST(:subject_ids AS uuid[]))
      AND NOT (item_id = cause_id AND cause_kind IN ('{OPENING}', '{OPENING_REVERSAL}'))
    GROUP BY subject_id, item_id HAVING sum(vnd) <> 0
""")  # noqa: S608 (our words)
# By the indexes of an account's legs, from when the first of the items came.
SUM_OF_ITEMS = text("""
    SELECT item_id, CAST(sum(vnd) AS bigint) AS vnd FROM (
        SELECT item_id, amount_vnd AS vnd FROM postings
        WHERE org_id = :org_id AND debit_subject_id = :subject_id AND debit_code = 'bank_clearing'
          AND posted_at >= :since AND day <= CAST(:until AS date)
          AND item_id = ANY(CAST(:item_ids AS uuid[]))
        UNION ALL
        SELECT item_id, -amount_vnd FROM postings
        WHERE org_id = :org_id AND credit_subject_id = :subject_id
          AND credit_code = 'bank_clearing'
          AND posted_at >= :since AND day <= CAST(:until AS date)
          AND item_id = ANY(CAST(:item_ids AS uuid[]))) AS legs
    GROUP BY item_id
""")
LIST_BALANCES = text("""
    SELECT k.code, a.subject_id, c.balance_vnd
    FROM unnest(CAST(:subject_ids AS uuid[])) AS a (subject_id)
    CROSS JOIN unnest(CAST(:codes AS text[])) AS k (code)
    CROSS JOIN LATERAL (
        SELECT balance_vnd FROM ledger_checkpoints
        WHERE org_id = :org_id AND code = k.code AND subject_id = a.subject_id
          AND day <= CAST(:day AS date)
        ORDER BY day DESC LIMIT 1) AS c
""")
# Each posting is read once, for all codes.
SUM_MOVED = text("""
    SELECT leg.code, leg.subject_id, CAST(sum(leg.vnd) AS bigint)
    FROM postings AS p CROSS JOIN LATERAL (
        VALUES (p.credit_code, p.credit_subject_id, p.amount_vnd),
               (p.debit_code, p.debit_subject_id, -p.amount_vnd)) AS leg (code, subject_id, vnd)
    WHERE p.org_id = :org_id
      AND p.day > CAST(:after AS date) AND p.day <= CAST(:until AS date)
      AND leg.code = ANY(CAST(:codes AS text[]))
    GROUP BY leg.code, leg.subject_id
""")
LIST_CAUSES_BEFORE = text("""
    SELECT DISTINCT cause_id FROM postings
    WHERE org_id = :org_id AND day > CAST(:after AS date) AND cause_kind = :cause_kind
      AND effective_at < :before
      AND ((debit_code = :code AND debit_subject_id = :subject_id)
           OR (credit_code = :code AND credit_subject_id = :subject_id))
    ORDER BY cause_id LIMIT :limit
""")
FIND_FIRST_DAY = text("""
    SELECT min(day) FROM postings
    WHERE org_id = :org_id AND day > CAST('-infinity' AS date)
""")


async def list_causes_before(
    session: AsyncSession,
    org_id: UUID,
    key: AccountKey,
    cause_kind: str,
    *,
    after: date | None,
    before: datetime,
    limit: int,
) -> list[UUID]:
    """List causes that posted to an account in days after one, of money that moved before."""
    values = {
        "org_id": org_id,
        "code": key.code,
        "subject_id": key.subject_id,
        "cause_kind": cause_kind,
        "after": after or BEFORE_ALL,
        "before": before,
        "limit": limit,
    }
    return list((await session.execute(LIST_CAUSES_BEFORE, values)).scalars())


async def share_books(session: AsyncSession, org_id: UUID) -> date | None:
    """Hold back whoever closes a day until the transaction ends; return the last closed day."""
    closed_through: date | None = (
        await session.execute(SHARE_BOOKS, {"org_id": org_id})
    ).scalar_one()
    return closed_through


async def sum_items(
    session: AsyncSession,
    org_id: UUID,
    account_ids: Collection[UUID],
    *,
    after: date | None,
    until: date,
) -> dict[tuple[UUID, UUID], int]:
    """Return {(receiving account, credit): debits minus credits of clearing} of some days.

    Args:
        after: the day before the first one; None: from the books' start on.
    """
    values = {
        "org_id": org_id,
        "subject_ids": list(account_ids),
        "after": BEFORE_ALL if after is None else after.isoformat(),
        "until": until.isoformat(),
    }
    rows = await session.execute(SUM_ITEMS, values)
    return {(account_id, item_id): int(vnd) for account_id, item_id, vnd in rows}


async def sum_of_items(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    item_ids: Collection[UUID],
    *,
    since: datetime,
    until: date,
) -> dict[UUID, int]:
    """Return {credit: debits minus credits of clearing} of some credits up to a day.

    Args:
        since: nothing of these credits was posted before.
    """
    values = {
        "org_id": org_id,
        "subject_id": account_id,
        "item_ids": list(item_ids),
        "since": since - timedelta(days=1),  # clocks of hubs differ
        "until": until.isoformat(),
    }
    return {item_id: int(vnd) for item_id, vnd in await session.execute(SUM_OF_ITEMS, values)}


async def list_balances(
    session: AsyncSession,
    org_id: UUID,
    codes: Collection[AccountCode],
    subject_ids: Collection[UUID],
    *,
    day: date | None,
) -> dict[tuple[AccountCode, UUID], int]:
    """Return {(code, subject): credits minus debits} at the end of a closed day; None: of the last.

    An account that never moved is left out.
    """
    values = {
        "org_id": org_id,
        "codes": [code.value for code in codes],
        "subject_ids": list(subject_ids),
        "day": FOR_EVER if day is None else day.isoformat(),
    }
    rows = await session.execute(LIST_BALANCES, values)
    return {(AccountCode(code), subject_id): int(vnd) for code, subject_id, vnd in rows}


async def sum_moved(
    session: AsyncSession,
    org_id: UUID,
    codes: Collection[AccountCode],
    *,
    after: date,
    until: date,
) -> dict[tuple[AccountCode, UUID], int]:
    """Return {(code, subject): credits minus debits} of the days after one, up to another."""
    values = {
        "org_id": org_id,
        "codes": [code.value for code in codes],
        "after": after.isoformat(),
        "until": until.isoformat(),
    }
    rows = await session.execute(SUM_MOVED, values)
    return {(AccountCode(code), subject_id): int(vnd) for code, subject_id, vnd in rows}


async def find_first_day(session: AsyncSession, org_id: UUID) -> date | None:
    """Return the first day of the books that has a posting."""
    found: date | None = (await session.execute(FIND_FIRST_DAY, {"org_id": org_id})).scalar_one()
    return found
