"""Who answers for what an endpoint says, so that a test transfer it tells of counts.

Whoever knows an endpoint's key can write any message of the provider, and whoever lists an account
says whose money its messages tell of. A manager could so make the test transfer of an account that
they proposed. Hence it counts in a live organisation only if persons who may approve accounts set
the key (or the token, for what was asked) and listed the account, and none of them proposed it.
Nor does it count if the provider names another bank: the account may be its namesake elsewhere.
See docs/adr/0005-who-answers-for-a-test-transfer.md.
"""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from identity.organisations.rules import OrgFacts
from identity.people.hooks import PermissionLoss
from identity.people.rules import Permission
from payments.connections.models import CallbackEndpoint, CallbackEndpointAccount
from payments.payees.rules import is_told_by_others

# All of them, so that what is being set or listed at this moment is seen too.
LOCK_ENDPOINTS = text("""
    SELECT id FROM callback_endpoints WHERE org_id = :org_id ORDER BY id FOR NO KEY UPDATE
""")
REVOKE_KEY_VOUCHES = text("""
    UPDATE callback_endpoints SET
        key_vouched_from = CASE WHEN key_vouched_by = :person_id THEN NULL
                                ELSE key_vouched_from END,
        key_vouched_by = NULLIF(key_vouched_by, :person_id),
        pull_vouched_from = CASE WHEN pull_vouched_by = :person_id THEN NULL
                                ELSE pull_vouched_from END,
        pull_vouched_by = NULLIF(pull_vouched_by, :person_id)
    WHERE org_id = :org_id AND :person_id IN (key_vouched_by, pull_vouched_by)
    RETURNING id
""")
REVOKE_ACCOUNT_VOUCHES = text("""
    UPDATE callback_endpoint_accounts SET vouched_by = NULL
    WHERE org_id = :org_id AND vouched_by = :person_id
    RETURNING endpoint_id
""")


class TestReadiness(StrEnum):
    """Whether a test transfer of an account would count now."""

    NOBODY = "nobody"  # no endpoint is listed for the account
    UNVOUCHED = "unvouched"  # nobody answers for one who may
    SOON = "soon"  # an old key holds still
    READY = "ready"


async def read_test_readiness(
    session: AsyncSession,
    org: OrgFacts,
    account_id: UUID,
    *,
    proposers: Collection[UUID],
    now: datetime,
) -> tuple[TestReadiness, datetime | None]:
    """Tell whether a callback about a test transfer would count, and from when on if soon."""
    query = (
        select(CallbackEndpoint, CallbackEndpointAccount.vouched_by)
        .join(
            CallbackEndpointAccount,
            (CallbackEndpointAccount.org_id == CallbackEndpoint.org_id)
            & (CallbackEndpointAccount.endpoint_id == CallbackEndpoint.id),
        )
        .where(
            CallbackEndpoint.org_id == org.id,
            CallbackEndpointAccount.receiving_account_id == account_id,
            CallbackEndpoint.revoked_at.is_(None),
        )
    )
    found = (await session.execute(query)).all()
    if not found:
        return TestReadiness.NOBODY, None
    if not org.is_live:
        return TestReadiness.READY, None
    starts = [
        endpoint.key_vouched_from
        for endpoint, listed_by in found
        if endpoint.key_vouched_from is not None
        and endpoint.key_vouched_by is not None
        and listed_by is not None
        and is_told_by_others({endpoint.key_vouched_by, listed_by}, proposers)
    ]
    if not starts:
        return TestReadiness.UNVOUCHED, None
    start = min(starts)
    return (TestReadiness.SOON, start) if start > now else (TestReadiness.READY, None)


async def hear_permission_lost(
    session: AsyncSession, loss: PermissionLoss, *, now: datetime
) -> None:
    """Take a person's word back where they may approve accounts no more (docs/adr/0005)."""
    if Permission.ACCOUNTS_APPROVE in loss.permissions:
        await revoke_vouches(
            session, loss.org_id, loss.person_id, actor=loss.actor, reason=loss.reason, now=now
        )


async def revoke_vouches(
    session: AsyncSession,
    org_id: UUID,
    person_id: UUID,
    *,
    actor: Actor,
    reason: str | None,
    now: datetime,
) -> None:
    """Let a person who may approve accounts no more answer for no endpoint either.

    Accounts in force stay so. Should the person get the right again, they say it all anew.
    """
    values = {"org_id": org_id, "person_id": person_id}
    await session.execute(LOCK_ENDPOINTS, {"org_id": org_id})
    touched = {*await session.scalars(REVOKE_KEY_VOUCHES, values)}
    touched |= {*await session.scalars(REVOKE_ACCOUNT_VOUCHES, values)}
    for endpoint_id in sorted(touched):
        record_change(
            session,
            org_id=org_id,
            actor=actor,
            action="callback_endpoint.vouch_revoked",
            object_kind="callback_endpoint",
            object_id=endpoint_id,
            before={"is_vouched": True},
            after={"is_vouched": False, "staff_id": str(person_id)},
            reason=reason,
            now=now,
        )
    await session.flush()
