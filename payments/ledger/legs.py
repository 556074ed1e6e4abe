"""Legs: the postings of one account in days of the books, read in bounded parts."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.ledger import queries_legs as queries
from payments.ledger.rules import AccountKey
from payments.ledger.types import Leg


class LegPlace(NamedTuple):
    """Where a part ended: both sides of an account are in the order of writing, then of ids."""

    posted_at: datetime
    id: UUID


async def find_closing_time(
    session: AsyncSession, org_id: UUID, *, first_day: date, last_day: date
) -> datetime | None:
    """Return when the last of some days was closed; None: no close of its own is among them.

    Nothing of these days was posted later, and none of it ever will be.
    """
    return await queries.find_closing_time(session, org_id, first_day=first_day, last_day=last_day)


async def read_legs(
    session: AsyncSession,
    org_id: UUID,
    key: AccountKey,
    *,
    first_day: date,
    last_day: date,
    until: datetime,
    is_credit: bool,
    after: LegPlace | None = None,
    limit: int,
) -> Sequence[Leg]:
    """Read what credited, or debited, an account in [first_day, last_day], in the order of writing.

    Args:
        until: when the last of these days was closed.
        after: where the part before ended.
    """
    return await queries.read_legs(
        session,
        org_id,
        key,
        first_day=first_day,
        last_day=last_day,
        until=until,
        is_credit=is_credit,
        after=after,
        limit=limit,
    )


async def list_legs(
    session: AsyncSession,
    org_id: UUID,
    key: AccountKey,
    *,
    first_day: date,
    last_day: date,
    until: datetime,
    after: LegPlace | None = None,
    limit: int,
) -> list[Leg]:
    """List what moved an account in some closed days, either way, in the order of writing."""
    sides = [
        await queries.read_legs(
            session,
            org_id,
            key,
            first_day=first_day,
            last_day=last_day,
            until=until,
            is_credit=is_credit,
            after=after,
            limit=limit,
        )
        for is_credit in (True, False)
    ]
    both = sorted([*sides[0], *sides[1]], key=lambda leg: (leg.posted_at, leg.id))
    return both[:limit]
