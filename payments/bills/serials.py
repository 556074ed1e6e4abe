"""Serials of references: a process takes a run of them at a time and hands them out."""

import asyncio
from collections import deque
from datetime import timedelta
from typing import Final
from uuid import UUID

from core.db import Database
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts
from payments.bills.errors import ReferencesUsedUp
from payments.bills.queries_serials import take_serials
from payments.bills.references import SERIAL_COUNT, make_reference
from payments.payees.rules import LOST_BURST_MAX, LOST_PER_SECOND_MAX

# One row update per this many bills. What a process leaves unused when it ends is a gap, harmless.
RUN_LENGTH: Final = 1_000


def serials_to_skip(lost_for: timedelta, *, restores_before: int = 0) -> int:
    """Return how far each code's next serial moves on, so that no lost reference comes again.

    A database that was restored forgets the references it gave out since its backup, and they stand
    in payers' bank apps. A backup that is restored once more has to pass what was given out after
    the restores before, too: each of them counts one burst, and the time counts itself.

    Args:
        lost_for: from the backup to now, by one clock.
        restores_before: how often this backup was restored already.
    """
    assert lost_for >= timedelta(0)
    assert restores_before >= 0
    lost_s = lost_for // timedelta(seconds=1) + 1  # a begun second is a whole one
    return LOST_BURST_MAX * (1 + restores_before) + LOST_PER_SECOND_MAX * lost_s


class ReferenceSource:
    """Hands out references that no other process has. One per process."""

    def __init__(self, database: Database, *, run_length: int = RUN_LENGTH) -> None:
        self._database = database
        self._run_length = run_length
        # Per organisation, what is left: (code, the serials of a run). A range takes no room.
        self._left: dict[UUID, deque[tuple[str, range]]] = {}
        self._locks: dict[UUID, asyncio.Lock] = {}

    async def take(self, org: OrgFacts, count: int) -> list[str]:
        """Return fresh references.

        A run is committed before it is used: had it shared the bill's transaction, a rollback
        would give the same serials to somebody else.

        Raises:
            ReferencesUsedUp: the organisation needs another code.
        """
        left = self._left.setdefault(org.id, deque())
        if _count(left) < count:
            async with self._locks.setdefault(org.id, asyncio.Lock()):
                while _count(left) < count:
                    left.append(await self._take_run(org, max(self._run_length, count)))
        taken: list[str] = []
        while len(taken) < count:
            code, serials = left.popleft()
            wanted = count - len(taken)
            taken += [make_reference(code, serial) for serial in serials[:wanted]]
            if rest := serials[wanted:]:
                left.appendleft((code, rest))
        return taken

    async def _take_run(self, org: OrgFacts, wanted: int) -> tuple[str, range]:
        async with open_org_transaction(self._database, org.id) as session:
            run = await take_serials(session, org.id, wanted=wanted, serials_max=SERIAL_COUNT)
        if run is None:
            raise ReferencesUsedUp(org.code)
        code, first = run
        return code, range(first, first + wanted)


def _count(left: deque[tuple[str, range]]) -> int:
    return sum(len(serials) for _, serials in left)
