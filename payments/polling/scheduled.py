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
from core.masking import mask_tail
from core.reasons import Reason
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts
from payments.bills.queries_lists import list_orders_between
from payments.breaks.queries import insert_breaks_once
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
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
    PASSED_AFTER,
    REPLAYED_FOR,
    UNANSWERED_AFTER,
    next_slice_end,
    next_turn,
    pause_after,
    wait_after,
)
from payments.polling.service import pick_new
from payments.polling.targets import make_target, open_seals
from payments.providers import PROVIDERS
from payments.providers.errors import (
    NoOrderToPoll,
    PollFailed,
    ProviderDidNotRespond,
    ProviderResponseUnreadable,
)
from payments.providers.pulling import PullQuery
from payments.providers.types import PulledBy

ORDERS_AT_ONCE: Final = 5  # requests about single orders, in one turn
ROWS_MAX: Final = 2_000  # more than any page has: what was read is stored before the cursor moves
# Codes kept with a window, beside those of PollFailed.
NO_TOKEN: Final = "no_token"  # noqa: S105 (a reason, not a secret)
NOT_CONNECTED: Final = "not_connected"
UNREADABLE_ROWS: Final = "unreadable_rows"
ANSWER_PASSED: Final = "answer_passed"  # of a page that could not be read at last
ODD: Final = (ProviderResponseUnreadable, NoOrderToPoll)
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


def _is_of_page(result: PullResult, window: DueWindow) -> bool:
    """Decide whether the connection answers, and only something on this page is odd."""
    is_answering = result.pages > 0 or window.failures > 0
    return all(
        isinstance(one, ODD)
        or (isinstance(one, ProviderDidNotRespond) and is_answering and one.retry_after_s is None)
        for one in result.problems
    )


def _is_passed(result: PullResult, window: DueWindow) -> bool:
    """Decide whether a page was odd so often that the window goes on without it."""
    is_odd = all(isinstance(one, ODD) for one in result.problems)
    failures_max = PASSED_AFTER if is_odd else UNANSWERED_AFTER
    return _is_of_page(result, window) and window.failures + 1 >= failures_max


def _pause(provider: str, result: PullResult) -> timedelta:
    """Return how long a connection rests after what was requested, to stay within its budget."""
    per_minute = PROVIDERS[provider].capabilities.pull_per_minute
    return pause_after(max(1, result.requests), per_minute=per_minute)


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
        return await self._store(turn, await poll_target(self.client, turn.target, deadline_s))

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
        """Store what is new and how far the window is read, in one transaction; then process it.

        Where something of the page failed, what could be read of it is stored all the same, and the
        page is read again; where only its answer is odd, and always is, it is passed over.
        """
        now = self.read_clock()
        is_passed = _is_passed(result, turn.window)
        is_put_off = bool(result.problems) and not is_passed
        async with open_org_transaction(self.database, turn.org.id) as session:
            if is_put_off:
                due = DueEndpoint(turn.org.id, turn.endpoint_id, turn.provider)
                is_kept = await self._put_off(
                    session, turn.org, due, turn.token, turn.failures, turn.window, result
                )
            else:
                is_kept = await self._give_back(
                    session,
                    turn.org.id,
                    turn.endpoint_id,
                    turn.token,
                    pause=_pause(turn.provider, result),
                )
            if not is_kept:
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
            if not is_put_off:
                await self._advance(session, turn, result, now=now)
        if new:
            self.processor.wake(turn.org, min(notice.id for notice in new))
        return len(new)

    async def _advance(
        self, session: AsyncSession, turn: _Turn, result: PullResult, *, now: datetime
    ) -> None:
        window = turn.window
        problem = await self._report_unread(session, turn, result, now=now)
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
            problem=problem,
            next_attempt_at=next_at.astimezone(UTC),
            is_finished=is_read and window.outage_id is not None,
        )

    async def _report_unread(
        self, session: AsyncSession, turn: _Turn, result: PullResult, *, now: datetime
    ) -> str | None:
        """Open a break for what of a page is not known; return the problem to keep, if any."""
        if turn.target is None or not (result.problems or result.unreadable):
            return None
        facts: dict[str, str | int] = {"account": mask_tail(turn.target.query.account_number)}
        if result.problems:
            problem, reason = ANSWER_PASSED, BreakReason.POLL_ANSWER_PASSED
        else:
            problem, reason = UNREADABLE_ROWS, BreakReason.POLL_ROWS_UNREADABLE
            facts["rows"] = result.unreadable
        found = NewBreak(
            kind=BreakKind.POLL_INCOMPLETE, subject_id=turn.window.id, reason=Reason(reason, facts)
        )
        await insert_breaks_once(session, turn.org.id, [found], now=now)
        log.warning(
            f"polling.{problem}",
            org=turn.org.code,
            endpoint=str(turn.endpoint_id),
            rows=result.unreadable,
            problems=sorted({one.code for one in result.problems}),
        )
        return problem

    async def _put_off(
        self,
        session: AsyncSession,
        org: OrgFacts,
        due: DueEndpoint,
        token: UUID,
        failures: int,
        window: DueWindow,
        result: PullResult,
    ) -> bool:
        """Count a failure: of the window where its answer is odd, else of the whole connection.

        Returns:
            False if the turn was lost meanwhile.
        """
        is_of_page = _is_of_page(result, window)
        problem = next(
            (one for one in result.problems if not isinstance(one, ODD)),
            result.problems[0],
        )
        retry_after_s = max((one.retry_after_s or 0 for one in result.problems), default=0) or None
        if is_of_page:
            wait = wait_after(window.failures + 1, draw=self.draw())
            is_kept = await self._give_back(
                session, org.id, due.endpoint_id, token, pause=_pause(due.provider, result)
            )
        else:
            wait = wait_after(failures + 1, draw=self.draw(), retry_after_s=retry_after_s)
            is_kept = await queries.give_turn_back(
                session,
                org.id,
                due.endpoint_id,
                token=token,
                turn="failed",
                wait=wait,
                problem=problem.code,
            )
        if is_kept:  # behind the connection's other windows, where it is left alone itself
            await self._put_window_off(
                session,
                org.id,
                window,
                problem.code,
                wait=wait if is_of_page else timedelta(0),
                is_counted=is_of_page,
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
        return is_kept

    async def _put_window_off(
        self,
        session: AsyncSession,
        org_id: UUID,
        window: DueWindow,
        problem: str,
        *,
        wait: timedelta,
        is_counted: bool,
    ) -> None:
        """Try a window again later; one of an outage that is too long ago ends with its problem."""
        until_at = window.until_at
        if window.outage_id and until_at is not None and window.now - until_at > REPLAYED_FOR:
            await queries.finish(session, org_id, window.id, problem=problem)
        else:
            await queries.put_off(
                session, org_id, window.id, problem=problem, wait=wait, is_counted=is_counted
            )

    async def _leave(
        self,
        session: AsyncSession,
        org_id: UUID,
        endpoint_id: UUID,
        window: DueWindow,
        token: UUID,
    ) -> None:
        """Leave a window that cannot be polled, for good where the account was disconnected.

        A regular one goes on where the account is connected, or has a token, again (plan_polls).
        """
        is_connected = await queries.is_connected(
            session, org_id, endpoint_id, window.receiving_account_id
        )
        problem = NO_TOKEN if is_connected else NOT_CONNECTED
        if is_connected and window.outage_id is not None:
            await self._put_window_off(
                session, org_id, window, problem, wait=NO_TOKEN_WAIT, is_counted=False
            )
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
