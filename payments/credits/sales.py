"""Reading what a stall took: its credits with what they were found to be. Bounded, read only."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.credits import queries_sales

SALES_MAX = 500

# No match is made before its payment came, but the two have their times from different processes.
CLOCKS_APART: Final = timedelta(hours=1)


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
    return [Sale(*row) for row in await session.execute(queries_sales.LIST_SALES, values)]


async def list_of_bill(session: AsyncSession, org_id: UUID, bill_id: UUID) -> list[Sale]:
    """List what came for one bill, in the order in which it was matched."""
    values = {"org_id": org_id, "bill_id": bill_id, "limit": SALES_MAX}
    return [Sale(*row) for row in await session.execute(queries_sales.LIST_OF_BILL, values)]


async def find_sale(
    session: AsyncSession, org_id: UUID, payee_id: UUID, credit_id: UUID
) -> Sale | None:
    """Find one credit that a stall may see."""
    values = {"org_id": org_id, "payee_id": payee_id, "credit_id": credit_id}
    row = (await session.execute(queries_sales.FIND_SALE, values)).one_or_none()
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
    return int((await session.execute(queries_sales.COUNT_SALES, values)).scalar_one())


async def count_all_sales(
    session: AsyncSession, org_id: UUID, *, since: datetime, until: datetime
) -> int:
    """Count the credits in all takings of an organisation of [since, until)."""
    values = {"org_id": org_id, "since": since, "until": until}
    return int((await session.execute(queries_sales.COUNT_ALL_SALES, values)).scalar_one())
