"""Owners of bills: each is notified of a change in a transaction of its own, after the commit.

The hub wakes it within milliseconds (a NOTIFY with the payment), and the worker sweeps what a dead
process left. Any number of processes may handle: changes are locked with SKIP LOCKED. A change that
fails rests, and holds up nobody but the later changes of its own bill (docs/adr/0010).
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database, is_database_away
from core.reasons import Reason
from core.tenancy import open_org_transaction
from payments.bills import queries_owners as queries
from payments.bills.owners_rules import Change, SubjectKind, next_attempt_at
from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak

log = structlog.get_logger()

HANDLE_WITHIN_S: Final = 5.0  # a handler writes a few rows; what takes longer hangs
AT_ONCE_MAX: Final = 2  # changes of one owner kind in one process: one that hangs stops no other
STUCK_AFTER: Final = 5  # attempts; then a break is opened for a person


class BillOwner(Protocol):
    """What an owner's package does when a bill of its kind changes."""

    async def __call__(self, session: AsyncSession, change: Change, *, now: datetime) -> None:
        """Handle a change in the organisation's transaction; never commit.

        A change may come again, if its first transaction did not commit: be idempotent by its id.
        """


class OwnersInbox:
    """Notifies owners of what changed, each organisation and kind by itself.

    Args:
        owners: kind of owner → its handler (registry/). Changes of other kinds wait for a process
            that knows them.
    """

    def __init__(
        self,
        database: Database,
        owners: Mapping[str, BillOwner],
        *,
        read_clock: Callable[[], datetime],
        handle_within_s: float = HANDLE_WITHIN_S,
    ) -> None:
        self._database = database
        self._owners = owners
        self._read_clock = read_clock
        self._handle_within_s = handle_within_s
        self._running: dict[tuple[UUID, str, int], asyncio.Task[int]] = {}
        self._again: set[tuple[UUID, str, int]] = set()
        self._is_closing = False

    def wake(self, org_id: UUID) -> None:
        """Handle what waits for this organisation's owners, soon. Safe to call at any time."""
        if self._is_closing:
            return
        for kind in self._owners:
            for place in range(AT_ONCE_MAX):
                self._start((org_id, kind, place))

    async def sweep(self, org_ids: Collection[UUID], *, wait_s: float) -> int:
        """Handle what waits for these organisations; return how many changes were handled so far.

        Args:
            wait_s: what takes longer goes on by itself.
        """
        for org_id in org_ids:
            self.wake(org_id)
        tasks = [task for (org_id, *_), task in self._running.items() if org_id in set(org_ids)]
        if not tasks:
            return 0
        done, _ = await asyncio.wait(tasks, timeout=wait_s)
        return sum(task.result() for task in done)

    async def close(self) -> None:
        """Finish what is being handled and start nothing new."""
        self._is_closing = True
        if self._running:
            await asyncio.wait(list(self._running.values()))

    def _start(self, place: tuple[UUID, str, int]) -> None:
        if place in self._running:
            self._again.add(place)
            return
        self._running[place] = asyncio.create_task(self._run(place))

    async def _run(self, place: tuple[UUID, str, int]) -> int:
        org_id, kind, _ = place
        handled = 0
        try:
            found: bool | None = True
            while found is not None and not self._is_closing:
                self._again.discard(place)
                found = await self._handle_next(org_id, kind)
                handled += bool(found)
        except Exception as error:  # the database is away: the sweep comes by
            log.error("owner.inbox_failed", kind=kind, org=str(org_id), error=repr(error))
        finally:
            del self._running[place]
            if place in self._again and not self._is_closing:
                self._start(place)
        return handled

    async def _handle_next(self, org_id: UUID, kind: str) -> bool | None:
        """Handle the next change that is due: True; False if it failed, None if there is none."""
        change: Change | None = None
        try:
            async with (
                asyncio.timeout(self._handle_within_s),
                open_org_transaction(self._database, org_id) as session,
            ):
                now = self._read_clock()
                change = await queries.lock_due_change(session, org_id, kind, now=now)
                if change is None:
                    return None
                await self._owners[kind](session, change, now=now)
                await queries.mark_handled(session, org_id, change.id, now=now)
                if change.attempts >= STUCK_AFTER:
                    await _close_break(session, change, now=now)
        except Exception as error:
            # A handler that hangs is the owner's fault: the time-out is our own.
            is_cut_off = isinstance(error, TimeoutError)
            if change is None or (is_database_away(error) and not is_cut_off):
                raise
            await self._put_off(change, error)
            return False
        log.info("owner.notified", kind=kind, subject=str(change.subject_id), to=change.to_status)
        return True

    async def _put_off(self, change: Change, error: Exception) -> None:
        """Count the failure, come back later, and open a break once if it goes on."""
        why = type(error).__name__
        log.error("owner.failed", kind=change.owner_kind, change=str(change.id), error=repr(error))
        async with open_org_transaction(self._database, change.org_id) as session:
            now = self._read_clock()
            # Another may have taken it up, and failed too, before this failure is counted.
            is_counted = await queries.put_off(
                session,
                change.org_id,
                change.id,
                attempts=change.attempts,
                until=next_attempt_at(change.attempts, now=now),
                why=why,
            )
            if is_counted and change.attempts + 1 == STUCK_AFTER:
                is_bill = change.subject_kind is SubjectKind.BILL
                stuck = NewBreak(
                    kind=BreakKind.STUCK,
                    subject_id=change.id,
                    bill_id=change.subject_id if is_bill else None,
                    credit_id=None if is_bill else change.subject_id,
                    reason=Reason(
                        BreakReason.OWNER_FAILED,
                        {
                            "owner_kind": change.owner_kind,
                            "to_status": change.to_status,
                            "error": why,
                        },
                    ),
                )
                await break_queries.insert_breaks_once(session, change.org_id, [stuck], now=now)


async def _close_break(session: AsyncSession, change: Change, *, now: datetime) -> None:
    await break_queries.close_breaks(
        session,
        change.org_id,
        subject_id=change.id,
        kinds=[BreakKind.STUCK.value],
        by=None,
        resolution="handled",
        now=now,
    )
