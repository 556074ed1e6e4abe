"""Payees: adding, renaming and closing them.

How bank accounts come into their codes is in payments/payees/accounts.py.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.ids import new_id
from core.text import check_lines
from payments.ledger import service as ledger
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.payees import queries
from payments.payees.errors import PayeeClosed
from payments.payees.models import Payee


async def add_payee(
    session: AsyncSession,
    org_id: UUID,
    *,
    id_: UUID | None = None,
    name: str,
    place: str,
    actor: Actor,
    now: datetime,
) -> Payee:
    """Add a payee with its ledger accounts. It cannot be paid before it has an account."""
    check_lines(name=name, place=place)
    payee = Payee(org_id=org_id, id=id_ or new_id(), name=name, place=place, created_at=now)
    session.add(payee)
    await session.flush()
    await ledger.open_payee_accounts(session, org_id, payee.id, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="payee.added",
        object_kind="payee",
        object_id=payee.id,
        after={"name": name, "place": place},
        now=now,
    )
    return payee


async def change_payee(
    session: AsyncSession,
    org_id: UUID,
    payee_id: UUID,
    *,
    name: str | None = None,
    place: str | None = None,
    actor: Actor,
    reason: str | None,
    now: datetime,
) -> Payee:
    """Rename a payee or say where it is now; None leaves as is.

    Raises:
        PayeeNotFound, PayeeClosed
    """
    check_lines(name=name, place=place, reason=reason)
    payee = await queries.lock_payee(session, org_id, payee_id)
    if payee.closed_at is not None:
        raise PayeeClosed
    before = {"name": payee.name, "place": payee.place}
    payee.name = payee.name if name is None else name
    payee.place = payee.place if place is None else place
    after = {"name": payee.name, "place": payee.place}
    if after != before:
        await session.flush()
        _record_payee(session, payee, actor, "payee.changed", now, before, after, reason)
    return payee


async def close_payee(
    session: AsyncSession,
    org_id: UUID,
    payee_id: UUID,
    *,
    actor: Actor,
    reason: str | None,
    now: datetime,
) -> Payee:
    """Close a payee: it opens no further bills. Money that still comes is recorded. Idempotent.

    Raises:
        PayeeNotFound
    """
    payee = await queries.lock_payee(session, org_id, payee_id)
    if payee.closed_at is None:
        payee.closed_at = now
        await session.flush()
        after = {"closed_at": now.isoformat()}
        _record_payee(
            session, payee, actor, "payee.closed", now, {"closed_at": None}, after, reason
        )
        # Its screens must not go on receiving what comes to an account that others use too.
        closed = NewEvent(
            kind=EventKind.ACCOUNT_CHANGED, payee_id=payee.id, data={"is_closed": True}
        )
        await outbox.record(session, org_id, [closed], now=now)
    return payee


def _record_payee(
    session: AsyncSession,
    payee: Payee,
    actor: Actor,
    action: str,
    now: datetime,
    before: dict[str, Any],
    after: dict[str, Any],
    reason: str | None,
) -> None:
    record_change(
        session,
        org_id=payee.org_id,
        actor=actor,
        action=action,
        object_kind="payee",
        object_id=payee.id,
        before=before,
        after=after,
        reason=reason,
        now=now,
    )
