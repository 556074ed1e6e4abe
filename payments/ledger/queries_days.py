"""SQL of the books' days: closing them, balances from their checkpoints, and reading them again."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from core.database_connections import patient
from core.db import has_timed_out
from payments.ledger.errors import BooksNotFound
from payments.ledger.hashing import CHECKPOINT_FIELDS, POSTING_FIELDS
from payments.ledger.rules import AccountKey
from payments.ledger.types import Checkpoint, ClosedDay, DayCount

# A minute for each statement, and for what a cursor fetches at once.
STATEMENT_TIMEOUT_MS: Final = 60_000
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
LIST_DAYS = text("""
    SELECT day, previous_day, closed_at, closed_by, postings, postings_before, hash, previous_hash
    FROM ledger_days WHERE org_id = :org_id AND day > CAST(:after AS date) ORDER BY day LIMIT :most
""")
FIND_DAY = text("""
    SELECT day, previous_day, closed_at, closed_by, postings, postings_before, hash, previous_hash
    FROM ledger_days WHERE org_id = :org_id AND day = :day
""")
# All that a day holds lies after the day before it; the first day holds all from the books' start.
COUNT_DAY = text("""
    SELECT count(*), max(posted_at) FROM postings
    WHERE org_id = :org_id AND day > CAST(:after AS date) AND day <= :day
""")
COUNT_BEFORE_BOOKS = text("""
    SELECT count(*), max(posted_at) FROM postings
    WHERE org_id = :org_id AND day = CAST('-infinity' AS date)
""")
READ_POSTINGS = text(f"""
    SELECT {", ".join(POSTING_FIELDS)} FROM postings
    WHERE org_id = :org_id AND day > CAST(:after AS date) AND day <= :day ORDER BY id
""")  # noqa: S608 (our names)
# What moved in a day, with the balance before it. The first day begins with what is before the
# books.
_LEGS: Final = """
    SELECT credit_code AS code, credit_subject_id AS subject_id, amount_vnd AS vnd FROM postings
    WHERE org_id = :org_id AND day >= CAST(:first AS date) AND day <= CAST(:day AS date)
    UNION ALL
    SELECT debit_code, debit_subject_id, -amount_vnd FROM postings
    WHERE org_id = :org_id AND day >= CAST(:first AS date) AND day <= CAST(:day AS date)
"""
SUM_DAY = text(f"""
    SELECT moved.code, moved.subject_id,
           CAST(moved.vnd + coalesce(c.balance_vnd, 0) AS bigint),
           moved.postings + coalesce(c.postings, 0)
    FROM (
        SELECT code, subject_id, sum(vnd) AS vnd, count(*) AS postings
        FROM ({_LEGS}) AS legs GROUP BY code, subject_id) AS moved
    LEFT JOIN LATERAL (
        SELECT balance_vnd, postings FROM ledger_checkpoints
        WHERE org_id = :org_id AND code = moved.code AND subject_id = moved.subject_id
          AND day < CAST(:day AS date)
        ORDER BY day DESC LIMIT 1) AS c ON true
    ORDER BY moved.code COLLATE "C", moved.subject_id
""")  # noqa: S608 (our words)
SUM_BEFORE_BOOKS = text("""
    SELECT code, subject_id, CAST(sum(vnd) AS bigint), count(*) FROM (
        SELECT credit_code AS code, credit_subject_id AS subject_id, amount_vnd AS vnd
        FROM postings WHERE org_id = :org_id AND day = CAST('-infinity' AS date)
        UNION ALL
        SELECT debit_code, debit_subject_id, -amount_vnd
        FROM postings WHERE org_id = :org_id AND day = CAST('-infinity' AS date)) AS legs
    GROUP BY code, subject_id
""")
READ_CHECKPOINTS = text(f"""
    SELECT {", ".join(CHECKPOINT_FIELDS)} FROM ledger_checkpoints
    WHERE org_id = :org_id AND day = :day ORDER BY code COLLATE "C", subject_id
""")  # noqa: S608 (our names)
INSERT_DAY = text("""
    INSERT INTO ledger_days (
        org_id, day, previous_day, closed_at, closed_by, postings, postings_before, hash,
        previous_hash)
    VALUES (:org_id, :day, :previous_day, :closed_at, :closed_by, :postings, :postings_before,
            :hash, :previous_hash)
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
    """Let statements of the running transaction take a minute, as a day of a city may."""
    await session.execute(text(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}"))


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


async def find_day(session: AsyncSession, org_id: UUID, day: date) -> ClosedDay | None:
    """Find a closed day."""
    row = (await session.execute(FIND_DAY, {"org_id": org_id, "day": day})).one_or_none()
    return None if row is None else ClosedDay(*row)


async def count_day(
    session: AsyncSession, org_id: UUID, day: date, *, after: date | None
) -> DayCount:
    """Count the postings of a day; of the first (after no day), all from the books' start on."""
    values = {"org_id": org_id, "day": day, "after": _bound(after)}
    with patient(ANSWER_WITHIN_S):
        return DayCount(*(await session.execute(COUNT_DAY, values)).one())


async def count_before_books(session: AsyncSession, org_id: UUID) -> DayCount:
    """Count what was posted before there were books."""
    with patient(ANSWER_WITHIN_S):
        return DayCount(*(await session.execute(COUNT_BEFORE_BOOKS, {"org_id": org_id})).one())


async def stream_postings(
    session: AsyncSession, org_id: UUID, day: date, *, after: date | None
) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """Read the postings of a day as POSTING_FIELDS, by their ids, some thousands at once."""
    values = {"org_id": org_id, "day": day, "after": _bound(after)}
    with patient(ANSWER_WITHIN_S):
        rows = await session.stream(
            READ_POSTINGS, values, execution_options={"yield_per": ROWS_AT_ONCE}
        )
        async for part in rows.partitions():
            yield part


async def sum_day(
    session: AsyncSession, org_id: UUID, day: date, *, after: date | None
) -> list[Checkpoint]:
    """Return the balances of the accounts that moved on a day, at its end.

    Of the first day: of all that was ever posted up to it.
    """
    first = BEFORE_ALL if after is None else (after + timedelta(days=1)).isoformat()
    values = {"org_id": org_id, "day": day.isoformat(), "first": first}
    with patient(ANSWER_WITHIN_S):
        return [Checkpoint(*row) for row in await session.execute(SUM_DAY, values)]


async def sum_before_books(session: AsyncSession, org_id: UUID) -> list[Checkpoint]:
    """Return the balances of what was posted before there were books."""
    with patient(ANSWER_WITHIN_S):
        rows = await session.execute(SUM_BEFORE_BOOKS, {"org_id": org_id})
        return [Checkpoint(*row) for row in rows]


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
