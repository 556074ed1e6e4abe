"""Statements: kept, read by a job, looked at, and accepted for the days of an account.

    uploaded → staged | refused       (the job `statements.read`)
    staged → accepted → visible       (a person, then the job `statements.write`)
    uploaded, staged, refused → discarded

A file is kept first, whatever is wrong with it: a wrong total is evidence.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.clock import day_bounds, hanoi_day
from core.errors import Busy
from core.jobs.errors import JobNotFound
from core.jobs.service import queue_job
from core.jobs.views import get_job
from core.text import check_lines
from payments.statements import queries, queries_days, queries_lines
from payments.statements.errors import (
    ReceivingAccountNotFound,
    StatementBeforeOpening,
    StatementBeingWritten,
    StatementFileKnown,
    StatementIdTaken,
    StatementNotAcceptable,
    StatementNotChained,
    StatementNotDiscardable,
    StatementOverlaps,
    StatementReadingsReached,
    StatementsADayReached,
    StatementSpaceReached,
    StatementsTooLong,
)
from payments.statements.files import ReceivedFile, keep_file
from payments.statements.mappings import write_mapping
from payments.statements.reading.header import check_mapping
from payments.statements.reading.types import ColumnMapping
from payments.statements.rules import (
    COMPARED_LINES_MAX,
    FILE_NAME_CHARS_MAX,
    FILES_A_DAY_MAX,
    PURGE,
    READ,
    READINGS_A_DAY_MAX,
    WRITE,
    DayBalance,
    StatementFacts,
    StatementStatus,
    balances_of,
    close_days,
    find_break,
    goes_on,
    list_days,
)

# The day from which an account's statements count; None: it has no opening balance. Those belong
# to a package above this one.
FindOpeningDay = Callable[[AsyncSession, UUID, UUID], Awaitable[date | None]]


async def add_statement(
    session: AsyncSession,
    org_id: UUID,
    statement_id: UUID,
    file: ReceivedFile,
    *,
    receiving_account_id: UUID | None,
    file_name: str,
    kept_bytes_max: int,
    is_pasted: bool = False,
    mapping: ColumnMapping | None = None,
    actor: Actor,
    now: datetime,
) -> tuple[StatementFacts, bool]:
    """Keep a file and have it read; return its statement and whether it is a new one.

    The same id again, or the same file, is the same statement; where its reading failed it is
    queued again.

    Args:
        statement_id: made by the client.
        receiving_account_id: whose it is; None: the file says it.
        kept_bytes_max: of all files of the organisation together.
        mapping: columns given by hand.

    Raises:
        ReceivingAccountNotFound, StatementIdTaken
        StatementError: the mapping gives no lines.
        StatementFileKnown: the file is a statement of another account, or was read otherwise.
        StatementsADayReached, StatementReadingsReached, StatementSpaceReached
    """
    check_mapping(mapping)
    written = write_mapping(mapping)
    if receiving_account_id is not None:
        number = await queries.find_account_number(session, org_id, receiving_account_id)
        if number is None:
            raise ReceivingAccountNotFound(receiving_account_id)
    is_new = await queries.insert_statement_once(
        session,
        org_id,
        statement_id,
        receiving_account_id=receiving_account_id,
        file_sha256=file.sha256,
        file_name=file_name[:FILE_NAME_CHARS_MAX],
        file_bytes=file.bytes,
        is_pasted=is_pasted,
        mapping=written,
        by=actor.id,
        now=now,
    )
    if not is_new:
        by_id = await queries.find_statement(session, org_id, statement_id)
        if by_id is not None and by_id.file_sha256 != file.sha256:
            raise StatementIdTaken(statement_id)
        known = by_id or await queries.find_by_file(session, org_id, file.sha256)
        if known is None:  # discarded at this moment
            raise Busy("The statement of this file was just discarded; send it again.")
        asked = (receiving_account_id or known.receiving_account_id, is_pasted, written)
        if asked != (known.receiving_account_id, known.is_pasted, known.mapping):
            raise StatementFileKnown(known.id)
        if known.status is StatementStatus.UPLOADED and await _is_job_over(session, org_id, known):
            await queue_reading(session, org_id, known.id)
        return await queries.get_statement(session, org_id, known.id), False
    await _check_room(session, org_id, kept_bytes_max, now=now)
    await keep_file(session, org_id, file)
    await queue_reading(session, org_id, statement_id)
    after = {"sha256": file.sha256.hex(), "file_bytes": file.bytes}
    record_statement(session, org_id, statement_id, "statement.uploaded", after, actor, now)
    return await queries.get_statement(session, org_id, statement_id), True


async def accept_statement(
    session: AsyncSession,
    org_id: UUID,
    statement_id: UUID,
    *,
    find_opening_day: FindOpeningDay,
    actor: Actor,
    now: datetime,
) -> StatementFacts:
    """Make a statement's days its own, and have its lines written. Idempotent.

    Of days that another statement owns both must say the same, and it counts once; or the file
    goes on, on the account's newest day, where the other one ended. A write that failed is queued
    again.

    Raises:
        StatementNotFound, StatementNotAcceptable, StatementBeingWritten
        StatementBeforeOpening: it has days from before the account's opening balance.
        StatementOverlaps, StatementsTooLong: days that are owned say something else, or too much.
        StatementNotChained: with the days beside it.
    """
    statement = await queries.lock_statement(session, org_id, statement_id)
    if statement.status is StatementStatus.ACCEPTED:
        if await _is_job_over(session, org_id, statement):
            await _queue(session, org_id, statement_id, WRITE)
        return await queries.get_statement(session, org_id, statement_id)
    if statement.status is StatementStatus.VISIBLE:
        return statement
    if statement.status is not StatementStatus.STAGED:
        raise StatementNotAcceptable(statement.status)
    account_id, first, last = _bounds(statement)
    await queries.lock_account(session, org_id, account_id)
    if await queries.is_being_written(session, org_id, account_id):
        raise StatementBeingWritten
    opening_day = await find_opening_day(session, org_id, account_id)
    if opening_day is not None and first < opening_day:
        raise StatementBeforeOpening(first, opening_day)
    moved_vnd = await queries_days.list_sums(session, org_id, statement_id)
    rows = close_days(list_days(first, last), moved_vnd, statement.opening_vnd)
    near = await queries_days.list_owned_days(
        session, org_id, account_id, first - timedelta(days=1), last + timedelta(days=1)
    )
    owned = [one for one in near if first <= one.day <= last]
    newest = await queries_days.find_newest_day(session, org_id, account_id)
    repeats = 0
    if goes_on(owned, newest=newest, first=first, opening_vnd=statement.opening_vnd):
        near = []  # the day begins and ends in two files
        moved = moved_vnd.get(first, (0, 0, 0))
        await queries_days.continue_day(session, org_id, account_id, first, moved)
    elif owned:
        repeats = await _drop_repeats(session, org_id, statement, owned, moved_vnd)
    if found := find_break(balances_of(rows), near):
        own, other = found
        raise StatementNotChained(own, other)
    taken = {one.day for one in owned}
    if fresh := [row for row in rows if row[0] not in taken]:
        await queries_days.insert_days(session, org_id, account_id, statement_id, fresh)
    await queries.set_accepted(
        session, org_id, statement_id, repeat_count=repeats, by=actor.id, now=now
    )
    await _queue(session, org_id, statement_id, WRITE)
    after = {
        "account_id": str(account_id),
        "period_from": first.isoformat(),
        "period_to": last.isoformat(),
        "lines": statement.line_count,
        "repeats": repeats,
    }
    record_statement(session, org_id, statement_id, "statement.accepted", after, actor, now)
    return await queries.get_statement(session, org_id, statement_id)


async def discard_statement(
    session: AsyncSession,
    org_id: UUID,
    statement_id: UUID,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
) -> StatementFacts:
    """Put a statement aside: its file stays, and may be sent again. Idempotent.

    Raises:
        StatementNotFound
        StatementNotDiscardable: it was accepted.
    """
    check_lines(reason=reason)
    statement = await queries.lock_statement(session, org_id, statement_id)
    if statement.status is StatementStatus.DISCARDED:
        return statement
    if statement.status in {StatementStatus.ACCEPTED, StatementStatus.VISIBLE}:
        raise StatementNotDiscardable
    await queries.set_status(
        session, org_id, statement_id, StatementStatus.DISCARDED, by=actor.id, now=now
    )
    await queue_job(session, org_id, PURGE, {"statement_id": str(statement_id)})
    record_statement(
        session, org_id, statement_id, "statement.discarded", {}, actor, now, reason=reason
    )
    return await queries.get_statement(session, org_id, statement_id)


async def _drop_repeats(
    session: AsyncSession,
    org_id: UUID,
    statement: StatementFacts,
    owned: Sequence[DayBalance],
    moved_vnd: Mapping[date, tuple[int, int, int]],
) -> int:
    """Let go of lines that are written already; return how many they are.

    Raises:
        StatementOverlaps, StatementsTooLong
    """
    account_id, _, _ = _bounds(statement)
    days = [one.day for one in owned]
    lines = sum(moved_vnd.get(day, (0, 0, 0))[0] for day in days)
    if lines > COMPARED_LINES_MAX:
        raise StatementsTooLong(lines, COMPARED_LINES_MAX)
    overlap = await queries_lines.count_overlap(session, org_id, account_id, statement.id, days)
    if not overlap.is_plain:
        pairs = await queries_days.compare_days(
            session, org_id, account_id, statement.id, days[0], days[-1]
        )
        raise StatementOverlaps(
            days_apart=[one.day for one in pairs if not one.is_alike],
            days=overlap.days,
            repeats=overlap.repeats,
            extra=overlap.extra,
            missing=overlap.missing,
        )
    await queries_lines.delete_repeats(session, org_id, account_id, statement.id, days)
    return overlap.repeats


async def _is_job_over(session: AsyncSession, org_id: UUID, statement: StatementFacts) -> bool:
    """Whether the job that works on a statement has ended without its end, or was purged."""
    assert statement.job_id is not None
    try:
        return (await get_job(session, org_id, statement.job_id)).finished_at is not None
    except JobNotFound:
        return True


async def queue_reading(session: AsyncSession, org_id: UUID, statement_id: UUID) -> None:
    """Have a statement read by a job."""
    await _queue(session, org_id, statement_id, READ)


async def check_readings(session: AsyncSession, org_id: UUID, *, now: datetime) -> None:
    """Refuse a reading that passes how often files may be read again; this one is counted.

    Raises:
        StatementReadingsReached
    """
    since, _ = day_bounds(hanoi_day(now))
    if (await queries.measure_kept(session, org_id, since=since)).readings > READINGS_A_DAY_MAX:
        raise StatementReadingsReached(READINGS_A_DAY_MAX)


async def _check_room(
    session: AsyncSession, org_id: UUID, kept_bytes_max: int, *, now: datetime
) -> None:
    """Refuse a file that passes what an organisation may send and keep; this one is counted.

    Files that come at the same instant do not see one another: a limit is passed by as many as
    are on their way, and no further.

    Raises:
        StatementsADayReached, StatementReadingsReached, StatementSpaceReached
    """
    since, _ = day_bounds(hanoi_day(now))
    kept = await queries.measure_kept(session, org_id, since=since)
    if kept.files > FILES_A_DAY_MAX:
        raise StatementsADayReached(FILES_A_DAY_MAX)
    if kept.readings > READINGS_A_DAY_MAX:  # put aside, and sent again
        raise StatementReadingsReached(READINGS_A_DAY_MAX)
    if kept.total_bytes > kept_bytes_max:
        raise StatementSpaceReached(kept_bytes_max)


async def _queue(session: AsyncSession, org_id: UUID, statement_id: UUID, kind: str) -> None:
    job_id = await queue_job(session, org_id, kind, {"statement_id": str(statement_id)})
    await queries.set_job(session, org_id, statement_id, job_id)


def _bounds(statement: StatementFacts) -> tuple[UUID, date, date]:
    """Return the account and the first and last day; a staged statement has them."""
    assert statement.receiving_account_id is not None
    assert statement.period_from is not None
    assert statement.period_to is not None
    return statement.receiving_account_id, statement.period_from, statement.period_to


def record_statement(
    session: AsyncSession,
    org_id: UUID,
    statement_id: UUID,
    action: str,
    after: Mapping[str, object],
    actor: Actor,
    now: datetime,
    *,
    reason: str | None = None,
) -> None:
    """Write down what somebody did with a statement."""
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action=action,
        object_kind="statement",
        object_id=statement_id,
        after=dict(after),
        reason=reason,
        now=now,
    )
