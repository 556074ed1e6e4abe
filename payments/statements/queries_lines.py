"""SQL of lines: staged, compared with those of earlier files, and written."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.sql import InsertMany, insert_many
from payments.statements.reading.types import StatementLine
from payments.statements.rules import LineFilter, Overlap

LINE_COLUMNS: Final = (
    "line_no, booked_on, transacted_at, is_date_only, direction, amount_vnd, balance_after_vnd,"
    " bank_reference, provider_line_id, memo, counterparty_account, counterparty_name,"
    " counterparty_bank, is_reversal"
)

FIND_LAST_STAGED = text("""
    SELECT coalesce(max(line_no), 0) FROM staged_lines
    WHERE org_id = :org_id AND statement_id = :statement_id
""")

INSERT_STAGED = InsertMany(
    "staged_lines",
    {
        "id": "uuid",
        "line_no": "int",
        "booked_on": "date",
        "transacted_at": "timestamptz",
        "is_date_only": "bool",
        "direction": "text",
        "amount_vnd": "bigint",
        "balance_after_vnd": "bigint",
        "bank_reference": "text",
        "provider_line_id": "text",
        "memo": "text",
        "counterparty_account": "text",
        "counterparty_name": "text",
        "counterparty_bank": "text",
        "is_reversal": "bool",
    },
    shared=("org_id", "statement_id"),
)

# Lines of both files are counted off against one another: first those that read the same, then
# those with the same balance after them, then those of the same day, direction and amount: the same
# line reads differently as CSV, PDF and MT940. Two honest lines that read alike have two numbers.
PAIRED = """
    WITH ours AS (
        SELECT id, line_no, booked_on, direction, amount_vnd, balance_after_vnd, bank_reference,
               memo, row_number() OVER (
                   PARTITION BY booked_on, direction, amount_vnd, bank_reference, memo
                   ORDER BY line_no) AS n
        FROM staged_lines
        WHERE org_id = :org_id AND statement_id = :statement_id
          AND booked_on = ANY(CAST(:days AS date[]))
    ), theirs AS (
        SELECT id, line_no, booked_on, direction, amount_vnd, balance_after_vnd, bank_reference,
               memo, row_number() OVER (
                   PARTITION BY booked_on, direction, amount_vnd, bank_reference, memo
                   ORDER BY line_no) AS n
        FROM statement_lines
        WHERE org_id = :org_id AND receiving_account_id = :receiving_account_id
          AND booked_on = ANY(CAST(:days AS date[]))
    ), alike AS (
        SELECT o.id AS our_id, t.id AS their_id FROM ours o JOIN theirs t
        USING (booked_on, direction, amount_vnd, bank_reference, memo, n)
    ), ours_2 AS (
        SELECT *, row_number() OVER (
            PARTITION BY booked_on, direction, amount_vnd, balance_after_vnd
            ORDER BY line_no) AS m
        FROM ours WHERE NOT EXISTS (SELECT FROM alike WHERE our_id = ours.id)
    ), theirs_2 AS (
        SELECT *, row_number() OVER (
            PARTITION BY booked_on, direction, amount_vnd, balance_after_vnd
            ORDER BY line_no) AS m
        FROM theirs WHERE NOT EXISTS (SELECT FROM alike WHERE their_id = theirs.id)
    ), balanced AS (
        SELECT o.id AS our_id, t.id AS their_id FROM ours_2 o JOIN theirs_2 t
        USING (booked_on, direction, amount_vnd, balance_after_vnd, m)
    ), ours_3 AS (
        SELECT *, row_number() OVER (
            PARTITION BY booked_on, direction, amount_vnd ORDER BY line_no) AS k
        FROM ours_2 WHERE NOT EXISTS (SELECT FROM balanced WHERE our_id = ours_2.id)
    ), theirs_3 AS (
        SELECT *, row_number() OVER (
            PARTITION BY booked_on, direction, amount_vnd ORDER BY line_no) AS k
        FROM theirs_2 WHERE NOT EXISTS (SELECT FROM balanced WHERE their_id = theirs_2.id)
    ), paired AS (
        SELECT our_id FROM alike
        UNION ALL
        SELECT our_id FROM balanced
        UNION ALL
        SELECT o.id FROM ours_3 o JOIN theirs_3 t USING (booked_on, direction, amount_vnd, k)
    )
