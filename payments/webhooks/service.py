"""Webhook endpoints: making, changing, rotating, stopping them."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM, Actor, record_change
from core.errors import InvalidRequest, Violation
from core.ids import first_id_at
from core.reasons import Reason
from core.sealing import Sealer, SecretNotReadable
from core.shared_clock import read_shared_clock
from core.text import check_lines
from payments.breaks.queries import close_breaks, insert_breaks_once
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.webhooks import queries
from payments.webhooks.addresses import read_destination
from payments.webhooks.errors import (
    WebhookEndpointsFull,
)
from payments.webhooks.models import WebhookEndpoint
from payments.webhooks.rules import (
    CHOICES,
    CHOICES_MAX,
    ENDPOINTS_MAX,
    OLD_SECRET_FOR,
    SECRETS_MAX,
    EndpointStatus,
    StopReason,
)
from payments.webhooks.signing import make_secret
from payments.webhooks.types import EndpointRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointChanges:
    """What is changed of an endpoint; None leaves a field as it is."""

    url: str | None = None
    events: tuple[str, ...] | None = None
    description: str | None = None
    is_enabled: bool | None = None


async def create_endpoint(
    session: AsyncSession,
    org_id: UUID,
    request: EndpointRequest,
    *,
    allowed_origins: Collection[str],
    sealer: Sealer,
    actor: Actor,
    id_: UUID,
    now: datetime,
) -> tuple[WebhookEndpoint, str]:
    """Make an endpoint; it is sent what happens from now on.

    Args:
        allowed_origins: where else than to public hosts may be sent (core.settings).

    Returns:
        The endpoint, and its secret in clear: the only time that it is shown.

    Raises:
        BadWebhookUrl, InvalidRequest
        WebhookEndpointsFull: the organisation has as many as it may have.
    """
    check_lines(description=request.description)
    read_destination(request.url, allowed_origins)
    events = _check_events(request.events)
    await queries.lock_new_endpoints(session, org_id)
    if await queries.count_endpoints(session, org_id) >= ENDPOINTS_MAX:
        raise WebhookEndpointsFull
    secret = make_secret()
    endpoint = WebhookEndpoint(
        org_id=org_id,
        id=id_,
        url=request.url,
        description=request.description,
        events=events,
        status=EndpointStatus.ENABLED.value,
        sealed_secrets=_seal(sealer, org_id, id_, [secret]),
        relayed_to=first_id_at(read_shared_clock()),
        failures=0,
        created_at=now,
    )
    session.add(endpoint)
    await session.flush()
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="webhook_endpoint.created",
        object_kind="webhook_endpoint",
        object_id=id_,
        after={"url": request.url, "events": events},
        now=now,
    )
    return endpoint, secret


async def change_endpoint(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    changes: EndpointChanges,
    *,
    allowed_origins: Collection[str],
    actor: Actor,
    now: datetime,
) -> WebhookEndpoint:
    """Change an endpoint. Idempotent; enabled again, it is sent what happens from then on.

    Raises:
        WebhookEndpointNotFound, BadWebhookUrl, InvalidRequest
    """
    check_lines(description=changes.description)
    endpoint = await queries.get_endpoint(session, org_id, endpoint_id, is_to_change=True)
    before = {"url": endpoint.url, "events": endpoint.events, "status": endpoint.status}
    if changes.url is not None:
        read_destination(changes.url, allowed_origins)
        if changes.url != endpoint.url:
            _forget_failures(endpoint)  # they were the other address's
        endpoint.url = changes.url
    if changes.events is not None:
        endpoint.events = _check_events(changes.events)
    if changes.description is not None:
        endpoint.description = changes.description
    if changes.is_enabled is True and endpoint.status != EndpointStatus.ENABLED:
        read_destination(endpoint.url, allowed_origins)
        endpoint.status = EndpointStatus.ENABLED.value
        endpoint.stop_reason = endpoint.stopped_at = None
        _forget_failures(endpoint)
        endpoint.relayed_to = first_id_at(read_shared_clock())
        await _close_break(session, endpoint, actor, resolution="webhook_enabled", now=now)
    if changes.is_enabled is False and endpoint.status == EndpointStatus.ENABLED:
        _stop(endpoint, EndpointStatus.DISABLED, StopReason.BY_PERSON, now)
    after = {"url": endpoint.url, "events": endpoint.events, "status": endpoint.status}
    await session.flush()
    if before != after:
        record_change(
            session,
            org_id=org_id,
            actor=actor,
            action="webhook_endpoint.changed",
            object_kind="webhook_endpoint",
            object_id=endpoint_id,
            before=before,
            after=after,
            now=now,
        )
    return endpoint


async def delete_endpoint(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, *, actor: Actor, now: datetime
) -> None:
    """Delete an endpoint: nothing is sent there any more; its log ends with its retention.

    Raises:
        WebhookEndpointNotFound
    """
    endpoint = await queries.get_endpoint(session, org_id, endpoint_id, is_to_change=True)
    if endpoint.status == EndpointStatus.ENABLED:
        _stop(endpoint, EndpointStatus.DISABLED, StopReason.BY_PERSON, now)
    endpoint.deleted_at = now
    await session.flush()
    await _close_break(session, endpoint, actor, resolution="webhook_deleted", now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="webhook_endpoint.deleted",
        object_kind="webhook_endpoint",
        object_id=endpoint_id,
        before={"url": endpoint.url},
        now=now,
    )


async def rotate_secret(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    *,
    sealer: Sealer,
    actor: Actor,
    now: datetime,
) -> str:
    """Give an endpoint a new secret; for 24 hours those that sign now go on signing.

    Rotated again within that time, the receiver may still have the first: three sign at most. Where
    the stored ones cannot be read any more (another PHOPAY_SECRET_KEY), the new one signs alone.

    Returns the secret in clear: the only time that it is shown.

    Raises:
        WebhookEndpointNotFound
    """
    endpoint = await queries.get_endpoint(session, org_id, endpoint_id, is_to_change=True)
    at = read_shared_clock()
    try:
        old = open_secrets(
            sealer,
            org_id,
            endpoint_id,
            endpoint.sealed_secrets,
            old_secret_until=endpoint.old_secret_until,
            now=at,
        )
    except SecretNotReadable:
        old = []
    secret = make_secret()
    endpoint.sealed_secrets = _seal(sealer, org_id, endpoint_id, [secret, *old[: SECRETS_MAX - 1]])
    endpoint.old_secret_until = at + OLD_SECRET_FOR if old else None
    await session.flush()
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="webhook_endpoint.secret_rotated",
        object_kind="webhook_endpoint",
        object_id=endpoint_id,
        after={
            "old_secret_until": endpoint.old_secret_until and endpoint.old_secret_until.isoformat()
        },
        now=now,
    )
    return secret


async def stop_endpoint(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    *,
    url: str,
    reason: StopReason,
    now: datetime,
) -> None:
    """Stop an endpoint that is gone or has failed for days, and let its people know. Idempotent.

    Args:
        url: what answered so; an endpoint that has another address by now goes on.

    Raises:
        WebhookEndpointNotFound: it was deleted meanwhile.
    """
    endpoint = await queries.get_endpoint(session, org_id, endpoint_id, is_to_change=True)
    if endpoint.status != EndpointStatus.ENABLED or endpoint.url != url:
        return
    is_gone = reason is StopReason.GONE
    _stop(endpoint, EndpointStatus.GONE if is_gone else EndpointStatus.DISABLED, reason, now)
    await session.flush()
    code = BreakReason.WEBHOOK_GONE if is_gone else BreakReason.WEBHOOK_FAILING
    stopped = NewBreak(
        kind=BreakKind.WEBHOOK_STOPPED,
        subject_id=endpoint_id,
        reason=Reason(code, {"host": urlsplit(endpoint.url).hostname or ""}),
    )
    await insert_breaks_once(session, org_id, [stopped], now=now)
    record_change(
        session,
        org_id=org_id,
        actor=SYSTEM,
        action="webhook_endpoint.stopped",
        object_kind="webhook_endpoint",
        object_id=endpoint_id,
        after={"status": endpoint.status, "stop_reason": reason.value},
        now=now,
    )


def open_secrets(
    sealer: Sealer,
    org_id: UUID,
    endpoint_id: UUID,
    sealed: bytes,
    *,
    old_secret_until: datetime | None,
    now: datetime,
) -> list[str]:
    """Return the secrets that sign now, the newest first.

    Raises:
        SecretNotReadable
    """
    known: list[str] = json.loads(sealer.unseal(sealed, org_id=org_id, object_id=endpoint_id))[
        "secrets"
    ]
    both_sign = old_secret_until is not None and now < old_secret_until
    return known if both_sign else known[:1]


def _stop(
    endpoint: WebhookEndpoint, status: EndpointStatus, reason: StopReason, now: datetime
) -> None:
    endpoint.status, endpoint.stop_reason, endpoint.stopped_at = status.value, reason.value, now


def _forget_failures(endpoint: WebhookEndpoint) -> None:
    endpoint.failing_since = endpoint.paused_until = None
    endpoint.failures = 0


async def _close_break(
    session: AsyncSession,
    endpoint: WebhookEndpoint,
    actor: Actor,
    *,
    resolution: str,
    now: datetime,
) -> None:
    """Close what its people were told when it was stopped: they have seen to it."""
    await close_breaks(
        session,
        endpoint.org_id,
        subject_id=endpoint.id,
        kinds=[BreakKind.WEBHOOK_STOPPED],
        by=actor.id,
        resolution=resolution,
        now=now,
    )


def _check_events(chosen: Collection[str]) -> list[str]:
    """Return what was chosen, each once.

    Raises:
        InvalidRequest: nothing, too much, or an event that does not exist.
    """
    events = list(dict.fromkeys(chosen))
    unknown = [one for one in events if one not in CHOICES]
    if not events or len(events) > CHOICES_MAX or unknown:
        named = ", ".join(unknown) or "none"
        raise InvalidRequest(
            f"Choose events of these: {', '.join(CHOICES)}.",
            violations=[Violation(field="events", code="unknown_event", detail=f"Not: {named}.")],
        )
    return events


def _seal(sealer: Sealer, org_id: UUID, endpoint_id: UUID, secrets: list[str]) -> bytes:
    plain = json.dumps({"secrets": secrets}).encode()
    return sealer.seal(plain, org_id=org_id, object_id=endpoint_id)
