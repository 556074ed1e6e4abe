"""Read models of lots: how full they are, who is inside, and whether partitions are in order."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.plates import find_look_alikes, last_digits, read_plate
from parking.plates.errors import PlateError
from parking.sessions import queries_views as queries
from parking.sessions.partitions import (
    WARN_UNDER,
    PartitionWarning,
    ready_until,
)
from parking.sessions.queries_partitions import list_partitions
from parking.sessions.rules import TAIL_CHARS, TICKET_CHARS_MAX, name_vehicle
from parking.vehicles import VehicleClass

SHOWN_MAX: Final = 50
DIGITS_MAX: Final = 4
COMPARED_MAX: Final = 20_000  # plates inside one lot that are looked through for look-alikes


class FoundBy(StrEnum):
    """How a search found a vehicle: the surest first."""

    EXACT = "exact"
    LOOK_ALIKE = "look_alike"  # a person compares the photo
    LAST_DIGITS = "last_digits"
    LISTED = "listed"  # nothing was searched for


@dataclass(frozen=True, kw_only=True, slots=True)
class VehicleInside:
    """A stay that is not over."""

    session_id: UUID
    vehicle_class: str
    plate: str | None
    ticket: str | None
    entered_at: datetime
    entry_photo: bytes | None
    pass_id: UUID | None
    pass_until: date | None  # its last day
    settled_vnd: int  # paid, or waived
    paid_until: datetime | None  # grace to leave after paying
    is_ticket_lost: bool
    found_by: FoundBy


async def list_warnings(session: AsyncSession, *, now: datetime) -> list[PartitionWarning]:
    """Say what is wrong with the partitions; nothing is lost meanwhile."""
    partitions, written = await list_partitions(session)
    ends_at = min(ready_until(of_table, now=now) for of_table in partitions.values())
    warnings = []
    if ends_at < now + WARN_UNDER:
        warnings.append(PartitionWarning.END_SOON)
    if written:
        warnings.append(PartitionWarning.ROWS_WITHOUT)
    return warnings


async def search_inside(
    session: AsyncSession, org_id: UUID, lot_id: UUID, wanted: str | None
) -> list[VehicleInside]:
    """Find who is inside a lot: by plate or ticket, then by look-alikes, or by last digits.

    Args:
        wanted: as it was typed or read; up to four digits are the last ones of a plate. None:
            the newest.
    """
    found: dict[UUID, FoundBy] = {}
    text = (wanted or "").strip()
    if not text:
        newest = await queries.list_newest(session, org_id, lot_id, limit=SHOWN_MAX)
        found = dict.fromkeys(newest, FoundBy.LISTED)
    elif text.isdecimal() and text.isascii() and len(text) <= DIGITS_MAX:
        found = await _search_digits(session, org_id, lot_id, text)
    else:
        found = await _search_plate(session, org_id, lot_id, text)
    rows = await queries.list_stays(session, org_id, list(found)[:SHOWN_MAX])
    order = {session_id: at for at, session_id in enumerate(found)}
    stays = [
        VehicleInside(
            session_id=row[0],
            vehicle_class=row[1],
            plate=row[2],
            ticket=row[3],
            entered_at=row[4],
            entry_photo=row[5],
            pass_id=row[6],
            pass_until=row[7],
            settled_vnd=row[8],
            paid_until=row[9],
            is_ticket_lost=row[10],
            found_by=found[row[0]],
        )
        for row in rows
    ]
    return sorted(stays, key=lambda stay: order[stay.session_id])


async def _search_digits(
    session: AsyncSession, org_id: UUID, lot_id: UUID, digits: str
) -> dict[UUID, FoundBy]:
    exact = await queries.find_by_credential(session, org_id, lot_id, [digits])
    found = dict.fromkeys(exact, FoundBy.EXACT)
    if len(digits) < TAIL_CHARS:
        return found
    rows = await queries.find_by_tail(session, org_id, lot_id, digits[-TAIL_CHARS:])
    for session_id, credential in rows:
        if last_digits(credential.partition(":")[2], len(digits)) == digits:
            found.setdefault(session_id, FoundBy.LAST_DIGITS)
    return found


async def _search_plate(
    session: AsyncSession, org_id: UUID, lot_id: UUID, text: str
) -> dict[UUID, FoundBy]:
    try:
        compact = read_plate(text).compact
    except PlateError:
        return {}
    names = [name_vehicle(one.value, compact) for one in VehicleClass]
    exact = await queries.find_by_credential(
        session, org_id, lot_id, [*names, text.upper()[:TICKET_CHARS_MAX]]
    )
    found = dict.fromkeys(exact, FoundBy.EXACT)
    if found:
        return found
    inside: dict[str, list[UUID]] = {}
    rows = await queries.list_plates(session, org_id, lot_id, limit=COMPARED_MAX)
    for session_id, credential in rows:
        inside.setdefault(credential.partition(":")[2], []).append(session_id)
    for alike in find_look_alikes(compact, inside):
        for session_id in inside[alike.compact]:
            found.setdefault(session_id, FoundBy.LOOK_ALIKE)
    return found
