"""Making tariffs, adding their versions, and letting lots take them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.text import check_lines
from parking.tariffs import queries
from parking.tariffs.reading import build_tariff
from parking.tariffs.records_errors import TariffIdTaken, TariffNotFound


async def create_tariff(
    session: AsyncSession, org_id: UUID, tariff_id: UUID, *, name: str, actor: Actor, now: datetime
) -> None:
    """Make a tariff that has no versions yet. The same again changes nothing.

    Raises:
        TariffIdTaken: the id is that of a tariff with another name.
    """
    check_lines(name=name)
    if not await queries.insert_tariff_once(session, org_id, tariff_id, name=name, now=now):
        if await queries.lock_tariff(session, org_id, tariff_id) != name:
            raise TariffIdTaken(tariff_id)
        return
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="tariff.created",
        object_kind="tariff",
        object_id=tariff_id,
        after={"name": name},
        now=now,
    )


async def add_version(
    session: AsyncSession,
    org_id: UUID,
    version_id: UUID,
    *,
    tariff_id: UUID,
    valid_from: datetime,
    document: dict[str, Any],
    legal_basis: str,
    actor: Actor,
    now: datetime,
) -> int:
    """Add what a tariff says from an instant on; return the version's number. Idempotent by its id.

    Raises:
        TariffNotFound
        TariffNotReadable: the document has faults.
        TariffIdTaken: the id is that of another version.
    """
    check_lines(legal_basis=legal_basis)
    build_tariff(document)
    assert actor.id is not None
    if await queries.lock_tariff(session, org_id, tariff_id) is None:
        raise TariffNotFound(tariff_id)
    if (known := await queries.find_version(session, org_id, version_id)) is not None:
        if (known[0], *known[2:]) != (tariff_id, valid_from, document, legal_basis):
            raise TariffIdTaken(version_id)
        return known[1]
    version = await queries.insert_version(
        session,
        org_id,
        version_id,
        tariff_id=tariff_id,
        valid_from=valid_from,
        document=document,
        legal_basis=legal_basis,
        by=actor.id,
        now=now,
    )
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="tariff.version_added",
        object_kind="tariff",
        object_id=tariff_id,
        after={"version": version, "valid_from": valid_from.isoformat()},
        reason=legal_basis,
        now=now,
    )
    return version


async def assign_to_lot(
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
    """Let a lot take a tariff from an instant on. Idempotent by the assignment's id.

    Raises:
        TariffNotFound
        TariffIdTaken: the id is that of another assignment.
    """
    assert actor.id is not None
    if await queries.lock_tariff(session, org_id, tariff_id) is None:
        raise TariffNotFound(tariff_id)
    is_new = await queries.insert_assignment_once(
        session,
        org_id,
        assignment_id,
        lot_id=lot_id,
        tariff_id=tariff_id,
        from_at=from_at,
        by=actor.id,
        now=now,
    )
    if not is_new:
        known = await queries.find_assignment(session, org_id, assignment_id)
        if known != (lot_id, tariff_id, from_at):
            raise TariffIdTaken(assignment_id)
        return
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="tariff.assigned",
        object_kind="lot",
        object_id=lot_id,
        after={"tariff_id": str(tariff_id), "from_at": from_at.isoformat()},
        now=now,
    )
