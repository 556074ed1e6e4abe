"""The jobs of statements: a file is read and staged, lines are written, what is let go is tidied.

Each commits chunk by chunk and goes on where a dead worker stopped: lines are read in the same
order each time, and a chunk's lines leave the staged ones in the transaction that writes them.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import hanoi_day, read_clock
from core.db import Database
from core.jobs.attempts import Handler, JobAttempt
from core.jobs.service import queue_job
from core.tenancy import open_org_transaction
from payments.statements import queries, queries_days, queries_lines
from payments.statements.files import open_copy
from payments.statements.reading.types import (
    Problem,
    ReadingOptions,
    RowError,
    StatementLine,
    StatementSummary,
)
from payments.statements.reading_process import Refused, read_in_process
from payments.statements.rules import (
    ERRORS_KEPT,
    TIDY,
    ImportProblem,
    StatementFacts,
    StatementStatus,
    find_period,
    judge,
)

CHUNK_LINES: Final = 5_000  # of one transaction


def make_reader(database: Database) -> Handler:
    """Make the handler of `statements.read`: stages a file's lines, and says what is wrong."""

    async def read(attempt: JobAttempt) -> None:
        statement = await _find(database, attempt)
        if statement is None or statement.status is not StatementStatus.UPLOADED:
            return
        found = await _stage(database, attempt, statement)
        async with _held(database, attempt) as session:
            locked = await queries.lock_statement(session, attempt.org_id, statement.id)
            if locked.status is not StatementStatus.UPLOADED:  # discarded meanwhile
                return
            if not await _conclude(session, locked, found, org_id=attempt.org_id):
                arguments = {"statement_id": str(statement.id)}
                await queue_job(session, attempt.org_id, TIDY, arguments)
            await attempt.complete(session)

    return read


def make_writer(database: Database) -> Handler:
    """Make the handler of `statements.write`: staged lines become lines of the account."""

    async def write(attempt: JobAttempt) -> None:
        statement = await _find(database, attempt)
        if statement is None or statement.status is not StatementStatus.ACCEPTED:
            return
        account_id = statement.receiving_account_id
        assert account_id is not None
        org_id, done = attempt.org_id, 0
        while True:
            async with _held(database, attempt) as session:
                chunk = await queries_lines.find_chunk_end(
                    session, org_id, statement.id, limit=CHUNK_LINES
                )
                if chunk is None:
                    repeats = int(attempt.arguments["repeats"])
                    await queries.set_visible(session, org_id, statement.id, repeat_count=repeats)
                    await attempt.complete(session)
                    return
                until_no, count = chunk
                await queries_lines.write_lines(
                    session, org_id, account_id, statement.id, until_no=until_no
                )
            done += count
            await attempt.report_progress(until_no, statement.line_count)

    return write


def make_tidier(database: Database) -> Handler:
    """Make the handler of `statements.tidy`: lets go of staged lines that nobody will write."""

    async def tidy(attempt: JobAttempt) -> None:
        statement = await _find(database, attempt)
        gone = {StatementStatus.REFUSED, StatementStatus.DISCARDED}
        if statement is None or statement.status not in gone:
            return
        while True:
            async with _held(database, attempt) as session:
                chunk = await queries_lines.find_chunk_end(
                    session, attempt.org_id, statement.id, limit=CHUNK_LINES
                )
                if chunk is None:
                    await attempt.complete(session)
                    return
                await queries_lines.delete_staged(
                    session, attempt.org_id, statement.id, until_no=chunk[0]
                )

    return tidy


class _Found:
    """What reading a file found, besides its lines."""

    def __init__(self) -> None:
        self.summary: StatementSummary | None = None
        self.refused: Refused | None = None
        self.errors: list[RowError] = []
        self.error_count = 0
        self.first_day: date | None = None
        self.last_day: date | None = None

    def note(self, lines: Sequence[StatementLine], errors: Sequence[RowError]) -> None:
        """Count what a batch has."""
        self.error_count += len(errors)
        self.errors += errors[: ERRORS_KEPT - len(self.errors)]
        for day in (line.booked_on for line in lines):
            if self.first_day is None or day < self.first_day:
                self.first_day = day
            if self.last_day is None or day > self.last_day:
                self.last_day = day


