"""The hand-over report of a shift ("bàn giao ca"): for the next attendant and the manager."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.collections.queries import sum_of_shift
from parking.collections.rules import CollectionRail
from parking.shifts import queries, queries_views
from parking.shifts.rules import ShiftFacts

CLOCKS_DIFFER: Final = timedelta(days=2)  # ids of devices with wrong clocks; see sessions/rules


@dataclass(frozen=True, kw_only=True, slots=True)
class RailTotal:
    """What came in by one rail."""

    count: int
    amount_vnd: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftReport:
    """What happened in a shift. While it is open the cash is not told: the count is blind."""

    shift: ShiftFacts
    entered: int
    without_photo: int  # of them, where the lot requires one
    left: int
    inside: dict[str, int]  # by class, now
    due_vnd: int  # the prices of those who left
    # Collections of the shift, and what the bills of those who left were paid; cash only once it is
    # closed.
    by_rail: dict[str, RailTotal]
    on_behalf_vnd: int
    deposited_vnd: int  # of that, what the deposit bills have cleared
    unconfirmed: RailTotal  # let out on a transfer that no bank had confirmed; what is still owed
    arrears: RailTotal  # left without paying; what is still owed
    manual_opens: int  # barriers: at an exit, by a command with a reason, without network
    reversed: RailTotal


async def read_report(session: AsyncSession, org_id: UUID, shift_id: UUID) -> ShiftReport:
    """Return a shift's report.

    Raises:
        ShiftNotFound
    """
    shift = await queries.get_shift(session, org_id, shift_id)
    of_shift = (session, org_id, shift.lot_id, shift_id)
    left = await queries_views.sum_left(*of_shift, since=shift.opened_at)
    by_rail = {
        rail: RailTotal(count=count, amount_vnd=amount_vnd)
        for rail, (count, amount_vnd) in (
            *(await sum_of_shift(session, org_id, shift_id)).items(),
            *(await queries_views.sum_billed(*of_shift, since=shift.opened_at)).items(),
        )
    }
    on_behalf = by_rail.get(CollectionRail.FLOAT)
    if shift.closed_at is None:
        by_rail.pop(CollectionRail.CASH, None)
    reversed_count, reversed_vnd = await queries_views.sum_reversed(session, org_id, shift_id)
    entered, without_photo = await queries_views.count_entered(
        *of_shift, since=shift.opened_at - CLOCKS_DIFFER
    )
    opened_by_hand = await count_opened_by_hand(session, org_id, {shift_id: shift.opened_at})
    return ShiftReport(
        shift=shift,
        entered=entered,
        without_photo=without_photo,
        left=sum(count for count, *_ in left.values()),
        inside=await queries_views.list_inside(session, org_id, shift.lot_id),
        due_vnd=sum(price_vnd for _, price_vnd, _ in left.values()),
        by_rail=by_rail,
        on_behalf_vnd=0 if on_behalf is None else on_behalf.amount_vnd,
        deposited_vnd=await queries_views.sum_deposited(session, org_id, shift_id),
        unconfirmed=_owed(left, "unconfirmed"),
        arrears=_owed(left, "arrears"),
        manual_opens=opened_by_hand[shift_id],
        reversed=RailTotal(count=reversed_count, amount_vnd=reversed_vnd),
    )


async def count_opened_by_hand(
    session: AsyncSession, org_id: UUID, shifts: Mapping[UUID, datetime]
) -> dict[UUID, int]:
    """Return how many barriers were opened by hand in each shift, given when it was opened."""
    if not shifts:
        return {}
    since = min(shifts.values()) - CLOCKS_DIFFER
    return await queries_views.count_opened_by_hand(session, org_id, shifts, since=since)


def _owed(left: dict[str, tuple[int, int, int]], reason: str) -> RailTotal:
    count, _, owed_vnd = left.get(reason, (0, 0, 0))
    return RailTotal(count=count, amount_vnd=owed_vnd)
