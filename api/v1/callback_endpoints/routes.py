"""Callback endpoints: the addresses that banks call, and the notices received there."""

from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import SecretStr

from api.http.deps import Now, TheSealer, TheSettings, Tx, requires
from api.http.errors import may_answer
from api.http.idempotency import REPLAYED, IdempotencyKey, hash_body, mark_replayed, take_key
from api.http.middleware import no_store
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.callback_endpoints.schemas import (
    CallbackEndpointAccountRead,
    CallbackEndpointAccounts,
    CallbackEndpointCreate,
    CallbackEndpointDetail,
    CallbackEndpointMade,
    CallbackEndpointPolling,
    CallbackEndpointPull,
    CallbackEndpointRead,
    CallbackEndpointRotate,
    CallbackEndpointSecretsRead,
    CallbackEndpointsRead,
    EndpointCounts,
    NoticeBody,
    NoticePage,
    NoticeRead,
)
from core.idempotency import IdempotencyKeyReused
from core.ids import new_id
from core.masking import mask_tail
from core.paging import BadCursor
from core.sealing import SecretNotReadable
from core.settings import Settings
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.callbacks import views
from payments.callbacks.errors import NoticeNotFound
from payments.callbacks.message_text import show_message
from payments.connections import queries, service
from payments.connections.errors import (
    BadPullToken,
    BadPullUrl,
    BadSecret,
    CallbackEndpointNotFound,
    CallbackEndpointRevoked,
    SandboxRefused,
)
from payments.connections.models import CallbackEndpoint, CallbackEndpointAccount
from payments.connections.pull_setup import set_pull_credentials
from payments.connections.vouching import vouch_of
from payments.onboarding import service as onboarding
from payments.payees.errors import BadAccount
from payments.polling.intervals import set_interval
from payments.providers.errors import ProviderCannotBePolled

router = APIRouter(prefix="/v1/callback-endpoints", tags=["callbacks"])

Reader = Annotated[Caller, requires(Permission.CALLBACK_ENDPOINTS_READ)]
Manager = Annotated[Caller, requires(Permission.CALLBACK_ENDPOINTS_MANAGE)]
ROTATE: Final = "POST /v1/callback-endpoints/{endpoint_id}/rotate"


