"""Callback endpoints: the addresses that banks and providers call, and what came in there."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import SecretStr

from api.auth.callers import Caller
from api.auth.rules import Permission
from api.deps import Now, TheSealer, TheSettings, Tx, requires
from api.errors import may_answer
from api.middleware import no_store
from api.schemas.endpoints import (
    DeliveryBody,
    DeliveryPage,
    DeliveryRead,
    EndpointAccountRead,
    EndpointAccounts,
    EndpointAsking,
    EndpointCounts,
    EndpointCreate,
    EndpointDetail,
    EndpointMade,
    EndpointRead,
    EndpointRotate,
    EndpointSecretsRead,
    EndpointsRead,
)
from api.schemas.pages import Cursor, Limit, next_cursor, read_cursor
from core.ids import first_id_at
from core.logging import mask_tail
from core.masking import hide_sensitive
from core.settings import Settings
from payments.bills.errors import BadCursor
from payments.callbacks import service, views
from payments.callbacks.asking_setup import set_ask_keys
from payments.callbacks.errors import (
    BadAskToken,
    BadAskUrl,
    BadSecret,
    DeliveryNotFound,
    EndpointNotFound,
    EndpointRevoked,
    SandboxRefused,
)
from payments.callbacks.models import CallbackEndpoint, EndpointAccount
from payments.payees.errors import BadAccount

router = APIRouter(prefix="/v1/endpoints", tags=["callbacks"])

Reader = Annotated[Caller, requires(Permission.ENDPOINTS_READ)]
Manager = Annotated[Caller, requires(Permission.ENDPOINTS_MANAGE)]


@router.post(
    "",
    status_code=201,
    responses=may_answer(BadSecret, SandboxRefused, BadAccount, BadAskUrl, BadAskToken),
)
async def create_endpoint(
    body: EndpointCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    sealer: TheSealer,
    settings: TheSettings,
    now: Now,
) -> EndpointMade:
    """Make an address. Its secret is in this answer and nowhere else, ever."""
    endpoint, secrets = await service.create_endpoint(
        tx,
        caller.org,
        provider=body.provider.value,
        name=body.name,
        secret=_reveal(body.secret),
        is_sandbox=body.is_sandbox,
        account_ids=body.account_ids,
        ask_url=body.ask_url,
        ask_token=_reveal(body.ask_token),
        ask_client_id=_reveal(body.ask_client_id),
        sandbox_origins=settings.sandbox_origins,
        sealer=sealer,
        actor=caller.actor,
        may_vouch=caller.may(Permission.ACCOUNTS_APPROVE),
        now=now,
    )
    listed = await service.list_endpoint_accounts(tx, caller.org_id, [endpoint.id])
    no_store(response)
    return EndpointMade(
        **_describe(endpoint, listed, settings),
        secret=secrets.keys[0],
        username=secrets.username,
    )


@router.get("")
async def list_endpoints(caller: Reader, tx: Tx, settings: TheSettings) -> EndpointsRead:
    """List the endpoints, revoked ones too (at most 500)."""
    endpoints = await service.list_endpoints(tx, caller.org_id)
    listed = await service.list_endpoint_accounts(tx, caller.org_id, [e.id for e in endpoints])
    return EndpointsRead(
        endpoints=[EndpointRead(**_describe(one, listed, settings)) for one in endpoints]
    )


@router.get("/{endpoint_id}", responses=may_answer(EndpointNotFound))
async def show_endpoint(
    endpoint_id: UUID, caller: Reader, tx: Tx, settings: TheSettings, now: Now
) -> EndpointDetail:
    """Show an endpoint and how its last 24 hours went."""
    endpoint = await service.get_endpoint(tx, caller.org_id, endpoint_id)
    listed = await service.list_endpoint_accounts(tx, caller.org_id, [endpoint_id])
    counts = await views.count_deliveries(
        tx, caller.org_id, endpoint_id, first_id=first_id_at(now - views.COUNTED_FOR)
    )
    return EndpointDetail(
        **_describe(endpoint, listed, settings), last_day=EndpointCounts.model_validate(counts)
    )


@router.put("/{endpoint_id}/accounts", responses=may_answer(EndpointNotFound, BadAccount))
async def set_accounts(
    endpoint_id: UUID,
    body: EndpointAccounts,
    caller: Manager,
    tx: Tx,
    settings: TheSettings,
    now: Now,
) -> EndpointRead:
    """Say which accounts an endpoint may speak for; messages that waited are judged at once."""
    await service.set_accounts(
        tx,
        caller.org_id,
        endpoint_id,
        body.account_ids,
        actor=caller.actor,
        may_vouch=caller.may(Permission.ACCOUNTS_APPROVE),
        now=now,
    )
    endpoint = await service.get_endpoint(tx, caller.org_id, endpoint_id)
    listed = await service.list_endpoint_accounts(tx, caller.org_id, [endpoint_id])
    return EndpointRead(**_describe(endpoint, listed, settings))


@router.put(
    "/{endpoint_id}/asking",
    responses=may_answer(EndpointNotFound, EndpointRevoked, BadAskToken),
)
async def set_asking(
    endpoint_id: UUID,
    body: EndpointAsking,
    caller: Manager,
    tx: Tx,
    sealer: TheSealer,
    settings: TheSettings,
    now: Now,
) -> EndpointRead:
    """Replace the token for "kiểm tra giao dịch", or take it away with null; it is never shown."""
    endpoint = await set_ask_keys(
        tx,
        caller.org_id,
        endpoint_id,
        token=_reveal(body.ask_token),
        client_id=_reveal(body.ask_client_id),
        sealer=sealer,
        actor=caller.actor,
        may_vouch=caller.may(Permission.ACCOUNTS_APPROVE),
        now=now,
    )
    listed = await service.list_endpoint_accounts(tx, caller.org_id, [endpoint_id])
    return EndpointRead(**_describe(endpoint, listed, settings))


@router.post(
    "/{endpoint_id}/rotate",
    status_code=201,
    responses=may_answer(EndpointNotFound, EndpointRevoked, BadSecret),
)
async def rotate_secret(
    endpoint_id: UUID,
    body: EndpointRotate,
    response: Response,
    caller: Manager,
    tx: Tx,
    sealer: TheSealer,
    now: Now,
) -> EndpointSecretsRead:
    """Give an endpoint a new secret; the old one holds for the overlap, 7 days at most."""
    secrets = await service.rotate_secret(
        tx,
        caller.org_id,
        endpoint_id,
        secret=_reveal(body.secret),
        overlap=body.overlap,
        sealer=sealer,
        actor=caller.actor,
        may_vouch=caller.may(Permission.ACCOUNTS_APPROVE),
        now=now,
    )
    no_store(response)
    return EndpointSecretsRead(secret=secrets.keys[0], username=secrets.username)


@router.delete("/{endpoint_id}", status_code=204, responses=may_answer(EndpointNotFound))
async def revoke_endpoint(endpoint_id: UUID, caller: Manager, tx: Tx, now: Now) -> None:
    """Close an address for good; every process of the hub forgets it within 3 seconds."""
    await service.revoke_endpoint(tx, caller.org_id, endpoint_id, actor=caller.actor, now=now)


@router.get("/{endpoint_id}/deliveries", responses=may_answer(EndpointNotFound, BadCursor))
async def list_deliveries(
    endpoint_id: UUID, caller: Reader, tx: Tx, cursor: Cursor = None, limit: Limit = 50
) -> DeliveryPage:
    """List what came in, believed or not, newest first."""
    await service.get_endpoint(tx, caller.org_id, endpoint_id)
    found = await views.list_deliveries(
        tx, caller.org_id, endpoint_id, before_id=read_cursor(cursor), limit=limit + 1
    )
    return DeliveryPage(
        deliveries=[DeliveryRead.model_validate(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.get(
    "/{endpoint_id}/deliveries/{delivery_id}",
    responses=may_answer(EndpointNotFound, DeliveryNotFound),
)
async def show_delivery(
    endpoint_id: UUID, delivery_id: UUID, response: Response, caller: Manager, tx: Tx
) -> DeliveryBody:
    """Show what a message said, to find out why it was refused or not understood."""
    await service.get_endpoint(tx, caller.org_id, endpoint_id)
    body = await views.find_body(tx, caller.org_id, endpoint_id, delivery_id)
    if body is None:
        raise DeliveryNotFound(delivery_id)
    no_store(response)
    return DeliveryBody(id=delivery_id, body=hide_sensitive(body))


def _reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _describe(
    endpoint: CallbackEndpoint, listed: Sequence[EndpointAccount], settings: Settings
) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "provider": endpoint.provider,
        "name": endpoint.name,
        "is_sandbox": endpoint.is_sandbox,
        "url": f"{settings.public_url}/v1/callbacks/{endpoint.provider}/{endpoint.address}",
        "accounts": [
            EndpointAccountRead(
                id=one.receiving_account_id,
                account_number=mask_tail(one.account_number),
                vouched_by=one.vouched_by,
            )
            for one in listed
            if one.endpoint_id == endpoint.id
        ],
        "can_be_asked": endpoint.sealed_ask_token is not None,
        "previous_key_until": endpoint.previous_key_until,
        "key_vouched_by": endpoint.key_vouched_by,
        "key_vouched_from": endpoint.key_vouched_from,
        "created_at": endpoint.created_at,
        "revoked_at": endpoint.revoked_at,
    }