"""

COUNT_OVERLAP = text(f"""{PAIRED}
    SELECT (SELECT count(*) FROM paired), (SELECT count(*) FROM ours),
           (SELECT count(*) FROM theirs)
""")  # noqa: S608

DELETE_REPEATS = text(f"""{PAIRED}
    DELETE FROM staged_lines s USING paired p
    WHERE s.org_id = :org_id AND s.id = p.our_id
""")  # noqa: S608

WRITE_LINES = text(f"""
    WITH taken AS (
        DELETE FROM staged_lines WHERE org_id = :org_id AND statement_id = :statement_id
          AND line_no <= :until_no
        RETURNING id, {LINE_COLUMNS})
    INSERT INTO statement_lines (
        org_id, statement_id, receiving_account_id, open_vnd, id, {LINE_COLUMNS})
    SELECT :org_id, :statement_id, :receiving_account_id, amount_vnd, id, {LINE_COLUMNS}
    FROM taken
""")  # noqa: S608

FIND_CHUNK_END = text("""
    SELECT max(line_no) FROM (
        SELECT line_no FROM staged_lines
        WHERE org_id = :org_id AND statement_id = :statement_id AND line_no > :after_no
        ORDER BY line_no LIMIT :limit) AS chunk
""")

COUNT_WRITTEN = text("""
    SELECT count(*) FROM statement_lines WHERE org_id = :org_id AND statement_id = :statement_id
""")

DELETE_STAGED = text("""
    DELETE FROM staged_lines WHERE org_id = :org_id AND statement_id = :statement_id
      AND line_no <= :until_no
""")

FIND_DAY = text("SELECT booked_on FROM statement_lines WHERE org_id = :org_id AND id = :id")

OF_ACCOUNT = """
    FROM statement_lines
    WHERE org_id = :org_id AND receiving_account_id = :account_id
      AND booked_on BETWEEN :first AND :last
      AND (CAST(:direction AS text) IS NULL OR direction = CAST(:direction AS text))
"""

LIST_OF_ACCOUNT = text(f"""
    SELECT id, statement_id, {LINE_COLUMNS} {OF_ACCOUNT}
      AND (CAST(:before_id AS uuid) IS NULL OR booked_on < :last
           OR id < CAST(:before_id AS uuid))
    ORDER BY booked_on DESC, id DESC LIMIT :limit
""")

COUNT_OF_ACCOUNT = text(f"""
    SELECT count(*) FROM (SELECT 1 {OF_ACCOUNT} LIMIT :limit) AS found
""")  # noqa: S608

LIST_LINES = """
    SELECT id, {columns} FROM {table}
    WHERE org_id = :org_id AND statement_id = :statement_id AND line_no > :after_no
    ORDER BY line_no LIMIT :limit
