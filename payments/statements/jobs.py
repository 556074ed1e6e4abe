"""The jobs of statements: a file is read and staged, lines are written, what is let go is tidied.

Each commits chunk by chunk and goes on where a dead worker stopped: lines are read in the same
order each time, and a chunk's lines leave the staged ones in the transaction that writes them.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
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
from payments.statements import queries, queries_days, queries_lines, queries_mappings
from payments.statements.files import open_copy
from payments.statements.mappings import read_mapping, write_mapping
from payments.statements.reading.types import (
    Problem,
    ReadingOptions,
    RowError,
    StatementLine,
    StatementSummary,
)
from payments.statements.reading_process import READER_DIED, Refused, Top, read_in_process
from payments.statements.rules import (
    ERRORS_KEPT,
    MATCH,
    PURGE,
    SUM_VND_MAX,
    ImportProblem,
    StatementFacts,
    StatementStatus,
    find_faults,
    find_period,
)

CHUNK_LINES: Final = 5_000  # of one transaction


def make_reader(database: Database) -> Handler:
    """Make the handler of `statements.read`: stages a file's lines, and says what is wrong."""

    async def read(attempt: JobAttempt) -> None:
        statement = await _find(database, attempt)
        if statement is None or statement.status is not StatementStatus.UPLOADED:
            return
        found = await _stage(database, attempt, statement)
        is_last = attempt.number == attempt.lease.attempts_max
        if found is not None and found.is_worth_repeating and not is_last:
            msg = "the process that reads the file was ended from outside"
            raise RuntimeError(msg)
        async with _held(database, attempt) as session:
            locked = await queries.lock_statement(session, attempt.org_id, statement.id)
            is_good = False
            if found is not None and locked.status is StatementStatus.UPLOADED:
                is_good = await _conclude(session, locked, found, org_id=attempt.org_id)
            if not is_good:  # refused, or discarded meanwhile
                arguments = {"statement_id": str(statement.id)}
                await queue_job(session, attempt.org_id, PURGE, arguments)
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
        org_id, written_no = attempt.org_id, 0
        while True:
            async with _held(database, attempt) as session:
                until_no = await queries_lines.find_chunk_end(
                    session, org_id, statement.id, after_no=written_no, limit=CHUNK_LINES
                )
                if until_no is None:
                    written = await queries_lines.count_written(session, org_id, statement.id)
                    expected = statement.line_count - statement.repeat_count
                    assert written == expected, f"{written} lines are written, not {expected}"
                    await queries.set_visible(session, org_id, statement.id)
                    await queue_job(
                        session,
                        org_id,
                        MATCH,
                        {"account_id": str(account_id)},
                        key=str(account_id),
                    )
                    await attempt.complete(session)
                    return
                await queries_lines.write_lines(
                    session, org_id, account_id, statement.id, until_no=until_no
                )
            written_no = until_no
            await attempt.report_progress(written_no, statement.line_count)

    return write


def make_purger(database: Database) -> Handler:
    """Make the handler of `statements.purge`: lets go of staged lines that nobody will write."""

    async def purge(attempt: JobAttempt) -> None:
        statement = await _find(database, attempt)
        gone = {StatementStatus.REFUSED, StatementStatus.DISCARDED}
        if statement is None or statement.status not in gone:
            return
        purged_no = 0
        while True:
            async with _held(database, attempt) as session:
                until_no = await queries_lines.find_chunk_end(
                    session, attempt.org_id, statement.id, after_no=purged_no, limit=CHUNK_LINES
                )
                if until_no is None:
                    await attempt.complete(session)
                    return
                await queries_lines.delete_staged(
                    session, attempt.org_id, statement.id, until_no=until_no
                )
            purged_no = until_no

    return purge


class _Found:
    """What reading a file found, besides its lines."""

    def __init__(self) -> None:
        self.summary: StatementSummary | None = None
        self.refused: Refused | None = None
        self.errors: list[RowError] = []
        self.error_count = 0
        self.first_day: date | None = None
        self.last_day: date | None = None
        self.top = Top(sample=None, saved=None)

    @property
    def is_worth_repeating(self) -> bool:
        """Whether the reading ended by what may not happen again."""
        return self.refused is not None and self.refused.reason == READER_DIED

    @property
    def days(self) -> tuple[date, date] | None:
        """The first and last booking day of its lines."""
        if self.first_day is None or self.last_day is None:
            return None
        return self.first_day, self.last_day

    def note(self, lines: Sequence[StatementLine], errors: Sequence[RowError]) -> None:
        """Count what a batch has."""
        self.error_count += len(errors)
        self.errors += errors[: ERRORS_KEPT - len(self.errors)]
        for day in (line.booked_on for line in lines):
            if self.first_day is None or day < self.first_day:
                self.first_day = day
            if self.last_day is None or day > self.last_day:
                self.last_day = day


async def _stage(
    database: Database, attempt: JobAttempt, statement: StatementFacts
) -> _Found | None:
    """Read the file, and stage the lines that no attempt before has; None: it was discarded."""
    org_id, found = attempt.org_id, _Found()
    async with open_org_transaction(database, org_id) as session:
        staged = await queries_lines.find_last_staged(session, org_id, statement.id)
        number = None
        if statement.receiving_account_id is not None:
            number = await queries.find_account_number(
                session, org_id, statement.receiving_account_id
            )
        saved = await queries_mappings.list_usable(
            session, org_id, account_id=statement.receiving_account_id
        )
    options = ReadingOptions(
        account_number=number,
        mapping=read_mapping(statement.mapping),
        is_pasted=statement.is_pasted,
        saved=saved,
    )
    read = 0
    async with (
        open_copy(database, org_id, statement.file_sha256) as copy,
        aclosing(read_in_process(copy, options)) as batches,
    ):
        async for batch in batches:
            found.note(batch.lines, batch.errors)
            found.top = batch.top or found.top
            first_no = read + 1
            read += len(batch.lines)
            if fresh := batch.lines[max(0, staged - first_no + 1) :]:
                async with _held(database, attempt) as session:
                    status = await queries.share_status(session, org_id, statement.id)
                    if status is not StatementStatus.UPLOADED:
                        return None
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
    summary, sample = found.summary, found.top.sample
    if found.refused is not None:
        problems.append({"code": found.refused.reason, "facts": found.refused.facts, "place": None})
        if account_id is None and sample is not None and sample.account_number is not None:
            account_id, _ = await _find_account(session, org_id, sample.account_number)
    if summary is not None:
        if account_id is None:
            account_id, faults = await _find_account(session, org_id, summary.account_number)
            problems += faults
        today = hanoi_day(now)
        period = find_period(summary, found.days, today=today)
        faults_found = find_faults(summary, found.days, period, today=today)
        problems += [_write_problem(one) for one in faults_found]
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
        in_vnd=0 if summary is None else min(summary.in_vnd, SUM_VND_MAX),
        out_vnd=0 if summary is None else min(summary.out_vnd, SUM_VND_MAX),
        line_count=0 if summary is None else summary.lines,
        error_count=found.error_count,
        summary=summary,
        problems=problems,
        row_errors=found.errors,
        applied_mapping=write_mapping(found.top.saved),
        sample=None if sample is None else sample.rows,
        now=now,
    )
    if is_good:
        await queries_days.insert_sums(session, org_id, statement.id)
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
