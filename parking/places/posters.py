"""A lot's poster: the static code of its payee, by which drivers pay without a session.

Each counter sale on it is a collection of the shift that ran then (parking.shifts.posters).
Locks go lot, payee, its account links.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from parking.places import queries
from parking.places.errors import LotClosed
from payments.payees.code_owners import clear_code_owner, has_code_owner, set_code_owner

OWNER_KIND: Final = "parking_lot"  # of the payee's static code


async def make_poster(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, actor: Actor, now: datetime
) -> UUID:
    """Let the static code of a lot's payee be its poster; return the payee. Idempotent.

    Raises:
        LotNotFound, LotClosed
        PayeeHasNoAccount, CodeOwnerTaken
    """
    lot = await queries.lock_lot(session, org_id, lot_id)
    if lot.closed_at is not None:
        raise LotClosed
    is_new = await set_code_owner(session, org_id, lot.payee_id, owner=(OWNER_KIND, lot_id))
    if is_new:
        _record(session, org_id, lot_id, "lot.poster_made", lot.payee_id, actor, now)
    return lot.payee_id


async def take_down_poster(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, actor: Actor, now: datetime
) -> None:
    """Let sales on the code be the payee's alone again; what was collected stays. Idempotent.

    Raises:
        LotNotFound
    """
    lot = await queries.lock_lot(session, org_id, lot_id)
    if await clear_code_owner(session, org_id, lot.payee_id, owner=(OWNER_KIND, lot_id)):
        _record(session, org_id, lot_id, "lot.poster_taken_down", lot.payee_id, actor, now)


async def has_poster(session: AsyncSession, org_id: UUID, lot_id: UUID) -> bool:
    """Tell whether a lot has a poster.

    Raises:
        LotNotFound
    """
    lot = await queries.get_lot(session, org_id, lot_id)
    return await has_code_owner(session, org_id, lot.payee_id, owner=(OWNER_KIND, lot_id))


def _record(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    action: str,
    payee_id: UUID,
    actor: Actor,
    now: datetime,
) -> None:
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action=action,
        object_kind="lot",
        object_id=lot_id,
        after={"payee_id": str(payee_id)},
        now=now,
    )
