"""Publishing of prices: a checked version from a day on, lots that take it, and taking back.

Nothing begins before now: a vehicle came in by the price that was posted. What has begun is
followed by something else; until then it can be withdrawn.
"""

from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.clock import day_bounds, hanoi_day
from parking.places.errors import LotClosed
from parking.places.queries import lock_lot
from parking.tariffs import queries
from parking.tariffs.reading import build_tariff
from parking.tariffs.records_errors import (
    LotTariffNotFound,
    TariffFromThePast,
    TariffInForce,
    TariffNotFound,
    TariffVersionNotFound,
)
from parking.tariffs.service import add_version, assign_to_lot

LATE_BY: Final = timedelta(minutes=5)  # a form that was looked at before it was sent


def begin_on(day: date, *, now: datetime) -> datetime:
    """Return when something begins that is to hold from a day on: today that is now.

    Raises:
        TariffFromThePast
    """
    today = hanoi_day(now)
    if day < today:
        raise TariffFromThePast
    return now if day == today else day_bounds(day)[0]


async def publish_version(
    session: AsyncSession,
    org_id: UUID,
    version_id: UUID,
    *,
    tariff_id: UUID,
    document: dict[str, Any],
    actor: Actor,
    now: datetime,
) -> int:
    """Add what a tariff says from the day that its document names; return the version's number.

    Raises:
        TariffNotReadable: the document has faults.
        TariffFromThePast, TariffNotFound, TariffIdTaken
    """
    tariff = build_tariff(document)
    return await add_version(
        session,
        org_id,
        version_id,
        tariff_id=tariff_id,
        valid_from=begin_on(tariff.valid_from_on, now=now),
        document=document,
        legal_basis=tariff.legal_basis,
        actor=actor,
        now=now,
    )


async def withdraw_version(
    session: AsyncSession,
    org_id: UUID,
    tariff_id: UUID,
    version_id: UUID,
    *,
    actor: Actor,
    reason: str | None = None,
    now: datetime,
) -> None:
    """Take a version back before it comes into force. Idempotent.

    Raises:
        TariffNotFound, TariffVersionNotFound
        TariffInForce: it has begun.
    """
    if await queries.lock_tariff(session, org_id, tariff_id) is None:
        raise TariffNotFound(tariff_id)
    known = await queries.find_version(session, org_id, version_id)
    if known is None or known[0] != tariff_id:
        raise TariffVersionNotFound(version_id)
    if await queries.is_withdrawn(session, org_id, version_id):
        return
    if known[2] <= now:
        raise TariffInForce
    await queries.withdraw_version(session, org_id, version_id, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="tariff.version_withdrawn",
        object_kind="tariff",
        object_id=tariff_id,
        before={"version": known[1], "valid_from": known[2].isoformat()},
        reason=reason,
        now=now,
    )


async def let_lot_take(
    session: AsyncSession,
    org_id: UUID,
    assignment_id: UUID,
    *,
    lot_id: UUID,
    tariff_id: UUID,
    from_at: datetime,
    actor: Actor,
    now: datetime,
) -> None:
    """Let a lot take a tariff from an instant on that has not passed. Idempotent by its id.

    Raises:
        TariffFromThePast, LotNotFound, LotClosed, TariffNotFound, TariffIdTaken
    """
    if from_at < now - LATE_BY:
        raise TariffFromThePast
    lot = await lock_lot(session, org_id, lot_id)
    if lot.closed_at is not None:
        raise LotClosed
    await assign_to_lot(
        session,
        org_id,
        assignment_id,
        lot_id=lot_id,
        tariff_id=tariff_id,
        from_at=max(from_at, now),
        actor=actor,
        now=now,
    )


async def withdraw_from_lot(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    assignment_id: UUID,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Take back, before it begins, that a lot takes a tariff. Idempotent.

    Raises:
        LotNotFound, LotTariffNotFound
        TariffInForce: it has begun.
    """
    await lock_lot(session, org_id, lot_id)
    known = await queries.find_assignment(session, org_id, assignment_id)
    if known is None or known[0] != lot_id:
        raise LotTariffNotFound(assignment_id)
    if await queries.is_withdrawn(session, org_id, assignment_id):
        return
    if known[2] <= now:
        raise TariffInForce
    await queries.withdraw_assignment(session, org_id, assignment_id, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="tariff.assignment_withdrawn",
        object_kind="lot",
        object_id=lot_id,
        before={"tariff_id": str(known[1]), "from_at": known[2].isoformat()},
        now=now,
    )
