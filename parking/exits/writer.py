"""Writing of exits: one commit carries the vehicles of an organisation that wait to leave.

One of these lives in each process. A lone vehicle is let out alone and at once.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from core.batching import MicroBatcher
from core.db import Database
from core.settings import WRITE_TIMEOUT_S
from core.tenancy import open_org_transaction
from parking.exits.leaving import LeaveFacts, LeaveRequest, leave

EXITS_A_COMMIT_MAX: Final = 500
WAITING_MAX: Final = 5_000
WRITES_AT_ONCE_MAX: Final = 4


class ExitWriter:
    """Lets vehicles out; commits before it answers."""

    def __init__(
        self,
        database: Database,
        *,
        read_clock: Callable[[], datetime],
        timeout_s: float = WRITE_TIMEOUT_S,
        wake: Callable[[UUID], None] = lambda org_id: None,
    ) -> None:
        """Make the process's own.

        Args:
            wake: called for each organisation for which something was committed.
        """
        self._database = database
        self._wake = wake
        self._read_clock = read_clock
        self._requests: MicroBatcher[UUID, LeaveRequest, LeaveFacts] = MicroBatcher(
            self._leave,
            items_max=EXITS_A_COMMIT_MAX,
            waiting_max=WAITING_MAX,
            flushes_max=WRITES_AT_ONCE_MAX,
            timeout_s=timeout_s,
        )

    async def leave(self, org_id: UUID, request: LeaveRequest) -> LeaveFacts:
        """Let one vehicle out.

        Raises:
            ParkingSessionNotFound, NotInside, NotPaid, PlateDiffers, LotHasNoTariff,
            NoRateForVehicle, StayNotPriceable, Busy
        """
        return await self._requests.submit(request, key=org_id)

    async def drain(self) -> None:
        """Wait until what was accepted is written (at shutdown)."""
        await self._requests.drain()

    async def _leave(
        self, org_id: UUID, requests: Sequence[LeaveRequest]
    ) -> Sequence[LeaveFacts | Exception]:
        async with open_org_transaction(self._database, org_id) as session:
            left = await leave(session, org_id, requests, now=self._read_clock())
        self._wake(org_id)
        return left
