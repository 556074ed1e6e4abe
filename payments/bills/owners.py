"""Owners of bills: each is notified of a change in a transaction of its own, after the commit.

The hub wakes it within milliseconds (a NOTIFY with the payment), and it looks from that change on;
seconds later at all that is due. The worker sweeps what a dead process left. Any number of
processes may handle: changes are locked with SKIP LOCKED. A change that
fails rests, and holds up nobody but the later changes of its own bill (docs/adr/0010).
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database, is_database_away
from core.delayed_calls import DelayedCalls
from core.reasons import Reason
from core.tenancy import open_org_transaction
from payments.bills import queries_owners as queries
from payments.bills.owners_rules import Change, SubjectKind, next_attempt_at
from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak

log = structlog.get_logger()

HANDLE_WITHIN_S: Final = 5.0  # a handler writes a few rows; what takes longer hangs
# Changes of one owner kind in one process, and as many in its full look: one that hangs stops none.
AT_ONCE_MAX: Final = 2
FULL_LOOK_AFTER_S: Final = 5.0  # after a wake-up: what waits for longer lies before it
EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)  # a look from here on is a full one
STUCK_AFTER: Final = 5  # attempts; then a break is opened for a person


class BillOwner(Protocol):
    """What an owner's package does when a bill of its kind changes."""

    async def __call__(self, session: AsyncSession, change: Change, *, now: datetime) -> None:
        """Handle a change in the organisation's transaction; never commit.

        A change may come again, if its first transaction did not commit: be idempotent by its id.
        """


class _Place(NamedTuple):
    """Where one change at a time is handled."""

    org_id: UUID
    kind: str
    is_full_look: bool
    number: int


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
        full_look_after_s: float = FULL_LOOK_AFTER_S,
    ) -> None:
        self._database = database
        self._owners = owners
        self._read_clock = read_clock
        self._handle_within_s = handle_within_s
        self._running: dict[_Place, asyncio.Task[int]] = {}
        self._again: dict[_Place, datetime] = {}  # and since when
        self._full_looks: DelayedCalls[UUID] = DelayedCalls(after_s=full_look_after_s)
        self._is_closing = False

    def wake(self, org_id: UUID, since: datetime | None = None) -> None:
        """Handle what waits for this organisation's owners, soon. Safe to call at any time.

        Args:
            since: what became due from then on; all the rest is handled by a full look some
                seconds later. None: a full look now.
        """
        if self._is_closing:
            return
        if since is not None:
            self._plan_full_look(org_id)
        for kind in self._owners:
            for number in range(AT_ONCE_MAX):
                self._start(_Place(org_id, kind, since is None, number), since or EVER)

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
        self._full_looks.cancel()
        if self._running:
            await asyncio.wait(list(self._running.values()))

    def _plan_full_look(self, org_id: UUID) -> None:
        self._full_looks.plan(org_id, partial(self.wake, org_id))

    def _start(self, place: _Place, since: datetime) -> None:
        if place in self._running:
            self._again[place] = min(since, self._again.get(place, since))
            return
        self._running[place] = asyncio.create_task(self._run(place, since))

    async def _run(self, place: _Place, since: datetime) -> int:
        handled = 0
        try:
            found: bool | None = True
            while found is not None and not self._is_closing:
                since = min(since, self._again.pop(place, since))
                found = await self._handle_next(place.org_id, place.kind, since)
                handled += bool(found)
        except Exception as error:  # the database is away: a full look comes by
            log.error(
                "owner.inbox_failed", kind=place.kind, org=str(place.org_id), error=repr(error)
            )
            if not self._is_closing:
                self._plan_full_look(place.org_id)
        finally:
            del self._running[place]
            if place in self._again and not self._is_closing:
                self._start(place, self._again.pop(place))
        return handled

    async def _handle_next(self, org_id: UUID, kind: str, since: datetime) -> bool | None:
        """Handle the next change that is due: True; False if it failed, None if there is none."""
        change: Change | None = None
        try:
            async with (
                asyncio.timeout(self._handle_within_s),
                open_org_transaction(self._database, org_id) as session,
            ):
                now = self._read_clock()
                change = await queries.lock_due_change(session, org_id, kind, since=since, now=now)
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
