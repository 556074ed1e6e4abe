"""What a person answered for ends with the right to approve accounts: see docs/adr/0005."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.tenancy import enter_org
from identity.people import queries
from identity.people.models import Staff
from identity.people.rules import Permission, Role, permissions_of
from payments.connections.vouching import revoke_vouches


async def revoke_lost_vouches(
    session: AsyncSession,
    staff: Staff,
    *,
    roles_before: Collection[str],
    actor: Actor,
    reason: str | None,
    now: datetime,
) -> None:
    """Take a person's words back wherever they may approve accounts no more.

    The transaction ends bound to the person's organisation, as it began.

    Args:
        roles_before: what they held; empty if they could not sign in. The row says what is now.
    """
    await session.flush()
    roles = staff.roles if staff.disabled_at is None else ()
    lost: list[UUID] = []
    if _may_approve(roles_before) and not _may_approve(roles):
        lost.append(staff.org_id)
    if Role.ADMIN in roles_before and Role.ADMIN not in roles:
        # The city's administrators act for every organisation.
        lost += await queries.list_orgs_acted_for(session, staff.org_id)
    for org_id in lost:
        await enter_org(session, org_id)
        await revoke_vouches(session, org_id, staff.id, actor=actor, reason=reason, now=now)
    if lost:
        await enter_org(session, staff.org_id)


def _may_approve(roles: Collection[str]) -> bool:
    return Permission.ACCOUNTS_APPROVE in permissions_of(roles)
