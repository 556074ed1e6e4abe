"""Callback endpoints: making, rotating and revoking them, and storing what they receive."""

import json
import secrets as random_secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.ids import new_id, new_token
from core.sealing import Sealer
from core.settings import read_origin
from core.text import check_lines
from identity.organisations.rules import OrgFacts
from payments.connections.credentials import check_pull_credentials, seal_pull_credentials
from payments.connections.errors import (
    BadPullUrl,
    BadSecret,
    CallbackEndpointNotFound,
    CallbackEndpointRevoked,
    SandboxRefused,
    UnknownProvider,
)
from payments.connections.models import CallbackEndpoint, CallbackEndpointAccount
from payments.payees.errors import BadAccount
from payments.payees.models import ReceivingAccount
from payments.providers import PROVIDERS
from payments.providers.types import KEYS_MAX, EndpointSecrets

# Providers whose secret the hub may choose; the others issue it themselves.
GENERATES_SECRET: Final = frozenset({"sepay", "sepay_apikey", "vietqrvn"})
SECRET_CHARS: Final = range(16, 257)
NAME_CHARS_MAX: Final = 80
LIST_MAX: Final = 500
# Processes remember a key for some seconds, and a VietQR.vn token made with one holds 300 s.
KEY_LINGERS_FOR: Final = timedelta(minutes=10)


async def create_endpoint(
    session: AsyncSession,
    org: OrgFacts,
    *,
    provider: str,
    name: str,
    secret: str | None,
    is_sandbox: bool,
    account_ids: Collection[UUID],
    pull_url: str | None,
    pull_token: str | None,
    pull_client_id: str | None = None,
    sealer: Sealer,
    actor: Actor,
    now: datetime,
    may_vouch: bool = False,
    sandbox_origins: Collection[str] = (),
) -> tuple[CallbackEndpoint, EndpointSecrets]:
    """Make an address for one provider to call.

    Args:
        secret: the signing secret that the provider issued; None where the hub may choose one.
        account_ids: the receiving accounts that it may speak for.
        pull_url: where to ask instead of at the provider's own address; sandbox endpoints only.
            Its origin alone is kept.
        pull_token: the API token with which the provider answers questions.
        pull_client_id: what payOS wants to see beside it.
        may_vouch: whether the actor may approve accounts, so that test transfers which this
            endpoint tells of count (payments.connections.vouching).
        sandbox_origins: the addresses of sandboxes that the operator allows (core.settings).

    Returns:
        The endpoint, and its secrets in clear: the only time that they are shown.

    Raises:
        UnknownProvider, BadSecret, BadAccount, BadPullUrl, BadPullToken
        SandboxRefused: a live organisation asked for a sandbox endpoint.
    """
    check_lines(name=name)
    if provider not in PROVIDERS:
        raise UnknownProvider(provider, sorted(PROVIDERS))
    if org.is_live and is_sandbox:
        raise SandboxRefused
    pull_origin = None if pull_url is None else read_origin(pull_url)
    if pull_url is not None and (not is_sandbox or pull_origin not in sandbox_origins):
        # The hub would send a token there, or reach into its own network.
        raise BadPullUrl
    pull_credentials = check_pull_credentials(provider, pull_token, pull_client_id)
    secrets = EndpointSecrets(
        keys=(_check_secret(provider, secret),),
        username=f"phopay-{new_token()[:10]}" if provider == "vietqrvn" else None,
    )
    endpoint_id = new_id()
    endpoint = CallbackEndpoint(
        org_id=org.id,
        id=endpoint_id,
        org_is_live=org.is_live,
        address=f"{org.code}-{new_token()}",
        provider=provider,
        name=name,
        is_sandbox=is_sandbox,
        sealed_secrets=_seal(sealer, org.id, endpoint_id, secrets),
        pull_url=pull_origin,
        sealed_pull_token=None
        if pull_credentials is None
        else seal_pull_credentials(sealer, org.id, endpoint_id, pull_credentials),
        key_vouched_by=actor.id if may_vouch else None,
        key_vouched_from=now if may_vouch else None,
        pull_vouched_by=actor.id if may_vouch else None,
        pull_vouched_from=now if may_vouch else None,
        created_at=now,
    )
    session.add(endpoint)
    await session.flush()
    voucher = actor.id if may_vouch else None
    await _list_accounts(session, org.id, endpoint_id, dict.fromkeys(account_ids, voucher))
    after = {"accounts": len(account_ids), "is_vouched": may_vouch}
    _record(session, endpoint, actor, "callback_endpoint.created", now, after)
    return endpoint, secrets


