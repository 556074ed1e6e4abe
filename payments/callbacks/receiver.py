"""Receiver of callbacks: verify the provider's signature, store, commit, then acknowledge.

Nothing is accepted before it is verified, and nothing is done with it before it is stored.
Processing follows in a transaction of its own (payments.credits.processor).
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID, uuid5

import structlog

from core.batching import MicroBatcher
from core.database_connections import answered_within
from core.db import Database
from core.errors import Busy
from core.ids import new_id
from core.sealing import Sealer
from core.settings import WRITE_TIMEOUT_S
from core.tenancy import open_org_transaction
from identity.organisations.queries import find_organisation
from identity.organisations.rules import OrgFacts
from payments.callbacks import queries as notice_queries
from payments.callbacks.metrics import count_of
from payments.callbacks.service import store_notices
from payments.callbacks.types import NewNotice, NewRejection
from payments.connections.queries import find_endpoint_at
from payments.connections.service import open_secrets
from payments.providers import find_provider
from payments.providers.protocol import Webhook
from payments.providers.types import (
    Acknowledgement,
    EndpointSecrets,
    RawCallback,
    Refusal,
    Verification,
)

Key = TypeVar("Key")
Value = TypeVar("Value")

log = structlog.get_logger()

# Known endpoints are cached this long: a revocation or rotation takes effect that much later.
KNOWN_FOR_S: Final = 3.0
KNOWN_MAX: Final = 10_000
# What is kept of a header: enough to explain a notice, and never a credential.
KEPT_HEADERS: Final = ("user-agent", "content-type", "x-sepay-timestamp", "x-request-id")
HEADER_CHARS_MAX: Final = 200
REJECTION_BODY_BYTES_MAX: Final = 2_048
REJECTIONS_AN_HOUR_MAX: Final = 200  # per endpoint; more of the same teach nothing
REJECTION_WINDOW: Final = timedelta(hours=1)
# Addresses that are not known yet share this many connections, and this many may wait for them.
STRANGERS_AT_ONCE_MAX: Final = 2
STRANGERS_WAITING_MAX: Final = 200
WRITES_AT_ONCE_MAX: Final = 6
NOTICES_A_COMMIT_MAX: Final = 500
WAITING_MAX: Final = 5_000


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownEndpoint:
    """An endpoint as this process knows it."""

    org: OrgFacts
    id: UUID
    provider: Webhook
    secrets: EndpointSecrets


class NoticeReceiver:
    """The receiver of one process: it knows recent endpoints and stores many notices a commit.

    Args:
        wake: called with the id of each notice that is stored, as the processor's `wake`.
    """

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        *,
        wake: Callable[[OrgFacts, UUID], None],
        timeout_s: float = WRITE_TIMEOUT_S,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._wake = wake
        self._timeout_s = timeout_s
        self._known: OrderedDict[tuple[str, str], tuple[float, KnownEndpoint]] = OrderedDict()
        # Apart, so that guessed addresses evict no endpoint.
        self._unknown: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._strangers = asyncio.Semaphore(STRANGERS_AT_ONCE_MAX)
        self._strangers_waiting = 0
        self._rejected: dict[UUID, tuple[datetime, int]] = {}  # endpoint → (since, how many)
        self._loading: dict[tuple[str, str], asyncio.Task[KnownEndpoint | None]] = {}
        self._notices: MicroBatcher[UUID, NewNotice, None] = MicroBatcher(
            self._store,
            items_max=NOTICES_A_COMMIT_MAX,
            waiting_max=WAITING_MAX,
            flushes_max=WRITES_AT_ONCE_MAX,
            timeout_s=timeout_s,
        )

    async def receive(
        self,
        provider_name: str,
        address: str,
        subpath: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        now: datetime,
    ) -> Acknowledgement | None:
        """Receive one callback and return the answer; None: no such provider.

        An unknown endpoint is answered exactly as a badly signed callback.

        Raises:
            Busy: too many wait to be stored; the provider tries again.
        """
        provider = find_provider(provider_name)
        if provider is None:
            return None
        try:
            return await self._receive(
                provider, address, subpath, headers=headers, body=body, now=now
            )
        except Busy:
            count_of(provider.name, "busy").inc()
            raise

    async def _receive(
        self,
        provider: Webhook,
        address: str,
        subpath: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        now: datetime,
    ) -> Acknowledgement:
        if len(body) > provider.body_bytes_max:
            count_of(provider.name, "too_large").inc()
            return provider.refuse(Refusal.TOO_LARGE)
        endpoint = await self._find_endpoint(provider.name, address, now=now)
        if endpoint is None:
            count_of(provider.name, "unknown").inc()
            return provider.refuse(Refusal.BAD_SIGNATURE)
        callback = RawCallback(headers=headers, body=body, subpath=subpath)
        verified = provider.verify(callback, endpoint.secrets, now=now)
        if not verified.is_valid:
            count_of(provider.name, "refused").inc()
            await self._reject(endpoint, verified, body, now=now)
            return provider.refuse(verified.refusal or Refusal.BAD_SIGNATURE)
        if verified.used_previous_key:  # the new secret is not entered at the provider yet
            log.info(
                "callback.previous_key_used",
                org=endpoint.org.code,
                endpoint=str(endpoint.id),
            )
        if (token := provider.issue_token(callback, endpoint.secrets, now=now)) is not None:
            return token
        notice = NewNotice(
            id=new_id(),
            endpoint_id=endpoint.id,
            provider=provider.name,
            source="callback",
            body=body,
            headers={
                name: headers[name][:HEADER_CHARS_MAX] for name in KEPT_HEADERS if name in headers
            },
            skew_s=verified.skew_s,
            received_at=now,
        )
        await self._notices.submit(notice, key=endpoint.org.id)
        count_of(provider.name, "stored").inc()
        self._wake(endpoint.org, notice.id)
        if verified.reading is None:
            assert verified.unreadable is not None
            return provider.acknowledge_unreadable(verified.unreadable, notice_id=str(notice.id))
        # Named after the provider's own id, so that a repeat is answered like the first time.
        transactions = verified.reading.transactions
        name = transactions[0].provider_transaction_id if transactions else "test"
        return provider.acknowledge(notice_id=str(uuid5(endpoint.id, name)))

    async def drain(self) -> None:
        """Wait until what was accepted is stored (at shutdown)."""
        await self._notices.drain()

    async def _store(self, org_id: UUID, notices: Sequence[NewNotice]) -> list[Exception | None]:
        async with open_org_transaction(self._database, org_id) as session:
            await store_notices(session, org_id, notices)
        return [None] * len(notices)

    async def _find_endpoint(
        self, provider_name: str, address: str, *, now: datetime
    ) -> KnownEndpoint | None:
        key = (provider_name, address)
        known = self._known.get(key)
        if known is not None and time.monotonic() - known[0] < KNOWN_FOR_S:
            return known[1]
        if time.monotonic() - self._unknown.get(key, -KNOWN_FOR_S) < KNOWN_FOR_S:
            return None
        # One look-up per address, however many callbacks of a flood need it.
        task = self._loading.get(key)
        if task is None:
            load = self._load if known is not None else self._load_stranger
            task = asyncio.create_task(load(provider_name, address, now))
            self._loading[key] = task
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        endpoint = await asyncio.shield(task)
        if endpoint is None:
            self._known.pop(key, None)
            _remember(self._unknown, key, time.monotonic())
        else:
            _remember(self._known, key, (time.monotonic(), endpoint))
        return endpoint

    async def _load_stranger(
        self, provider_name: str, address: str, now: datetime
    ) -> KnownEndpoint | None:
        """Look up an address that this process has not seen: a few at once, whoever calls.

        Raises:
            Busy: too many wait for it. A new endpoint's provider repeats; it is never refused.
        """
        if self._strangers_waiting >= STRANGERS_WAITING_MAX:
            raise Busy("Too many unknown addresses are looked up. Try again in a second.")
        self._strangers_waiting += 1
        try:
            async with self._strangers:
                return await self._load(provider_name, address, now)
        finally:
            self._strangers_waiting -= 1

    async def _load(self, provider_name: str, address: str, now: datetime) -> KnownEndpoint | None:
        with answered_within(self._timeout_s):
            return await self._read(provider_name, address, now)

    async def _read(self, provider_name: str, address: str, now: datetime) -> KnownEndpoint | None:
        code = address.partition("-")[0]
        async with self._database.begin() as session:
            org = await find_organisation(session, code)
        if org is None:
            return None
        async with open_org_transaction(self._database, org.id) as session:
            endpoint = await find_endpoint_at(
                session, org.id, provider=provider_name, address=address
            )
        provider = find_provider(provider_name)
        if endpoint is None or provider is None:
            return None
        secrets = open_secrets(endpoint, self._sealer, now=now)
        return KnownEndpoint(org=org, id=endpoint.id, provider=provider, secrets=secrets)

    async def _reject(
        self, endpoint: KnownEndpoint, verified: Verification, body: bytes, *, now: datetime
    ) -> None:
        """Keep why a message was not accepted: most set-up trouble is a wrong secret."""
        refusal = verified.refusal or Refusal.BAD_SIGNATURE
        log.warning(
            "callback.refused",
            org=endpoint.org.code,
            endpoint=str(endpoint.id),
            refusal=refusal.value,
            skew_s=verified.skew_s,
        )
        since, count = self._rejected.get(endpoint.id, (now, 0))
        if now - since >= REJECTION_WINDOW:
            since, count = now, 0
        self._rejected[endpoint.id] = since, count + 1
        if count >= REJECTIONS_AN_HOUR_MAX:  # it would not be kept: no transaction for it
            return
        assert verified.detail is not None
        rejection = NewRejection(
            id=new_id(),
            endpoint_id=endpoint.id,
            refusal=refusal.value,
            detail=verified.detail.value,
            skew_s=verified.skew_s,
            body_start=body[:REJECTION_BODY_BYTES_MAX],
            received_at=now,
        )
        async with open_org_transaction(self._database, endpoint.org.id) as session:
            await notice_queries.insert_rejection(
                session,
                endpoint.org.id,
                rejection,
                since=now - REJECTION_WINDOW,
                kept_max=REJECTIONS_AN_HOUR_MAX,
            )


def _remember(cache: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > KNOWN_MAX:
        cache.popitem(last=False)