@router.post(
    "",
    status_code=201,
    responses={
        **may_answer(
            BadSecret, SandboxRefused, BadAccount, BadPullUrl, BadPullToken, IdempotencyKeyReused
        ),
        201: REPLAYED,
    },
)
async def create_endpoint(
    body: CallbackEndpointCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    sealer: TheSealer,
    settings: TheSettings,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> CallbackEndpointMade:
    """Make an address. Its secret is in this answer and nowhere else, ever: a repeat shows null."""
    no_store(response)
    endpoint_id = new_id()
    body_hash = hash_body(
        body,
        secret_key=settings.secret_key.get_secret_value(),
        secret=_reveal(body.secret),
        pull_token=_reveal(body.pull_token),
        pull_client_id=_reveal(body.pull_client_id),
    )
    asked = (caller.org_id, "POST /v1/callback-endpoints", idempotency_key, body_hash)
    first = await take_key(tx, *asked, makes=endpoint_id, now=now)
    if first is not None:
        mark_replayed(response)
        known = await queries.get_endpoint(tx, caller.org_id, first)
        listed = await queries.list_callback_endpoint_accounts(tx, caller.org_id, [first])
        return CallbackEndpointMade(
            **_describe(known, listed, settings), secret=None, username=None
        )
    endpoint, secrets = await service.create_endpoint(
        tx,
        caller.org,
        service.EndpointRequest(
            provider=body.provider.value,
            name=body.name,
            secret=_reveal(body.secret),
            is_sandbox=body.is_sandbox,
            account_ids=body.account_ids,
            pull_url=body.pull_url,
            pull_token=_reveal(body.pull_token),
            pull_client_id=_reveal(body.pull_client_id),
        ),
        sealer=sealer,
        actor=caller.actor,
        vouch=vouch_of(caller.actor, may_approve=caller.may(Permission.ACCOUNTS_APPROVE), now=now),
        sandbox_origins=settings.sandbox_origins,
        id_=endpoint_id,
        now=now,
    )
    listed = await queries.list_callback_endpoint_accounts(tx, caller.org_id, [endpoint.id])
    return CallbackEndpointMade(
        **_describe(endpoint, listed, settings),
        secret=secrets.keys[0],
        username=secrets.username,
    )


@router.get("", responses=may_answer(BadCursor))
async def list_endpoints(
    caller: Reader, tx: Tx, settings: TheSettings, cursor: Cursor = None, limit: Limit = 50
) -> CallbackEndpointsRead:
    """List the endpoints, revoked ones too, newest first."""
    found = await queries.list_endpoints(
        tx, caller.org_id, before_id=read_cursor(cursor), limit=limit + 1
    )
    shown = found[:limit]
    listed = await queries.list_callback_endpoint_accounts(
        tx, caller.org_id, [one.id for one in shown]
    )
    return CallbackEndpointsRead(
        endpoints=[CallbackEndpointRead(**_describe(one, listed, settings)) for one in shown],
        next_cursor=next_cursor(found, limit),
    )


@router.get("/{endpoint_id}", responses=may_answer(CallbackEndpointNotFound))
async def show_endpoint(
    endpoint_id: UUID, caller: Reader, tx: Tx, settings: TheSettings, now: Now
) -> CallbackEndpointDetail:
    """Show an endpoint and how its last 24 hours went."""
    endpoint = await queries.get_endpoint(tx, caller.org_id, endpoint_id)
    listed = await queries.list_callback_endpoint_accounts(tx, caller.org_id, [endpoint_id])
    counts = (await views.count_notices(tx, caller.org_id, [endpoint_id], now=now))[endpoint_id]
    return CallbackEndpointDetail(
        **_describe(endpoint, listed, settings), last_day=EndpointCounts.model_validate(counts)
    )


@router.put("/{endpoint_id}/accounts", responses=may_answer(CallbackEndpointNotFound, BadAccount))
async def set_accounts(
    endpoint_id: UUID,
    body: CallbackEndpointAccounts,
    caller: Manager,
    tx: Tx,
    settings: TheSettings,
    now: Now,
) -> CallbackEndpointRead:
    """Replace the accounts of an endpoint; messages that waited are processed at once."""
    await onboarding.set_accounts(
        tx,
        caller.org_id,
        endpoint_id,
        body.account_ids,
        actor=caller.actor,
        may_vouch=caller.may(Permission.ACCOUNTS_APPROVE),
        now=now,
    )
    endpoint = await queries.get_endpoint(tx, caller.org_id, endpoint_id)
    listed = await queries.list_callback_endpoint_accounts(tx, caller.org_id, [endpoint_id])
    return CallbackEndpointRead(**_describe(endpoint, listed, settings))


@router.put(
    "/{endpoint_id}/accounts/{account_id}",
    responses=may_answer(CallbackEndpointNotFound, BadAccount),
)
async def add_account(
    endpoint_id: UUID,
    account_id: UUID,
    caller: Manager,
    tx: Tx,
    settings: TheSettings,
    now: Now,
) -> CallbackEndpointRead:
    """Let an endpoint speak for one more account; messages that waited are processed at once."""
    await onboarding.change_accounts(
        tx,
        caller.org_id,
        endpoint_id,
        chosen=[account_id],
        actor=caller.actor,
        may_vouch=caller.may(Permission.ACCOUNTS_APPROVE),
        now=now,
    )
    endpoint = await queries.get_endpoint(tx, caller.org_id, endpoint_id)
    listed = await queries.list_callback_endpoint_accounts(tx, caller.org_id, [endpoint_id])
    return CallbackEndpointRead(**_describe(endpoint, listed, settings))


@router.delete(
    "/{endpoint_id}/accounts/{account_id}",
    status_code=204,
    responses=may_answer(CallbackEndpointNotFound),
)
async def remove_account(
    endpoint_id: UUID, account_id: UUID, caller: Manager, tx: Tx, now: Now
) -> None:
    """Stop an endpoint from speaking for an account; idempotent."""
    await onboarding.change_accounts(
        tx,
        caller.org_id,
        endpoint_id,
        chosen=(),
        before=[account_id],
        actor=caller.actor,
        now=now,
    )


@router.put(
    "/{endpoint_id}/pull-credentials",
    responses=may_answer(CallbackEndpointNotFound, CallbackEndpointRevoked, BadPullToken),
)
async def set_pull(
    endpoint_id: UUID,
    body: CallbackEndpointPull,
    caller: Manager,
    tx: Tx,
    sealer: TheSealer,
    settings: TheSettings,
    now: Now,
) -> CallbackEndpointRead:
    """Replace what the provider is polled with, or take it away with null; it is never shown."""
    endpoint = await set_pull_credentials(
        tx,
        caller.org_id,
        endpoint_id,
        token=_reveal(body.pull_token),
        client_id=_reveal(body.pull_client_id),
        sealer=sealer,
        actor=caller.actor,
        may_vouch=caller.may(Permission.ACCOUNTS_APPROVE),
        now=now,
    )
    listed = await queries.list_callback_endpoint_accounts(tx, caller.org_id, [endpoint_id])
    return CallbackEndpointRead(**_describe(endpoint, listed, settings))


@router.put(
    "/{endpoint_id}/accounts/{account_id}/polling",
    status_code=204,
    responses=may_answer(CallbackEndpointNotFound, ProviderCannotBePolled),
)
async def set_polling(
    endpoint_id: UUID,
    account_id: UUID,
    body: CallbackEndpointPolling,
    caller: Manager,
    tx: Tx,
    now: Now,
) -> None:
    """Set how often the hub asks for what the callbacks of an account lost."""
    await set_interval(
        tx,
        caller.org_id,
        endpoint_id,
        account_id,
        every_s=body.every_s,
        actor=caller.actor,
        now=now,
    )


@router.post(
    "/{endpoint_id}/rotate",
    status_code=201,
    responses={
        **may_answer(
            CallbackEndpointNotFound,
            CallbackEndpointRevoked,
            BadSecret,
            SecretNotReadable,
            IdempotencyKeyReused,
        ),
        201: REPLAYED,
    },
)
async def rotate_secret(
    endpoint_id: UUID,
    body: CallbackEndpointRotate,
    response: Response,
    caller: Manager,
    tx: Tx,
    sealer: TheSealer,
    settings: TheSettings,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> CallbackEndpointSecretsRead:
    """Give an endpoint a new secret; the old one holds for the overlap, 7 days at most."""
    no_store(response)
    secret_key = settings.secret_key.get_secret_value()
    body_hash = hash_body(body, endpoint_id, secret_key=secret_key, secret=_reveal(body.secret))
    asked = (caller.org_id, ROTATE, idempotency_key, body_hash)
    if await take_key(tx, *asked, makes=endpoint_id, now=now) is not None:
        mark_replayed(response)
        return CallbackEndpointSecretsRead(secret=None, username=None)
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
    return CallbackEndpointSecretsRead(secret=secrets.keys[0], username=secrets.username)


@router.delete("/{endpoint_id}", status_code=204, responses=may_answer(CallbackEndpointNotFound))
async def revoke_endpoint(endpoint_id: UUID, caller: Manager, tx: Tx, now: Now) -> None:
    """Close an address for good; every process of the hub forgets it within 3 seconds."""
    await service.revoke_endpoint(tx, caller.org_id, endpoint_id, actor=caller.actor, now=now)


@router.get("/{endpoint_id}/notices", responses=may_answer(CallbackEndpointNotFound, BadCursor))
async def list_notices(
    endpoint_id: UUID, caller: Reader, tx: Tx, cursor: Cursor = None, limit: Limit = 50
) -> NoticePage:
    """List what came in, accepted or not, newest first."""
    await queries.get_endpoint(tx, caller.org_id, endpoint_id)
    found = await views.list_notices(
        tx, caller.org_id, endpoint_id, before_id=read_cursor(cursor), limit=limit + 1
    )
    return NoticePage(
        notices=[NoticeRead.model_validate(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.get(
    "/{endpoint_id}/notices/{notice_id}",
    responses=may_answer(CallbackEndpointNotFound, NoticeNotFound),
)
async def show_notice(
    endpoint_id: UUID, notice_id: UUID, response: Response, caller: Reader, tx: Tx
) -> NoticeBody:
    """Show what a message said, to find out why it was refused or not understood."""
    await queries.get_endpoint(tx, caller.org_id, endpoint_id)
    body = await views.find_body(tx, caller.org_id, endpoint_id, notice_id)
    if body is None:
        raise NoticeNotFound(notice_id)
    no_store(response)
    return NoticeBody(id=notice_id, body=show_message(body))


def _reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _describe(
    endpoint: CallbackEndpoint, listed: Sequence[CallbackEndpointAccount], settings: Settings
) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "provider": endpoint.provider,
        "name": endpoint.name,
        "is_sandbox": endpoint.is_sandbox,
        "url": f"{settings.public_url}/v1/callbacks/{endpoint.provider}/{endpoint.address}",
        "accounts": [
            CallbackEndpointAccountRead(
                id=one.receiving_account_id,
                account_number=mask_tail(one.account_number),
                vouched_by=one.vouched_by,
            )
            for one in listed
            if one.endpoint_id == endpoint.id
        ],
        "can_be_polled": endpoint.sealed_pull_token is not None,
        "previous_key_until": endpoint.previous_key_until,
        "key_vouched_by": endpoint.key_vouched_by,
        "key_vouched_from": endpoint.key_vouched_from,
        "created_at": endpoint.created_at,
        "revoked_at": endpoint.revoked_at,
    }
