"""SQL of the postings of one account, read by days of the books."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds
from payments.ledger.rules import AccountKey
from payments.ledger.summing import DAYS_AHEAD
from payments.ledger.types import Leg

FIND_CLOSING_TIME = text("""
    SELECT max(closed_at) FROM ledger_days
    WHERE org_id = :org_id AND day >= :first_day AND day <= :last_day
""")

# The index of one side's postings is in the order of posted_at: the day bounds it from both ends.
# The lowest id stands for the beginning, so that one plan serves every part.
_READ: Final = """
    SELECT id, posted_at, day, effective_at, amount_vnd, {is_credit}, {other}_code, cause_kind,
           cause_id
    FROM postings
    WHERE org_id = :org_id AND {own}_subject_id = :subject_id AND {own}_code = :code
      AND posted_at >= :since AND (posted_at, id) > (:since, :after_id) AND posted_at <= :until
      AND day >= :first_day AND day <= :last_day
    ORDER BY posted_at, id LIMIT :limit
"""
READ_CREDITS = text(_READ.format(own="credit", other="debit", is_credit="true"))
READ_DEBITS = text(_READ.format(own="debit", other="credit", is_credit="false"))
LOWEST: Final = UUID(int=0)


async def find_closing_time(
    session: AsyncSession, org_id: UUID, *, first_day: date, last_day: date
) -> datetime | None:
    """Return when the last of some days was closed."""
    values = {"org_id": org_id, "first_day": first_day, "last_day": last_day}
    found: datetime | None = await session.scalar(FIND_CLOSING_TIME, values)
    return found


async def read_legs(
    session: AsyncSession,
    org_id: UUID,
    key: AccountKey,
    *,
    first_day: date,
    last_day: date,
    until: datetime,
    is_credit: bool,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Leg]:
    """Read one side of an account in the order of writing."""
    # A posting's day lies after the day on which it was written only where that one was closed.
    since = day_bounds(first_day - DAYS_AHEAD)[0]
    values: dict[str, Any] = {
        "org_id": org_id,
        "code": key.code.value,
        "subject_id": key.subject_id,
        "since": since if after is None else after[0],
        "after_id": LOWEST if after is None else after[1],
        "until": until,
        "first_day": first_day,
        "last_day": last_day,
        "limit": limit,
    }
    rows = await session.execute(READ_CREDITS if is_credit else READ_DEBITS, values)
    return [Leg(*row) for row in rows]
