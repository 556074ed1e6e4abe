"""Lost permissions: every package that relied on them is notified, in each organisation.

What is lost at home is handled in the transaction that takes it. An administrator of the city acts
for every organisation and loses the right in all of them: those follow after that commit, each in a
transaction of its own, so that nobody locks the whole hub. Until all are done, the person's row
says so (`lost_elsewhere_at`), and the worker finishes what a crash left: docs/adr/0005.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM, Actor
from core.db import Database, is_database_away
from core.tenancy import open_org_transaction
from identity.people import queries
from identity.people.hooks import Hooks, PermissionLoss
from identity.people.models import Staff
from identity.people.rules import Role, permissions_of

log = structlog.get_logger()

LOSSES_MAX: Final = 100  # people whom the worker looks after in one round


async def handle_losses(
    session: AsyncSession,
    staff: Staff,
    hooks: Hooks,
    *,
    roles_before: Collection[str],
    actor: Actor,
    reason: str | None,
    now: datetime,
) -> None:
    """Notify of what a changed person may no longer do at home, and note what is lost elsewhere.

    Args:
        roles_before: what they held; empty if they could not sign in. The row says what is now.
    """
    await session.flush()
    roles = staff.roles if staff.disabled_at is None else []
    if lost := permissions_of(roles_before) - permissions_of(roles):
        loss = PermissionLoss(
            org_id=staff.org_id, person_id=staff.id, permissions=lost, actor=actor, reason=reason
        )
        for handle in hooks.on_permission_lost:
            await handle(session, loss, now=now)
    if (
        Role.ADMIN in roles_before
        and Role.ADMIN not in roles
        and await queries.list_orgs_acted_for(session, staff.org_id)
    ):
        staff.lost_elsewhere_at = now


async def finish_loss(
    database: Database, hooks: Hooks, org_id: UUID, staff_id: UUID, *, now: datetime
) -> bool:
    """Notify every other organisation for which a former administrator of the city acted.

    Call it after the change is committed. Repeating it, or going on after a crash, is harmless.

    Returns:
        Whether all are done. If not, the worker comes back to it.
    """
    async with open_org_transaction(database, org_id) as session:
        staff = await queries.get_staff(session, org_id, staff_id)
        lost_at = staff.lost_elsewhere_at
        if lost_at is None:
            return True
        change = await queries.find_change(session, org_id, staff_id, at=lost_at)
        elsewhere = await queries.list_orgs_acted_for(session, org_id)
    actor, reason = change or (SYSTEM, None)
    is_done = True
    for other_id in elsewhere:
        loss = PermissionLoss(
            org_id=other_id,
            person_id=staff_id,
            permissions=permissions_of([Role.ADMIN]),
            actor=actor,
            reason=reason,
        )
        try:
            async with open_org_transaction(database, other_id) as session:
                for handle in hooks.on_permission_lost:
                    await handle(session, loss, now=now)
        except Exception as error:  # one organisation's trouble is not the next one's
            if is_database_away(error):
                raise
            is_done = False
            log.error("permission_loss.not_handled", org_id=str(other_id), error=repr(error))
    if is_done:
        async with open_org_transaction(database, org_id) as session:
            await queries.clear_loss(session, org_id, staff_id, lost_at=lost_at)
    return is_done


async def finish_losses(
    app_database: Database, worker_database: Database, hooks: Hooks, *, now: datetime
) -> int:
    """Finish the losses that a dead process left; return of how many people (the worker's job)."""
    async with worker_database.begin() as session:
        unfinished = await queries.list_losses(session, limit=LOSSES_MAX)
    for org_id, staff_id in unfinished:
        await finish_loss(app_database, hooks, org_id, staff_id, now=now)
    return len(unfinished)
