"""Breaks of lines and credits without their other side: opened once, closed by what explains it."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds, hanoi_day
from core.reasons import Reason
from payments.breaks.queries import close_breaks_of, insert_breaks_once
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.reconciliation import queries_aging as queries
from payments.reconciliation.rules import BOOKED_AFTER
from payments.reconciliation.types import NewProof

# A callback comes within seconds, a poll or a replay within the day.
LINE_DEADLINE: Final = timedelta(days=1)
LINES_MAX: Final = 500  # asked about in one run; the rest follows in the next
CREDITS_MAX: Final = 1_000  # of one day in one run; the rest follows
# A credit's row can become visible so long after the instant that it bears.
OVERLAP: Final = timedelta(minutes=10)
EXPLAINED: Final = "explained_by_line"  # how such a break closes (reasons.toml)
KINDS: Final = (BreakKind.LINE_WITHOUT_CREDIT, BreakKind.CREDIT_WITHOUT_LINE)


async def ask(session: AsyncSession, org_id: UUID, account_id: UUID, *, now: datetime) -> int:
    """Open breaks for lines past the deadline and for credits that no line can be any more.

    The caller has locked the account.

    Returns:
        How many.
    """
    lines = await queries.ask_about_lines(
        session,
        org_id,
        account_id,
        booked_until=hanoi_day(now) - LINE_DEADLINE,
        limit=LINES_MAX,
        now=now,
    )
    breaks = [
        NewBreak(
            kind=BreakKind.LINE_WITHOUT_CREDIT,
            subject_id=line_id,
            amount_vnd=open_vnd,
            reason=Reason(
                BreakReason.NO_CALLBACK_OF_LINE,
                {"booked_on": booked_on.isoformat(), "amount_vnd": open_vnd},
            ),
        )
        for line_id, booked_on, open_vnd in lines
    ]
    if breaks:
        await insert_breaks_once(session, org_id, breaks, now=now)
    of_days = await _ask_about_days(session, org_id, account_id, now=now)
    late = await _ask_about_late(session, org_id, account_id, now=now)
    return len(breaks) + of_days + late


async def ask_again(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    credit_ids: Collection[UUID],
    *,
    now: datetime,
) -> None:
    """Open breaks for credits that have lost their line, of days that were asked about."""
    if credit_ids:
        found = await queries.list_again_without_line(session, org_id, account_id, credit_ids)
        await _open(session, org_id, found, now=now)


async def _ask_about_days(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, now: datetime
) -> int:
    days = await queries.list_due_days(session, org_id, account_id, window_days=BOOKED_AFTER.days)
    count, whole = 0, []
    for day in days:
        since, until = day_bounds(day)
        found = await queries.list_credits_without_line(
            session, org_id, account_id, since=since, until=until, limit=CREDITS_MAX
        )
        await _open(session, org_id, found, now=now)
        count += len(found)
        if len(found) < CREDITS_MAX:  # else the next run asks about the rest
            whole.append(day)
    if whole:
        await queries.set_listed(session, org_id, account_id, whole, now=now)
    return count


async def _ask_about_late(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, now: datetime
) -> int:
    """Open breaks for what was received since the last run, of days that were asked about."""
    count = 0
    while True:  # what has a break is not found again
        found = await queries.list_late_without_line(
            session, org_id, account_id, overlap=OVERLAP, limit=CREDITS_MAX
        )
        await _open(session, org_id, found, now=now)
        count += len(found)
        if len(found) < CREDITS_MAX:
            return count


async def _open(
    session: AsyncSession,
    org_id: UUID,
    found: Sequence[tuple[UUID, int, date]],
    *,
    now: datetime,
) -> None:
    breaks = [
        NewBreak(
            kind=BreakKind.CREDIT_WITHOUT_LINE,
            subject_id=credit_id,
            credit_id=credit_id,
            amount_vnd=amount_vnd,
            reason=Reason(
                BreakReason.NOT_ON_STATEMENT, {"day": day.isoformat(), "amount_vnd": amount_vnd}
            ),
        )
        for credit_id, amount_vnd, day in found
    ]
    if breaks:
        await insert_breaks_once(session, org_id, breaks, now=now)


async def close_answered(
    session: AsyncSession, org_id: UUID, proofs: Iterable[NewProof], *, now: datetime
) -> None:
    """Close the breaks of lines and credits that are explained now."""
    subjects = {id_ for one in proofs for id_ in (one.line_id, one.credit_id) if id_ is not None}
    resolutions = dict.fromkeys(subjects, EXPLAINED)
    await close_breaks_of(session, org_id, resolutions, kinds=KINDS, now=now)
