"""The books as packages above see them: how far they are closed, balances by day, and items."""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import hanoi_day
from payments.ledger import queries_days, queries_items
from payments.ledger.rules import AccountCode, AccountKey
from payments.ledger.types import ClosedDay


async def read_closed_through(session: AsyncSession, org_id: UUID) -> date | None:
    """Return the last closed day; None: no day is closed.

    Raises:
        BooksNotFound
    """
    return await queries_days.read_closed_through(session, org_id)


async def hold_books(session: AsyncSession, org_id: UUID) -> date | None:
    """Let nobody close a day before the transaction ends; return the last closed day."""
    return await queries_items.share_books(session, org_id)


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
    """List what posted to an account in the days after one, though its money moved earlier.

    Args:
        after: the last closed day; None: of all days.
        before: when the money moved at the latest.
    """
    return await queries_items.list_causes_before(
        session, org_id, key, cause_kind, after=after, before=before, limit=limit
    )


async def find_first_open_day(session: AsyncSession, org_id: UUID, *, now: datetime) -> date:
    """Return the day that is closed next; where none is closed yet, the first that has a posting.

    No later than today.
    """
    closed_through = await read_closed_through(session, org_id)
    if closed_through is not None:
        return closed_through + timedelta(days=1)
    return await queries_items.find_first_day(session, org_id) or hanoi_day(now)


async def find_closed_day(session: AsyncSession, org_id: UUID, day: date) -> ClosedDay | None:
    """Find a closed day."""
    return await queries_days.find_day(session, org_id, day)


async def list_closed_days(
    session: AsyncSession, org_id: UUID, *, before: date | None, most: int
) -> list[ClosedDay]:
    """List closed days, the last one first: those before a day, or from the last on."""
    return await queries_days.list_last_days(session, org_id, before=before, most=most)


async def read_balances(
    session: AsyncSession,
    org_id: UUID,
    codes: Collection[AccountCode],
    subject_ids: Collection[UUID],
    *,
    closed: date | None,
    until: date,
) -> dict[AccountCode, dict[UUID, int]]:
    """Return {code: {subject: credits minus debits}} at the end of a day, in đồng.

    Args:
        closed: a closed day that is not after `until`: postings are read of the days after it
            only. None: nothing is read before a day was closed, and all are 0.
    """
    if closed is None:
        return {code: dict.fromkeys(subject_ids, 0) for code in codes}
    base = await queries_items.list_balances(session, org_id, codes, subject_ids, day=closed)
    moved: Mapping[tuple[AccountCode, UUID], int] = {}
    if until > closed:
        moved = await queries_items.sum_moved(session, org_id, codes, after=closed, until=until)
    return {
        code: {one: base.get((code, one), 0) + moved.get((code, one), 0) for one in subject_ids}
        for code in codes
    }


async def sum_clearing_by_item(
    session: AsyncSession,
    org_id: UUID,
    account_ids: Collection[UUID],
    *,
    after: date | None,
    until: date,
) -> dict[tuple[UUID, UUID], int]:
    """Return {(receiving account, credit): what was reported and is on no statement} of some days.

    In đồng, debits minus credits; what comes to nothing is left out, and so is what a go-live
    posted for the past.

    Args:
        after: the day before the first of them; None: from the books' start on.
    """
    if not account_ids:
        return {}
    return await queries_items.sum_items(session, org_id, account_ids, after=after, until=until)


async def sum_clearing_of(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    credit_ids: Collection[UUID],
    *,
    since: datetime,
    until: date,
) -> dict[UUID, int]:
    """Return {credit: its clearing} of some credits of an account, up to a day.

    Args:
        since: when the first of them was received.
    """
    return await queries_items.sum_of_items(
        session, org_id, account_id, credit_ids, since=since, until=until
    )
