"""Read models of statements: what keeps one from being accepted, before anybody tries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.statements import queries, queries_days
from payments.statements.rules import (
    DayPair,
    StatementFacts,
    balances_of,
    close_days,
    find_break,
    goes_on,
    list_days,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Conflicts:
    """What a staged statement and those that were accepted say differently, by sums of days."""

    # (day, đồng) of this statement and of what was accepted; None: they chain.
    broken: tuple[tuple[date, int], tuple[date, int]] | None = None
    pairs: Sequence[DayPair] = ()  # days that another statement owns
    is_continued: bool = False  # the day begins in another file and goes on in this one
    is_being_written: bool = False  # another statement of the account

    @property
    def days_apart(self) -> list[DayPair]:
        """The days of which the two do not say the same."""
        return [] if self.is_continued else [one for one in self.pairs if not one.is_alike]


async def find_conflicts(
    session: AsyncSession, org_id: UUID, statement: StatementFacts
) -> Conflicts:
    """Say what accepting a staged statement would meet. Lines of equal days are compared then."""
    account_id, first, last = (
        statement.receiving_account_id,
        statement.period_from,
        statement.period_to,
    )
    if account_id is None or first is None or last is None:
        return Conflicts()
    pairs = await queries_days.compare_days(session, org_id, account_id, statement.id, first, last)
    near = await queries_days.list_owned_days(
        session, org_id, account_id, first - timedelta(days=1), last + timedelta(days=1)
    )
    newest = await queries_days.find_newest_day(session, org_id, account_id)
    owned = [one for one in near if first <= one.day <= last]
    is_continued = goes_on(owned, newest=newest, first=first, opening_vnd=statement.opening_vnd)
    moved_vnd = await queries_days.list_sums(session, org_id, statement.id)
    rows = close_days(list_days(first, last), moved_vnd, statement.opening_vnd)
    return Conflicts(
        broken=None if is_continued else find_break(balances_of(rows), near),
        pairs=pairs,
        is_continued=is_continued,
        is_being_written=await queries.is_being_written(session, org_id, account_id),
    )
