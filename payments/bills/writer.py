"""Opening bills for many callers at once: one commit carries whatever waits.

One of these lives in each process. A lone request is written alone and at once.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from core.batching import MicroBatcher
from core.db import Database
from core.settings import WRITE_TIMEOUT_S
from core.tenancy import open_org_transaction
from core.text import check_lines
from identity.organisations.rules import OrgFacts
from payments.bills.rules import BillFacts, BillRequest, check_times
from payments.bills.serials import ReferenceSource
from payments.bills.service import Opened, open_bills

BILLS_A_COMMIT_MAX: Final = 500
WAITING_MAX: Final = 5_000
WRITES_AT_ONCE_MAX: Final = 6


class BillWriter:
    """Opens bills; commits before it answers."""

    def __init__(
        self,
        database: Database,
        *,
        read_clock: Callable[[], datetime],
        timeout_s: float = WRITE_TIMEOUT_S,
    ) -> None:
        self._database = database
        self._read_clock = read_clock
        self._references = ReferenceSource(database)
        self._orgs: dict[UUID, OrgFacts] = {}
        self._requests: MicroBatcher[UUID, BillRequest, BillFacts] = MicroBatcher(
            self._open,
            items_max=BILLS_A_COMMIT_MAX,
            waiting_max=WAITING_MAX,
            flushes_max=WRITES_AT_ONCE_MAX,
            timeout_s=timeout_s,
        )

    async def open_bill(self, org: OrgFacts, request: BillRequest) -> BillFacts:
        """Open one bill, or return the one that the same request opened before.

        Raises:
            PayeeNotFound, PayeeHasNoAccount, BillIdTaken, IdempotencyKeyReused,
            ReferencesUsedUp, BillTooLong, Busy
        """
        check_lines(purpose=request.purpose, external_id=request.external_id)
        check_times(request, now=self._read_clock())
        self._orgs[org.id] = org
        return await self._requests.submit(request, key=org.id)

    async def take_reference(self, org: OrgFacts) -> str:
        """Return a fresh reference for something else than a bill: an account's test transfer.

        Raises:
            ReferencesUsedUp
        """
        (reference,) = await self._references.take(org, 1)
        return reference

    async def drain(self) -> None:
        """Wait until what was accepted is written (at shutdown)."""
        await self._requests.drain()

    async def _open(self, org_id: UUID, requests: Sequence[BillRequest]) -> list[Opened]:
        references = await self._references.take(self._orgs[org_id], len(requests))
        async with open_org_transaction(self._database, org_id) as session:
            return await open_bills(session, org_id, requests, references, now=self._read_clock())
