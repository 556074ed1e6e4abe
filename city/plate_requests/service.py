"""A person's request for what is held about their vehicle, or for its erasure.

Figures stay: times, prices and what was paid. Plates and photos of a stay are kept while it may
still be argued about: until it has ended, owes nothing, and 30 days have passed (our choice; a
shorter time would take the evidence from who complains). So do those of complaints, openings by
hand, passes and the watch list, for 30 days after they are over. A stay of which the plate was once
read and that a person corrected is another vehicle's: it keeps that vehicle's plate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from city.plate_requests import queries
from city.plate_requests.tables import list_readings, spell_plate
from core.audit import Actor, record_change
from core.clock import hanoi_day
from core.errors import InvalidRequest, Violation
from parking.plates import PlateError, mask_plate, read_plate
from parking.vehicles import VehicleClass

EVIDENCE_KEPT_FOR: Final = timedelta(days=30)
STAYS_MAX: Final = 500


class KeptFor(StrEnum):
    """Why a stay keeps its plate; None: it may be erased."""

    INSIDE = "inside"
    ARREARS = "arrears"
    EVIDENCE = "evidence"


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldStay:
    """A stay of the vehicle."""

    id: UUID
    lot_name: str
    vehicle_class: str
    entered_at: datetime
    left_at: datetime | None
    price_vnd: int | None
    paid_vnd: int
    photos: int
    is_own: bool  # False: the plate was read, and corrected to another vehicle's
    kept_for: KeptFor | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What is held about a vehicle."""

    plate: str  # compact
    stays: tuple[HeldStay, ...]
    rows: Mapping[str, tuple[int, int]]  # table → how many rows, and how many may be erased
    is_cut: bool  # there are more stays than are listed

    @property
    def erasable(self) -> int:
        """How many rows may be erased, stays among them."""
        return sum(erasable for _, erasable in self.rows.values())


async def read_held(
    session: AsyncSession,
    org_id: UUID,
    plate_text: str,
    vehicle_class: VehicleClass | None,
    *,
    proof: str,
    actor: Actor,
    now: datetime,
) -> Held:
    """List what is held about a plate, for who has shown that it is theirs; audited.

    Raises:
        InvalidRequest: it is no plate.
    """
    held, _ = await _find(session, org_id, plate_text, vehicle_class, now=now)
    counts = {table: count for table, (count, _) in held.rows.items()}
    _record(session, org_id, "plate_data.read", held.plate, counts, proof, actor, now)
    return held


async def find_photos(
    session: AsyncSession,
    org_id: UUID,
    plate_text: str,
    vehicle_class: VehicleClass | None,
    *,
    now: datetime,
) -> list[bytes]:
    """Return the photos of what can be erased of a plate.

    Raises:
        InvalidRequest: it is no plate.
    """
    _, values = await _find(session, org_id, plate_text, vehicle_class, now=now)
    return await queries.list_photos(session, org_id, values)


async def erase_plate(
    session: AsyncSession,
    org_id: UUID,
    plate_text: str,
    vehicle_class: VehicleClass | None,
    *,
    photos: Sequence[bytes],
    proof: str,
    actor: Actor,
    now: datetime,
) -> int:
    """Take a plate out of every table that may let it go; return of how many stays; audited.

    What began to owe something meanwhile stays as it is.

    Args:
        photos: what `find_photos` said, whose files were erased before.

    Raises:
        InvalidRequest: it is no plate.
    """
    held, values = await _find(session, org_id, plate_text, vehicle_class, now=now)
    before = now - EVIDENCE_KEPT_FOR
    await queries.erase(session, org_id, "movements", values)  # locked before stays
    ended = [*values["erased_ids"], *values["read_ids"]]
    locked = set(await queries.lock_ended(session, org_id, ended, before=before))
    values["erased_ids"] = [id_ for id_ in values["erased_ids"] if id_ in locked]
    values["read_ids"] = [id_ for id_ in values["read_ids"] if id_ in locked]
    values["photos"] = list(photos)
    for table in queries.HOLDERS:
        if table != "movements":
            await queries.erase(session, org_id, table, values)
    counts = {table: erasable for table, (_, erasable) in held.rows.items()}
    _record(session, org_id, "plate_data.erased", held.plate, counts, proof, actor, now)
    return len(values["erased_ids"])


async def _find(
    session: AsyncSession,
    org_id: UUID,
    plate_text: str,
    vehicle_class: VehicleClass | None,
    *,
    now: datetime,
) -> tuple[Held, dict[str, Any]]:
    """Return what is held, and the values of the statements that find and erase it."""
    try:
        plate = read_plate(plate_text, vehicle_class)
    except PlateError as error:
        violation = Violation(field="plate", code="bad_plate", detail=str(error))
        raise InvalidRequest(str(error), violations=[violation]) from None
    values: dict[str, Any] = {
        "plate": plate.compact,
        "masked": mask_plate(plate.compact),
        "pattern": spell_plate(plate.compact),
        "readings": list_readings(plate.compact, plate.written),
        "vehicle_class": vehicle_class.value if vehicle_class else None,
        "before": now - EVIDENCE_KEPT_FOR,
        "before_on": hanoi_day(now - EVIDENCE_KEPT_FOR),
    }
    rows = await queries.list_stays(session, org_id, values, limit=STAYS_MAX + 1)
    stays = tuple(_present(row, now=now) for row in rows[:STAYS_MAX])
    values["own_ids"] = [one.id for one in stays if one.is_own]
    over = [one for one in stays if one.kept_for is None]
    values["erased_ids"] = [one.id for one in over if one.is_own]
    values["read_ids"] = [one.id for one in over if not one.is_own]
    counts = await queries.count_rows(session, org_id, values)
    held = Held(plate=plate.compact, stays=stays, rows=counts, is_cut=len(rows) > STAYS_MAX)
    return held, values


def _present(row: tuple[Any, ...], *, now: datetime) -> HeldStay:
    id_, lot, kind, entered, left, status, arrears, price, paid, is_own, *photos = row
    return HeldStay(
        id=id_,
        lot_name=lot,
        vehicle_class=kind,
        entered_at=entered,
        left_at=left,
        price_vnd=price,
        paid_vnd=paid,
        photos=sum(photo is not None for photo in photos),
        is_own=is_own,
        kept_for=_judge(status, left, arrears, now=now),
    )


def _judge(
    status: str, left_at: datetime | None, arrears_vnd: int, *, now: datetime
) -> KeptFor | None:
    if left_at is None or status in ("inside", "review"):
        return KeptFor.INSIDE
    if arrears_vnd:
        return KeptFor.ARREARS
    return KeptFor.EVIDENCE if left_at >= now - EVIDENCE_KEPT_FOR else None


def _record(
    session: AsyncSession,
    org_id: UUID,
    action: str,
    plate: str,
    counts: Mapping[str, int],
    proof: str,
    actor: Actor,
    now: datetime,
) -> None:
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action=action,
        object_kind="organisation",
        object_id=org_id,
        after={"plate": mask_plate(plate), **{name: one for name, one in counts.items() if one}},
        reason=proof,
        now=now,
    )
