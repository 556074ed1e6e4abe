"""SQL of poll targets."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from payments.connections.models import CallbackEndpoint, CallbackEndpointAccount
from payments.providers import list_pullable


async def list_pullable_endpoints(
    session: AsyncSession, org_id: UUID, account_id: UUID
) -> Sequence[tuple[CallbackEndpoint, str]]:
    """List the endpoints of an account that can be polled, each with the account's number."""
    query = (
        select(CallbackEndpoint, CallbackEndpointAccount.account_number)
        .join(
            CallbackEndpointAccount,
            (CallbackEndpointAccount.org_id == CallbackEndpoint.org_id)
            & (CallbackEndpointAccount.endpoint_id == CallbackEndpoint.id),
        )
        .where(
            CallbackEndpoint.org_id == org_id,
            CallbackEndpointAccount.receiving_account_id == account_id,
            CallbackEndpoint.revoked_at.is_(None),
            CallbackEndpoint.provider.in_(list_pullable()),
            CallbackEndpoint.sealed_pull_token.is_not(None),
        )
    )
    return [(endpoint, number) for endpoint, number in (await session.execute(query)).all()]
