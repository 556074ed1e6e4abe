"""Read models of the books' days: the list of days, and the day board with each account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds, hanoi_day
from core.reasons import Reason
from payments.closing import queries_days, queries_views
from payments.closing.queries_views import CarriedView, Figures
from payments.closing.readiness import Checklist, read_checklist
from payments.closing.rules import (
    AccountFacts,
    ClosedBy,
    DayAccount,
    DayStatus,
    Over,
    Proof,
    list_reasons,
)
from payments.ledger import books
from payments.ledger.errors import DayAhead
from payments.ledger.types import ClosedDay

WHOLE_BP: Final = 10_000  # a progress of 100 %
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class DayLine:
    """A day of the books, in a list."""

    day: date
    status: DayStatus
    closed: ClosedDay | None
    is_two_way: bool | None  # an account of it was closed by callbacks only; None: not closed


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountDay:
    """An account on the day board. In đồng; balances are debits minus credits."""

    receiving_account_id: UUID
    bin: str
    account_number: str  # whole: whoever shows it masks it
    holder_name: str
    proof: Proof | ClosedBy  # of a closed day, what closed it
    figures: Figures
    opening_vnd: int | None  # of the statement, as the others up to closing_vnd
    in_vnd: int | None
    out_vnd: int | None
    closing_vnd: int | None
    bank_vnd: int | None  # None: not known before the days before it are closed
    late_lines_vnd: int
    carried_count: int | None  # None: as one sum, or not known yet
    carried_vnd: int | None
    breaks: int  # open today, about its credits of whatever day
    over: Over | None
    reasons: tuple[Reason, ...]  # what keeps the day open

    @property
    def is_two_way(self) -> bool:
        """Whether no statement proves it ("hai chiều")."""
        return self.proof.value == Proof.CALLBACKS_ONLY.value

    @property
    def matched_vnd(self) -> int:
        """What of the statement's lines is explained; two ways, what of the callbacks is."""
        return self.figures.applied_vnd if self.is_two_way else self.figures.explained_vnd

    @property
    def to_match_vnd(self) -> int:
        """All of the lines, or of the callbacks."""
        if self.is_two_way:
            return self.figures.called_back_vnd
        return self.figures.lines_in_vnd + self.figures.lines_out_vnd

    @property
    def progress_bp(self) -> int:
        """How much of it is matched, in basis points, rounded down; whole where there is nothing.

        An account whose statement is missing has none.
        """
        if not self.is_two_way and self.in_vnd is None:
            return 0
        return self.matched_vnd * WHOLE_BP // self.to_match_vnd if self.to_match_vnd else WHOLE_BP


@dataclass(frozen=True, kw_only=True, slots=True)
class DayBoard:
    """A day of the books with a page of its accounts."""

    day: date
    status: DayStatus
    closed: ClosedDay | None
    reasons: tuple[Reason, ...]  # of the organisation as a whole
    told: tuple[Reason, ...]
    account_count: int
    ready_count: int  # accounts that keep nothing open
    two_way_count: int
    carried_vnd: int | None  # of all accounts
    accounts: tuple[AccountDay, ...]  # by id


async def list_days(
    session: AsyncSession,
    org_id: UUID,
    *,
    before: date | None,
    limit: int,
    poll_every_s: int,
    now: datetime,
) -> list[DayLine]:
    """List days of the books, the last one first: open ones up to today, then closed ones.

    Args:
        before: days before this one; None: from today on.

    Raises:
        BooksNotFound
    """
    closed_through = await books.read_closed_through(session, org_id)
    first_open = await books.find_first_open_day(session, org_id, now=now)
    newest = hanoi_day(now) if before is None else min(hanoi_day(now), before - _ONE_DAY)
    lines: list[DayLine] = []
    day = newest
    while day >= first_open and len(lines) < limit:
        status = DayStatus.OPEN
        if day == first_open and day < hanoi_day(now):  # today is not over, whatever else
            found = await _read_open(
                session, org_id, day, closed_through, poll_every_s=poll_every_s, now=now
            )
            status = DayStatus.READY if found.is_ready else DayStatus.OPEN
        lines.append(DayLine(day=day, status=status, closed=None, is_two_way=None))
        day -= _ONE_DAY
    rest = limit - len(lines)
    if rest and closed_through is not None:
        closed = await books.list_closed_days(session, org_id, before=newest + _ONE_DAY, most=rest)
        two_way = await queries_views.find_two_way(session, org_id, [one.day for one in closed])
        lines += [
            DayLine(day=one.day, status=DayStatus.CLOSED, closed=one, is_two_way=two_way[one.day])
            for one in closed
        ]
    return lines


