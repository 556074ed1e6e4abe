"""SQL of the books' days: closing them, balances from their checkpoints, and reading them again."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import has_timed_out
from payments.ledger.errors import BooksBusy, BooksNotFound
from payments.ledger.hashing import CHECKPOINT_FIELDS, POSTING_FIELDS
from payments.ledger.rules import AccountKey
from payments.ledger.types import Checkpoint, ClosedDay, DayCount

# A minute for each statement, and for what a cursor fetches at once; a second where payments wait.
STATEMENT_TIMEOUT_MS: Final = 60_000
LOCKED_TIMEOUT_MS: Final = 1_000
ANSWER_WITHIN_S: Final = 65.0
ROWS_AT_ONCE: Final = 2_000
BEFORE_ALL: Final = "-infinity"  # as PostgreSQL writes it: the day of what is before the books
FOR_EVER: Final = "infinity"

READ_TODAY = text("SELECT CAST(now() AT TIME ZONE 'Asia/Ho_Chi_Minh' AS date)")
READ_BOOKS = text("SELECT closed_through FROM ledger_books WHERE org_id = :org_id")
LOCK_BOOKS = text("""
    SELECT closed_through FROM ledger_books WHERE org_id = :org_id FOR NO KEY UPDATE NOWAIT
""")
MOVE_BOOKS = text("UPDATE ledger_books SET closed_through = :day WHERE org_id = :org_id")
LIST_BOOKS = text("SELECT org_id FROM ledger_books ORDER BY org_id")
_CLOSED: Final = ", ".join(ClosedDay._fields)
LIST_DAYS = text(f"""
    SELECT {_CLOSED} FROM ledger_days
    WHERE org_id = :org_id AND day > CAST(:after AS date) ORDER BY day LIMIT :most
""")  # noqa: S608 (our names)
LIST_LAST_DAYS = text(f"""
    SELECT {_CLOSED} FROM ledger_days
    WHERE org_id = :org_id AND day < CAST(:before AS date) ORDER BY day DESC LIMIT :most
""")  # noqa: S608 (our names)
FIND_DAY = text(f"""
    SELECT {_CLOSED} FROM ledger_days WHERE org_id = :org_id AND day = :day
""")  # noqa: S608 (our names)
# All that a day holds lies after the day before it; the first day holds all from the books' start.
# Asked while payments wait: the index ix_postings_day has the answer.
COUNT_DAY = text("""
    SELECT count(*) FROM (
        SELECT FROM postings
        WHERE org_id = :org_id AND day > CAST(:after AS date) AND day <= :day LIMIT :most) AS found
""")
COUNT_BEFORE_BOOKS = text("""
    SELECT count(*), max(posted_at) FROM postings
    WHERE org_id = :org_id AND day = CAST('-infinity' AS date)
""")
READ_POSTINGS = text(f"""
    SELECT {", ".join(POSTING_FIELDS)} FROM postings
    WHERE org_id = :org_id AND day > CAST(:after AS date) AND day <= :day ORDER BY day, id
""")  # noqa: S608 (our names)
# Both legs of each posting, which is read once.
_SUMS: Final = """
    SELECT leg.code, leg.subject_id, CAST(sum(leg.vnd) AS bigint) AS vnd, count(*) AS postings
    FROM postings AS p CROSS JOIN LATERAL (
        VALUES (p.credit_code, p.credit_subject_id, p.amount_vnd),
               (p.debit_code, p.debit_subject_id, -p.amount_vnd)) AS leg (code, subject_id, vnd)
    WHERE p.org_id = :org_id AND p.day >= CAST(:first AS date) AND p.day <= CAST(:day AS date)
    GROUP BY leg.code, leg.subject_id
"""
# What moved in a day, with the balance before it. The first day begins with what is before the
# books.
SUM_DAY = text(f"""
    SELECT moved.code, moved.subject_id,
           CAST(moved.vnd + coalesce(c.balance_vnd, 0) AS bigint),
           moved.postings + coalesce(c.postings, 0)
    FROM ({_SUMS}) AS moved
    LEFT JOIN LATERAL (
        SELECT balance_vnd, postings FROM ledger_checkpoints
        WHERE org_id = :org_id AND code = moved.code AND subject_id = moved.subject_id
          AND day < CAST(:day AS date)
        ORDER BY day DESC LIMIT 1) AS c ON true
    ORDER BY moved.code COLLATE "C", moved.subject_id
""")  # noqa: S608 (our words)
SUM_BEFORE_BOOKS = text(_SUMS)
READ_CHECKPOINTS = text(f"""
    SELECT {", ".join(CHECKPOINT_FIELDS)} FROM ledger_checkpoints
    WHERE org_id = :org_id AND day = :day ORDER BY code COLLATE "C", subject_id
""")  # noqa: S608 (our names)
INSERT_DAY = text("""
    INSERT INTO ledger_days (
        org_id, day, previous_day, closed_at, closed_by, postings, postings_before, hash,
        previous_hash, hash_version)
    VALUES (:org_id, :day, :previous_day, :closed_at, :closed_by, :postings, :postings_before,
            :hash, :previous_hash, :hash_version)
