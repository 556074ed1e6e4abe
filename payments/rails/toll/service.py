"""Charges to toll accounts: three steps, no call in a transaction (docs/toll.md).

The charge is written down, then the operator is called, then the result is written. A lost answer
leaves a charge that the worker looks up. It is never sent a second time: by then the driver may
have paid otherwise.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import httpx
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.db import Database
from core.ids import new_id
from core.sealing import Sealer, SecretNotReadable
from core.tenancy import open_org_transaction
from payments.bills.queries import get_bill
from payments.rails.protocol import ResultUnknown
from payments.rails.toll import queries, settling
from payments.rails.toll.errors import TollIdTaken, TollNotAvailable, TollUnderWay
from payments.rails.toll.models import TollContract
from payments.rails.toll.protocol import (
    ChargeOrder,
    KeysDoubted,
    TollAnswer,
    TollChannel,
    charge,
    find_charge,
    reverse,
)
from payments.rails.toll.rules import (
    ANSWERED_WITHIN_S,
    ARRIVES_WITHIN,
    CALL_TIMEOUT_S,
    CHARGED_WITHIN,
    LEASE,
    AccountKind,
    ContractTest,
    NewToll,
    RefundStatus,
    TollFacts,
    TollProblem,
    TollStatus,
)

DRAINED_WITHIN_S: Final = 5.0  # at shutdown; what is not done by then the worker looks up
CALLS_AT_ONCE_MAX: Final = 64

log = structlog.get_logger()


async def write_request(
    session: AsyncSession, org_id: UUID, new: NewToll, *, by: UUID, now: datetime
) -> None:
    """Write a charge down in the caller's transaction, who holds the lock of the bill's owner.

    Raises:
        TollNotAvailable, TollUnderWay
    """
    contract = await queries.find_contract(session, org_id)
    if contract is None:
        raise TollNotAvailable
    if await queries.has_unresolved(session, org_id, new.owner_id):
        raise TollUnderWay
    await queries.insert_request(
        session, org_id, new, contract_id=contract.id, lease_for=LEASE, by=by, now=now
    )


async def find_repeat(
    session: AsyncSession, org_id: UUID, id_: UUID, *, owner_id: UUID, amount_vnd: int, kind: str
) -> TollFacts | None:
    """Return the charge that the same request wrote before, if one did.

    Raises:
        TollIdTaken
    """
    known = await queries.find_request(session, org_id, id_)
    if known is not None and (known.owner_id, known.amount_vnd, known.account_kind) != (
        owner_id,
        amount_vnd,
        kind,
    ):
        raise TollIdTaken(id_)
    return known


class TollService:
    """Charges toll accounts, and finds out what became of each charge. One per process."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        client: httpx.AsyncClient,
        *,
        read_clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._client = client
        self._read_clock = read_clock
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE_MAX)
        self._under_way: set[asyncio.Task[None]] = set()

    async def charge(self, org_id: UUID, id_: UUID, *, account: str) -> TollFacts:
        """Send a charge that was written down just now; answer within three seconds.

        Args:
            account: the compact plate, or the tag's number.

        Returns:
            The charge: charged, declined, or not decided yet.
        """
        work = self._charge(org_id, id_, account)
        task = asyncio.create_task(work, name="toll-charge")
        self._under_way.add(task)
        task.add_done_callback(self._end)
        await asyncio.wait({task}, timeout=ANSWERED_WITHIN_S)
        async with open_org_transaction(self._database, org_id) as session:
            return await queries.get_request(session, org_id, id_)

    async def resume(self, org_id: UUID, id_: UUID) -> bool:
        """Look up a charge, or repeat a refund, that is due; False if neither is."""
        async with open_org_transaction(self._database, org_id) as session:
            toll = await queries.take_request(session, org_id, id_, lease_for=LEASE)
        if toll is None:
            return False
        if toll.refund_status == RefundStatus.PENDING:
            await self._refund(toll)
        else:
            await self._look_up(toll)
        return True

    async def refund(self, org_id: UUID, id_: UUID, *, actor: Actor, reason: str) -> TollFacts:
        """Refund what no bill keeps of a charge. Idempotent; the worker repeats what is lost.

        Raises:
            TollChargeNotFound, TollNotRefundable
        """
        async with open_org_transaction(self._database, org_id) as session:
            now = self._read_clock()
            toll = await settling.ask_refund(
                session, org_id, id_, actor=actor, reason=reason, now=now
            )
        if toll.refund_status == RefundStatus.PENDING and toll.attempts == 1:
            await self._refund(toll)
        async with open_org_transaction(self._database, org_id) as session:
            return await queries.get_request(session, org_id, id_)

    async def try_contract(self, org_id: UUID, contract_id: UUID) -> tuple[ContractTest, str]:
        """Ask the operator about a charge that never was: nothing is charged, nothing is stored.

        Returns:
            What came of it, and what came instead of a signed answer, for a person.

        Raises:
            TollContractNotFound
        """
        async with open_org_transaction(self._database, org_id) as session:
            contract = await queries.get_contract(session, org_id, contract_id)
        channel = self._unseal(contract)
        if channel is None:
            return ContractTest.KEY_NOT_READABLE, ""
        now = self._read_clock()
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S), self._calls:
                await find_charge(self._client, channel, new_id(), amount_vnd=0, now=now)
        except KeysDoubted:
            return ContractTest.KEYS_REFUSED, ""
        except TimeoutError:
            return ContractTest.NO_ANSWER, "time-out"
        except ResultUnknown as error:
            return ContractTest.NO_ANSWER, str(error)
        return ContractTest.WORKS, ""

    async def drain(self) -> None:
        """Wait a moment for calls that nobody waits for any more (at shutdown)."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=DRAINED_WITHIN_S)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("toll.not_written", error=type(error).__name__)

    async def _charge(self, org_id: UUID, id_: UUID, account: str) -> None:
        toll, channel, reference = await self._open_channel(org_id, id_)
        if channel is None:  # nothing is sent
            await self._doubt_keys(toll)
            await self._store_declined(toll, TollProblem.KEYS_REFUSED)
            return
        order = ChargeOrder(
            request_id=id_,
            account_kind=AccountKind(toll.account_kind),
            account=account,
            amount_vnd=toll.amount_vnd,
            reference=reference,
            expires_at=toll.created_at + CHARGED_WITHIN,
        )
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S), self._calls:
                answer = await charge(self._client, channel, order, now=self._read_clock())
        except (ResultUnknown, TimeoutError) as error:
            await self._note_unknown(toll, error)
            await self._store_open(toll, TollStatus.UNKNOWN)
        else:
            await self._store(toll, answer)

    async def _look_up(self, toll: TollFacts) -> None:
        _, channel, _ = await self._open_channel(toll.org_id, toll.id)
        answer = None
        if channel is not None:
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S), self._calls:
                    answer = await find_charge(
                        self._client,
                        channel,
                        toll.id,
                        amount_vnd=toll.amount_vnd,
                        now=self._read_clock(),
                    )
            except (ResultUnknown, TimeoutError) as error:
                await self._note_unknown(toll, error)
        if answer is not None and answer.status == "absent":
            if self._read_clock() >= toll.created_at + ARRIVES_WITHIN:
                await self._store_declined(toll, TollProblem.NOT_ARRIVED)
                return
            answer = None  # it may still be on its way
        if answer is None:
            await self._store_open(toll, TollStatus(toll.status))
        else:
            await self._store(toll, answer)

    async def _refund(self, toll: TollFacts) -> None:
        _, channel, _ = await self._open_channel(toll.org_id, toll.id)
        status = RefundStatus.PENDING
        if channel is not None:
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S), self._calls:
                    answer = await reverse(
                        self._client,
                        channel,
                        toll.id,
                        refund_vnd=toll.left_vnd,
                        now=self._read_clock(),
                    )
                if answer.status == "reversed":
                    status = RefundStatus.REFUNDED
                elif answer.status == "refused":
                    status = RefundStatus.REFUSED
            except (ResultUnknown, TimeoutError) as error:
                await self._note_unknown(toll, error)
        async with open_org_transaction(self._database, toll.org_id) as session:
            await settling.store_refund(
                session, toll.org_id, toll.id, status, now=self._read_clock()
            )

    async def _note_unknown(self, toll: TollFacts, error: Exception) -> None:
        log.warning("toll.unknown", toll=str(toll.id), why=str(error))
        if isinstance(error, KeysDoubted):
            await self._doubt_keys(toll)

    async def _doubt_keys(self, toll: TollFacts) -> None:
        """Let a manager look at the contract's key; what is signed with it again closes that."""
        async with open_org_transaction(self._database, toll.org_id) as session:
            now = self._read_clock()
            await settling.doubt_keys(session, toll.org_id, toll.contract_id, now=now)

    async def _store(self, toll: TollFacts, answer: TollAnswer) -> None:
        if answer.status == "charged":
            async with open_org_transaction(self._database, toll.org_id) as session:
                await settling.store_charged(
                    session, toll.org_id, toll.id, answer, now=self._read_clock()
                )
        elif answer.status == "declined":
            await self._store_declined(toll, answer.read_problem())
        else:
            await self._store_open(toll, TollStatus.PENDING)

    async def _store_declined(self, toll: TollFacts, problem: TollProblem) -> None:
        async with open_org_transaction(self._database, toll.org_id) as session:
            now = self._read_clock()
            await settling.store_declined(session, toll.org_id, toll.id, problem, now=now)

    async def _store_open(self, toll: TollFacts, status: TollStatus) -> None:
        async with open_org_transaction(self._database, toll.org_id) as session:
            now = self._read_clock()
            await settling.store_open(session, toll.org_id, toll.id, status, now=now)

    async def _open_channel(
        self, org_id: UUID, id_: UUID
    ) -> tuple[TollFacts, TollChannel | None, str]:
        """Open the key of a charge's contract, revoked or not; None where it cannot be read."""
        async with open_org_transaction(self._database, org_id) as session:
            toll = await queries.get_request(session, org_id, id_)
            contract = await queries.get_contract(session, org_id, toll.contract_id)
            reference = (await get_bill(session, org_id, toll.bill_id)).reference
        return toll, self._unseal(contract), reference

    def _unseal(self, contract: TollContract) -> TollChannel | None:
        try:
            key = self._sealer.unseal(
                contract.sealed_secret, org_id=contract.org_id, object_id=contract.id
            )
        except SecretNotReadable:
            log.error("toll.key_not_readable", contract=str(contract.id))
            return None
        return TollChannel(url=contract.url, client_id=contract.client_id, key=key)