async def read_board(
    session: AsyncSession,
    org_id: UUID,
    day: date,
    *,
    after_id: UUID | None,
    limit: int,
    poll_every_s: int,
    now: datetime,
) -> DayBoard:
    """Read a day with the accounts after one, by id.

    Raises:
        BooksNotFound
        DayAhead: the day has not begun.
    """
    if day > (today := hanoi_day(now)):
        raise DayAhead(today)
    closed_through = await books.read_closed_through(session, org_id)
    if closed_through is not None and day <= closed_through:
        return await _read_closed_board(session, org_id, day, after_id=after_id, limit=limit)
    found = await _read_open(
        session, org_id, day, closed_through, poll_every_s=poll_every_s, now=now
    )
    page = [one for one in found.accounts if after_id is None or one.id > after_id][:limit]
    figures, breaks = await _read_figures(session, org_id, [one.id for one in page], day)
    known = [one.clearing_vnd for one in found.accounts if one.clearing_vnd is not None]
    return DayBoard(
        day=day,
        status=DayStatus.READY if found.is_ready else DayStatus.OPEN,
        closed=None,
        reasons=found.reasons,
        told=found.told,
        account_count=len(found.accounts),
        ready_count=len(found.accounts) - len(found.not_ready),
        two_way_count=sum(one.proof is Proof.CALLBACKS_ONLY for one in found.accounts),
        carried_vnd=sum(known) if len(known) == len(found.accounts) else None,
        accounts=tuple(_show_open(one, figures[one.id], breaks.get(one.id, 0)) for one in page),
    )


async def list_carried(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, after_id: UUID | None, limit: int
) -> Sequence[CarriedView]:
    """List what an account carries at the end of the last closed day, credit by credit."""
    return await queries_views.list_carried(
        session, org_id, account_id, after=after_id or UUID(int=0), most=limit
    )


async def _read_open(
    session: AsyncSession,
    org_id: UUID,
    day: date,
    closed_through: date | None,
    *,
    poll_every_s: int,
    now: datetime,
) -> Checklist:
    is_next = closed_through is None or day == closed_through + _ONE_DAY
    return await read_checklist(
        session,
        org_id,
        day,
        closed=closed_through,
        is_next=is_next,
        poll_every_s=poll_every_s,
        now=now,
    )


async def _read_closed_board(
    session: AsyncSession, org_id: UUID, day: date, *, after_id: UUID | None, limit: int
) -> DayBoard:
    closed = await books.find_closed_day(session, org_id, day)
    rows = await queries_days.list_day_accounts(session, org_id, day)
    page = [one for one in rows if after_id is None or one.receiving_account_id > after_id][:limit]
    ids = [one.receiving_account_id for one in page]
    figures, breaks = await _read_figures(session, org_id, ids, day)
    names = await queries_views.list_names(session, org_id, ids)
    return DayBoard(
        day=day,
        status=DayStatus.CLOSED,
        closed=closed,
        reasons=(),
        told=(),
        account_count=len(rows),
        ready_count=len(rows),
        two_way_count=sum(one.proof == ClosedBy.CALLBACKS_ONLY for one in rows),
        carried_vnd=sum(one.carried_vnd for one in rows),
        accounts=tuple(
            _show_closed(
                one,
                names[one.receiving_account_id],
                figures[one.receiving_account_id],
                breaks.get(one.receiving_account_id, 0),
            )
            for one in page
        ),
    )


async def _read_figures(
    session: AsyncSession, org_id: UUID, ids: Sequence[UUID], day: date
) -> tuple[dict[UUID, Figures], dict[UUID, int]]:
    if not ids:
        return {}, {}
    starts_at, ends_at = day_bounds(day)
    figures = await queries_views.list_figures(
        session, org_id, ids, day, starts_at=starts_at, ends_at=ends_at
    )
    return figures, await queries_views.count_breaks(session, org_id, ids)


def _show_open(one: AccountFacts, figures: Figures, breaks: int) -> AccountDay:
    owned = one.statement
    closing_vnd = None if owned is None else owned.closing_vnd
    return AccountDay(
        receiving_account_id=one.id,
        bin=one.bin,
        account_number=one.account_number,
        holder_name=one.holder_name,
        proof=one.proof,
        figures=figures,
        opening_vnd=(
            closing_vnd - owned.in_vnd + owned.out_vnd
            if owned is not None and closing_vnd is not None
            else None
        ),
        in_vnd=None if owned is None else owned.in_vnd,
        out_vnd=None if owned is None else owned.out_vnd,
        closing_vnd=closing_vnd,
        bank_vnd=one.bank_vnd,
        late_lines_vnd=one.late_lines_vnd,
        carried_count=None,
        carried_vnd=one.clearing_vnd,
        breaks=breaks,
        over=one.over,
        reasons=tuple(list_reasons(one)),
    )


def _show_closed(
    one: DayAccount, named: tuple[str, str, str], figures: Figures, breaks: int
) -> AccountDay:
    over = None
    if one.over_by_1 is not None:
        over = Over(one.over_by_1, one.over_by_2, "")
    return AccountDay(
        receiving_account_id=one.receiving_account_id,
        bin=named[0],
        account_number=named[1],
        holder_name=named[2],
        proof=ClosedBy(one.proof),
        figures=figures,
        opening_vnd=one.opening_vnd,
        in_vnd=one.in_vnd,
        out_vnd=one.out_vnd,
        closing_vnd=one.closing_vnd,
        bank_vnd=one.bank_vnd,
        late_lines_vnd=one.late_lines_vnd,
        carried_count=one.carried_count,
        carried_vnd=one.carried_vnd,
        breaks=breaks,
        over=over,
        reasons=(),
    )
