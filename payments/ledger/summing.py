"""Balances at any instant: the last checkpoint, and what was posted in the days after it.

They never sum years: no more is read than the days that were open.
"""

from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import hanoi_day
from payments.ledger import queries_days as queries
from payments.ledger.rules import AccountKey

# A posting's day is after the day on which it was posted only where that one was closed already; so
# far ahead lies the day of one whose hub's clock is a day behind.
DAYS_AHEAD: Final = timedelta(days=2)


async def sum_at(
    session: AsyncSession, org_id: UUID, key: AccountKey, *, at: datetime | None = None
) -> int:
    """Return an account's balance in đồng, credits minus debits, of all posted up to an instant.

    Args:
        at: by the hub's clock (posted_at); None: all that is posted.
    """
    own_day = None if at is None else hanoi_day(at)
    base = await queries.find_base(session, org_id, at=at, day=own_day)
    until = None if own_day is None else own_day + DAYS_AHEAD
    return await _add_open(session, org_id, key, base, until=until, at=at)


async def sum_of_day(session: AsyncSession, org_id: UUID, key: AccountKey, day: date) -> int:
    """Return an account's balance at the end of a day of the books, closed or open, in đồng."""
    base = await queries.find_base(session, org_id, at=None, day=day)
    return await _add_open(session, org_id, key, base, until=day, at=None)


async def _add_open(
    session: AsyncSession,
    org_id: UUID,
    key: AccountKey,
    base: date | None,
    *,
    until: date | None,
    at: datetime | None,
) -> int:
    closed_vnd = 0
    if base is not None:
        closed_vnd = await queries.find_checkpoint(session, org_id, key, base)
        if base == until:
            return closed_vnd
    return closed_vnd + await queries.sum_open(session, org_id, key, after=base, until=until, at=at)
