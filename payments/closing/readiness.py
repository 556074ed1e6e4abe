"""The checklist of a day: what keeps it open, for the organisation and for each account."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds, hanoi_day
from core.reasons import Reason
from payments.closing import queries
from payments.closing.rules import (
    AccountFacts,
    NotReady,
    Over,
    OwnedDay,
    Proof,
    Told,
    list_reasons,
)
from payments.ledger import books
from payments.ledger.rules import AccountCode

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Checklist:
    """Whether a day can be closed, and why not."""

    day: date
    accounts: tuple[AccountFacts, ...]  # by id
    reasons: tuple[Reason, ...]  # of the organisation as a whole
    told: tuple[Reason, ...]  # what keeps nothing open

    @property
    def not_ready(self) -> dict[UUID, list[Reason]]:
        """Accounts that keep the day open: not ready, and not closed over by two people."""
        found = {one.id: list_reasons(one) for one in self.accounts if not one.is_over}
        return {id_: reasons for id_, reasons in found.items() if reasons}

    @property
    def is_ready(self) -> bool:
        """Whether nothing keeps the day open."""
        return not self.reasons and not self.not_ready


async def read_checklist(
    session: AsyncSession,
    org_id: UUID,
    day: date,
    *,
    closed: date | None,
    moved: Collection[UUID] = (),
    is_next: bool,
    balances: Mapping[AccountCode, Mapping[UUID, int]] | None = None,
    poll_every_s: int,
    now: datetime,
) -> Checklist:
    """Read the checklist of an open day.

    Args:
        closed: the last closed day.
        moved: accounts whose clearing moved in the day, where the caller knows them.
        is_next: no other day is to be closed before this one; only then balances are compared.
        balances: {code: {account: credits minus debits}} at the day's end, where they are known.
        poll_every_s: how often accounts are polled that have no interval of their own; 0: never.
    """
    starts_at, ends_at = day_bounds(day)
    since = None if closed is None else day_bounds(closed + ONE_DAY)[0]
    rows = await queries.list_accounts(session, org_id, day, ends_at=ends_at, moved=moved)
    polls = await queries.list_polls(session, org_id, ends_at=ends_at, every_s=poll_every_s)
    breaks = await queries.list_breaks(session, org_id, starts_at=since, ends_at=ends_at)
    if balances is None and is_next and closed is not None:
        ids = [one.id for one in rows]
        codes = (AccountCode.BANK, AccountCode.BANK_CLEARING)
        balances = await books.read_balances(session, org_id, codes, ids, closed=closed, until=day)
    accounts = tuple(
        _gather(one, polls.get(one.id, (0, None)), breaks.get(one.id, {}), balances) for one in rows
    )
    reasons = []
    if day >= hanoi_day(now):
        reasons.append(Reason(NotReady.DAY_NOT_OVER))
    if not is_next:
        first = starts_at if closed is None else day_bounds(closed + ONE_DAY)[0]
        reasons.append(Reason(NotReady.EARLIER_DAY_OPEN, {"day": hanoi_day(first).isoformat()}))
    unhandled, waiting = await queries.count_notices(session, org_id, ends_at=ends_at)
    if unhandled:
        reasons.append(Reason(NotReady.NOTICES_UNHANDLED, {"count": unhandled}))
    if unplanned := await queries.count_unplanned(session, ends_at=ends_at):
        reasons.append(Reason(NotReady.OUTAGE_NOT_PLANNED, {"count": unplanned}))
    told = {
        Told.SHIFTS_OPEN: await queries.count_open_shifts(session, org_id, ends_at=ends_at),
        Told.NOTICES_WAIT_FOR_ACCOUNT: waiting,
        Told.CLOSED_TWO_WAYS: sum(one.proof is Proof.CALLBACKS_ONLY for one in accounts),
    }
    return Checklist(
        day=day,
        accounts=accounts,
        reasons=tuple(reasons),
        told=tuple(Reason(code, {"count": count}) for code, count in told.items() if count),
    )


def _gather(
    row: queries.AccountRow,
    poll: tuple[int, datetime | None],
    breaks: Mapping[str, int],
    balances: Mapping[AccountCode, Mapping[UUID, int]] | None,
) -> AccountFacts:
    owned = None
    if row.in_vnd is not None and row.out_vnd is not None:
        owned = OwnedDay(row.in_vnd, row.out_vnd, row.closing_vnd, row.line_count or 0)
    over = None
    if row.by_1 is not None:
        over = Over(row.by_1, row.by_2, row.reason or "")
    bank_vnd = clearing_vnd = None
    if balances is not None:  # of the ledger: credits minus debits
        bank_vnd = -balances[AccountCode.BANK].get(row.id, 0)
        clearing_vnd = -balances[AccountCode.BANK_CLEARING].get(row.id, 0)
    return AccountFacts(
        id=row.id,
        bin=row.bin,
        account_number=row.account_number,
        holder_name=row.holder_name,
        proof=Proof(row.proof),
        statement=owned,
        is_being_written=row.is_being_written,
        is_whole=row.is_whole,
        open_lines=row.open_lines,
        open_lines_vnd=row.open_lines_vnd,
        late_lines_vnd=row.late_lines_vnd,
        bank_vnd=bank_vnd,
        clearing_vnd=clearing_vnd,
        outage_windows=poll[0],
        polled_until=poll[1],
        breaks=breaks,
        over=over,
    )
