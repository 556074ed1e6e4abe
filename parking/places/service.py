"""Lots: adding, changing and closing them, their lanes, and how many vehicles they hold."""

from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.errors import InvalidRequest, Violation
from core.ids import new_id
from core.text import check_lines
from parking.places import queries
from parking.places.errors import LotClosed, LotNotEmpty, TooManyParts
from parking.places.models import Lot, ParkingAccess, ParkingArea, ParkingOperator
from parking.places.posters import take_down_poster
from parking.places.rules import (
    ACCESSES_MAX,
    AREAS_MAX,
    CAPACITY_MAX,
    Direction,
    Licence,
    LotKind,
    Occupied,
    PaymentTiming,
    check_lot,
    check_tax_code,
)
from parking.vehicles import VehicleClass
from payments.payees.queries import get_payee


@dataclass(frozen=True, kw_only=True)
class LotFacts:
    """What a manager says about a lot."""

    operator_id: UUID
    payee_id: UUID  # whose receiving account its codes name
    name: str
    address: str
    kind: LotKind
    zone: str | None = None
    latitude_e6: int | None = None
    longitude_e6: int | None = None
    licence_number: str | None = None
    licence_issuer: str | None = None
    licence_from: date | None = None
    licence_until: date | None = None
    payment_timing: PaymentTiming = PaymentTiming.PAY_AND_EXIT
    is_crowd_mode: bool = False
    photo_required: bool = False
    offline_cash_max_vnd: int = 2_000_000
    unconfirmed_exits_max: int = 20
    stale_after_h: int = 72

    @property
    def licence(self) -> Licence:
        """What its licence says."""
        return Licence(
            number=self.licence_number,
            issuer=self.licence_issuer,
            from_on=self.licence_from,
            until_on=self.licence_until,
        )


async def add_operator(
    session: AsyncSession,
    org_id: UUID,
    *,
    id_: UUID | None = None,
    name: str,
    address: str,
    tax_code: str,
    actor: Actor,
    now: datetime,
) -> ParkingOperator:
    """Add who runs lots: the seller that tickets and receipts name.

    Raises:
        InvalidRequest: the tax code is none.
    """
    check_lines(name=name, address=address)
    _refuse(check_tax_code(tax_code))
    operator = ParkingOperator(
        org_id=org_id,
        id=id_ or new_id(),
        name=name,
        address=address,
        tax_code=tax_code,
        created_at=now,
    )
    session.add(operator)
    await session.flush()
    after = {"name": name, "address": address, "tax_code": tax_code}
    _record(session, org_id, "parking_operator.added", operator.id, actor, now, after=after)
    return operator


async def add_lot(
    session: AsyncSession,
    org_id: UUID,
    facts: LotFacts,
    *,
    id_: UUID | None = None,
    actor: Actor,
    now: datetime,
) -> Lot:
    """Add a lot. It takes vehicles once it has a capacity for their class.

    Raises:
        OperatorNotFound, PayeeNotFound
        InvalidRequest: the licence or the position does not add up.
    """
    await _check_facts(session, org_id, facts)
    lot = Lot(org_id=org_id, id=id_ or new_id(), created_at=now, **asdict(facts))
    session.add(lot)
    await session.flush()
    _record(session, org_id, "lot.added", lot.id, actor, now, after=_to_json(facts))
    return lot


async def change_lot(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    changes: dict[str, Any],
    *,
    actor: Actor,
    reason: str | None = None,
    now: datetime,
) -> Lot:
    """Change facts of a lot; what is not named stays.

    Args:
        changes: fields of LotFacts.

    Raises:
        LotNotFound, LotClosed, OperatorNotFound, PayeeNotFound, InvalidRequest
    """
    lot = await queries.lock_lot(session, org_id, lot_id)
    if lot.closed_at is not None:
        raise LotClosed
    known = {field.name: getattr(lot, field.name) for field in fields(LotFacts)}
    before = LotFacts(**known)
    after = replace(before, **changes)
    if after == before:
        return lot
    await _check_facts(session, org_id, after)
    if after.payee_id != before.payee_id:  # the poster shows the old payee's code
        await take_down_poster(session, org_id, lot_id, actor=actor, now=now)
    for name, value in changes.items():
        setattr(lot, name, value)
    await session.flush()
    was, becomes = _to_json(before), _to_json(after)
    changed = [name for name in becomes if was[name] != becomes[name]]
    _record(
        session,
        org_id,
        "lot.changed",
        lot_id,
        actor,
        now,
        before={name: was[name] for name in changed},
        after={name: becomes[name] for name in changed},
        reason=reason,
    )
    return lot


async def close_lot(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    *,
    actor: Actor,
    reason: str | None = None,
    now: datetime,
) -> Lot:
    """Close a lot: it takes no more vehicles; those inside can leave. Idempotent.

    Raises:
        LotNotFound
    """
    lot = await queries.lock_lot(session, org_id, lot_id)
    if lot.closed_at is None:
        await take_down_poster(session, org_id, lot_id, actor=actor, now=now)
        lot.closed_at = now
        for occupied in (await queries.list_occupancy(session, org_id, [lot_id]))[lot_id]:
            await queries.set_capacity(
                session,
                org_id,
                lot_id,
                occupied.vehicle_class,
                capacity=0,
                licensed_capacity=occupied.licensed_capacity,
            )
        await session.flush()
        after = {"closed_at": now.isoformat()}
        _record(session, org_id, "lot.closed", lot_id, actor, now, after=after, reason=reason)
    return lot