"""
LIST_STAGED = text(LIST_LINES.format(columns=LINE_COLUMNS, table="staged_lines"))
LIST_WRITTEN = text(LIST_LINES.format(columns=LINE_COLUMNS, table="statement_lines"))


async def find_last_staged(session: AsyncSession, org_id: UUID, statement_id: UUID) -> int:
    """Return how many lines an attempt has staged before: the number of the last."""
    values = {"org_id": org_id, "statement_id": statement_id}
    return int((await session.execute(FIND_LAST_STAGED, values)).scalar_one())


async def insert_staged(
    session: AsyncSession,
    org_id: UUID,
    statement_id: UUID,
    lines: Sequence[StatementLine],
    *,
    first_no: int,
) -> None:
    """Stage lines under the numbers from `first_no` on."""
    rows = [
        (
            new_id(),
            number,
            line.booked_on,
            line.transacted_at,
            line.is_date_only,
            line.direction.value,
            line.amount_vnd,
            line.balance_after_vnd,
            line.bank_reference or "",
            line.line_id,
            line.memo,
            line.counterparty_account,
            line.counterparty_name,
            line.counterparty_bank,
            line.is_reversal,
        )
        for number, line in enumerate(lines, first_no)
    ]
    await insert_many(session, INSERT_STAGED, rows, org_id=org_id, statement_id=statement_id)


async def count_overlap(
    session: AsyncSession,
    org_id: UUID,
    receiving_account_id: UUID,
    statement_id: UUID,
    days: Sequence[date],
) -> Overlap:
    """Compare the staged lines of days with those that are written, as multisets."""
    values = {
        "org_id": org_id,
        "receiving_account_id": receiving_account_id,
        "statement_id": statement_id,
        "days": days,
    }
    paired, ours, theirs = (await session.execute(COUNT_OVERLAP, values)).one()
    return Overlap(
        days=len(days), repeats=int(paired), extra=int(ours - paired), missing=int(theirs - paired)
    )


async def delete_repeats(
    session: AsyncSession,
    org_id: UUID,
    receiving_account_id: UUID,
    statement_id: UUID,
    days: Sequence[date],
) -> None:
    """Let go of the staged lines that are written already."""
    values = {
        "org_id": org_id,
        "receiving_account_id": receiving_account_id,
        "statement_id": statement_id,
        "days": days,
    }
    await session.execute(DELETE_REPEATS, values)


async def find_chunk_end(
    session: AsyncSession, org_id: UUID, statement_id: UUID, *, after_no: int, limit: int
) -> int | None:
    """Return the number of the last of the next staged lines; None: none are left.

    Args:
        after_no: up to where all are gone: what was deleted is not looked through again.
    """
    values = {
        "org_id": org_id,
        "statement_id": statement_id,
        "after_no": after_no,
        "limit": limit,
    }
    found: int | None = (await session.execute(FIND_CHUNK_END, values)).scalar_one()
    return found


async def count_written(session: AsyncSession, org_id: UUID, statement_id: UUID) -> int:
    """Return how many lines of a statement are written."""
    values = {"org_id": org_id, "statement_id": statement_id}
    return int((await session.execute(COUNT_WRITTEN, values)).scalar_one())


async def write_lines(
    session: AsyncSession,
    org_id: UUID,
    receiving_account_id: UUID,
    statement_id: UUID,
    *,
    until_no: int,
) -> None:
    """Turn staged lines into lines of the account."""
    values = {
        "org_id": org_id,
        "receiving_account_id": receiving_account_id,
        "statement_id": statement_id,
        "until_no": until_no,
    }
    await session.execute(WRITE_LINES, values)


async def delete_staged(
    session: AsyncSession, org_id: UUID, statement_id: UUID, *, until_no: int
) -> None:
    """Let go of staged lines that will not be written."""
    values = {"org_id": org_id, "statement_id": statement_id, "until_no": until_no}
    await session.execute(DELETE_STAGED, values)


async def list_lines(
    session: AsyncSession,
    org_id: UUID,
    statement_id: UUID,
    *,
    is_written: bool,
    after_no: int,
    limit: int,
) -> list[Mapping[str, Any]]:
    """List a statement's lines in the order of the file, staged or written."""
    values = {
        "org_id": org_id,
        "statement_id": statement_id,
        "after_no": after_no,
        "limit": limit,
    }
    rows = await session.execute(LIST_WRITTEN if is_written else LIST_STAGED, values)
    return [dict(row) for row in rows.mappings()]


async def list_account_lines(
    session: AsyncSession,
    org_id: UUID,
    wanted: LineFilter,
    *,
    before_id: UUID | None = None,
    limit: int,
) -> list[Mapping[str, Any]]:
    """List an account's written lines of some days, newest first."""
    last = wanted.last
    if before_id is not None:
        values = {"org_id": org_id, "id": before_id}
        day: date | None = (await session.execute(FIND_DAY, values)).scalar_one_or_none()
        last = min(last, day or last)  # so far in the index: earlier pages are not read again
    rows = await session.execute(
        LIST_OF_ACCOUNT,
        {**_values_of(org_id, wanted), "last": last, "before_id": before_id, "limit": limit},
    )
    return [dict(row) for row in rows.mappings()]


async def count_account_lines(
    session: AsyncSession, org_id: UUID, wanted: LineFilter, *, limit: int
) -> int:
    """Count an account's written lines of some days, up to a limit."""
    values = {**_values_of(org_id, wanted), "limit": limit}
    return int((await session.execute(COUNT_OF_ACCOUNT, values)).scalar_one())


def _values_of(org_id: UUID, wanted: LineFilter) -> dict[str, Any]:
    return {
        "org_id": org_id,
        "account_id": wanted.account_id,
        "first": wanted.first,
        "last": wanted.last,
        "direction": wanted.direction,
    }
