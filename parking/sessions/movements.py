"""Movements of a device that was offline: entries are decided as they are stored, in one commit.

Exits and collections are stored and wait: they touch money, and are applied in the device's order
by a transaction of the hub's role.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from msgspec.structs import replace as struct_replace
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.database_connections import answered_within
from core.db import Database, has_lost_a_race, has_timed_out, is_database_away
from core.errors import Busy
from core.reasons import Reason
from core.settings import WRITE_TIMEOUT_S
from identity.devices.rules import correct_time
from parking.plates import mask_plate
from parking.sessions.answers import make_answer
from parking.sessions.queries import enter_in_rounds
from parking.sessions.queries_movements import (
    find_overlaps,
    find_revoked_at,
    find_verdicts,
    find_waiting_exits,
    finish_conflicts,
    has_waiting_entries,
    insert_movements_once,
)
from parking.sessions.rules import EntryAnswer, EntryRequest, MovementVerdict, Verdict
from parking.sessions.types import Sender, StoredMovement
from payments.breaks.queries import insert_breaks_once
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak

log = structlog.get_logger()

BATCHES_AT_ONCE_MAX: Final = 2
BATCHES_WAITING_MAX: Final = 100
TRIES_MAX: Final = 3
SENT_AFTER_REVOCATION: Final = "sent_after_revocation"
# A vehicle that a device let in is in, whatever is known here: a person has to look.
CONFLICTS: Final = frozenset({Verdict.ALREADY_INSIDE.value, Verdict.TAKEN.value})
NOT_ACCEPTED: Final = frozenset(
    {MovementVerdict.AFTER_REVOCATION, MovementVerdict.TOO_OLD, MovementVerdict.AHEAD}
    | {MovementVerdict.REFUSED}
)


class MovementWriter:
    """Stores batches of movements; commits before it answers. One per process."""

    def __init__(
        self,
        gate_database: Database,
        *,
        timeout_s: float = WRITE_TIMEOUT_S,
        wake: Callable[[UUID], None] = lambda org_id: None,
    ) -> None:
        """Make the process's own.

        Args:
            wake: called for each organisation for which something was committed.
        """
        self._database = gate_database
        self._wake = wake
        self._timeout_s = timeout_s
        self._turns = asyncio.Semaphore(BATCHES_AT_ONCE_MAX)
        self._waiting = 0

    async def store(
        self, sender: Sender, movements: Sequence[StoredMovement], *, now: datetime
    ) -> dict[UUID, str]:
        """Decide the entries and store everything, once; return each movement's verdict.

        Raises:
            Busy: too many batches wait, or the database is away.
        """
        if self._waiting >= BATCHES_WAITING_MAX:
            raise Busy("Too many devices are sending. Try again in a second.")
        self._waiting += 1
        try:
            async with self._turns:
                return await self._store_in_turn(sender, movements, now=now)
        finally:
            self._waiting -= 1

    async def _store_in_turn(
        self, sender: Sender, movements: Sequence[StoredMovement], *, now: datetime
    ) -> dict[UUID, str]:
        try:
            return await self._write(sender, movements, now=now)
        except DBAPIError as error:
            if is_database_away(error):
                raise Busy("The database is busy or away. Try again in a second.") from error
            if len(movements) > 1:
                log.warning("movements.batch_failed", movements=len(movements), error=repr(error))
        verdicts: dict[UUID, str] = {}
        for movement in movements:  # one bad item must not fail the others
            verdicts |= await self._write_alone(sender, movement, now=now)
        return verdicts

    async def _write_alone(
        self, sender: Sender, movement: StoredMovement, *, now: datetime
    ) -> dict[UUID, str]:
        failed: DBAPIError | None = None
        for _ in range(TRIES_MAX):
            try:
                return await self._write(sender, [movement], now=now)
            except DBAPIError as error:
                if is_database_away(error) or has_timed_out(error):
                    raise Busy("The database is busy or away. Try again in a second.") from error
                failed = error
                # Its credential was taken while it was decided, or it had to give way.
                if not isinstance(error, IntegrityError) and not has_lost_a_race(error):
                    break
        if has_lost_a_race(failed):
            raise Busy("The database is busy. Try again in a second.") from failed
        log.warning("movement.failed", movement=str(movement.id), error=repr(failed))
        return {movement.id: MovementVerdict.UNREADABLE.value}

    async def _write(
        self, sender: Sender, movements: Sequence[StoredMovement], *, now: datetime
    ) -> dict[UUID, str]:
        ids = [one.id for one in movements]
        with answered_within(self._timeout_s):
            async with self._database.begin() as session:
                known = await find_verdicts(session, sender.org_id, sender.device_id, ids)
                new = [one for one in movements if one.id not in known]
                revoked_at = await find_revoked_at(session, sender.org_id, sender.device_id)
                if revoked_at is not None:
                    _refuse_later(new, revoked_at)
                decided = await _decide(session, sender, new, now=now)
                await insert_movements_once(
                    session,
                    decided,
                    org_id=sender.org_id,
                    device_id=sender.device_id,
                    lot_id=sender.lot_id,
                    received_from=sender.received_from,
                    now=now,
                )
        self._wake(sender.org_id)
        # Only what is committed is said of them: what failed is decided anew.
        for one, done in zip(new, decided, strict=True):
            one.verdict, one.handled_at = done.verdict, done.handled_at
        for one in movements:
            if one.id in known:
                one.verdict, one.is_done = known[one.id]
        return {one.id: one.verdict or MovementVerdict.WAITING.value for one in movements}


async def open_breaks(
    session: AsyncSession,
    sender: Sender,
    movements: Sequence[StoredMovement],
    *,
    lot_name: str,
    now: datetime,
) -> None:
    """Open a break for each movement that people must look at; safe to repeat.

    What a person has closed since is not opened again by a queue that comes again.

    In a transaction of the hub's role, after the movements were stored.
    """
    breaks = []
    for one in movements:
        if one.to_check is not None and one.entry is not None:
            facts = {"why": one.to_check, "lot": lot_name}
            reason = Reason(BreakReason.MOVEMENT_TO_CHECK, facts)
            # Of the stay, so that it stands beside a conflict of the movement.
            subject_id = one.entry.id
            breaks.append(
                NewBreak(kind=BreakKind.PARKING_CONFLICT, subject_id=subject_id, reason=reason)
            )
        if one.verdict in CONFLICTS:
            breaks.append(make_conflict(one.id, one.entry, lot_name=lot_name))
            continue
        if one.verdict in NOT_ACCEPTED:
            code = BreakReason.MOVEMENT_NOT_ACCEPTED
            facts = {"why": one.verdict, "lot": lot_name}
        else:
            continue
        reason = Reason(code, facts)
        breaks.append(NewBreak(kind=BreakKind.PARKING_CONFLICT, subject_id=one.id, reason=reason))
    over = {one.entry.id: one.entry for one in movements if one.entry and one.entry.left_at}
    if over:
        for session_id, _ in await find_overlaps(
            session, sender.org_id, sender.device_id, list(over)
        ):
            facts = {"plate": _mask(over[session_id]), "lot": lot_name}
            reason = Reason(BreakReason.STAYS_OVERLAP, facts)
            breaks.append(
                NewBreak(kind=BreakKind.PARKING_CONFLICT, subject_id=session_id, reason=reason)
            )
    if breaks:
        await insert_breaks_once(session, sender.org_id, breaks, now=now)
    if done := [one.id for one in movements if one.verdict is not None]:
        await finish_conflicts(session, sender.org_id, sender.device_id, done, now=now)


async def report_late_queue(
    session: AsyncSession, sender: Sender, *, lot_name: str, now: datetime
) -> None:
    """Open one break for what a revoked device sent and what counts: its clock may be set back."""
    facts = {"why": SENT_AFTER_REVOCATION, "lot": lot_name}
    reason = Reason(BreakReason.MOVEMENT_TO_CHECK, facts)
    one = NewBreak(kind=BreakKind.PARKING_CONFLICT, subject_id=sender.device_id, reason=reason)
    await insert_breaks_once(session, sender.org_id, [one], now=now)


def _refuse_later(movements: Iterable[StoredMovement], revoked_at: datetime) -> None:
    """Let nothing count that was signed after a revocation, also one of a moment ago.

    They were judged before their turn came, and the device may have been revoked since.
    """
    for one in movements:
        if one.verdict is not None:
            continue
        if correct_time(one.device_at, one.offset_ms) > revoked_at:
            one.verdict, one.entry = MovementVerdict.AFTER_REVOCATION.value, None
        elif one.entry is not None and (one.entry.left_at or revoked_at) > revoked_at:
            one.entry = struct_replace(one.entry, left_at=None)  # the exit does not count


async def _decide(
    session: AsyncSession, sender: Sender, movements: Sequence[StoredMovement], *, now: datetime
) -> list[StoredMovement]:
    """Decide the entries; return all movements as they are to be stored, in their order.

    What was given stays as it is: the transaction may fail yet. An entry whose vehicle is inside by
    a stay that this device has reported over waits for that exit, undecided; so does what comes
    in after it, until it is decided.
    """
    decided = {one.id: one for one in movements}
    waiting = [one for one in movements if one.entry is not None and one.verdict is None]
    rounds = split_rounds(waiting)
    entries = [[one.entry for one in of_round if one.entry] for of_round in rounds]
    if not entries or await has_waiting_entries(session, sender.org_id, sender.device_id):
        return list(decided.values())
    written = await enter_in_rounds(session, entries, now=now)
    answers = [
        (one, make_answer(one.entry, row))
        for of_round, rows in zip(rounds, written, strict=True)
        for one, row in zip(of_round, rows, strict=True)
        if one.entry is not None
    ]
    exits = await _find_exits(session, sender, movements, [answer for _, answer in answers])
    for one, answer in answers:
        if isinstance(answer, Exception):
            decided[one.id] = replace(one, verdict=MovementVerdict.REFUSED.value)
            continue
        is_inside = answer.verdict is Verdict.ALREADY_INSIDE
        if is_inside and exits.get(answer.session_id, one.seq) < one.seq:
            continue
        verdict = answer.verdict.value
        handled_at = None if verdict in CONFLICTS or one.needs_look else now
        decided[one.id] = replace(one, verdict=verdict, handled_at=handled_at)
    return list(decided.values())


async def _find_exits(
    session: AsyncSession,
    sender: Sender,
    movements: Sequence[StoredMovement],
    answers: Sequence[EntryAnswer | Exception],
) -> dict[UUID, int]:
    """Return which stays that are in the way of entries the device has reported over, and when."""
    inside = [
        answer.session_id
        for answer in answers
        if isinstance(answer, EntryAnswer) and answer.verdict is Verdict.ALREADY_INSIDE
    ]
    if not inside:
        return {}
    exits = {one.leaves: one.seq for one in movements if one.leaves and one.verdict is None}
    return exits | await find_waiting_exits(session, sender.org_id, sender.device_id, inside)


def split_rounds(movements: Iterable[StoredMovement]) -> list[list[StoredMovement]]:
    """Split a device's entries so that no two of a round share an id or a credential."""
    rounds: list[list[StoredMovement]] = []
    last: dict[object, int] = {}
    for one in movements:
        assert one.entry is not None
        keys = list(one.entry.list_keys())
        at = max((last.get(key, -1) for key in keys), default=-1) + 1
        if at == len(rounds):
            rounds.append([])
        rounds[at].append(one)
        last.update(dict.fromkeys(keys, at))
    return rounds


def make_conflict(id_: UUID, entry: EntryRequest | None, *, lot_name: str) -> NewBreak:
    """Return the break of an entry whose vehicle is inside by another report."""
    facts = {"plate": _mask(entry), "lot": lot_name}
    reason = Reason(BreakReason.VEHICLE_INSIDE_ALREADY, facts)
    return NewBreak(kind=BreakKind.PARKING_CONFLICT, subject_id=id_, reason=reason)


def _mask(entry: EntryRequest | None) -> str:
    if entry is None or entry.plate is None:
        return "…"
    return mask_plate(entry.plate)
