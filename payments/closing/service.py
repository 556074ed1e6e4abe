"""Closing a day of an organisation: each account by what proves it, with what it carries.

The ledger holds the lock and chains the hash (payments/ledger/closing.py); this adds the accounts
and the carried items, read in the same snapshot as the postings.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.db import Database
from core.tenancy import open_org_transaction
from payments.breaks.queries import close_breaks_of, insert_breaks_once
from payments.breaks.rules import BreakKind
from payments.breaks.types import NewBreak
from payments.closing import queries, queries_days
from payments.closing.errors import DayNotReady
from payments.closing.over import make_gap
from payments.closing.readiness import read_checklist
from payments.closing.rules import (
    Carrying,
    ClosedBy,
    DayAccount,
    Proof,
    carry,
    close_account,
)
from payments.ledger import books, closing
from payments.ledger.rules import AccountCode
from payments.ledger.types import ClosedDay, DayParts, DayRead, Section
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent

BALANCES = (AccountCode.BANK, AccountCode.BANK_CLEARING)
# How a gap was resolved.
RESOLVED_BY: Final = {
    ClosedBy.STATEMENT: "closed_by_statement",
    ClosedBy.CALLBACKS_ONLY: "closed_by_callbacks",
}

# Runs in the close's own transaction, once the day is written.
AfterClose = Callable[[AsyncSession, ClosedDay], Awaitable[None]]


async def close_day(
    database: Database,
    org_id: UUID,
    day: date,
    *,
    poll_every_s: int,
    actor: Actor,
    now: datetime,
    after: AfterClose | None = None,
) -> ClosedDay:
    """Close a day, in transactions of its own. It is never opened again.

    Args:
        database: of the hub's role.
        poll_every_s: how often accounts are polled that have no interval of their own; 0: never.
        after: what else belongs to the transaction that closes it, such as a request's key.

    Raises:
        DayNotReady: with what keeps it open.
        BooksNotFound, DayClosed, DayNotNext, DayAhead, EarlierReleasePosts, BooksBusy: see
            payments.ledger.closing.
    """
    closed = await closing.close_day(
        database,
        org_id,
        day,
        actor=actor,
        now=now,
        read_parts=partial(read_parts, poll_every_s=poll_every_s, after=after, now=now),
    )
    async with open_org_transaction(database, org_id) as session:
        await close_gaps(session, org_id, day, now=now)
    return closed


async def read_parts(
    session: AsyncSession,
    read: DayRead,
    *,
    poll_every_s: int,
    after: AfterClose | None,
    now: datetime,
) -> DayParts:
    """Read the accounts of a day and what they carry, where nothing keeps it open.

    Raises:
        DayNotReady
    """
    moved = {
        one.subject_id for one in read.checkpoints if one.code == AccountCode.BANK_CLEARING.value
    }
    checklist = await read_checklist(
        session,
        read.org_id,
        read.day,
        closed=read.previous_day,
        moved=moved,
        is_next=True,
        balances=await _read_balances(session, read),
        poll_every_s=poll_every_s,
        now=now,
    )
    if not checklist.is_ready:
        raise DayNotReady(read.day, checklist.reasons, checklist.not_ready)
    itemised = [one.id for one in checklist.accounts if one.proof is Proof.STATEMENT]
    carrying = carry(
        await queries_days.list_open_items(session, read.org_id),
        await books.sum_clearing_by_item(
            session, read.org_id, itemised, after=read.previous_day, until=read.day
        ),
        itemised=itemised,
        day=read.day,
    )
    rows = [close_account(one, carrying.left.get(one.id)) for one in checklist.accounts]
    mark = await queries.read_mark(session, read.org_id, read.day, itemised)

    async def still_holds(locked: AsyncSession) -> bool:
        return await queries.read_mark(locked, read.org_id, read.day, itemised) == mark

    numbers = {one.id: one.account_number for one in checklist.accounts}
    gaps = [
        make_gap(row.receiving_account_id, numbers[row.receiving_account_id], read.day)
        for row in rows
        if row.proof == ClosedBy.CLOSED_OVER
    ]
    added = _Added(
        org_id=read.org_id, rows=rows, carrying=carrying, gaps=gaps, after=after, now=now
    )
    return DayParts(
        sections=write_sections(rows, carrying.added, carrying.cleared),
        still_holds=still_holds,
        write=added.write,
    )


async def read_sections(session: AsyncSession, org_id: UUID, day: date) -> Sequence[Section]:
    """Read what the hash of a closed day covers of its accounts, as it is stored."""
    return write_sections(
        await queries_days.list_day_accounts(session, org_id, day),
        await queries_days.list_added(session, org_id, day),
        await queries_days.list_cleared(session, org_id, day),
    )


def write_sections(
    rows: Sequence[Sequence[object]],
    added: Sequence[Sequence[object]],
    cleared: Sequence[Sequence[object]],
) -> list[Section]:
    """Name what a day's hash covers: its accounts, what they carry from it on, and what it cleared.

    Args:
        rows: by account.
        added: by credit.
        cleared: by credit.
    """
    return [Section("accounts", rows), Section("carried", added), Section("cleared", cleared)]


async def close_gaps(session: AsyncSession, org_id: UUID, day: date, *, now: datetime) -> None:
    """Close the gaps of accounts whose day is proved again: by its statement, or by callbacks only.

    If it was not reached after a close, the next close does it.
    """
    proved = {
        row.receiving_account_id: RESOLVED_BY[ClosedBy(row.proof)]
        for row in await queries_days.list_day_accounts(session, org_id, day)
        if row.proof == ClosedBy.CALLBACKS_ONLY
        or (row.proof == ClosedBy.STATEMENT and row.closing_vnd is not None)
    }
    if proved:
        await close_breaks_of(
            session,
            org_id,
            proved,
            kinds=[BreakKind.STATEMENT_GAP],
            now=now,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Added:
    """What a close writes of accounts, in its own transaction."""

    org_id: UUID
    rows: Sequence[DayAccount]
    carrying: Carrying
    gaps: Sequence[NewBreak]  # of days that are closed over; one that is open already stays so
    after: AfterClose | None
    now: datetime

    async def write(self, session: AsyncSession, closed: ClosedDay) -> None:
        org_id, day = self.org_id, closed.day
        if self.rows:
            await queries_days.insert_accounts(session, org_id, day, self.rows)
        if self.carrying.cleared:
            await queries_days.clear_items(session, org_id, day, self.carrying.cleared)
        if self.carrying.added:
            await queries_days.insert_items(session, org_id, day, self.carrying.added)
        if self.gaps:
            await insert_breaks_once(session, org_id, self.gaps, now=self.now)
        await outbox.record(session, org_id, [self.to_event(closed)], now=self.now)
        if self.after is not None:
            await self.after(session, closed)

    def to_event(self, closed: ClosedDay) -> NewEvent:
        """Return what programs outside are told: sums, and how many accounts were closed how."""
        by = [row.proof for row in self.rows]
        data = {
            "day": closed.day.isoformat(),
            "hash": closed.hash.hex(),
            "postings": closed.postings,
            "carried_vnd": sum(row.carried_vnd for row in self.rows),
            **{f"{kind.value}_accounts": by.count(kind.value) for kind in ClosedBy},
        }
        return NewEvent(kind=EventKind.DAY_CLOSED, data=data)


async def _read_balances(
    session: AsyncSession, read: DayRead
) -> dict[AccountCode, dict[UUID, int]]:
    """Return the balances at the day's end: of accounts that moved in it, and as they stood."""
    if read.previous_day is None:  # the first close sums all that ever moved
        found: dict[AccountCode, dict[UUID, int]] = {code: {} for code in BALANCES}
    else:
        ids = await queries.list_account_ids(session, read.org_id)
        found = await books.read_balances(
            session, read.org_id, BALANCES, ids, closed=read.previous_day, until=read.previous_day
        )
    for one in read.checkpoints:
        if (code := AccountCode(one.code)) in found:
            found[code][one.subject_id] = one.balance_vnd
    return found
