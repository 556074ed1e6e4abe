"""Callback endpoints: making, rotating and revoking them, and their list of accounts."""

import json
import secrets as random_secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.ids import new_id, new_token
from core.sealing import Sealer
from core.settings import read_origin
from core.text import check_lines
from identity.organisations.rules import OrgFacts
from payments.connections import queries
from payments.connections.credentials import check_pull_credentials, seal_pull_credentials
from payments.connections.errors import (
    BadPullUrl,
    BadSecret,
    CallbackEndpointRevoked,
    SandboxRefused,
    UnknownProvider,
)
from payments.connections.models import CallbackEndpoint, CallbackEndpointAccount
from payments.connections.queries import get_endpoint
from payments.connections.vouching import Vouch
from payments.payees.errors import BadAccount
from payments.providers import PROVIDERS
from payments.providers.types import KEYS_MAX, EndpointSecrets

SECRET_CHARS: Final = range(16, 257)
NAME_CHARS_MAX: Final = 80
ACCOUNTS_LISTED_MAX: Final = 1_000  # by one endpoint: each is looked at with each notice
SAME_NUMBER: Final = (
    "Two of these accounts have the same number at different banks; not every provider says"
    " which, so give each its own endpoint."
)
# Processes cache a key for some seconds, and a VietQR.vn token made with one is valid for 300 s.
KEY_LINGERS_FOR: Final = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointRequest:
    """A callback endpoint to be made."""

    provider: str
    name: str
    secret: str | None = None  # that the provider issued; None where the hub may make one
    is_sandbox: bool = False
    account_ids: Collection[UUID] = ()  # the receiving accounts that it may speak for
    # Where to poll instead of at the provider's own address; sandbox endpoints only. Its origin
    # alone is kept.
    pull_url: str | None = None
    pull_token: str | None = field(default=None, repr=False)
    pull_client_id: str | None = field(default=None, repr=False)


