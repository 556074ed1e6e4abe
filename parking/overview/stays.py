"""Parking sessions as managers read them: filtered lists, and one with its evidence."""

import re
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.exits.errors import ParkingSessionNotFound
from parking.exits.queries_joining import list_links
from parking.overview import queries
from parking.plates import PlateError, read_plate

NEAR_WITHIN: Final = timedelta(hours=12)
NEAR_MAX: Final = 12
_DIGITS: Final = re.compile(r"\d{2,5}")


@dataclass(frozen=True, kw_only=True, slots=True)
class StayRow:
    """A parking session in a list."""

    id: UUID
    lot_id: UUID
    lot_name: str
    vehicle_class: str
    plate: str | None  # compact
    ticket: str | None
    status: str
    entered_at: datetime
    left_at: datetime | None
    exit_reason: str | None
    price_vnd: int | None
    paid_vnd: int  # in money
    waived_vnd: int  # by exemptions at the gate
    arrears_vnd: int
    pass_id: UUID | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StayDetail(StayRow):
    """A parking session with the names of what it names."""

    entry_time_is: str
    way_in: str | None
    way_out: str | None
    entered_by: str | None
    let_out_by: str | None
    entry_photo: bytes | None
    exit_photo: bytes | None
    bill_id: UUID | None
    bill_paid_vnd: int
    paid_until: datetime | None
    tariff_version_id: UUID | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """One observation of a stay."""

    direction: str
    method: str
    plate: str | None
    read_text: str | None
    read_score_bps: int | None
    photo: bytes | None
    seen_at: datetime
    seen_by: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """What was collected for a stay without a bill."""

    rail: str
    amount_vnd: int
    receipt_number: str | None
    reason: str | None
    collected_at: datetime
    reversed_at: datetime | None
    collected_by: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StayBill:
    """A bill of a stay."""

    id: UUID
    reference: str
    status: str
    amount_vnd: int
    paid_vnd: int
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class StayEntry(StayRow):
    """A parking session with how it began."""

    entry_photo: bytes | None
    entered_by: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A stay that was joined into another, or parted from it."""

    kind: str
    kept_id: UUID
    other_id: UUID
    moved_vnd: int  # of what the other was paid: it counts for the kept one
    reason: str | None
    linked_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """A stay with everything that is known of it."""

    stay: StayDetail
    sightings: tuple[Sighting, ...]
    collections: tuple[Collected, ...]
    bills: tuple[StayBill, ...]
    links: tuple[Link, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StayFilter:
    """Which stays are listed; all that is given must hold."""

    since: datetime
    until: datetime
    lot_id: UUID | None = None
    vehicle_class: str | None = None
    status: str | None = None
    find: str = ""  # a plate, its last digits, or a ticket
    only_owing: bool = False

    def conditions(self) -> dict[str, Any]:
        """Return the conditions of the query with their values."""
        found: dict[str, Any] = {
            name: value
            for name in ("lot_id", "vehicle_class", "status")
            if (value := getattr(self, name)) is not None
        }
        if self.only_owing:
            found["owing"] = 0
        return found


async def list_stays(
    session: AsyncSession,
    org_id: UUID,
    wanted: StayFilter,
    *,
    before_id: UUID | None = None,
    limit: int,
) -> list[StayRow]:
    """List stays, newest first. What is searched for is a plate, else its end, else a ticket."""
    conditions = wanted.conditions()
    if before_id is not None:
        conditions["before_id"] = before_id
    rows: list[tuple[Any, ...]] = []
    for search in _searches(wanted.find):
        rows = await queries.list_stays(
            session,
            org_id,
            since=wanted.since,
            until=wanted.until,
            filters=conditions | search,
            limit=limit,
        )
        if rows:
            break
    return [StayRow(**dict(zip(_ROW, row, strict=True))) for row in rows]


async def read_evidence(session: AsyncSession, org_id: UUID, session_id: UUID) -> Evidence:
    """Return a stay with its sightings, collections and bills.

    Raises:
        ParkingSessionNotFound
    """
    row = await queries.find_stay(session, org_id, session_id)
    if row is None:
        raise ParkingSessionNotFound(session_id)
    return Evidence(
        stay=_make(StayDetail, row),
        sightings=tuple(
            _make(Sighting, one)
            for one in await queries.list_sightings(session, org_id, session_id)
        ),
        collections=tuple(
            _make(Collected, one)
            for one in await queries.list_collections(session, org_id, session_id)
        ),
        bills=tuple(
            _make(StayBill, one) for one in await queries.list_bills(session, org_id, session_id)
        ),
        links=tuple(_make(Link, one) for one in await list_links(session, org_id, session_id)),
    )


async def list_reviews(
    session: AsyncSession,
    org_id: UUID,
    *,
    lot_id: UUID | None = None,
    after_id: UUID | None = None,
    limit: int,
) -> list[StayEntry]:
    """List the stays that a person is to decide about, oldest first."""
    rows = await queries.list_reviews(
        session, org_id, lot_id=lot_id, after_id=after_id, limit=limit
    )
    return [_make(StayEntry, row) for row in rows]


async def list_near(session: AsyncSession, org_id: UUID, stay: StayRow) -> list[StayEntry]:
    """List who came in at a stay's lot around the same time and is inside still, nearest first."""
    rows = await queries.list_near(
        session,
        org_id,
        id_=stay.id,
        lot_id=stay.lot_id,
        vehicle_class=stay.vehicle_class,
        entered_at=stay.entered_at,
        within=NEAR_WITHIN,
        limit=NEAR_MAX,
    )
    found = [_make(StayEntry, row) for row in rows]
    return sorted(found, key=lambda one: abs(one.entered_at - stay.entered_at))[:NEAR_MAX]


def _searches(find: str) -> list[dict[str, Any]]:
    find = find.strip()
    if not find:
        return [{}]
    if _DIGITS.fullmatch(find):
        return [{"tail": find}, {"ticket": find}]
    try:
        plate = read_plate(find).compact
    except PlateError:
        return [{"ticket": find}]
    return [{"plate": plate}, {"ticket": find}]


_ROW: Final = tuple(field.name for field in fields(StayRow))


def _make(kind: Any, row: tuple[Any, ...]) -> Any:
    return kind(**dict(zip((field.name for field in fields(kind)), row, strict=True)))