async def _stage(database: Database, attempt: JobAttempt, statement: StatementFacts) -> _Found:
    """Read the file, and stage the lines that no attempt before has."""
    org_id, found = attempt.org_id, _Found()
    async with open_org_transaction(database, org_id) as session:
        staged = await queries_lines.find_last_staged(session, org_id, statement.id)
        number = None
        if statement.receiving_account_id is not None:
            number = await queries.find_account_number(
                session, org_id, statement.receiving_account_id
            )
    options = msgspec.convert(
        {
            "account_number": number,
            "mapping": statement.mapping,
            "is_pasted": statement.is_pasted,
        },
        ReadingOptions,
        strict=False,
    )
    read = 0
    async with open_copy(database, org_id, statement.file_sha256) as copy:
        async for batch in read_in_process(copy, options):
            found.note(batch.lines, batch.errors)
            first_no = read + 1
            read += len(batch.lines)
            if fresh := batch.lines[max(0, staged - first_no + 1) :]:
                async with _held(database, attempt) as session:
                    await queries_lines.insert_staged(
                        session,
                        org_id,
                        statement.id,
                        fresh,
                        first_no=read - len(fresh) + 1,
                    )
            await attempt.report_progress(read)
            if batch.summary is not None or batch.refused is not None:
                found.summary, found.refused = batch.summary, batch.refused
                break
    return found


async def _conclude(
    session: AsyncSession, statement: StatementFacts, found: _Found, *, org_id: UUID
) -> bool:
    """Write what a file says as a whole; return whether it can be accepted."""
    now = read_clock()
    account_id = statement.receiving_account_id
    problems: list[dict[str, Any]] = []
    period = None
    summary = found.summary
    if found.refused is not None:
        problems.append({"code": found.refused.reason, "facts": found.refused.facts, "place": None})
    if summary is not None:
        if account_id is None:
            account_id, faults = await _find_account(session, org_id, summary.account_number)
            problems += faults
        period = find_period(summary, found.first_day, found.last_day)
        before = None
        if account_id is not None and period is not None:
            before = await queries_days.find_day_before(session, org_id, account_id, period[0])
        judged = judge(summary, period, before, today=hanoi_day(now))
        problems += [_write_problem(one) for one in judged]
    is_good = summary is not None and not problems and not found.error_count
    await queries.set_read(
        session,
        org_id,
        statement.id,
        status=StatementStatus.STAGED if is_good else StatementStatus.REFUSED,
        receiving_account_id=account_id,
        format=None if summary is None else summary.format.value,
        period_from=period[0] if period else None,
        period_to=period[1] if period else None,
        opening_vnd=None if summary is None else summary.opening_vnd,
        closing_vnd=None if summary is None else summary.closing_vnd,
        in_vnd=0 if summary is None else summary.in_vnd,
        out_vnd=0 if summary is None else summary.out_vnd,
        line_count=0 if summary is None else summary.lines,
        error_count=found.error_count,
        summary=summary,
        problems=problems,
        row_errors=found.errors,
        now=now,
    )
    return is_good


async def _find_account(
    session: AsyncSession, org_id: UUID, number: str | None
) -> tuple[UUID | None, list[dict[str, Any]]]:
    if number is None:
        return None, [_write_problem((ImportProblem.ACCOUNT_NOT_NAMED, {}))]
    accounts = await queries.find_accounts_by_number(session, org_id, number)
    if len(accounts) == 1:
        return accounts[0], []
    code = ImportProblem.ACCOUNT_AMBIGUOUS if accounts else ImportProblem.ACCOUNT_UNKNOWN
    return None, [_write_problem((code, {"number": number}))]


def _write_problem(
    problem: Problem | tuple[ImportProblem, dict[str, str | int]],
) -> dict[str, Any]:
    if isinstance(problem, Problem):
        written: dict[str, Any] = msgspec.to_builtins(problem)
        return written
    code, facts = problem
    return {"code": code.value, "facts": facts, "place": None}


async def _find(database: Database, attempt: JobAttempt) -> StatementFacts | None:
    async with open_org_transaction(database, attempt.org_id) as session:
        statement_id = UUID(attempt.arguments["statement_id"])
        return await queries.find_statement(session, attempt.org_id, statement_id)


@asynccontextmanager
async def _held(database: Database, attempt: JobAttempt) -> AsyncIterator[AsyncSession]:
    """Open a transaction that commits only while the job is this attempt's."""
    async with open_org_transaction(database, attempt.org_id) as session:
        await attempt.hold(session)
        yield session
