"""Intervals at which accounts are polled by the clock, where they have their own."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from payments.connections.queries import get_endpoint
from payments.connections.service import record_endpoint
from payments.polling import queries
from payments.providers.errors import ProviderCannotBePolled


async def set_interval(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    account_id: UUID,
    *,
    every_s: int | None,
    actor: Actor,
    now: datetime,
) -> None:
    """Set how often an account is polled; what was not polled meanwhile is caught up with.

    Args:
        every_s: 0: never; None: as often as the installation's setting says.

    Raises:
        CallbackEndpointNotFound
        ProviderCannotBePolled: the account is not polled there by the clock.
    """
    endpoint = await get_endpoint(session, org_id, endpoint_id)
    if not await queries.set_interval(session, org_id, endpoint_id, account_id, every_s):
        raise ProviderCannotBePolled
    facts = {"account_id": str(account_id), "every_s": every_s}
    record_endpoint(session, endpoint, actor, "callback_endpoint.polling_set", now, facts)
