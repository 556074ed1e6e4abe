"""Polls by the clock: one page of one account at a time, and how far they are, kept in rows.

A worker takes a connection's turn, reads one page of one window there, stores what is new together
with how far it read, and gives the turn back. Whoever dies meanwhile has stored all or nothing; the
turn falls free by itself, and the next worker reads the same page. No transaction is open while the
network is waited for.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import httpx
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.ids import new_id
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts
from payments.bills.queries_lists import list_orders_between
from payments.callbacks.service import store_notices
from payments.callbacks.types import NewNotice
from payments.connections.models import CallbackEndpoint
from payments.credits.processor import NoticeProcessor
from payments.polling import queries
from payments.polling.client import RESPONSE_TIMEOUT_S, PollTarget, PullResult, poll_target
from payments.polling.queries import DueEndpoint, DueWindow
from payments.polling.rules import (
    LEASE,
    OVERLAP,
    next_slice_end,
    next_turn,
    pause_after,
    wait_after,
)
from payments.polling.service import pick_new
from payments.polling.targets import make_target, open_seals
from payments.providers import PROVIDERS
from payments.providers.errors import PollFailed, ProviderResponseUnreadable
from payments.providers.pulling import PullQuery
from payments.providers.types import PulledBy

ORDERS_AT_ONCE: Final = 5  # requests about single orders, in one turn
ROWS_MAX: Final = 2_000  # more than any page has: what was read is stored before the cursor moves
# Codes kept with a window, beside those of PollFailed.
NO_TOKEN: Final = "no_token"  # noqa: S105 (a reason, not a secret)
NOT_CONNECTED: Final = "not_connected"
UNREADABLE_ROWS: Final = "unreadable_rows"
NO_TOKEN_WAIT: Final = timedelta(minutes=10)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Turn:
    """A connection's turn that this worker has, and the window that it reads on."""

    org: OrgFacts
    endpoint_id: UUID
    provider: str
    token: UUID
    failures: int  # of the connection
    window: DueWindow
    until_at: datetime
    target: PollTarget | None  # None: there is nothing to request
    last_order: UUID | None  # the bill that a page of orders ends with


