"""SQL of callback endpoints, of the accounts that they report on, and of vouches."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.connections.errors import CallbackEndpointNotFound
from payments.connections.models import CallbackEndpoint, CallbackEndpointAccount
from payments.payees.models import ReceivingAccount

LIST_MAX: Final = 500

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

DELETE_ENDPOINT_ACCOUNTS = text("""
    DELETE FROM callback_endpoint_accounts
    WHERE org_id = :org_id AND endpoint_id = :endpoint_id
      AND receiving_account_id = ANY(CAST(:account_ids AS uuid[]))
""")
FIND_SOLE_ENDPOINT = text("""
    SELECT e.id FROM callback_endpoints e
    JOIN callback_endpoint_accounts a ON a.org_id = e.org_id AND a.endpoint_id = e.id
    WHERE e.org_id = :org_id AND e.provider = :provider AND e.revoked_at IS NULL
      AND e.sealed_pull_token IS NOT NULL
    GROUP BY e.id
    HAVING count(*) = 1 AND bool_and(a.receiving_account_id = :account_id)
    ORDER BY e.id DESC LIMIT 1
""")


async def get_endpoint(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, *, is_to_change: bool = False
) -> CallbackEndpoint:
    """Return one endpoint, locked if it is to be changed: of two changes the second sees the first.

    Raises:
        CallbackEndpointNotFound: there is none in this organisation.
    """
    lock = {"key_share": True} if is_to_change else None
    endpoint = await session.get(
        CallbackEndpoint, (org_id, endpoint_id), with_for_update=lock, populate_existing=True
    )
    if endpoint is None:
        raise CallbackEndpointNotFound(endpoint_id)
    return endpoint


async def find_endpoint(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID
) -> CallbackEndpoint | None:
    """Find one endpoint, whether revoked or not."""
    return await session.get(CallbackEndpoint, (org_id, endpoint_id))


async def find_endpoint_at(
    session: AsyncSession, org_id: UUID, *, provider: str, address: str
) -> CallbackEndpoint | None:
    """Find the endpoint that a provider calls at an address, unless it is revoked."""
    query = select(CallbackEndpoint).where(
        CallbackEndpoint.org_id == org_id,
        CallbackEndpoint.address == address,
        CallbackEndpoint.provider == provider,
        CallbackEndpoint.revoked_at.is_(None),
    )
    found: CallbackEndpoint | None = await session.scalar(query)
    return found


async def list_endpoints(
    session: AsyncSession,
    org_id: UUID,
    *,
    with_revoked: bool = True,
    before_id: UUID | None = None,
    limit: int = LIST_MAX,
) -> Sequence[CallbackEndpoint]:
    """List the endpoints, the newest first."""
    query = select(CallbackEndpoint).where(CallbackEndpoint.org_id == org_id)
    if not with_revoked:
        query = query.where(CallbackEndpoint.revoked_at.is_(None))
    if before_id is not None:
        query = query.where(CallbackEndpoint.id < before_id)
    return (await session.scalars(query.order_by(CallbackEndpoint.id.desc()).limit(limit))).all()


async def list_callback_endpoint_accounts(
    session: AsyncSession, org_id: UUID, endpoint_ids: Collection[UUID]
) -> Sequence[CallbackEndpointAccount]:
    """List which accounts these endpoints may speak for, by number."""
    query = select(CallbackEndpointAccount).where(
        CallbackEndpointAccount.org_id == org_id,
        CallbackEndpointAccount.endpoint_id.in_(endpoint_ids),
    )
    return (await session.scalars(query.order_by(CallbackEndpointAccount.account_number))).all()


async def list_endpoint_ids_of(
    session: AsyncSession, org_id: UUID, account_id: UUID
) -> Sequence[UUID]:
    """List the endpoints that may speak for an account."""
    query = select(CallbackEndpointAccount.endpoint_id).where(
        CallbackEndpointAccount.org_id == org_id,
        CallbackEndpointAccount.receiving_account_id == account_id,
    )
    return (await session.scalars(query)).all()


async def find_receiving_accounts(
    session: AsyncSession, org_id: UUID, account_ids: Collection[UUID]
) -> Sequence[ReceivingAccount]:
    """Find those of these accounts that the organisation has."""
    query = select(ReceivingAccount).where(
        ReceivingAccount.org_id == org_id, ReceivingAccount.id.in_(account_ids)
    )
    return (await session.scalars(query)).all()


async def is_number_listed(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, numbers: Collection[str]
) -> bool:
    """Find out whether an endpoint speaks for one of these numbers, in upper case, already."""
    query = select(CallbackEndpointAccount.receiving_account_id).where(
        CallbackEndpointAccount.org_id == org_id,
        CallbackEndpointAccount.endpoint_id == endpoint_id,
        func.upper(CallbackEndpointAccount.account_number).in_(numbers),
    )
    return (await session.scalars(query.limit(1))).first() is not None


async def count_listed(session: AsyncSession, org_id: UUID, endpoint_id: UUID) -> int:
    """Count the accounts that an endpoint may speak for."""
    query = select(func.count()).where(
        CallbackEndpointAccount.org_id == org_id,
        CallbackEndpointAccount.endpoint_id == endpoint_id,
    )
    return (await session.scalars(query)).one()


async def delete_callback_endpoint_accounts(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, account_ids: Collection[UUID]
) -> None:
    """Delete accounts from the list that an endpoint may speak for."""
    values = {"org_id": org_id, "endpoint_id": endpoint_id, "account_ids": list(account_ids)}
    await session.execute(DELETE_ENDPOINT_ACCOUNTS, values)


async def find_sole_endpoint_id(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, provider: str
) -> UUID | None:
    """Find the newest endpoint of a provider with keys that speaks for this account alone.

    One that speaks for several does not say at which of them its requests would be paid.
    """
    values = {"org_id": org_id, "account_id": account_id, "provider": provider}
    found: UUID | None = (await session.execute(FIND_SOLE_ENDPOINT, values)).scalar()
    return found


async def list_vouches(
    session: AsyncSession, org_id: UUID, account_id: UUID
) -> Sequence[tuple[CallbackEndpoint, UUID | None]]:
    """List the endpoints in use that may speak for an account, and who vouched for its listing."""
    query = (
        select(CallbackEndpoint, CallbackEndpointAccount.vouched_by)
        .join(
            CallbackEndpointAccount,
            (CallbackEndpointAccount.org_id == CallbackEndpoint.org_id)
            & (CallbackEndpointAccount.endpoint_id == CallbackEndpoint.id),
        )
        .where(
            CallbackEndpoint.org_id == org_id,
            CallbackEndpointAccount.receiving_account_id == account_id,
            CallbackEndpoint.revoked_at.is_(None),
        )
    )
    return [(endpoint, listed_by) for endpoint, listed_by in (await session.execute(query)).all()]


async def revoke_vouches(session: AsyncSession, org_id: UUID, person_id: UUID) -> set[UUID]:
    """Delete a person's vouches for keys, tokens and accounts; return the endpoints concerned."""
    values = {"org_id": org_id, "person_id": person_id}
    await session.execute(LOCK_ENDPOINTS, {"org_id": org_id})
    touched = {*await session.scalars(REVOKE_KEY_VOUCHES, values)}
    return touched | {*await session.scalars(REVOKE_ACCOUNT_VOUCHES, values)}
