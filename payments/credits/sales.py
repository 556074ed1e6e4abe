"""Reading what a stall took: its credits with what they were found to be. Bounded, read only."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

SALES_MAX = 500

# No match is made before its payment came, but the two have their times from different processes.
CLOCKS_APART: Final = timedelta(hours=1)

_SALES = """
    SELECT c.id, c.receiving_account_id, c.amount_vnd, c.payer_name, c.memo, c.occurred_at,
           c.received_at, m.verdict, m.rule, m.applied_vnd, m.is_late, m.payee_id, m.bill_id,
           b.reference, b.status, b.amount_vnd, b.paid_vnd, b.received_vnd, b.purpose,
           CASE WHEN s.status IN ('open', 'part_paid') THEN s.id END, s.reference, s.purpose
    FROM matches m
    JOIN bank_transactions c ON c.org_id = m.org_id AND c.id = m.credit_id
    LEFT JOIN bills b ON b.org_id = m.org_id AND b.id = m.bill_id
    LEFT JOIN bills s ON s.org_id = m.org_id AND s.id = m.suggested_bill_id
    WHERE m.org_id = :org_id AND m.reversed_at IS NULL AND m.verdict <> 'account_test'
"""
# A stall sees what is its own, and what nobody was given yet on the accounts that it shares.
_IS_OWN = " AND m.payee_id = :payee_id"
_IS_ANYONES = """
      AND m.payee_id IS NULL AND c.receiving_account_id IN (
          SELECT receiving_account_id FROM payee_accounts
          WHERE org_id = :org_id AND payee_id = :payee_id AND status IN ('active', 'former'))
"""
# A day of one stall is found by when its payments were matched (ix_matches_payee): nothing older is
# read. Each half by itself, since an OR of the two would read everybody's.
_OF_DAY = """
      AND m.matched_at >= :matched_since
      AND c.received_at >= :since AND c.received_at < :until
    ORDER BY c.received_at DESC, c.id DESC LIMIT :limit
"""
LIST_SALES = text(
    f"({_SALES} {_IS_OWN} {_OF_DAY}) UNION ALL ({_SALES} {_IS_ANYONES} {_OF_DAY})"
    " ORDER BY received_at DESC, id DESC LIMIT :limit"
)
# Also what is spread over several bills, this one among them: their match names none.
_IS_FOR_BILL = """
      AND m.id IN (
          SELECT id FROM matches WHERE org_id = :org_id AND bill_id = :bill_id
          UNION
          SELECT match_id FROM match_legs WHERE org_id = :org_id AND bill_id = :bill_id)
"""
LIST_OF_BILL = text(_SALES + _IS_FOR_BILL + " ORDER BY m.matched_at, m.id LIMIT :limit")
FIND_SALE = text(
    f"{_SALES} {_IS_OWN} AND m.credit_id = :credit_id"
    f" UNION ALL {_SALES} {_IS_ANYONES} AND m.credit_id = :credit_id"
)
_COUNT_SALES = """
    SELECT count(*) FROM matches m
    JOIN bank_transactions c ON c.org_id = m.org_id AND c.id = m.credit_id
    WHERE m.org_id = :org_id AND m.reversed_at IS NULL
      AND m.verdict IN ('settle', 'part', 'over', 'split', 'counter_sale')
      AND c.received_at >= :since AND c.received_at < :until
"""
COUNT_SALES = text(f"{_COUNT_SALES} AND m.payee_id = :payee_id AND m.matched_at >= :matched_since")
COUNT_ALL_SALES = text(_COUNT_SALES)  # by ix_bank_transactions_received


class Sale(NamedTuple):
    """One credit as its stall sees it, with the match in force."""

    credit_id: UUID
    receiving_account_id: UUID
    amount_vnd: int
    payer_name: str | None
    memo: str
    occurred_at: datetime
    received_at: datetime
    verdict: str
    rule: str
    applied_vnd: int
    is_late: bool
    payee_id: UUID | None  # None: nobody's yet
    bill_id: UUID | None
    reference: str | None
    bill_status: str | None
    bill_amount_vnd: int | None
    bill_paid_vnd: int | None
    bill_received_vnd: int | None
    bill_purpose: str | None
    suggested_bill_id: UUID | None  # "của khách này?", while that bill is unpaid
    suggested_reference: str | None
    suggested_purpose: str | None


async def list_sales(
    session: AsyncSession,
    org_id: UUID,
    payee_id: UUID,
    *,
    since: datetime,
    until: datetime,
    limit: int = SALES_MAX,
) -> list[Sale]:
    """List what reached a stall in [since, until) by our clock, newest first."""
    values = {
        "org_id": org_id,
        "payee_id": payee_id,
        "since": since,
        "until": until,
        "matched_since": since - CLOCKS_APART,
        "limit": limit,
    }
    return [Sale(*row) for row in await session.execute(LIST_SALES, values)]


async def list_of_bill(session: AsyncSession, org_id: UUID, bill_id: UUID) -> list[Sale]:
    """List what came for one bill, in the order in which it was matched."""
    values = {"org_id": org_id, "bill_id": bill_id, "limit": SALES_MAX}
    return [Sale(*row) for row in await session.execute(LIST_OF_BILL, values)]


async def find_sale(
    session: AsyncSession, org_id: UUID, payee_id: UUID, credit_id: UUID
) -> Sale | None:
    """Find one credit that a stall may see."""
    values = {"org_id": org_id, "payee_id": payee_id, "credit_id": credit_id}
    row = (await session.execute(FIND_SALE, values)).one_or_none()
    return None if row is None else Sale(*row)


async def count_sales(
    session: AsyncSession, org_id: UUID, payee_id: UUID, *, since: datetime, until: datetime
) -> int:
    """Count the credits in a stall's takings of [since, until)."""
    values = {
        "org_id": org_id,
        "payee_id": payee_id,
        "since": since,
        "until": until,
        "matched_since": since - CLOCKS_APART,
    }
    return int((await session.execute(COUNT_SALES, values)).scalar_one())


async def count_all_sales(
    session: AsyncSession, org_id: UUID, *, since: datetime, until: datetime
) -> int:
    """Count the credits in all takings of an organisation of [since, until)."""
    values = {"org_id": org_id, "since": since, "until": until}
    return int((await session.execute(COUNT_ALL_SALES, values)).scalar_one())
