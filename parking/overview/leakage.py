"""Leakage: where a lot's stays of a day lack a photo, a payment or a ticket."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds
from parking.overview import queries_leakage
from parking.ticket_books.queries import find_books, list_strays
from parking.ticket_books.views import report_on

STRAYS_MAX: Final = 1_000
UNCONFIRMED: Final = "unconfirmed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """Vehicles that left for one reason."""

    reason: str
    count: int
    without_photo: int
    price_vnd: int
    paid_vnd: int
    waived_vnd: int
    unpaid: int  # vehicles that still owe
    unpaid_vnd: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Leakage:
    """A lot's day: its stays against their photos, their payments and their tickets."""

    entered: int
    entered_without_photo: int
    entered_on_same_photo: int  # beyond the first vehicle that came in on it that day
    left: tuple[Left, ...]  # by the reason
    missing_tickets: int  # of books that were given out that day
    stray_tickets: int  # used though no book had them that was out
    opened_by_hand: int  # barriers, by a command with a reason or without network
    corrected: int  # plates and classes typed anew, of stays that began that day
    undone: int  # cash that was taken that day and taken back
    undone_vnd: int

    @property
    def never_matched(self) -> Left | None:
        """Who left on a transfer that no bank has confirmed."""
        return next((one for one in self.left if one.reason == UNCONFIRMED), None)

    @property
    def unpaid_vnd(self) -> int:
        """What those who left still owe."""
        return sum(one.unpaid_vnd for one in self.left)


async def read_leakage(
    session: AsyncSession, org_id: UUID, lot_id: UUID, day: date, *, now: datetime
) -> Leakage:
    """Read the figures of a lot's day, as they are known now."""
    since, until = day_bounds(day)
    rows = await queries_leakage.read_figures(session, org_id, lot_id, since=since, until=until)
    ((entered, without_photo, same_photo),) = rows["in"]
    ((undone, undone_vnd),) = rows["undone"]
    books = await find_books(session, org_id, [row[0] for row in rows["books"]])
    reports = await report_on(session, org_id, lot_id, books, now=now)
    strays = await list_strays(session, org_id, lot_id, since=since, until=until, limit=STRAYS_MAX)
    return Leakage(
        entered=entered,
        entered_without_photo=without_photo,
        entered_on_same_photo=same_photo,
        left=tuple(
            Left(
                reason=row[0] or "",
                count=row[1],
                without_photo=row[2],
                price_vnd=row[3],
                paid_vnd=row[4],
                waived_vnd=row[5],
                unpaid=row[6],
                unpaid_vnd=row[7],
            )
            for row in rows["out"]
        ),
        missing_tickets=sum(one.missing_count for one in reports),
        stray_tickets=len(strays),
        opened_by_hand=rows["by_hand"][0][0],
        corrected=rows["corrected"][0][0],
        undone=undone,
        undone_vnd=undone_vnd,
    )