async def set_capacity(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    vehicle_class: VehicleClass,
    *,
    capacity: int,
    licensed_capacity: int,
    actor: Actor,
    reason: str | None = None,
    now: datetime,
) -> list[Occupied]:
    """Say how many vehicles of a class a lot takes, and how many its licence allows. Idempotent.

    A capacity below what is inside lets nobody in until enough have left.

    Returns:
        How full the lot is, class by class.

    Raises:
        LotNotFound, LotClosed
        LotNotEmpty: none are to be licensed, and some are inside.
        InvalidRequest: a capacity is out of range.
    """
    for name, value in (("capacity", capacity), ("licensed_capacity", licensed_capacity)):
        if not 0 <= value <= CAPACITY_MAX:
            detail = f"A capacity is between 0 and {CAPACITY_MAX:,}."
            _refuse([Violation(field=name, code="out_of_range", detail=detail)])
    lot = await queries.lock_lot(session, org_id, lot_id)
    if lot.closed_at is not None:
        raise LotClosed
    known = (await queries.list_occupancy(session, org_id, [lot_id]))[lot_id]
    before = next((one for one in known if one.vehicle_class is vehicle_class), None)
    if before is not None and not capacity and not licensed_capacity and before.inside_count:
        raise LotNotEmpty(before.inside_count)
    is_new = before is None or (before.capacity, before.licensed_capacity) != (
        capacity,
        licensed_capacity,
    )
    if is_new:
        await queries.set_capacity(
            session,
            org_id,
            lot_id,
            vehicle_class,
            capacity=capacity,
            licensed_capacity=licensed_capacity,
        )
        after: dict[str, Any] = {
            "vehicle_class": vehicle_class.value,
            "capacity": capacity,
            "licensed_capacity": licensed_capacity,
        }
        was = None
        if before is not None:
            was = {"capacity": before.capacity, "licensed_capacity": before.licensed_capacity}
        _record(
            session,
            org_id,
            "lot.capacity_set",
            lot_id,
            actor,
            now,
            before=was,
            after=after,
            reason=reason,
        )
    return (await queries.list_occupancy(session, org_id, [lot_id]))[lot_id]


async def add_access(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    *,
    id_: UUID | None = None,
    name: str,
    direction: Direction,
    has_controller: bool = False,
    actor: Actor,
    now: datetime,
) -> ParkingAccess:
    """Add a lane.

    Raises:
        LotNotFound, LotClosed, TooManyParts
    """
    check_lines(name=name)
    lot = await queries.lock_lot(session, org_id, lot_id)
    if lot.closed_at is not None:
        raise LotClosed
    if await queries.count_accesses(session, org_id, lot_id) >= ACCESSES_MAX:
        raise TooManyParts("lanes", ACCESSES_MAX)
    access = ParkingAccess(
        org_id=org_id,
        id=id_ or new_id(),
        lot_id=lot_id,
        name=name,
        direction=direction.value,
        has_controller=has_controller,
        created_at=now,
    )
    session.add(access)
    await session.flush()
    after = {"name": name, "direction": direction.value, "has_controller": has_controller}
    _record(session, org_id, "lot.lane_added", lot_id, actor, now, after=after)
    return access


async def close_access(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    access_id: UUID,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Close a lane: it is no longer offered. Idempotent.

    Raises:
        LotNotFound, AccessNotFound
    """
    await queries.lock_lot(session, org_id, lot_id)
    access = await queries.get_access(session, org_id, lot_id, access_id)
    if access.closed_at is None:
        access.closed_at = now
        await session.flush()
        _record(session, org_id, "lot.lane_closed", lot_id, actor, now, after={"name": access.name})


async def add_area(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    *,
    id_: UUID | None = None,
    name: str,
    actor: Actor,
    now: datetime,
) -> ParkingArea:
    """Add an area, such as a floor.

    Raises:
        LotNotFound, LotClosed, TooManyParts
    """
    check_lines(name=name)
    lot = await queries.lock_lot(session, org_id, lot_id)
    if lot.closed_at is not None:
        raise LotClosed
    if len(await queries.list_areas(session, org_id, lot_id)) >= AREAS_MAX:
        raise TooManyParts("areas", AREAS_MAX)
    area = ParkingArea(org_id=org_id, id=id_ or new_id(), lot_id=lot_id, name=name, created_at=now)
    session.add(area)
    await session.flush()
    _record(session, org_id, "lot.area_added", lot_id, actor, now, after={"name": name})
    return area


async def _check_facts(session: AsyncSession, org_id: UUID, facts: LotFacts) -> None:
    check_lines(
        name=facts.name,
        address=facts.address,
        zone=facts.zone,
        licence_number=facts.licence_number,
        licence_issuer=facts.licence_issuer,
    )
    _refuse(
        check_lot(
            licence=facts.licence,
            latitude_e6=facts.latitude_e6,
            longitude_e6=facts.longitude_e6,
        )
    )
    await queries.get_operator(session, org_id, facts.operator_id)
    await get_payee(session, org_id, facts.payee_id)


def _refuse(violations: list[Violation]) -> None:
    if violations:
        raise InvalidRequest(violations[0].detail, violations=violations)


def _to_json(facts: LotFacts) -> dict[str, Any]:
    """Write facts as the audit log keeps them."""
    plain = (str, int, bool, type(None))
    return {
        name: value if isinstance(value, plain) else str(value)
        for name, value in asdict(facts).items()
    }


def _record(
    session: AsyncSession,
    org_id: UUID,
    action: str,
    object_id: UUID,
    actor: Actor,
    now: datetime,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action=action,
        object_kind=action.partition(".")[0],
        object_id=object_id,
        before=before,
        after=after,
        reason=reason,
        now=now,
    )
