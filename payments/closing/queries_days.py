"""SQL of closed days by account and of carried items: written under the books' lock, read again."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import InsertMany, insert_many
from payments.closing.rules import Carried, Cleared, DayAccount, OpenItem

INSERT_ACCOUNTS = InsertMany(
    "ledger_day_accounts",
    {
        "receiving_account_id": "uuid",
        "proof": "text",
        "opening_vnd": "bigint",
        "in_vnd": "bigint",
        "out_vnd": "bigint",
        "closing_vnd": "bigint",
        "bank_vnd": "bigint",
        "late_lines_vnd": "bigint",
        "clearing_vnd": "bigint",
        "carried_count": "bigint",
        "carried_vnd": "bigint",
        "over_by_1": "uuid",
        "over_by_2": "uuid",
    },
    shared=("org_id", "day"),
)
INSERT_ITEMS = InsertMany(
    "carried_items",
    {
        "credit_id": "uuid",
        "since_day": "date",
        "receiving_account_id": "uuid",
        "amount_vnd": "bigint",
    },
    shared=("org_id", "first_day"),
)
# By the index of what is open: what was cleared before is not gone through.
CLEAR_ITEMS = text("""
    UPDATE carried_items i SET cleared_day = :day
    FROM unnest(CAST(:account_ids AS uuid[]), CAST(:credit_ids AS uuid[]))
         AS t (receiving_account_id, credit_id)
    WHERE i.org_id = :org_id AND i.receiving_account_id = t.receiving_account_id
      AND i.credit_id = t.credit_id AND i.cleared_day IS NULL AND i.first_day < :day
""")
LIST_OPEN_ITEMS = text("""
    SELECT credit_id, first_day, since_day, receiving_account_id, amount_vnd
    FROM carried_items WHERE org_id = :org_id AND cleared_day IS NULL
""")
_ACCOUNT: Final = ", ".join(DayAccount._fields)
LIST_DAY_ACCOUNTS = text(f"""
    SELECT {_ACCOUNT} FROM ledger_day_accounts
    WHERE org_id = :org_id AND day = :day ORDER BY receiving_account_id
""")  # noqa: S608 (our names)
LIST_ADDED = text("""
    SELECT credit_id, since_day, receiving_account_id, amount_vnd FROM carried_items
    WHERE org_id = :org_id AND first_day = :day ORDER BY credit_id
""")
LIST_CLEARED = text("""
    SELECT credit_id, first_day, receiving_account_id FROM carried_items
    WHERE org_id = :org_id AND cleared_day = :day ORDER BY credit_id, first_day
""")


async def list_open_items(session: AsyncSession, org_id: UUID) -> list[OpenItem]:
    """List the items that are carried at the end of the last closed day."""
    return [OpenItem(*row) for row in await session.execute(LIST_OPEN_ITEMS, {"org_id": org_id})]


async def insert_accounts(
    session: AsyncSession, org_id: UUID, day: date, rows: Sequence[DayAccount]
) -> None:
    """Write how the accounts of a closed day stood."""
    await insert_many(session, INSERT_ACCOUNTS, rows, org_id=org_id, day=day)


async def insert_items(
    session: AsyncSession, org_id: UUID, day: date, rows: Sequence[Carried]
) -> None:
    """Write what is carried with its amount from a day on."""
    await insert_many(session, INSERT_ITEMS, rows, org_id=org_id, first_day=day)


async def clear_items(
    session: AsyncSession, org_id: UUID, day: date, rows: Sequence[Cleared]
) -> None:
    """Write which of the items that were carried a day has cleared. Before it adds any."""
    values = {
        "org_id": org_id,
        "day": day,
        "account_ids": [one.receiving_account_id for one in rows],
        "credit_ids": [one.credit_id for one in rows],
    }
    await session.execute(CLEAR_ITEMS, values)


async def list_day_accounts(session: AsyncSession, org_id: UUID, day: date) -> list[DayAccount]:
    """List how the accounts of a closed day stood, by id."""
    values = {"org_id": org_id, "day": day}
    return [DayAccount(*row) for row in await session.execute(LIST_DAY_ACCOUNTS, values)]


async def list_added(session: AsyncSession, org_id: UUID, day: date) -> list[Carried]:
    """List what is carried with its amount from a day on, by credit."""
    values: dict[str, Any] = {"org_id": org_id, "day": day}
    return [Carried(*row) for row in await session.execute(LIST_ADDED, values)]


async def list_cleared(session: AsyncSession, org_id: UUID, day: date) -> list[Cleared]:
    """List what a day has cleared, by credit."""
    values: dict[str, Any] = {"org_id": org_id, "day": day}
    return [Cleared(*row) for row in await session.execute(LIST_CLEARED, values)]
