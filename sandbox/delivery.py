"""The sender's side of callbacks: attempts by schedule, and a complete log of them.

The log is what lost and doubled payments are counted from, so it keeps every delivery that was
planned, dropped ones included, until its bound is reached; the counts by state never forget.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Literal

import httpx
import msgspec

from sandbox.faults import FaultProfile, Planned, plan
from sandbox.providers.contract import Answer, Message, Outcome, Provider, Subscription
from sandbox.settings import DELIVERIES_MAX, PENDING_MAX, SENDS_AT_ONCE_MAX

State = Literal["waiting", "retrying", "delivered", "failed", "refused", "dropped", "cancelled"]
FINISHED: frozenset[State] = frozenset({"delivered", "failed", "refused", "dropped", "cancelled"})


STATES: Mapping[Outcome, State] = {
    Outcome.DONE: "delivered",
    Outcome.RETRY: "retrying",
    Outcome.GIVE_UP: "refused",
}


class Attempt(msgspec.Struct, kw_only=True, frozen=True):
    """One POST and what came of it."""

    number: int
    at: datetime
    status: int  # 0: no HTTP answer
    ms: int
    error: str = ""
    answer: str = ""  # the first 200 characters of the body


class Delivery(msgspec.Struct, kw_only=True):
    """One callback to one subscriber, over all its attempts."""

    id: int
    subscription_id: str
    provider: str
    line_id: int
    reference: str
    kind: str
    amount_vnd: int
    memo: str
    faults: tuple[str, ...]
    state: State = "waiting"
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    next_attempt_at: datetime | None = None


@dataclass
class _Window:
    """Deliveries held back to be sent in another order."""

    held: list[tuple[Delivery, Planned, Message]] = field(default_factory=list)
    flush: asyncio.TimerHandle | None = None


class Dispatcher:
    """Sends callbacks in the background of one event loop."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        *,
        seed: int,
        time_scale: float,
        clock: Callable[[], datetime],
    ) -> None:
        self.providers = providers
        self.seed = seed
        self.time_scale = time_scale
        self.clock = clock
        self.log: dict[int, Delivery] = {}
        self.planned_by_kind: Counter[str] = Counter()
        self.attempts_total = 0
        self._evicted: Counter[str] = Counter()
        self._next_id = 1
        self._tasks: set[asyncio.Task[None]] = set()
        self._windows: dict[str, _Window] = {}
        self._silent_until: dict[str, float] = {}
        self._losing: set[str] = set()
        self._at_once = asyncio.Semaphore(SENDS_AT_ONCE_MAX)
        self._client: httpx.AsyncClient | None = None

    def announce(
        self, subscription: Subscription, profile: FaultProfile, message: Message
    ) -> list[Delivery]:
        """Plan and start the callbacks of one line to one subscriber."""
        line = message.line
        rng = Random(f"faults:{self.seed}:{subscription.id}:{line.id}")
        planned = plan(profile, line, rng)
        started = []
        for one in planned:
            reported = replace(
                message,
                amount_vnd=one.amount_vnd,
                memo=one.memo,
                is_signature_wrong=one.is_signature_wrong,
                clock_skew_s=one.clock_skew_s,
            )
            delivery = self._enter(subscription, reported, one)
            started.append(delivery)
            if delivery.state == "dropped":
                continue
            if profile.reorder_window > 1 and one.kind == "credit":
                self._hold(subscription, profile, (delivery, one, reported), rng)
            else:
                self._start(subscription, delivery, one, reported)
        return started

    def ping(self, subscription: Subscription, message: Message) -> Delivery:
        """Send a provider's test delivery, once and without retries."""
        one = Planned(kind="ping", amount_vnd=message.amount_vnd, memo=message.memo)
        delivery = self._enter(subscription, message, one)
        self._start(subscription, delivery, one, message, attempts_max=1)
        return delivery

    async def try_once(self, subscription: Subscription, message: Message) -> Answer:
        """Send a test delivery and wait for its answer (payOS's confirm-webhook)."""
        one = Planned(kind="ping", amount_vnd=message.amount_vnd, memo=message.memo)
        delivery = self._enter(subscription, message, one)
        answer = await self._attempt(subscription, delivery, message)
        if answer.outcome is Outcome.RETRY:
            delivery.state = "failed"
        return answer

    def resend(self, subscription: Subscription, delivery: Delivery, message: Message) -> None:
        """Start a finished delivery over, as a provider's "send again" button does."""
        one = Planned(kind="credit", amount_vnd=delivery.amount_vnd, memo=delivery.memo)
        delivery.state = "waiting"
        self._start(subscription, delivery, one, message)

    def keep_silent(self, subscription_id: str, profile: FaultProfile) -> None:
        """Let nothing out to this subscriber for the profile's (scaled) seconds from now."""
        silent_s = profile.silent_s * self.time_scale
        self._silent_until[subscription_id] = time.monotonic() + silent_s
        self._losing.discard(subscription_id)
        if profile.silent_then == "lose":
            self._losing.add(subscription_id)

    def counts(self) -> dict[str, int]:
        """Return how many deliveries are in each state, those no longer kept included."""
        states = Counter(self._evicted)
        states.update(delivery.state for delivery in self.log.values())
        return dict(states)

    def pending(self) -> int:
        """Return how many deliveries are not finished."""
        return len(self._tasks) + sum(len(window.held) for window in self._windows.values())

    async def close(self) -> None:
        """Cancel what is still waiting; the log keeps it as cancelled."""
        for window in self._windows.values():
            if window.flush:
                window.flush.cancel()
            for delivery, _, _ in window.held:
                delivery.state = "cancelled"
        self._windows.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _enter(self, subscription: Subscription, message: Message, one: Planned) -> Delivery:
        is_full = self.pending() >= PENDING_MAX
        faults = (*one.faults, "sandbox_full") if is_full else one.faults
        delivery = Delivery(
            id=self._next_id, subscription_id=subscription.id, provider=subscription.provider,
            line_id=message.line.id, reference=message.line.reference, kind=one.kind,
            amount_vnd=one.amount_vnd, memo=one.memo, faults=faults,
            state="dropped" if one.is_dropped or is_full else "waiting",
        )  # fmt: skip
        self._next_id += 1
        self.planned_by_kind[one.kind] += 1
        self.log[delivery.id] = delivery
        if len(self.log) > DELIVERIES_MAX:
            self._evict_oldest()
        return delivery

    def _evict_oldest(self) -> None:
        # More are kept than can be pending, so there is a finished one.
        oldest = next(d for d in self.log.values() if d.state in FINISHED)
        self._evicted[oldest.state] += 1
        del self.log[oldest.id]

    def _hold(
        self,
        subscription: Subscription,
        profile: FaultProfile,
        item: tuple[Delivery, Planned, Message],
        rng: Random,
    ) -> None:
        window = self._windows.setdefault(subscription.id, _Window())
        window.held.append(item)

        def release() -> None:
            held, window.held = window.held, []
            if window.flush:
                window.flush.cancel()
                window.flush = None
            rng.shuffle(held)
            turn = asyncio.Event()
            turn.set()
            for delivery, one, message in held:
                delivery.faults = (*delivery.faults, "reorder")
                # Each waits for the one before it, so that the new order holds on the wire.
                following = asyncio.Event()
                self._start(subscription, delivery, one, message, turns=(turn, following))
                turn = following

        if len(window.held) >= profile.reorder_window:
            release()
        elif window.flush is None:
            flush_s = profile.reorder_flush_s * self.time_scale
            window.flush = asyncio.get_running_loop().call_later(flush_s, release)

    def _start(
        self,
        subscription: Subscription,
        delivery: Delivery,
        one: Planned,
        message: Message,
        *,
        attempts_max: int | None = None,
        turns: tuple[asyncio.Event, asyncio.Event] | None = None,
    ) -> None:
        run = self._run(subscription, delivery, one, message, attempts_max, turns)
        task = asyncio.get_running_loop().create_task(run)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(
        self,
        subscription: Subscription,
        delivery: Delivery,
        one: Planned,
        message: Message,
        attempts_max: int | None,
        turns: tuple[asyncio.Event, asyncio.Event] | None,
    ) -> None:
        waits_s = self.providers[subscription.provider].waits_s[:attempts_max]
        try:
            if turns:
                await turns[0].wait()
            await self._sleep(delivery, one.wait_s)
            for wait_s in waits_s:
                await self._sleep(delivery, wait_s)
                if not await self._outlast_silence(subscription.id, delivery):
                    return
                answer = await self._attempt(subscription, delivery, message)
                if turns:
                    turns[1].set()
                if answer.outcome is not Outcome.RETRY:
                    return
            delivery.state = "failed"
            delivery.next_attempt_at = None
        except asyncio.CancelledError:
            if delivery.state not in FINISHED:
                delivery.state = "cancelled"
            raise
        finally:
            if turns:
                turns[1].set()

    async def _sleep(self, delivery: Delivery, wait_s: float) -> None:
        if wait_s:
            scaled_s = wait_s * self.time_scale
            delivery.next_attempt_at = self.clock() + timedelta(seconds=scaled_s)
            await asyncio.sleep(scaled_s)

    async def _outlast_silence(self, subscription_id: str, delivery: Delivery) -> bool:
        """Wait until the provider speaks again; False when it loses what it did not say."""
        until = self._silent_until.get(subscription_id, 0.0)
        if time.monotonic() >= until:
            return True
        delivery.faults = (*delivery.faults, "silent")
        if subscription_id in self._losing:
            delivery.state = "dropped"
            return False
        await asyncio.sleep(until - time.monotonic())
        return True

    async def _attempt(
        self, subscription: Subscription, delivery: Delivery, message: Message
    ) -> Answer:
        provider = self.providers[subscription.provider]
        async with self._at_once:
            at, began_s = self.clock(), time.perf_counter()
            answer = await provider.call_back(self._open_client(), subscription, message, now=at)
            ms = round((time.perf_counter() - began_s) * 1000)
        self.attempts_total += 1
        delivery.next_attempt_at = None
        delivery.attempts.append(
            Attempt(
                number=len(delivery.attempts) + 1,
                at=at.astimezone(UTC),
                status=answer.status,
                ms=ms,
                error=answer.error,
                answer=answer.body[:200].decode(errors="replace"),
            )
        )
        delivery.state = STATES[answer.outcome]
        return answer

    def _open_client(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(max_connections=SENDS_AT_ONCE_MAX)
            self._client = httpx.AsyncClient(limits=limits, trust_env=False)
        return self._client
