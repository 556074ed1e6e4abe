"""A lot's day for its dashboard: who is inside, in and out by the hour, takings, alarms, shifts."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds, hanoi_day
from parking.overview import queries_day
from parking.places.queries import list_occupancy
from parking.places.rules import Occupied
from parking.shifts.views import count_opened_by_hand
from parking.ticket_books.queries import list_strays

LONG_INSIDE: Final = timedelta(hours=24)
ALARMS_MAX: Final = 50  # of a kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What a rail brought."""

    rail: str
    count: int
    amount_vnd: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Alarm:
    """Something that a manager looks at."""

    kind: str  # over_licence, watched, plate_differed, stray_ticket, never_left
    at: datetime | None
    session_id: UUID | None
    vehicle_class: str | None
    words: str  # a watched plate's reason, as a person wrote it; a printed ticket


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftRow:
    """A shift of the lot."""

    id: UUID
    staff_name: str
    opened_at: datetime
    closed_at: datetime | None
    counted_vnd: int | None
    expected_vnd: int | None

    @property
    def variance_vnd(self) -> int | None:
        """What the count found more, or below zero less; None while it runs."""
        if self.counted_vnd is None or self.expected_vnd is None:
            return None
        return self.counted_vnd - self.expected_vnd


@dataclass(frozen=True, kw_only=True, slots=True)
class LotDay:
    """A lot at an instant, and one day of it."""

    occupied: tuple[Occupied, ...]
    hours: tuple[tuple[int, int], ...]  # (in, out) from midnight on
    taken: tuple[Taken, ...]
    unpaid_vnd: int  # of vehicles that left
    alarms: tuple[Alarm, ...]
    shifts: tuple[ShiftRow, ...]
    opened_by_hand: Mapping[UUID, int]  # barriers, in each of these shifts


@dataclass(frozen=True, kw_only=True, slots=True)
class PosterSale:
    """A payment by a lot's poster, and the shift that ran then."""

    collected_at: datetime
    amount_vnd: int
    is_reversed: bool
    staff_name: str | None  # None: no shift ran
    shift_opened_at: datetime | None


async def read_day(
    session: AsyncSession, org_id: UUID, lot_id: UUID, day: date, *, now: datetime
) -> LotDay:
    """Read a lot's day. Takings by bills are those of vehicles that left on this day."""
    since, until = day_bounds(day)
    came = await queries_day.count_in(session, org_id, lot_id, since=since, until=until)
    left = await queries_day.count_out(session, org_id, lot_id, since=since, until=until)
    gone = {row[0]: row[1] for row in left}
    collected = await queries_day.sum_by_rail(session, org_id, lot_id, since=since, until=until)
    billed = await queries_day.sum_billed(session, org_id, lot_id, since=since, until=until)
    occupied = tuple((await list_occupancy(session, org_id, [lot_id]))[lot_id])
    rows = await queries_day.list_shifts(session, org_id, lot_id)
    shifts = tuple(_read_shift(row) for row in rows if row[3] is None or row[3] >= since)
    return LotDay(
        occupied=occupied,
        hours=tuple((came.get(hour, 0), gone.get(hour, 0)) for hour in range(24)),
        taken=_by_rail(billed, collected),
        unpaid_vnd=sum(row[2] for row in left),
        alarms=await _read_alarms(session, org_id, lot_id, occupied, since, until, now=now),
        shifts=shifts,
        opened_by_hand=await count_opened_by_hand(
            session, org_id, {one.id: one.opened_at for one in shifts}
        ),
    )


def _by_rail(*sums: Mapping[str, tuple[int, int]]) -> tuple[Taken, ...]:
    """Add up what came by each rail, by bills or without."""
    rails = sorted({rail for one in sums for rail in one})
    both = {rail: [one[rail] for one in sums if rail in one] for rail in rails}
    return tuple(
        Taken(
            rail=rail,
            count=sum(count for count, _ in pairs),
            amount_vnd=sum(amount_vnd for _, amount_vnd in pairs),
        )
        for rail, pairs in both.items()
    )


async def list_open_shifts(session: AsyncSession, org_id: UUID, lot_id: UUID) -> list[ShiftRow]:
    """List the shifts that run at a lot, newest first (at most 100)."""
    rows = await queries_day.list_open_shifts(session, org_id, lot_id)
    return [_read_shift(row) for row in rows]


async def list_poster_sales(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, since: datetime
) -> list[PosterSale]:
    """List what a lot's poster brought since an instant, newest first (at most 50)."""
    names = tuple(field.name for field in fields(PosterSale))
    rows = await queries_day.list_poster_sales(session, org_id, lot_id, since=since)
    return [PosterSale(**dict(zip(names, row, strict=True))) for row in rows]


async def _read_alarms(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    occupied: tuple[Occupied, ...],
    since: datetime,
    until: datetime,
    *,
    now: datetime,
) -> tuple[Alarm, ...]:
    today = hanoi_day(now)
    watched = await queries_day.list_watched(session, org_id, lot_id, today=today)
    long_inside = await queries_day.list_long_inside(
        session, org_id, lot_id, before=now - LONG_INSIDE
    )
    differed = await queries_day.list_differed(session, org_id, lot_id, since=since, until=until)
    strays = await list_strays(session, org_id, lot_id, since=since, until=until, limit=ALARMS_MAX)
    found = [
        _alarm("over_licence", vehicle_class=one.vehicle_class.value)
        for one in occupied
        if one.is_over_licence
    ]
    found += [_alarm("watched", at=row[1], session_id=row[0], words=row[2]) for row in watched]
    found += [_alarm("plate_differed", at=row[1], session_id=row[0]) for row in differed]
    found += [_alarm("stray_ticket", at=row[1], session_id=row[0], words=row[2]) for row in strays]
    found += [_alarm("never_left", at=row[1], session_id=row[0]) for row in long_inside]
    return tuple(found)


def _read_shift(row: tuple[Any, ...]) -> ShiftRow:
    return ShiftRow(
        id=row[0],
        staff_name=row[1],
        opened_at=row[2],
        closed_at=row[3],
        counted_vnd=row[4],
        expected_vnd=row[5],
    )


def _alarm(
    kind: str,
    *,
    at: datetime | None = None,
    session_id: UUID | None = None,
    vehicle_class: str | None = None,
    words: str = "",
) -> Alarm:
    return Alarm(kind=kind, at=at, session_id=session_id, vehicle_class=vehicle_class, words=words)
