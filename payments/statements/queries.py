"""SQL of statements: their files, and how far each has come."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.statements.errors import StatementNotFound
from payments.statements.rules import Kept, StatementFacts, StatementStatus

COLUMNS: Final = ", ".join(field.name for field in fields(StatementFacts))

INSERT_PART = text("""
    INSERT INTO statement_file_parts (org_id, file_sha256, part_no, content)
    VALUES (:org_id, :file_sha256, :part_no, :content)
    ON CONFLICT DO NOTHING
""")

LIST_PARTS = text("""
    SELECT part_no FROM statement_file_parts
    WHERE org_id = :org_id AND file_sha256 = :file_sha256 ORDER BY part_no
""")

READ_PART = text("""
    SELECT content FROM statement_file_parts
    WHERE org_id = :org_id AND file_sha256 = :file_sha256 AND part_no = :part_no
""")

INSERT_STATEMENT = text("""
    INSERT INTO statements (
        org_id, id, receiving_account_id, file_sha256, file_name, file_bytes, is_pasted, mapping,
        status, created_by, created_at)
    VALUES (
        :org_id, :id, :receiving_account_id, :file_sha256, :file_name, :file_bytes, :is_pasted,
        CAST(:mapping AS jsonb), 'uploaded', :by, :now)
    ON CONFLICT DO NOTHING
    RETURNING id
""")

FIND = text(f"SELECT {COLUMNS} FROM statements WHERE org_id = :org_id AND id = :id")  # noqa: S608

LOCK = text(
    f"SELECT {COLUMNS} FROM statements WHERE org_id = :org_id AND id = :id"  # noqa: S608
    " FOR NO KEY UPDATE"
)

FIND_BY_FILE = text(f"""
    SELECT {COLUMNS} FROM statements
    WHERE org_id = :org_id AND file_sha256 = :file_sha256 AND status <> 'discarded'
""")  # noqa: S608

LIST = text(f"""
    SELECT {COLUMNS} FROM statements
    WHERE org_id = :org_id
      AND (CAST(:account_id AS uuid) IS NULL OR receiving_account_id = CAST(:account_id AS uuid))
      AND (CAST(:status AS text) IS NULL OR status = CAST(:status AS text))
      AND (CAST(:before_id AS uuid) IS NULL OR (created_at, id) < (
          SELECT created_at, id FROM statements
          WHERE org_id = :org_id AND id = CAST(:before_id AS uuid)))
    ORDER BY created_at DESC, id DESC LIMIT :limit
""")  # noqa: S608

SET_JOB = text("UPDATE statements SET job_id = :job_id WHERE org_id = :org_id AND id = :id")

SET_READ = text("""
    UPDATE statements SET
        status = :status, receiving_account_id = :receiving_account_id, format = :format,
        period_from = :period_from, period_to = :period_to, opening_vnd = :opening_vnd,
        closing_vnd = :closing_vnd, in_vnd = :in_vnd, out_vnd = :out_vnd,
        line_count = :line_count, error_count = :error_count,
        summary = CAST(:summary AS jsonb), problems = CAST(:problems AS jsonb),
        row_errors = CAST(:row_errors AS jsonb), read_at = :now,
        applied_mapping = CAST(:applied_mapping AS jsonb), sample = CAST(:sample AS jsonb)
    WHERE org_id = :org_id AND id = :id
""")

SET_STATUS = text("""
    UPDATE statements SET status = :status, decided_by = :by, decided_at = :now
    WHERE org_id = :org_id AND id = :id
""")

SET_ACCEPTED = text("""
    UPDATE statements SET status = 'accepted', repeat_count = :repeat_count, decided_by = :by,
           decided_at = :now
    WHERE org_id = :org_id AND id = :id
""")

SET_VISIBLE = text("""
    UPDATE statements SET status = 'visible' WHERE org_id = :org_id AND id = :id
""")

MEASURE_KEPT = text("""
    SELECT count(*) FILTER (WHERE sent_at >= :since) AS files,
           coalesce(sum(made), 0) - count(*) FILTER (WHERE sent_at >= :since) AS readings,
           coalesce(sum(file_bytes), 0) AS bytes
    FROM (
        SELECT file_bytes, min(created_at) AS sent_at,
               count(*) FILTER (WHERE created_at >= :since) AS made
        FROM statements WHERE org_id = :org_id GROUP BY file_sha256, file_bytes) AS sent