async def create_endpoint(
    session: AsyncSession,
    org: OrgFacts,
    request: EndpointRequest,
    *,
    sealer: Sealer,
    actor: Actor,
    vouch: Vouch | None = None,
    sandbox_origins: Collection[str] = (),
    id_: UUID | None = None,
    now: datetime,
) -> tuple[CallbackEndpoint, EndpointSecrets]:
    """Make an address for one provider to call.

    Args:
        request: what was entered.
        vouch: of a person who may approve accounts, so that the test transfers which this endpoint
            reports count (payments.connections.vouching).
        sandbox_origins: the addresses of sandboxes that the operator allows (core.settings).

    Returns:
        The endpoint, and its secrets in clear: the only time that they are shown.

    Raises:
        UnknownProvider, BadSecret, BadAccount, BadPullUrl, BadPullToken
        SandboxRefused: a sandbox endpoint for a live organisation.
    """
    check_lines(name=request.name)
    provider = PROVIDERS.get(request.provider)
    if provider is None:
        raise UnknownProvider(request.provider, sorted(PROVIDERS))
    if org.is_live and request.is_sandbox:
        raise SandboxRefused
    pull_origin = None if request.pull_url is None else read_origin(request.pull_url)
    is_allowed = request.is_sandbox and pull_origin in sandbox_origins
    if request.pull_url is not None and not is_allowed:
        # The hub would send a token there, or reach into its own network.
        raise BadPullUrl
    credentials = check_pull_credentials(
        request.provider, request.pull_token, request.pull_client_id
    )
    secrets = EndpointSecrets(
        keys=(_check_secret(request.provider, request.secret),),
        username=f"phopay-{new_token()[:10]}" if provider.capabilities.needs_username else None,
    )
    endpoint_id = id_ or new_id()
    endpoint = CallbackEndpoint(
        org_id=org.id,
        id=endpoint_id,
        org_is_live=org.is_live,
        address=f"{org.code}-{new_token()}",
        provider=request.provider,
        name=request.name,
        is_sandbox=request.is_sandbox,
        sealed_secrets=_seal(sealer, org.id, endpoint_id, secrets),
        pull_url=pull_origin,
        sealed_pull_token=None
        if credentials is None
        else seal_pull_credentials(sealer, org.id, endpoint_id, credentials),
        created_at=now,
    )
    if vouch is not None:
        endpoint.key_vouched_by = endpoint.pull_vouched_by = vouch.by
        endpoint.key_vouched_from = endpoint.pull_vouched_from = vouch.since
    session.add(endpoint)
    await session.flush()
    vouched_by = None if vouch is None else vouch.by
    await list_accounts(
        session, org.id, endpoint_id, dict.fromkeys(request.account_ids, vouched_by)
    )
    after = {"accounts": len(request.account_ids), "is_vouched": vouch is not None}
    record_endpoint(session, endpoint, actor, "callback_endpoint.created", now, after)
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
            before can have signed the report of one, and that key was not the actor's own.

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
    record_endpoint(
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
    """Close an address for good. Idempotent.

    Raises:
        CallbackEndpointNotFound
    """
    endpoint = await get_endpoint(session, org_id, endpoint_id, is_to_change=True)
    if endpoint.revoked_at is None:
        endpoint.revoked_at = now
        await session.flush()
        record_endpoint(session, endpoint, actor, "callback_endpoint.revoked", now, {})


def open_secrets(endpoint: CallbackEndpoint, sealer: Sealer, *, now: datetime) -> EndpointSecrets:
    """Decrypt an endpoint's secrets; a previous key is left out once its time is over."""
    plain = sealer.unseal(endpoint.sealed_secrets, org_id=endpoint.org_id, object_id=endpoint.id)
    opened = json.loads(plain)
    keys = tuple(opened["keys"])
    if endpoint.previous_key_until is None or now >= endpoint.previous_key_until:
        keys = keys[:1]
    return EndpointSecrets(keys=keys, username=opened["username"])


def _seal(sealer: Sealer, org_id: UUID, endpoint_id: UUID, secrets: EndpointSecrets) -> bytes:
    plain = json.dumps({"keys": secrets.keys, "username": secrets.username}).encode()
    return sealer.seal(plain, org_id=org_id, object_id=endpoint_id)


def _check_secret(provider: str, secret: str | None) -> str:
    if secret is None:
        if PROVIDERS[provider].capabilities.issues_secret:
            raise BadSecret(f"{provider} issues the secret itself: paste it here.")
        return random_secrets.token_urlsafe(32)
    if len(secret) not in SECRET_CHARS or not secret.isprintable():
        raise BadSecret(
            f"A secret has {SECRET_CHARS.start} to {SECRET_CHARS.stop - 1} printable characters."
        )
    return secret


async def list_accounts(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, account_ids: Mapping[UUID, UUID | None]
) -> None:
    """Add accounts to the list that an endpoint may speak for; the caller holds its lock.

    Args:
        account_ids: each with who vouches for its listing.

    Raises:
        BadAccount: one is not the organisation's, two have the same number, or they are too many.
    """
    accounts = await queries.find_receiving_accounts(session, org_id, account_ids)
    if len(accounts) != len(account_ids):
        raise BadAccount("One of the receiving accounts is not this organisation's.")
    known = await queries.count_listed(session, org_id, endpoint_id)
    if known + len(accounts) > ACCOUNTS_LISTED_MAX:
        raise BadAccount(f"An endpoint speaks for {ACCOUNTS_LISTED_MAX} accounts; make another.")
    numbers = [account.account_number.upper() for account in accounts]
    is_taken = await queries.is_number_listed(session, org_id, endpoint_id, numbers)
    if is_taken or len(set(numbers)) != len(numbers):
        raise BadAccount(SAME_NUMBER)
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


def record_endpoint(
    session: AsyncSession,
    endpoint: CallbackEndpoint,
    actor: Actor,
    action: str,
    now: datetime,
    after: Mapping[str, object],
) -> None:
    """Write the audit row of a change to an endpoint."""
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