async def rotate_secret(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    *,
    secret: str | None,
    overlap: timedelta,
    sealer: Sealer,
    actor: Actor,
    now: datetime,
    may_vouch: bool = False,
) -> EndpointSecrets:
    """Give an endpoint a new secret; the old one holds for the overlap.

    Args:
        may_vouch: whether the actor may approve accounts. Test transfers count again once no key of
            before can have signed what tells of them, and that key was not the actor's own.

    Raises:
        CallbackEndpointNotFound, CallbackEndpointRevoked, BadSecret
    """
    endpoint = await get_endpoint(session, org_id, endpoint_id, is_to_change=True)
    if endpoint.revoked_at is not None:
        raise CallbackEndpointRevoked
    old = open_secrets(endpoint, sealer, now=now)
    new_key = _check_secret(endpoint.provider, secret)
    secrets = EndpointSecrets(keys=(new_key, old.keys[0])[:KEYS_MAX], username=old.username)
    endpoint.sealed_secrets = _seal(sealer, org_id, endpoint_id, secrets)
    endpoint.previous_key_until = now + overlap
    if not may_vouch:
        endpoint.key_vouched_by = endpoint.key_vouched_from = None
    elif endpoint.key_vouched_by != actor.id or endpoint.key_vouched_from is None:
        endpoint.key_vouched_by = actor.id
        endpoint.key_vouched_from = now + overlap + KEY_LINGERS_FOR
    else:  # of two keys at most, both are the actor's now
        endpoint.key_vouched_from = min(endpoint.key_vouched_from, now + KEY_LINGERS_FOR)
    await session.flush()
    _record(
        session,
        endpoint,
        actor,
        "callback_endpoint.secret_rotated",
        now,
        {"previous_key_until": endpoint.previous_key_until.isoformat(), "is_vouched": may_vouch},
    )
    return secrets


async def revoke_endpoint(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, *, actor: Actor, now: datetime
) -> None:
    """Close an address for good. Revoking twice answers like the first time.

    Raises:
        CallbackEndpointNotFound
    """
    endpoint = await get_endpoint(session, org_id, endpoint_id, is_to_change=True)
    if endpoint.revoked_at is None:
        endpoint.revoked_at = now
        await session.flush()
        _record(session, endpoint, actor, "callback_endpoint.revoked", now, {})


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


async def list_endpoints(session: AsyncSession, org_id: UUID) -> Sequence[CallbackEndpoint]:
    """List the endpoints, revoked ones too, newest first, at most LIST_MAX."""
    query = select(CallbackEndpoint).where(CallbackEndpoint.org_id == org_id)
    return (await session.scalars(query.order_by(CallbackEndpoint.id.desc()).limit(LIST_MAX))).all()


async def list_callback_endpoint_accounts(
    session: AsyncSession, org_id: UUID, endpoint_ids: Collection[UUID]
) -> Sequence[CallbackEndpointAccount]:
    """List which accounts these endpoints may speak for, by number."""
    query = select(CallbackEndpointAccount).where(
        CallbackEndpointAccount.org_id == org_id,
        CallbackEndpointAccount.endpoint_id.in_(endpoint_ids),
    )
    return (await session.scalars(query.order_by(CallbackEndpointAccount.account_number))).all()


def open_secrets(endpoint: CallbackEndpoint, sealer: Sealer, *, now: datetime) -> EndpointSecrets:
    """Decrypt an endpoint's secrets; a previous key is left out once its time is over."""
    plain = sealer.unseal(endpoint.sealed_secrets, org_id=endpoint.org_id, object_id=endpoint.id)
    told = json.loads(plain)
    keys = tuple(told["keys"])
    if endpoint.previous_key_until is None or now >= endpoint.previous_key_until:
        keys = keys[:1]
    return EndpointSecrets(keys=keys, username=told["username"])


def _seal(sealer: Sealer, org_id: UUID, endpoint_id: UUID, secrets: EndpointSecrets) -> bytes:
    plain = json.dumps({"keys": secrets.keys, "username": secrets.username}).encode()
    return sealer.seal(plain, org_id=org_id, object_id=endpoint_id)


def _check_secret(provider: str, secret: str | None) -> str:
    if secret is None:
        if provider not in GENERATES_SECRET:
            raise BadSecret(f"{provider} issues the secret itself: paste it here.")
        return random_secrets.token_urlsafe(32)
    if len(secret) not in SECRET_CHARS or not secret.isprintable():
        raise BadSecret(
            f"A secret has {SECRET_CHARS.start} to {SECRET_CHARS.stop - 1} printable characters."
        )
    return secret


async def _list_accounts(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, account_ids: Mapping[UUID, UUID | None]
) -> None:
    """List accounts, each with who answers for that it is listed."""
    query = select(ReceivingAccount).where(
        ReceivingAccount.org_id == org_id, ReceivingAccount.id.in_(account_ids)
    )
    accounts = (await session.scalars(query)).all()
    if len(accounts) != len(account_ids):
        raise BadAccount("One of the receiving accounts is not this organisation's.")
    numbers = [account.account_number.upper() for account in accounts]
    if len(set(numbers)) != len(numbers):
        raise BadAccount(
            "Two of these accounts have the same number at different banks; not every provider says"
            " which, so give each its own endpoint."
        )
    session.add_all(
        CallbackEndpointAccount(
            org_id=org_id,
            endpoint_id=endpoint_id,
            receiving_account_id=account.id,
            account_number=account.account_number,
            vouched_by=account_ids[account.id],
        )
        for account in accounts
    )
    await session.flush()


def _record(
    session: AsyncSession,
    endpoint: CallbackEndpoint,
    actor: Actor,
    action: str,
    now: datetime,
    after: Mapping[str, object],
) -> None:
    record_change(
        session,
        org_id=endpoint.org_id,
        actor=actor,
        action=action,
        object_kind="callback_endpoint",
        object_id=endpoint.id,
        after={"provider": endpoint.provider, "name": endpoint.name, **after},
        now=now,
    )