""")
INSERT_CHECKPOINTS = text("""
    INSERT INTO ledger_checkpoints (org_id, day, code, subject_id, balance_vnd, postings)
    SELECT :org_id, :day, t.* FROM unnest(
        CAST(:codes AS text[]), CAST(:subject_ids AS uuid[]), CAST(:balances AS bigint[]),
        CAST(:counts AS bigint[])) AS t
""")
# Days are closed in their order, so that the newest of them tells; none is closed before it begins.
FIND_BASE = text("""
    SELECT day FROM ledger_days
    WHERE org_id = :org_id AND closed_at <= CAST(:at AS timestamptz) AND day <= CAST(:day AS date)
    ORDER BY day DESC LIMIT 1
""")
FIND_CHECKPOINT = text("""
    SELECT balance_vnd FROM ledger_checkpoints
    WHERE org_id = :org_id AND code = :code AND subject_id = :subject_id
      AND day <= CAST(:day AS date)
    ORDER BY day DESC LIMIT 1
""")
SUM_OPEN = text("""
    SELECT CAST(coalesce(sum(CASE WHEN credit_code = :code AND credit_subject_id = :subject_id
                                  THEN amount_vnd ELSE -amount_vnd END), 0) AS bigint)
    FROM postings
    WHERE org_id = :org_id AND day >= CAST(:first AS date) AND day <= CAST(:last AS date)
      AND posted_at <= CAST(:at AS timestamptz)
      AND ((credit_code = :code AND credit_subject_id = :subject_id)
           OR (debit_code = :code AND debit_subject_id = :subject_id))
""")


async def read_today(session: AsyncSession) -> date:
    """Return the day in Hà Nội by the database's clock."""
    today: date = (await session.execute(READ_TODAY)).scalar_one()
    return today


async def read_snapshot(session: AsyncSession) -> None:
    """Let all that the running transaction reads be of one instant. Before its first query."""
    await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))


async def read_only(session: AsyncSession) -> None:
    """Let the running transaction write nothing."""
    await session.execute(text("SET TRANSACTION READ ONLY"))


