"""Changing what an endpoint asks its provider with: tokens expire, and providers withdraw them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.sealing import Sealer
from payments.callbacks.ask_keys import check_ask_keys, seal_ask_keys
from payments.callbacks.errors import EndpointRevoked
from payments.callbacks.models import CallbackEndpoint
from payments.callbacks.service import KEY_LINGERS_FOR, get_endpoint


async def set_ask_keys(
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
    """Give an endpoint another token, or none: then its provider is asked no more.

    Args:
        may_vouch: whether the actor may approve accounts. Test transfers that are asked for count
            once no earlier token can have fetched them, and if that was not the actor's own
            (payments.callbacks.vouchers). Callbacks are not touched.

    Raises:
        EndpointNotFound, EndpointRevoked, BadAskToken
    """
    endpoint = await get_endpoint(session, org_id, endpoint_id, is_to_change=True)
    if endpoint.revoked_at is not None:
        raise EndpointRevoked
    keys = check_ask_keys(endpoint.provider, token, client_id)
    sealed = None if keys is None else seal_ask_keys(sealer, org_id, endpoint_id, keys)
    endpoint.sealed_ask_token = sealed
    if not may_vouch:
        endpoint.ask_vouched_by = endpoint.ask_vouched_from = None
    elif endpoint.ask_vouched_by != actor.id:
        endpoint.ask_vouched_by = actor.id
        endpoint.ask_vouched_from = now + KEY_LINGERS_FOR  # a question may be on its way
    await session.flush()
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="endpoint.ask_token_set",
        object_kind="endpoint",
        object_id=endpoint_id,
        after={
            "provider": endpoint.provider,
            "name": endpoint.name,
            "can_be_asked": keys is not None,
        },
        now=now,
    )
    return endpoint
