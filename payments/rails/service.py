"""Opening of bills on rails that call a provider: three steps, no call in a transaction.

The bill and its request are committed before the provider is called, with the order number by
which its callback will name the bill. Then the provider is called. Then the result is written.
A crash or a lost answer in between leaves a request that the worker takes over: it reads the
order from the provider and never opens another one blindly (docs/adr/0011).
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import httpx
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.sealing import Sealer, SecretNotReadable
from core.tenancy import open_org_transaction
from core.text import check_lines
from identity.organisations.rules import OrgFacts
from payments.bills.queries import get_bill, lock_status, set_provider_order
from payments.bills.references import read_reference
from payments.bills.rules import UNPAID, BillFacts, BillRequest, CodeState, RailStatus
from payments.bills.service import open_bills
from payments.bills.writer import BillWriter
from payments.connections.credentials import open_pull_credentials
from payments.connections.queries import find_endpoint, find_sole_endpoint_id
from payments.connections.service import open_secrets
from payments.outbox import service as outbox
from payments.providers import PROVIDERS
from payments.rails import RAILS, queries
from payments.rails.errors import RailNeedsAmount, RailNotAvailable
from payments.rails.protocol import (
    Channel,
    Order,
    OrderExists,
    OrderState,
    Remote,
    RequestRefused,
    ResultUnknown,
)
from payments.rails.results import (
    Result,
    result_of_lost_code,
    result_without_answer,
    result_without_channel,
    to_event,
)
from payments.rails.rules import (
    ATTEMPT_TIMEOUT_S,
    LEASE,
    ORDERS_MAX,
    RailAttempt,
    wait_after,
)

# Requests that one process makes at once; who comes later waits, and the worker finds the rest.
CALLS_AT_ONCE_MAX: Final = 16
DRAINED_WITHIN_S: Final = 5.0  # at shutdown; what is not done by then the worker takes over
IS_OVER: Final = frozenset({RailStatus.CANCELLED, RailStatus.CLOSED})

log = structlog.get_logger()


class RailService:
    """Opens bills on rails, and brings their requests to an end. One per process."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        client: httpx.AsyncClient,
        *,
        public_url: str,
        read_clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._client = client
        self._public_url = public_url.rstrip("/")
        self._read_clock = read_clock
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE_MAX)
        self._under_way: set[asyncio.Task[None]] = set()

    async def open_on_rail(
        self,
        writer: BillWriter,
        org: OrgFacts,
        request: BillRequest,
        *,
        wait_s: float | None = None,
    ) -> BillFacts:
        """Open a bill on its rail; a repeat gets the first one's bill, and calls nobody.

        Args:
            wait_s: how long to wait for the provider; the call itself goes on. None: to its end.

        Returns:
            The bill: with its code, or with `rail_status` pending, unknown or failed.

        Raises:
            RailNeedsAmount, RailNotAvailable, and what BillWriter.open_bill raises.
        """
        rail = RAILS[request.rail]
        if rail.remote is None:
            return await writer.open_bill(org, request)
        check_lines(purpose=request.purpose, external_id=request.external_id)
        if request.amount_vnd is None:
            raise RailNeedsAmount(rail.name)
        reference = await writer.take_reference(org)
        async with open_org_transaction(self._database, org.id) as session:
            now = self._read_clock()
            (opened,) = await open_bills(session, org.id, [request], [reference], now=now)
            if isinstance(opened, Exception):
                raise opened
            if not opened.is_replayed:
                await self._write_request(session, opened, rail.remote, now=now)
        if opened.is_replayed:
            await self.resume(org.id, opened.id)  # only where nobody else is at it
        else:
            await self._begin(await self._read_attempt(org.id, opened.id), wait_s)
        async with open_org_transaction(self._database, org.id) as session:
            bill = await get_bill(session, org.id, opened.id)
        return replace(bill, is_replayed=opened.is_replayed)

    async def request_again(
        self, org_id: UUID, bill_id: UUID, *, wait_s: float | None = None
    ) -> bool:
        """Request a bill anew under its next number, where nothing at the provider pays it now.

        It was refused, or closed there when the bill was paid in another way, and the bill owes
        money again. By the connection of now: the one of before may have been replaced.

        Returns:
            False if nothing was done: it has a code, or may have one, or owes nothing.

        Raises:
            BillNotFound, RailNotAvailable
        """
        now = self._read_clock()
        async with open_org_transaction(self._database, org_id) as session:
            await lock_status(session, org_id, bill_id)
            bill = await get_bill(session, org_id, bill_id)
            remote = RAILS[bill.rail].remote
            is_over = bill.code_state is CodeState.FAILED or bill.rail_status == RailStatus.REOPENED
            if remote is None or not is_over or not bill.is_payable:
                return False
            before = await queries.get_attempt(session, org_id, bill_id)
            if before.orders >= ORDERS_MAX or now >= bill.monitor_until:
                return False
            order_id = remote.number_order(bill.reference, before.orders + 1)
            await queries.write_again(
                session,
                org_id,
                bill_id,
                endpoint_id=await self._find_endpoint(session, bill, remote),
                order_id=order_id,
            )
            await set_provider_order(session, org_id, bill_id, order_id=order_id)
            attempt = await queries.take_request(session, org_id, bill_id, lease_for=LEASE)
        assert attempt is not None
        await self._begin(attempt, wait_s)
        return True

    async def resume(
        self, org_id: UUID, bill_id: UUID, *, within_s: float = ATTEMPT_TIMEOUT_S
    ) -> bool:
        """Take a due request over and bring it further; False if none is due.

        Args:
            within_s: how long its provider is waited for; the rest is left to the worker.
        """
        async with open_org_transaction(self._database, org_id) as session:
            attempt = await queries.take_request(session, org_id, bill_id, lease_for=LEASE)
        if attempt is None:
            return False
        await self._try(attempt, within_s=within_s)
        return True

    async def drain(self) -> None:
        """Wait a moment for calls that nobody waits for any more (at shutdown)."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=DRAINED_WITHIN_S)

    async def _begin(self, attempt: RailAttempt, wait_s: float | None) -> None:
        """Call in a task of its own, so that whoever waits may leave before it has ended."""
        task = asyncio.create_task(self._try(attempt), name="rail-request")
        self._under_way.add(task)
        task.add_done_callback(self._end)
        done, _ = await asyncio.wait({task}, timeout=wait_s)
        for ended in done:
            ended.result()

    def _end(self, task: asyncio.Task[None]) -> None:
        """Forget a call; what it could not write down the worker looks up."""
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("rail.not_written", error=type(error).__name__)

    async def _write_request(
        self, session: AsyncSession, bill: BillFacts, remote: Remote, *, now: datetime
    ) -> None:
        """Write down the request, with the bill and before anybody is called."""
        endpoint_id = await self._find_endpoint(session, bill, remote)
        order_id = remote.number_order(bill.reference, 1)
        await set_provider_order(session, bill.org_id, bill.id, order_id=order_id)
        await queries.insert_request_once(
            session,
            bill.org_id,
            bill.id,
            rail=bill.rail,
            endpoint_id=endpoint_id,
            order_id=order_id,
            lease_for=LEASE,
            now=now,
        )

    async def _find_endpoint(self, session: AsyncSession, bill: BillFacts, remote: Remote) -> UUID:
        endpoint_id = await find_sole_endpoint_id(
            session, bill.org_id, bill.receiving_account_id, provider=remote.provider
        )
        if endpoint_id is None:
            raise RailNotAvailable(bill.rail)
        return endpoint_id

    async def _read_attempt(self, org_id: UUID, bill_id: UUID) -> RailAttempt:
        async with open_org_transaction(self._database, org_id) as session:
            return await queries.get_attempt(session, org_id, bill_id)

    async def _try(self, attempt: RailAttempt, *, within_s: float = ATTEMPT_TIMEOUT_S) -> None:
        """Call, then write what came of it."""
        remote = RAILS[attempt.rail].remote
        assert remote is not None
        try:
            async with asyncio.timeout(min(within_s, ATTEMPT_TIMEOUT_S)), self._calls:
                result = await self._call(attempt, remote)
        except TimeoutError:
            result = result_without_answer(attempt)
        await self._store(attempt, remote, result)
        log.info("rail.tried", bill=str(attempt.bill_id), rail=attempt.rail, status=result.status)

    async def _call(self, attempt: RailAttempt, remote: Remote) -> Result:
        """Do the one thing that a request needs now. No transaction is open meanwhile."""
        now = self._read_clock()
        if now >= attempt.monitor_until:  # the order had the same end
            return Result(status=RailStatus.CLOSED)
        channel = await self._open_channel(attempt, now=now)
        if channel is None:
            return result_without_channel(attempt)
        order = self._write_order(attempt)
        try:
            if not attempt.is_wanted:
                return await self._close(channel, order, remote)
            if attempt.status == RailStatus.REOPENED:
                return result_of_lost_code(attempt)
            if attempt.status == RailStatus.OPEN:
                return await self._check(channel, order, attempt, remote)
            return await self._open(channel, order, attempt, remote)
        except RequestRefused as refusal:
            if attempt.is_first:
                return Result(status=RailStatus.FAILED, problem=refusal.problem)
            # What a lost answer did is not undone by a refusal to tell.
            return result_without_answer(attempt, refusal.problem)
        except ResultUnknown as error:
            log.warning("rail.unknown", bill=str(attempt.bill_id), why=str(error))
            return result_without_answer(attempt)

    async def _open(
        self, channel: Channel, order: Order, attempt: RailAttempt, remote: Remote
    ) -> Result:
        """Open the order; after a lost answer only once the provider says that it is not there."""
        if not attempt.is_first:
            state = await remote.find(self._client, channel, order)
            if state is OrderState.WAITING:
                # It is there, and its code was lost with the answer: nobody has seen that code.
                await remote.cancel(self._client, channel, order)
            if state in (OrderState.PART_PAID, OrderState.PAID):  # whoever paid: its callback tells
                return Result(status=RailStatus.CLOSED)
            if state is not OrderState.ABSENT:
                return result_of_lost_code(attempt)
            try:
                opened = await remote.open(self._client, channel, order)
            except RequestRefused as refusal:  # it is not there, and will not be
                return Result(status=RailStatus.FAILED, problem=refusal.problem)
            except OrderExists:
                raise ResultUnknown("an earlier request arrived meanwhile") from None
            return Result(status=RailStatus.OPEN, opened=opened)
        try:
            opened = await remote.open(self._client, channel, order)
        except OrderExists:
            raise ResultUnknown("the order is there already") from None
        return Result(status=RailStatus.OPEN, opened=opened)

    async def _check(
        self, channel: Channel, order: Order, attempt: RailAttempt, remote: Remote
    ) -> Result:
        """See whether the code of a bill that is owed again still pays it."""
        state = await remote.find(self._client, channel, order)
        if state in (OrderState.WAITING, OrderState.PART_PAID):
            return Result(status=RailStatus.OPEN, is_checked=True)
        return result_of_lost_code(attempt)

    async def _close(self, channel: Channel, order: Order, remote: Remote) -> Result:
        """Cancel the order of a bill that is cancelled, or was paid in another way."""
        state = await remote.find(self._client, channel, order)
        if state is OrderState.PAID:
            return Result(status=RailStatus.CLOSED)
        if state in (OrderState.WAITING, OrderState.PART_PAID):
            await remote.cancel(self._client, channel, order)
        return Result(status=RailStatus.CANCELLED)

    async def _open_channel(self, attempt: RailAttempt, *, now: datetime) -> Channel | None:
        """Open the keys of the endpoint that a request was written for; None where it has none."""
        async with open_org_transaction(self._database, attempt.org_id) as session:
            endpoint = await find_endpoint(session, attempt.org_id, attempt.endpoint_id)
        if endpoint is None or endpoint.revoked_at is not None:
            return None
        try:
            credentials = open_pull_credentials(endpoint, self._sealer)
            if credentials is None:
                return None
            secrets = open_secrets(endpoint, self._sealer, now=now)
        except SecretNotReadable:
            log.error("rail.keys_not_readable", endpoint=str(endpoint.id))
            return None
        url = endpoint.pull_url or PROVIDERS[endpoint.provider].capabilities.pull_url
        assert url is not None
        return Channel(url=url, credentials=credentials, secrets=secrets)

    def _write_order(self, attempt: RailAttempt) -> Order:
        named = read_reference(attempt.reference)
        assert named is not None
        return Order(
            order_id=attempt.order_id,
            reference=attempt.reference,
            amount_vnd=attempt.amount_vnd,
            pay_url=f"{self._public_url}/p/{named.org_code}-{attempt.public_token}",
            valid_until=attempt.monitor_until,
            requested_at=attempt.created_at,
        )

    async def _store(self, attempt: RailAttempt, remote: Remote, result: Result) -> None:
        """Write the result and notify the screens; one that comes too late does not count."""
        now = self._read_clock()
        orders = attempt.orders + result.next_number
        order_id = attempt.order_id
        async with open_org_transaction(self._database, attempt.org_id) as session:
            # Bill first, always. It may have been paid, cancelled or owed again meanwhile.
            is_owed = await lock_status(session, attempt.org_id, attempt.bill_id) in UNPAID
            is_reopened = is_owed and not attempt.is_wanted and result.status in IS_OVER
            if is_reopened:
                result = replace(result, status=RailStatus.REOPENED)
            if result.next_number:
                order_id = remote.number_order(attempt.reference, orders)
            rests = is_owed and (result.opened is not None or result.is_checked)
            rests_until = attempt.monitor_until if rests else None
            if result.opened is not None:
                is_stored = await queries.store_opened(
                    session, attempt, result.opened, rests_until=rests_until, now=now
                )
            else:
                is_due = result.next_number or is_reopened
                is_stored = await queries.store_result(
                    session,
                    attempt,
                    result.status,
                    provider=remote.provider,
                    problem=result.problem,
                    order_id=order_id,
                    orders=orders,
                    rests_until=rests_until,
                    wait=timedelta(0) if is_due else wait_after(attempt.attempts),
                    now=now,
                )
            if not is_stored:
                return
            if result.next_number:
                await set_provider_order(
                    session, attempt.org_id, attempt.bill_id, order_id=order_id
                )
            if result.status != attempt.status:
                await outbox.record(session, attempt.org_id, [to_event(attempt, result)], now=now)
