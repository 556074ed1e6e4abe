"""Two people's word that an account's day is to be closed though it is not proved."""

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.clock import hanoi_day
from core.masking import mask_tail
from core.reasons import Reason
from payments.breaks.queries import insert_breaks_once
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.closing import queries_opening as queries
from payments.closing.errors import DayNotOpen
from payments.closing.models import ClosedOverDay
from payments.ledger import books
from payments.ledger.errors import DayAhead


async def close_over(
    session: AsyncSession,
    org_id: UUID,
    day: date,
    account_id: UUID,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
) -> ClosedOverDay:
    """Say that a day of an account is to be closed over; the word of another person does it.

    The same person again changes nothing, and so does a third one. With the second one a
    `statement_gap` stands open until the account's statements are whole again. A day that is ready
    when it is closed is closed as ready.

    Raises:
        ReceivingAccountNotFound
        DayAhead: the day is not over. DayNotOpen: it is closed.
    """
    assert actor.id is not None
    account = await queries.get_account(session, org_id, account_id)
    if day >= (today := hanoi_day(now)):
        raise DayAhead(today)
    closed_through = await books.hold_books(session, org_id)
    if closed_through is not None and day <= closed_through:
        raise DayNotOpen(closed_through + timedelta(days=1))
    is_second = await queries.say_over(
        session, org_id, day, account_id, reason=reason, by=actor.id, now=now
    )
    if is_second:
        gap = make_gap(account_id, account.account_number, day)
        await insert_breaks_once(session, org_id, [gap], now=now)
    if is_second is not None:
        record_change(
            session,
            org_id=org_id,
            actor=actor,
            action="account_day.closed_over" if is_second else "account_day.close_over_proposed",
            object_kind="receiving_account",
            object_id=account_id,
            after={"day": day.isoformat()},
            reason=reason,
            now=now,
        )
    found = await queries.find_over(session, org_id, day, account_id)
    assert found is not None
    return found


def make_gap(account_id: UUID, account_number: str, day: date) -> NewBreak:
    """Make the item that stands open for an account of which a day is closed over."""
    facts = {"account": mask_tail(account_number), "day": day.isoformat()}
    return NewBreak(
        kind=BreakKind.STATEMENT_GAP,
        subject_id=account_id,
        reason=Reason(BreakReason.CLOSED_OVER, facts),
    )
