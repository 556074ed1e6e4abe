"""A person's request for what is held about their vehicle, or for its erasure.

Figures stay: times, prices and what was paid. Plates and photos of a stay are kept while it may
still be argued about: until it has ended, owes nothing, and 30 days have passed (our choice; a
shorter time would take the evidence from who complains).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from city.plate_requests import queries
from core.audit import Actor, record_change
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
    kept_for: KeptFor | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What is held about a vehicle."""

    plate: str  # compact
    stays: tuple[HeldStay, ...]
    passes: int
    watched: int
    is_cut: bool  # there are more stays than are listed


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
    held = await _find(session, org_id, plate_text, vehicle_class, now=now)
    _record(session, org_id, "plate_data.read", held, proof, len(held.stays), actor, now)
    return held


async def find_erasable(
    session: AsyncSession,
    org_id: UUID,
    plate_text: str,
    vehicle_class: VehicleClass | None,
    *,
    now: datetime,
) -> tuple[list[UUID], list[bytes]]:
    """Return the stays of a plate that can be erased, and their photos.

    Raises:
        InvalidRequest: it is no plate.
    """
    held = await _find(session, org_id, plate_text, vehicle_class, now=now)
    ids = [one.id for one in held.stays if one.kept_for is None]
    return ids, await queries.list_photos(session, org_id, ids)


async def erase_stays(
    session: AsyncSession,
    org_id: UUID,
    plate_text: str,
    ids: list[UUID],
    *,
    proof: str,
    actor: Actor,
    now: datetime,
) -> int:
    """Take the plate off stays whose photos were erased before; return how many; audited.

    What began to owe something meanwhile stays as it is.
    """
    before = now - EVIDENCE_KEPT_FOR
    locked = await queries.lock_ended(session, org_id, ids, before=before)
    if locked:
        await queries.erase(session, org_id, locked)
    held = Held(plate=plate_text, stays=(), passes=0, watched=0, is_cut=False)
    _record(session, org_id, "plate_data.erased", held, proof, len(locked), actor, now)
    return len(locked)


async def _find(
    session: AsyncSession,
    org_id: UUID,
    plate_text: str,
    vehicle_class: VehicleClass | None,
    *,
    now: datetime,
) -> Held:
    try:
        plate = read_plate(plate_text, vehicle_class).compact
    except PlateError as error:
        violation = Violation(field="plate", code="bad_plate", detail=str(error))
        raise InvalidRequest(str(error), violations=[violation]) from None
    rows = await queries.list_of_plate(
        session,
        org_id,
        plate,
        vehicle_class.value if vehicle_class else None,
        limit=STAYS_MAX + 1,
    )
    passes, watched = await queries.count_elsewhere(session, org_id, plate)
    stays = []
    for id_, lot, kind, entered, left, status, arrears, price, paid, *photos in rows[:STAYS_MAX]:
        stays.append(
            HeldStay(
                id=id_,
                lot_name=lot,
                vehicle_class=kind,
                entered_at=entered,
                left_at=left,
                price_vnd=price,
                paid_vnd=paid,
                photos=sum(photo is not None for photo in photos),
                kept_for=_judge(status, left, arrears, now=now),
            )
        )
    return Held(
        plate=plate,
        stays=tuple(stays),
        passes=passes,
        watched=watched,
        is_cut=len(rows) > STAYS_MAX,
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
    held: Held,
    proof: str,
    stays_count: int,
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
        after={"plate": mask_plate(held.plate), "stays": stays_count},
        reason=proof,
        now=now,
    )
