"""Replacement of an endpoint's pull credentials: tokens expire, and providers withdraw them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.sealing import Sealer
from payments.connections.credentials import check_pull_credentials, seal_pull_credentials
from payments.connections.errors import CallbackEndpointRevoked
from payments.connections.models import CallbackEndpoint
from payments.connections.queries import get_endpoint
from payments.connections.service import KEY_LINGERS_FOR


async def set_pull_credentials(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    *,
    token: str | None,
    client_id: str | None,
    sealer: Sealer,
    actor: Actor,
    may_vouch: bool,
    now: datetime,
) -> CallbackEndpoint:
    """Give an endpoint another token, or none: then its provider is no longer polled.

    Args:
        may_vouch: whether the actor may approve accounts. Test transfers that a poll
            finds count once no earlier token can have fetched them, and if that was not the
            actor's own (payments.connections.vouching). Callbacks are not affected.

    Raises:
        CallbackEndpointNotFound, CallbackEndpointRevoked, BadPullToken
    """
    endpoint = await get_endpoint(session, org_id, endpoint_id, is_to_change=True)
    if endpoint.revoked_at is not None:
        raise CallbackEndpointRevoked
    credentials = check_pull_credentials(endpoint.provider, token, client_id)
    sealed = (
        None
        if credentials is None
        else seal_pull_credentials(sealer, org_id, endpoint_id, credentials)
    )
    endpoint.sealed_pull_token = sealed
    if not may_vouch:
        endpoint.pull_vouched_by = endpoint.pull_vouched_from = None
    elif endpoint.pull_vouched_by != actor.id:
        endpoint.pull_vouched_by = actor.id
        endpoint.pull_vouched_from = now + KEY_LINGERS_FOR  # a poll may be under way
    await session.flush()
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="callback_endpoint.pull_token_set",
        object_kind="callback_endpoint",
        object_id=endpoint_id,
        after={
            "provider": endpoint.provider,
            "name": endpoint.name,
            "can_be_polled": credentials is not None,
        },
        now=now,
    )
    return endpoint
