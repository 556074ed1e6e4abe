"""SQL of the day board: what was billed, called back and matched, of a page of accounts."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at

# Bills by the time in their ids, of the one day; credits and lines by each account's own index.
LIST_FIGURES = text("""
    WITH wanted AS (SELECT unnest(CAST(:account_ids AS uuid[])) AS id), billed AS (
        SELECT receiving_account_id AS id, count(*) AS bills,
               CAST(coalesce(sum(amount_vnd), 0) AS bigint) AS billed_vnd
        FROM bills
        WHERE org_id = :org_id AND id >= :first_id AND id < :end_id AND cancelled_at IS NULL
          AND receiving_account_id = ANY(CAST(:account_ids AS uuid[]))
        GROUP BY receiving_account_id)
    SELECT w.id, coalesce(b.bills, 0), coalesce(b.billed_vnd, 0),
           c.credits, c.called_back_vnd, c.applied_vnd,
           l.lines, l.lines_in_vnd, l.lines_out_vnd, l.explained_vnd
    FROM wanted w
    LEFT JOIN billed b ON b.id = w.id
    CROSS JOIN LATERAL (
        SELECT count(*) AS credits, CAST(coalesce(sum(amount_vnd), 0) AS bigint) AS called_back_vnd,
               CAST(coalesce(sum(amount_vnd - open_vnd), 0) AS bigint) AS applied_vnd
        FROM bank_transactions
        WHERE org_id = :org_id AND receiving_account_id = w.id AND direction = 'in'
          AND occurred_at >= :starts_at AND occurred_at < :ends_at) c
    CROSS JOIN LATERAL (
        SELECT count(*) AS lines,
               CAST(coalesce(sum(amount_vnd) FILTER (WHERE direction = 'in'), 0) AS bigint)
                   AS lines_in_vnd,
               CAST(coalesce(sum(amount_vnd) FILTER (WHERE direction = 'out'), 0) AS bigint)
                   AS lines_out_vnd,
               CAST(coalesce(sum(amount_vnd - open_vnd), 0) AS bigint) AS explained_vnd
        FROM statement_lines
        WHERE org_id = :org_id AND receiving_account_id = w.id AND booked_on = :day) l
""")
# Of what is open, however old: breaks about a credit of one of the accounts.
COUNT_BREAKS = text("""
    SELECT c.receiving_account_id, count(*)
    FROM breaks k JOIN bank_transactions c ON (c.org_id, c.id) = (k.org_id, k.credit_id)
    WHERE k.org_id = :org_id AND k.closed_at IS NULL AND k.credit_id IS NOT NULL
      AND c.receiving_account_id = ANY(CAST(:account_ids AS uuid[]))
    GROUP BY c.receiving_account_id
""")
COUNT_TWO_WAY = text("""
    SELECT d.day, EXISTS (
        SELECT FROM ledger_day_accounts a
        WHERE a.org_id = :org_id AND a.day = d.day AND a.proof = 'callbacks_only')
    FROM unnest(CAST(:days AS date[])) AS d (day)
""")
LIST_ACCOUNTS_OF = text("""
    SELECT id, bin, account_number, holder_name FROM receiving_accounts
    WHERE org_id = :org_id AND id = ANY(CAST(:account_ids AS uuid[]))
""")
LIST_CARRIED: Final = text("""
    SELECT credit_id, since_day, amount_vnd FROM carried_items
    WHERE org_id = :org_id AND receiving_account_id = :account_id AND cleared_day IS NULL
      AND credit_id > CAST(:after AS uuid)
    ORDER BY credit_id LIMIT :most
""")


class Figures(NamedTuple):
    """What was billed, called back and found on the statement of an account's day, in đồng."""

    account_id: UUID
    bills: int
    billed_vnd: int
    credits: int
    called_back_vnd: int
    applied_vnd: int  # of what was called back: to bills, and as counter sales
    lines: int
    lines_in_vnd: int
    lines_out_vnd: int
    explained_vnd: int  # of the lines


class CarriedView(NamedTuple):
    """A credit that is carried at the end of the last closed day."""

    credit_id: UUID
    since_day: date
    amount_vnd: int

    @property
    def id(self) -> UUID:
        """What a page's cursor stands on."""
        return self.credit_id


async def list_figures(
    session: AsyncSession,
    org_id: UUID,
    account_ids: Collection[UUID],
    day: date,
    *,
    starts_at: datetime,
    ends_at: datetime,
) -> dict[UUID, Figures]:
    """Return {account: its figures} of a day."""
    values = {
        "org_id": org_id,
        "account_ids": list(account_ids),
        "day": day,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "first_id": first_id_at(starts_at),
        "end_id": first_id_at(ends_at),
    }
    rows = await session.execute(LIST_FIGURES, values)
    return {row[0]: Figures(*row) for row in rows}


async def count_breaks(
    session: AsyncSession, org_id: UUID, account_ids: Collection[UUID]
) -> dict[UUID, int]:
    """Return {account: open breaks about its credits}; accounts without any are left out."""
    values = {"org_id": org_id, "account_ids": list(account_ids)}
    return {id_: int(count) for id_, count in await session.execute(COUNT_BREAKS, values)}


async def find_two_way(
    session: AsyncSession, org_id: UUID, days: Collection[date]
) -> dict[date, bool]:
    """Return {closed day: whether an account of it was closed by callbacks only}."""
    values = {"org_id": org_id, "days": list(days)}
    return {day: found for day, found in await session.execute(COUNT_TWO_WAY, values)}  # noqa: C416


async def list_names(
    session: AsyncSession, org_id: UUID, account_ids: Collection[UUID]
) -> dict[UUID, tuple[str, str, str]]:
    """Return {account: (BIN, number, holder)}."""
    values = {"org_id": org_id, "account_ids": list(account_ids)}
    rows = await session.execute(LIST_ACCOUNTS_OF, values)
    return {row.id: (row.bin, row.account_number, row.holder_name) for row in rows}


async def list_carried(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, after: UUID, most: int
) -> list[CarriedView]:
    """List what an account carries at the end of the last closed day, by credit."""
    values = {"org_id": org_id, "account_id": account_id, "after": after, "most": most}
    return [CarriedView(*row) for row in await session.execute(LIST_CARRIED, values)]