""")

READ_SAMPLE = text("SELECT sample FROM statements WHERE org_id = :org_id AND id = :id")

# Read and held by who adds lines to it: a decision waits for them, and they for it.
SHARE_STATUS = text("""
    SELECT status FROM statements WHERE org_id = :org_id AND id = :id FOR SHARE
""")

# Statements of one account are accepted one after the other: each is compared with all before it.
LOCK_ACCOUNT = text("""
    SELECT id FROM receiving_accounts WHERE org_id = :org_id AND id = :id FOR NO KEY UPDATE
""")

IS_BEING_WRITTEN = text("""
    SELECT EXISTS (
        SELECT FROM statements
        WHERE org_id = :org_id AND receiving_account_id = :receiving_account_id
          AND status = 'accepted')
""")

FIND_NUMBER = text("""
    SELECT account_number FROM receiving_accounts WHERE org_id = :org_id AND id = :id
""")

FIND_ACCOUNTS = text("""
    SELECT id FROM receiving_accounts
    WHERE org_id = :org_id
      AND ltrim(upper(account_number), '0') = ltrim(upper(:number), '0') LIMIT 2
""")


async def insert_part_once(
    session: AsyncSession, org_id: UUID, file_sha256: bytes, part_no: int, content: bytes
) -> None:
    """Keep a part of a file; the same file's part is there already."""
    values = {"file_sha256": file_sha256, "part_no": part_no, "content": content}
    await session.execute(INSERT_PART, {"org_id": org_id, **values})


async def list_parts(session: AsyncSession, org_id: UUID, file_sha256: bytes) -> list[int]:
    """List the numbers of a file's parts, in order."""
    rows = await session.execute(LIST_PARTS, {"org_id": org_id, "file_sha256": file_sha256})
    return list(rows.scalars())


async def read_part(session: AsyncSession, org_id: UUID, file_sha256: bytes, part_no: int) -> bytes:
    """Return one part as it is kept, compressed."""
    values = {"org_id": org_id, "file_sha256": file_sha256, "part_no": part_no}
    return bytes((await session.execute(READ_PART, values)).scalar_one())


async def insert_statement_once(
    session: AsyncSession,
    org_id: UUID,
    statement_id: UUID,
    *,
    receiving_account_id: UUID | None,
    file_sha256: bytes,
    file_name: str,
    file_bytes: int,
    is_pasted: bool,
    mapping: Mapping[str, Any] | None,
    by: UUID | None,
    now: datetime,
) -> bool:
    """Insert a statement that is to be read; False: its id or its file is there already."""
    values = {
        "org_id": org_id,
        "id": statement_id,
        "receiving_account_id": receiving_account_id,
        "file_sha256": file_sha256,
        "file_name": file_name,
        "file_bytes": file_bytes,
        "is_pasted": is_pasted,
        "mapping": None if mapping is None else msgspec.json.encode(mapping).decode(),
        "by": by,
        "now": now,
    }
    return (await session.execute(INSERT_STATEMENT, values)).scalar() is not None


async def find_statement(
    session: AsyncSession, org_id: UUID, statement_id: UUID
) -> StatementFacts | None:
    """Find a statement."""
    row = (await session.execute(FIND, {"org_id": org_id, "id": statement_id})).one_or_none()
    return None if row is None else _to_facts(row)


async def get_statement(session: AsyncSession, org_id: UUID, statement_id: UUID) -> StatementFacts:
    """Return a statement.

    Raises:
        StatementNotFound
    """
    found = await find_statement(session, org_id, statement_id)
    if found is None:
        raise StatementNotFound(statement_id)
    return found


async def lock_statement(session: AsyncSession, org_id: UUID, statement_id: UUID) -> StatementFacts:
    """Lock a statement until the transaction ends.

    Raises:
        StatementNotFound
    """
    row = (await session.execute(LOCK, {"org_id": org_id, "id": statement_id})).one_or_none()
    if row is None:
        raise StatementNotFound(statement_id)
    return _to_facts(row)


async def find_by_file(
    session: AsyncSession, org_id: UUID, file_sha256: bytes
) -> StatementFacts | None:
    """Find the statement of a file, unless it was discarded."""
    values = {"org_id": org_id, "file_sha256": file_sha256}
    row = (await session.execute(FIND_BY_FILE, values)).one_or_none()
    return None if row is None else _to_facts(row)


async def list_statements(
    session: AsyncSession,
    org_id: UUID,
    *,
    account_id: UUID | None,
    status: StatementStatus | None,
    before_id: UUID | None,
    limit: int,
) -> list[StatementFacts]:
    """List statements, newest first."""
    values = {
        "org_id": org_id,
        "account_id": account_id,
        "status": status,
        "before_id": before_id,
        "limit": limit,
    }
    return [_to_facts(row) for row in await session.execute(LIST, values)]


