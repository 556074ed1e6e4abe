"""Vouching for endpoints: who answers for what one reports, so that its test transfers count.

Whoever knows an endpoint's key can write any message of the provider, and whoever lists an account
says whose money its messages are about. So a manager could fake the test transfer of an account
that they proposed. In a live organisation it counts only if persons who may approve accounts set
the key (or the token, for what was polled) and listed the account, and none of them proposed it.
Nor does it count if the provider names another bank: the account may be its namesake elsewhere.
See docs/adr/0005-who-answers-for-a-test-transfer.md.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from identity.organisations.rules import OrgFacts
from identity.people.hooks import PermissionLoss
from identity.people.rules import Permission
from payments.connections import queries
from payments.payees.rules import is_vouched_by_others


@dataclass(frozen=True, kw_only=True, slots=True)
class Vouch:
    """A person who may approve accounts and answers for what is being set up."""

    by: UUID
    since: datetime


class TestReadiness(StrEnum):
    """Whether a test transfer of an account would count now."""

    NOBODY = "nobody"  # no endpoint is listed for the account
    UNVOUCHED = "unvouched"  # nobody answers for one who may
    SOON = "soon"  # an old key holds still
    READY = "ready"


def vouch_of(actor: Actor, *, may_approve: bool, now: datetime) -> Vouch | None:
    """Return the actor's vouch from now on; None for whoever may not approve accounts."""
    if not may_approve or actor.id is None:
        return None
    return Vouch(by=actor.id, since=now)


async def read_test_readiness(
    session: AsyncSession,
    org: OrgFacts,
    account_id: UUID,
    *,
    proposers: Collection[UUID],
    now: datetime,
) -> tuple[TestReadiness, datetime | None]:
    """Decide whether a callback about a test transfer would count, and from when on if soon."""
    found = await queries.list_vouches(session, org.id, account_id)
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
        and is_vouched_by_others({endpoint.key_vouched_by, listed_by}, proposers)
    ]
    if not starts:
        return TestReadiness.UNVOUCHED, None
    start = min(starts)
    return (TestReadiness.SOON, start) if start > now else (TestReadiness.READY, None)


async def handle_permission_lost(
    session: AsyncSession, loss: PermissionLoss, *, now: datetime
) -> None:
    """Revoke a person's vouches where they may no longer approve accounts (docs/adr/0005)."""
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
    """Revoke the vouches of a person who may no longer approve accounts.

    Accounts in force stay so. A person who gets the right again vouches anew.
    """
    for endpoint_id in sorted(await queries.revoke_vouches(session, org_id, person_id)):
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
