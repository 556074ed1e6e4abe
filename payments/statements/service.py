"""Statements: kept, read by a job, looked at, and accepted for the days of an account.

    uploaded → staged | refused       (the job `statements.read`)
    staged → accepted → visible       (a person, then the job `statements.write`)
    uploaded, staged, refused → discarded

A file is kept first, whatever is wrong with it: a wrong total is evidence.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.jobs.service import queue_job
from core.text import check_lines
from payments.statements import queries, queries_days, queries_lines
from payments.statements.errors import (
    ReceivingAccountNotFound,
    StatementDaysTaken,
    StatementIdTaken,
    StatementNotAcceptable,
    StatementNotDiscardable,
    StatementOverlaps,
)
from payments.statements.files import ReceivedFile, keep_file
from payments.statements.rules import (
    FILE_NAME_CHARS_MAX,
    READ,
    TIDY,
    WRITE,
    Overlap,
    StatementFacts,
    StatementStatus,
    close_days,
    list_days,
)


async def add_statement(
    session: AsyncSession,
    org_id: UUID,
    statement_id: UUID,
    file: ReceivedFile,
    *,
    receiving_account_id: UUID | None,
    file_name: str,
    is_pasted: bool = False,
    mapping: Mapping[str, Any] | None = None,
    actor: Actor,
    now: datetime,
) -> tuple[StatementFacts, bool]:
    """Keep a file and have it read; return its statement and whether it is a new one.

    The same id again, or the same file, is the same statement.

    Args:
        statement_id: made by the client.
        receiving_account_id: whose it is; None: the file says it.
        mapping: columns given by hand, as a ColumnMapping.

    Raises:
        ReceivingAccountNotFound, StatementIdTaken
    """
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
        mapping=mapping,
        by=actor.id,
        now=now,
    )
    if not is_new:
        by_id = await queries.find_statement(session, org_id, statement_id)
        if by_id is not None and by_id.file_sha256 != file.sha256:
            raise StatementIdTaken(statement_id)
        known = by_id or await queries.find_by_file(session, org_id, file.sha256)
        assert known is not None, "neither the id nor the file, and yet a conflict"
        return known, False
    await keep_file(session, org_id, file)
    job_id = await queue_job(session, org_id, READ, {"statement_id": str(statement_id)})
    await queries.set_job(session, org_id, statement_id, job_id)
    after = {"sha256": file.sha256.hex(), "file_bytes": file.bytes}
    _record(session, org_id, statement_id, "statement.uploaded", after, actor, now)
    return await queries.get_statement(session, org_id, statement_id), True


async def accept_statement(
    session: AsyncSession,
    org_id: UUID,
    statement_id: UUID,
    *,
    adds_lines: bool,
    reason: str | None,
    actor: Actor,
    now: datetime,
) -> StatementFacts:
    """Make a statement's days its own, and have its lines written. Idempotent.

    Of days that another statement owns, what both say counts once.

    Args:
        adds_lines: lines that only this file has are added to days of another one; what the
            earlier one has alone stays.

    Raises:
        StatementNotFound, StatementNotAcceptable
        StatementOverlaps: without `adds_lines`.
        StatementDaysTaken: by another one at this moment.
    """
    if reason is not None:
        check_lines(reason=reason)
    statement = await queries.lock_statement(session, org_id, statement_id)
    if statement.status in {StatementStatus.ACCEPTED, StatementStatus.VISIBLE}:
        return statement
    if statement.status is not StatementStatus.STAGED:
        raise StatementNotAcceptable(statement.status)
    account_id, first, last = _bounds(statement)
    owned = await queries_days.lock_owned_days(session, org_id, account_id, first, last)
    moved_vnd = await queries_days.sum_staged_by_day(session, org_id, statement_id)
    overlap = Overlap()
    if owned:
        days = [one.day for one in owned]
        continues = (
            len(owned) == 1
            and owned[0].day == first
            and statement.opening_vnd is not None
            and owned[0].closing_vnd == statement.opening_vnd
            and not await _starts_day(session, org_id, statement, first)
        )
        if not continues:
            overlap = await queries_lines.count_overlap(
                session, org_id, account_id, statement_id, days
            )
            if not (overlap.is_plain or adds_lines):
                raise StatementOverlaps(
                    days=overlap.days,
                    repeats=overlap.repeats,
                    extra=overlap.extra,
                    missing=overlap.missing,
                )
            await queries_lines.delete_repeats(session, org_id, account_id, statement_id, days)
        await queries_days.add_to_days(session, org_id, account_id, statement_id, days)
    taken = {one.day for one in owned}
    closed = close_days(list_days(first, last), moved_vnd, statement.opening_vnd)
    rows = [row for row in closed if row[0] not in taken]
    if rows:
        got = await queries_days.take_days(session, org_id, account_id, statement_id, rows)
        if len(got) < len(rows):
            raise StatementDaysTaken
    await queries.set_status(
        session, org_id, statement_id, StatementStatus.ACCEPTED, by=actor.id, now=now
    )
    arguments = {"statement_id": str(statement_id), "repeats": overlap.repeats}
    job_id = await queue_job(session, org_id, WRITE, arguments)
    await queries.set_job(session, org_id, statement_id, job_id)
    after = {
        "account_id": str(account_id),
        "period_from": first.isoformat(),
        "period_to": last.isoformat(),
        "lines": statement.line_count,
        "repeats": overlap.repeats,
        "adds_lines": adds_lines and not overlap.is_plain,
    }
    _record(session, org_id, statement_id, "statement.accepted", after, actor, now, reason=reason)
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
    await queue_job(session, org_id, TIDY, {"statement_id": str(statement_id)})
    _record(session, org_id, statement_id, "statement.discarded", {}, actor, now, reason=reason)
    return await queries.get_statement(session, org_id, statement_id)


async def _starts_day(
    session: AsyncSession, org_id: UUID, statement: StatementFacts, day: date
) -> bool:
    """Whether a statement's opening is what the day before ended with: it has the whole day."""
    account_id, _, _ = _bounds(statement)
    before = await queries_days.find_day_before(session, org_id, account_id, day)
    return (
        before is not None
        and before.day == day - timedelta(days=1)
        and before.closing_vnd == statement.opening_vnd
    )


def _bounds(statement: StatementFacts) -> tuple[UUID, date, date]:
    """Return the account and the first and last day; a staged statement has them."""
    assert statement.receiving_account_id is not None
    assert statement.period_from is not None
    assert statement.period_to is not None
    return statement.receiving_account_id, statement.period_from, statement.period_to


def _record(
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