def _draw() -> int:
    return random.randrange(100)  # noqa: S311 (no secret)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduledPoller:
    """Polls connections in turn for a worker."""

    database: Database  # the hub's role
    processor: NoticeProcessor
    sealer: Sealer
    client: httpx.AsyncClient
    read_clock: Callable[[], datetime]
    every_s: int  # the regular interval where an account has none of its own; 0: none
    draw: Callable[[], int] = _draw

    async def poll_page(self, org: OrgFacts, due: DueEndpoint) -> int:
        """Read one page at a connection; return how many new transactions it brought."""
        turn = await self._take(org, due)
        if turn is None:
            return 0
        if turn.target is None:
            await self._store(turn, PullResult())
            return 0
        deadline_s = asyncio.get_running_loop().time() + RESPONSE_TIMEOUT_S
        result = await poll_target(self.client, turn.target, deadline_s)
        if result.problems:
            await self._note_failure(turn, result)
            return 0
        return await self._store(turn, result)

    async def _take(self, org: OrgFacts, due: DueEndpoint) -> _Turn | None:
        """Take the turn and prepare its request; None where there is nothing to be done."""
        token = new_id()
        async with open_org_transaction(self.database, org.id) as session:
            failures = await queries.take_turn(
                session, org.id, due.endpoint_id, token=token, lease_for=LEASE
            )
            if failures is None:
                return None
            window = await queries.find_window(
                session, org.id, due.endpoint_id, every_s=self.every_s
            )
            if window is None:
                await self._give_back(session, org.id, due.endpoint_id, token)
                return None
            until_at = window.until_at or next_slice_end(window.from_at, now=window.now)
            if window.until_at is None:
                await queries.set_slice_end(session, org.id, window.id, until_at)
            found = await queries.list_pullable_endpoints(
                session, org.id, window.receiving_account_id, endpoint_id=due.endpoint_id
            )
            if not found:
                await self._leave(session, org.id, due.endpoint_id, window, token)
                return None
            endpoint, number = found[0]
            try:
                target, last_order = await self._prepare(
                    session, endpoint, number, window, until_at
                )
            except PollFailed as problem:  # its seals do not open
                result = PullResult(problems=[problem])
                await self._put_off(session, org, due, token, failures, window, result)
                return None
        return _Turn(
            org=org,
            endpoint_id=due.endpoint_id,
            provider=due.provider,
            token=token,
            failures=failures,
            window=window,
            until_at=until_at,
            target=target,
            last_order=last_order,
        )

    async def _prepare(
        self,
        session: AsyncSession,
        endpoint: CallbackEndpoint,
        number: str,
        window: DueWindow,
        until_at: datetime,
    ) -> tuple[PollTarget | None, UUID | None]:
        """Prepare the request of a window's next page.

        Raises:
            ProviderRefusedToken, ProviderResponseUnreadable: the endpoint's seals do not open.
        """
        credentials, secrets = open_seals(endpoint, self.sealer, now=window.now)
        order_ids: tuple[str, ...] = ()
        cursor, last_order = window.cursor, None
        if PROVIDERS[endpoint.provider].capabilities.pulled_by is PulledBy.ORDER:
            orders = await list_orders_between(
                session,
                endpoint.org_id,
                window.receiving_account_id,
                rail=endpoint.provider,
                from_at=window.from_at,
                until_at=until_at,
                after_id=None if cursor is None else UUID(cursor),
                limit=ORDERS_AT_ONCE,
            )
            if not orders:
                return None, None
            cursor, order_ids = None, tuple(order_id for _, order_id in orders)
            last_order = orders[-1][0] if len(orders) == ORDERS_AT_ONCE else None
        query = PullQuery(
            account_number=number,
            order_ids=order_ids,
            since=window.from_at,
            until=until_at,
            cursor=cursor,
            credentials=credentials,
            secrets=secrets,
        )
        return make_target(endpoint, query), last_order

    async def _store(self, turn: _Turn, result: PullResult) -> int:
        """Store what is new and how far the window is read, in one transaction; then process it."""
        now = self.read_clock()
        async with open_org_transaction(self.database, turn.org.id) as session:
            pause = pause_after(
                max(1, result.requests),
                per_minute=PROVIDERS[turn.provider].capabilities.pull_per_minute,
            )
            if not await self._give_back(
                session, turn.org.id, turn.endpoint_id, turn.token, pause=pause
            ):
                log.warning("polling.turn_lost", org=turn.org.code, endpoint=str(turn.endpoint_id))
                return 0
            new: list[NewNotice] = []
            if turn.target is not None and result.rows:
                account_id = turn.window.receiving_account_id
                answered = [(turn.target, result)]
                new, _ = await pick_new(
                    session, turn.org.id, account_id, answered, rows_max=ROWS_MAX, now=now
                )
                if new:
                    await store_notices(session, turn.org.id, new)
            await self._advance(session, turn, result)
        if new:
            self.processor.wake(turn.org, min(notice.id for notice in new))
        return len(new)

    async def _advance(self, session: AsyncSession, turn: _Turn, result: PullResult) -> None:
        window = turn.window
        cursor = result.next_cursor if turn.last_order is None else str(turn.last_order)
        is_read = cursor is None
        from_at, until_at, next_at = window.from_at, turn.until_at, window.now
        kept_until: datetime | None = until_at
        if is_read and window.outage_id is None:  # the next slice
            every_s = self.every_s if window.every_s is None else window.every_s
            next_at = next_turn(
                until_at, every=timedelta(seconds=every_s), draw=self.draw(), now=window.now
            )
            from_at, kept_until = max(from_at, until_at - OVERLAP), None
        await queries.advance(
            session,
            turn.org.id,
            window.id,
            cursor=cursor,
            from_at=from_at,
            until_at=kept_until,
            rows=len(result.rows),
            problem=UNREADABLE_ROWS if result.unreadable else None,
            next_attempt_at=next_at.astimezone(UTC),
            is_finished=is_read and window.outage_id is not None,
        )
        if result.unreadable:
            log.warning(
                "polling.unreadable_rows",
                org=turn.org.code,
                endpoint=str(turn.endpoint_id),
                rows=result.unreadable,
            )

    async def _note_failure(self, turn: _Turn, result: PullResult) -> None:
        due = DueEndpoint(turn.org.id, turn.endpoint_id, turn.provider)
        async with open_org_transaction(self.database, turn.org.id) as session:
            await self._put_off(
                session, turn.org, due, turn.token, turn.failures, turn.window, result
            )

    async def _put_off(
        self,
        session: AsyncSession,
        org: OrgFacts,
        due: DueEndpoint,
        token: UUID,
        failures: int,
        window: DueWindow,
        result: PullResult,
    ) -> None:
        """Count a failure: of the window where its answer is odd, else of the whole connection."""
        problem = result.problems[0]
        retry_after_s = max((one.retry_after_s or 0 for one in result.problems), default=0) or None
        if isinstance(problem, ProviderResponseUnreadable):
            kept = await self._give_back(
                session,
                org.id,
                due.endpoint_id,
                token,
                pause=pause_after(
                    max(1, result.requests),
                    per_minute=PROVIDERS[due.provider].capabilities.pull_per_minute,
                ),
            )
            wait = wait_after(window.failures + 1, draw=self.draw(), retry_after_s=retry_after_s)
            if kept:
                await queries.put_off(session, org.id, window.id, problem=problem.code, wait=wait)
        else:
            wait = wait_after(failures + 1, draw=self.draw(), retry_after_s=retry_after_s)
            await queries.give_turn_back(
                session,
                org.id,
                due.endpoint_id,
                token=token,
                turn="failed",
                wait=wait,
                problem=problem.code,
            )
        log.warning(
            "polling.put_off",
            org=org.code,
            endpoint=str(due.endpoint_id),
            provider=due.provider,
            problem=problem.code,
            cause=type(problem.__cause__).__name__ if problem.__cause__ else None,
            wait_s=round(wait.total_seconds()),
        )

    async def _leave(
        self,
        session: AsyncSession,
        org_id: UUID,
        endpoint_id: UUID,
        window: DueWindow,
        token: UUID,
    ) -> None:
        """Leave a window that cannot be polled, for good where the account was disconnected."""
        is_connected = await queries.is_connected(
            session, org_id, endpoint_id, window.receiving_account_id
        )
        problem = NO_TOKEN if is_connected else NOT_CONNECTED
        if is_connected or window.outage_id is None:
            await queries.put_off(session, org_id, window.id, problem=problem, wait=NO_TOKEN_WAIT)
        else:
            await queries.finish(session, org_id, window.id, problem=problem)
        await self._give_back(session, org_id, endpoint_id, token)

    async def _give_back(
        self,
        session: AsyncSession,
        org_id: UUID,
        endpoint_id: UUID,
        token: UUID,
        *,
        pause: timedelta | None = None,
    ) -> bool:
        """Give a turn back without a failure.

        Args:
            pause: how long the connection rests after requests; None: nothing was requested.
        """
        return await queries.give_turn_back(
            session,
            org_id,
            endpoint_id,
            token=token,
            turn="unused" if pause is None else "answered",
            wait=pause or timedelta(0),
        )