async def allow_time(session: AsyncSession) -> None:
    """Let statements of the running transaction take a minute, as a day of a city may.

    Whoever calls it waits as long for an answer, too (core.database_connections.patient).
    """
    await session.execute(text(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}"))


@asynccontextmanager
async def while_payments_wait(session: AsyncSession) -> AsyncIterator[None]:
    """Let each statement in this block take a second.

    Raises:
        BooksBusy: one would have taken longer. The transaction can only be rolled back.
    """
    await session.execute(text(f"SET LOCAL statement_timeout = {LOCKED_TIMEOUT_MS}"))
    try:
        yield
    except DBAPIError as error:
        if has_timed_out(error):
            raise BooksBusy(
                "The day could not be counted and written, each within a second."
            ) from error
        raise
    await session.execute(text("SET LOCAL statement_timeout TO DEFAULT"))


async def list_books(session: AsyncSession) -> list[UUID]:
    """Return the organisations that have books, as a role that sees them all."""
    return list((await session.scalars(LIST_BOOKS)).all())


async def read_closed_through(session: AsyncSession, org_id: UUID) -> date | None:
    """Return the last closed day; None: no day is closed.

    Raises:
        BooksNotFound
    """
    return _one_of_books(org_id, (await session.execute(READ_BOOKS, {"org_id": org_id})).all())


async def lock_books(session: AsyncSession, org_id: UUID) -> tuple[bool, date | None]:
    """Try to hold back whoever posts; return (held, last closed day).

    Not held, the transaction can only be rolled back.

    Raises:
        BooksNotFound
    """
    try:
        rows = (await session.execute(LOCK_BOOKS, {"org_id": org_id})).all()
    except DBAPIError as error:
        if has_timed_out(error):
            return False, None
        raise
    return True, _one_of_books(org_id, rows)


async def move_books(session: AsyncSession, org_id: UUID, day: date) -> None:
    """Say that a day is closed, under the lock."""
    await session.execute(MOVE_BOOKS, {"org_id": org_id, "day": day})


async def list_days(
    session: AsyncSession, org_id: UUID, *, after: date | None, most: int
) -> list[ClosedDay]:
    """List closed days by their dates, those after a day, or from the first on."""
    values = {"org_id": org_id, "after": _bound(after), "most": most}
    return [ClosedDay(*row) for row in await session.execute(LIST_DAYS, values)]


async def list_last_days(
    session: AsyncSession, org_id: UUID, *, before: date | None, most: int
) -> list[ClosedDay]:
    """List closed days, the last one first: those before a day, or from the last on."""
    until = FOR_EVER if before is None else before.isoformat()
    values = {"org_id": org_id, "before": until, "most": most}
    return [ClosedDay(*row) for row in await session.execute(LIST_LAST_DAYS, values)]


async def find_day(session: AsyncSession, org_id: UUID, day: date) -> ClosedDay | None:
    """Find a closed day."""
    row = (await session.execute(FIND_DAY, {"org_id": org_id, "day": day})).one_or_none()
    return None if row is None else ClosedDay(*row)


async def count_day(
    session: AsyncSession, org_id: UUID, day: date, *, after: date | None, most: int
) -> int:
    """Count the postings of a day, at most so many; of the first, all from the books' start on."""
    values = {"org_id": org_id, "day": day, "after": _bound(after), "most": most}
    return int((await session.execute(COUNT_DAY, values)).scalar_one())


async def count_before_books(session: AsyncSession, org_id: UUID) -> DayCount:
    """Count what was posted before there were books."""
    return DayCount(*(await session.execute(COUNT_BEFORE_BOOKS, {"org_id": org_id})).one())


async def stream_postings(
    session: AsyncSession, org_id: UUID, day: date, *, after: date | None
) -> AsyncGenerator[Sequence[Sequence[Any]]]:
    """Read the postings of a day as POSTING_FIELDS, by day and id, some thousands at once.

    To be closed (contextlib.aclosing): who leaves it in the middle leaves its cursor open.
    """
    values = {"org_id": org_id, "day": day, "after": _bound(after)}
    rows = await session.stream(
        READ_POSTINGS, values, execution_options={"yield_per": ROWS_AT_ONCE}
    )
    try:
        async for part in rows.partitions():
            yield part
    finally:
        await rows.close()


async def sum_day(
    session: AsyncSession, org_id: UUID, day: date, *, after: date | None
) -> list[Checkpoint]:
    """Return the balances of the accounts that moved on a day, at its end.

    Of the first day: of all that was ever posted up to it.
    """
    first = BEFORE_ALL if after is None else (after + timedelta(days=1)).isoformat()
    values = {"org_id": org_id, "day": day.isoformat(), "first": first}
    return [Checkpoint(*row) for row in await session.execute(SUM_DAY, values)]


async def sum_before_books(session: AsyncSession, org_id: UUID) -> list[Checkpoint]:
    """Return the balances of what was posted before there were books."""
    values = {"org_id": org_id, "first": BEFORE_ALL, "day": BEFORE_ALL}
    return [Checkpoint(*row) for row in await session.execute(SUM_BEFORE_BOOKS, values)]


async def list_checkpoints(session: AsyncSession, org_id: UUID, day: date) -> list[Checkpoint]:
    """Return the checkpoints of a closed day, by code and subject."""
    rows = await session.execute(READ_CHECKPOINTS, {"org_id": org_id, "day": day})
    return [Checkpoint(*row) for row in rows]


async def insert_day(session: AsyncSession, org_id: UUID, closed: ClosedDay) -> None:
    """Write a closed day; its keys refuse a fork, a gap and another hash of the day before."""
    await session.execute(INSERT_DAY, {"org_id": org_id, **closed._asdict()})


async def insert_checkpoints(
    session: AsyncSession, org_id: UUID, day: date, checkpoints: Sequence[Checkpoint]
) -> None:
    """Write the balances at the end of a day."""
    values = {
        "codes": [one.code for one in checkpoints],
        "subject_ids": [one.subject_id for one in checkpoints],
        "balances": [one.balance_vnd for one in checkpoints],
        "counts": [one.postings for one in checkpoints],
    }
    await session.execute(INSERT_CHECKPOINTS, {"org_id": org_id, "day": day, **values})


async def find_base(
    session: AsyncSession, org_id: UUID, *, at: datetime | None, day: date | None
) -> date | None:
    """Return the newest day that was closed at an instant (None: now) and is not after a day."""
    values = {
        "org_id": org_id,
        "at": FOR_EVER if at is None else at.isoformat(),
        "day": FOR_EVER if day is None else day.isoformat(),
    }
    found: date | None = await session.scalar(FIND_BASE, values)
    return found


async def find_checkpoint(session: AsyncSession, org_id: UUID, key: AccountKey, day: date) -> int:
    """Return an account's balance at the end of a closed day, in đồng."""
    values = {
        "org_id": org_id,
        "code": key.code.value,
        "subject_id": key.subject_id,
        "day": day.isoformat(),
    }
    return int(await session.scalar(FIND_CHECKPOINT, values) or 0)


async def sum_open(
    session: AsyncSession,
    org_id: UUID,
    key: AccountKey,
    *,
    after: date | None,
    until: date | None,
    at: datetime | None,
) -> int:
    """Return credits minus debits of an account, of the days after one, posted up to an instant."""
    values = {
        "org_id": org_id,
        "code": key.code.value,
        "subject_id": key.subject_id,
        "first": BEFORE_ALL if after is None else (after + timedelta(days=1)).isoformat(),
        "last": FOR_EVER if until is None else until.isoformat(),
        "at": FOR_EVER if at is None else at.isoformat(),
    }
    return int((await session.execute(SUM_OPEN, values)).scalar_one())


def _bound(after: date | None) -> str:
    """Write the day before a day; before the first one lies what is before the books."""
    return BEFORE_ALL if after is None else after.isoformat()


def _one_of_books(org_id: UUID, rows: Sequence[Sequence[Any]]) -> date | None:
    if not rows:
        raise BooksNotFound(org_id)
    closed_through: date | None = rows[0][0]
    return closed_through