async def set_job(session: AsyncSession, org_id: UUID, statement_id: UUID, job_id: UUID) -> None:
    """Name the job that works on a statement."""
    await session.execute(SET_JOB, {"org_id": org_id, "id": statement_id, "job_id": job_id})


async def set_read(
    session: AsyncSession, org_id: UUID, statement_id: UUID, *, now: datetime, **read: Any
) -> None:
    """Write what a file says as a whole."""
    written = {
        name: None if read[name] is None else msgspec.json.encode(read[name]).decode()
        for name in ("summary", "problems", "row_errors", "applied_mapping", "sample")
    }
    values = {"org_id": org_id, "id": statement_id, "now": now, **read, **written}
    await session.execute(SET_READ, values)


async def set_status(
    session: AsyncSession,
    org_id: UUID,
    statement_id: UUID,
    status: StatementStatus,
    *,
    by: UUID | None,
    now: datetime,
) -> None:
    """Write a person's decision."""
    values = {"org_id": org_id, "id": statement_id, "status": status, "by": by, "now": now}
    await session.execute(SET_STATUS, values)


async def set_accepted(
    session: AsyncSession,
    org_id: UUID,
    statement_id: UUID,
    *,
    repeat_count: int,
    by: UUID | None,
    now: datetime,
) -> None:
    """Write that a person accepted it, and how many lines earlier statements have."""
    values = {
        "org_id": org_id,
        "id": statement_id,
        "repeat_count": repeat_count,
        "by": by,
        "now": now,
    }
    await session.execute(SET_ACCEPTED, values)


async def set_visible(session: AsyncSession, org_id: UUID, statement_id: UUID) -> None:
    """Say that every line is written."""
    await session.execute(SET_VISIBLE, {"org_id": org_id, "id": statement_id})


async def measure_kept(session: AsyncSession, org_id: UUID, *, since: datetime) -> Kept:
    """Count the files and readings of an organisation since an instant, and all that is kept."""
    row = (await session.execute(MEASURE_KEPT, {"org_id": org_id, "since": since})).one()
    return Kept(files=int(row.files), readings=int(row.readings), total_bytes=int(row.bytes))


async def read_sample(
    session: AsyncSession, org_id: UUID, statement_id: UUID
) -> list[dict[str, Any]]:
    """Return the rows at the top of a statement's table, as SampleRow has them; [] without any."""
    found = (await session.execute(READ_SAMPLE, {"org_id": org_id, "id": statement_id})).scalar()
    return list(found or ())


async def share_status(session: AsyncSession, org_id: UUID, statement_id: UUID) -> StatementStatus:
    """Return how far a statement has come; it stays so until the transaction ends."""
    values = {"org_id": org_id, "id": statement_id}
    return StatementStatus((await session.execute(SHARE_STATUS, values)).scalar_one())


async def lock_account(session: AsyncSession, org_id: UUID, receiving_account_id: UUID) -> None:
    """Let nobody else accept a statement of an account until the transaction ends."""
    await session.execute(LOCK_ACCOUNT, {"org_id": org_id, "id": receiving_account_id})


async def is_being_written(session: AsyncSession, org_id: UUID, receiving_account_id: UUID) -> bool:
    """Whether an accepted statement of the account lacks lines still."""
    values = {"org_id": org_id, "receiving_account_id": receiving_account_id}
    return bool((await session.execute(IS_BEING_WRITTEN, values)).scalar_one())


async def find_account_number(
    session: AsyncSession, org_id: UUID, receiving_account_id: UUID
) -> str | None:
    """Find the number of an organisation's account."""
    values = {"org_id": org_id, "id": receiving_account_id}
    return (await session.execute(FIND_NUMBER, values)).scalar_one_or_none()


async def find_accounts_by_number(session: AsyncSession, org_id: UUID, number: str) -> list[UUID]:
    """Find an organisation's accounts of a number; two at most: several banks may have it."""
    rows = await session.execute(FIND_ACCOUNTS, {"org_id": org_id, "number": number})
    return list(rows.scalars())


def _to_facts(row: Any) -> StatementFacts:
    values = row._asdict()
    return StatementFacts(
        **{
            **values,
            "file_sha256": bytes(values["file_sha256"]),
            "status": StatementStatus(values["status"]),
        }
    )
