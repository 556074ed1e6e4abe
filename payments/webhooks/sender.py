"""The sender: takes due deliveries under leases, posts many at once, records what came of them.

A slow receiver holds only its own places: an endpoint has a few at once, an organisation some more,
and one whose last attempt failed has a single one until it succeeds again.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from core.batching import MicroBatcher
from core.db import Database
from core.ids import new_id
from core.sealing import Sealer, SecretNotReadable
from core.tenancy import open_org_transaction
from payments.webhooks import queries_sending as queries
from payments.webhooks.client import WebhookClient
from payments.webhooks.payloads import write_body
from payments.webhooks.rules import (
    ENDPOINT_PAUSE_MAX,
    GONE,
    JITTER_PERCENT,
    Answer,
    DeliveryStatus,
    Failure,
    StopReason,
    must_stop,
    next_pause,
    read_retry_after,
)
from payments.webhooks.service import open_secrets, stop_endpoint
from payments.webhooks.signing import sign_headers
from payments.webhooks.types import DueEndpoint, EndedAttempt, TakenDelivery

log = structlog.get_logger()

FAILED_PAUSE_S: Final = 5.0
RECORDED_A_TIME: Final = 200
RECORDING_GRACE_S: Final = 2.0  # for the last results, after the attempts' own grace


@dataclass(frozen=True, kw_only=True)
class SenderLimits:
    """How much one worker sends at once."""

    slots: int = 400
    endpoint_max: int = 20
    org_max: int = 100
    # An attempt takes 15 s at most; then its result is written.
    lease_for: timedelta = timedelta(seconds=60)
    poll_every_s: float = 1.0
    # Between two rounds, so that one takes what several finished attempts have made room for.
    rest_s: float = 0.02
    grace_s: float = 5.0  # within the 10 s that a supervisor waits


class WebhookSender:
    """Sends what is due, in one worker process.

    Args:
        database: of the worker's role.
        app_database: of the hub's role: endpoints are stopped as a person would stop them.
        read_clock: the shared clock: attempts are compared with what the database wrote.
    """

    def __init__(
        self,
        database: Database,
        app_database: Database,
        client: WebhookClient,
        sealer: Sealer,
        *,
        read_clock: Callable[[], datetime],
        limits: SenderLimits | None = None,
    ) -> None:
        self._database = database
        self._app_database = app_database
        self._client = client
        self._sealer = sealer
        self._read_clock = read_clock
        self._limits = limits or SenderLimits()
        self._tasks: dict[asyncio.Task[None], TakenDelivery] = {}
        self._wake = asyncio.Event()
        self._recording: MicroBatcher[None, EndedAttempt, None] = MicroBatcher(
            self._record, items_max=RECORDED_A_TIME, waiting_max=100_000, flushes_max=1
        )

    def wake(self) -> None:
        """Look for what is due now and not at the next poll."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set; then let attempts end, or leave them to their leases."""
        forward = asyncio.create_task(self._wake_at(stop))
        try:
            while not stop.is_set():
                self._wake.clear()
                pause_s = self._limits.poll_every_s
                try:
                    await self.take_and_start()
                except Exception as error:
                    log.error("webhooks.not_taken", error=repr(error))
                    pause_s = FAILED_PAUSE_S
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._wake.wait()
                await asyncio.sleep(self._limits.rest_s)
        finally:
            forward.cancel()
            await self.finish(within_s=self._limits.grace_s)

    async def take_and_start(self) -> int:
        """Take what is due and fits into the free places, and begin to send it."""
        if len(self._tasks) >= self._limits.slots:
            return 0
        async with self._database.begin() as session:
            due = await queries.list_due(session)
            wanted = self._share_places(due)
            if not wanted:
                return 0
            taken = await queries.take_due(
                session, wanted, token=new_id(), lease_for=self._limits.lease_for
            )
        for one in taken:
            task = asyncio.create_task(self._send(one))
            self._tasks[task] = one
            task.add_done_callback(self._on_ended)
        return len(taken)

    async def finish(self, *, within_s: float | None = None) -> None:
        """Wait for what is under way; what takes longer is cancelled, and is due again later."""
        ends_s = None if within_s is None else asyncio.get_running_loop().time() + within_s
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        try:
            async with asyncio.timeout_at(None if ends_s is None else ends_s + RECORDING_GRACE_S):
                await self._recording.drain()
        except TimeoutError:  # the database is away: their leases end
            log.warning("webhooks.not_drained")

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    def _on_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task)
        if not task.cancelled() and task.exception() is not None:
            # Not recorded: its lease ends, and it is sent again with the same id.
            log.error("webhook.not_recorded", error=repr(task.exception()))
        self._wake.set()

    def _share_places(self, due: Sequence[DueEndpoint]) -> list[tuple[DueEndpoint, int]]:
        """Say how many deliveries of each endpoint may begin now."""
        under_way = list(self._tasks.values())
        of_endpoint = Counter(one.endpoint_id for one in under_way)
        of_org: Counter[UUID] = Counter(one.org_id for one in under_way)
        free = self._limits.slots - len(under_way)
        wanted = []
        for one in due:
            most = 1 if one.is_failing else self._limits.endpoint_max
            count = min(
                most - of_endpoint[one.endpoint_id],
                self._limits.org_max - of_org[one.org_id],
                free,
            )
            if count > 0:
                of_org[one.org_id] += count
                free -= count
                wanted.append((one, count))
        return wanted

    async def _send(self, one: TakenDelivery) -> None:
        started_at = self._read_clock()
        try:
            answer = await self._post(one, started_at)
        except Exception as error:
            # Recorded as any other: else its lease would end, and it would be tried for ever.
            log.error("webhook.not_sent", error=repr(error), event_id=str(one.event_id))
            answer = Answer(failure=Failure.INTERNAL)
        now = self._read_clock()
        pause = None
        if answer.is_good:
            status = DeliveryStatus.DELIVERED
        else:
            jitter = random.randint(0, JITTER_PERCENT)  # noqa: S311 (no secret)
            pause = next_pause(one.failures + 1, answer, jitter_percent=jitter, now=now)
            status = DeliveryStatus.FAILED if pause is None else DeliveryStatus.PENDING
        wanted = read_retry_after(answer, now=now)
        ended = EndedAttempt(
            delivery=one,
            answer=answer,
            status=status,
            due_in=pause or timedelta(0),
            started_at=started_at,
            pause=None if wanted is None else min(wanted, ENDPOINT_PAUSE_MAX),
        )
        await self._recording.submit(ended, key=None)

    async def _post(self, one: TakenDelivery, at: datetime) -> Answer:
        if one.event is None:
            return Answer(failure=Failure.EVENT_ERASED)
        try:
            signing = open_secrets(
                self._sealer,
                one.org_id,
                one.endpoint_id,
                one.sealed_secrets,
                old_secret_until=one.old_secret_until,
                now=at,
            )
        except SecretNotReadable:
            return Answer(failure=Failure.SECRET_NOT_READABLE)
        body = write_body(one.event)
        headers = sign_headers(body, event_id=str(one.event_id), signing_secrets=signing, at=at)
        return await self._client.post(one.url, body, headers, org_code=one.org_code)

    async def _record(self, key: None, ended: Sequence[EndedAttempt]) -> list[Exception | None]:
        async with self._database.begin() as session:
            failing = await queries.record_attempts(session, ended)
        now = self._read_clock()
        gone = {
            (one.delivery.org_id, one.delivery.endpoint_id, one.delivery.url)
            for one in ended
            if one.answer.status == GONE
        }
        stops = dict.fromkeys(gone, StopReason.GONE)
        for bad in failing:
            if must_stop(bad.failing_since, bad.failures, now=now):
                stops.setdefault((bad.org_id, bad.endpoint_id, bad.url), StopReason.FAILING)
        for (org_id, endpoint_id, url), reason in stops.items():
            await self._stop(org_id, endpoint_id, url, reason, now)
        return [None] * len(ended)

    async def _stop(
        self, org_id: UUID, endpoint_id: UUID, url: str, reason: StopReason, now: datetime
    ) -> None:
        """Stop an endpoint; where that fails, its next failure does it."""
        try:
            async with open_org_transaction(self._app_database, org_id) as session:
                await stop_endpoint(session, org_id, endpoint_id, url=url, reason=reason, now=now)
        except Exception as error:  # what was sent is recorded all the same
            log.error("webhook_endpoint.not_stopped", error=repr(error))
