"""Reading a kept file in another way: as another account's, or by columns given by hand.

The statement that was read is put aside and stays as evidence; its file becomes another one.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.errors import Forbidden, InvalidRequest, Violation
from core.jobs.service import queue_job
from payments.statements import queries
from payments.statements.errors import (
    ReceivingAccountNotFound,
    StatementFileKnown,
    StatementHeadingsMissing,
    StatementIdTaken,
    StatementNotDiscardable,
)
from payments.statements.mappings import save_mapping, write_mapping
from payments.statements.reading.header import check_mapping
from payments.statements.reading.types import ColumnMapping
from payments.statements.rules import PURGE, StatementFacts, StatementStatus
from payments.statements.service import check_readings, queue_reading, record_statement


async def read_again(
    session: AsyncSession,
    org_id: UUID,
    statement_id: UUID,
    new_statement_id: UUID,
    *,
    receiving_account_id: UUID | None,
    mapping: ColumnMapping | None,
    is_saved: bool = False,
    may_discard: bool,
    actor: Actor,
    now: datetime,
) -> tuple[StatementFacts, bool]:
    """Put a statement aside and have its file read anew; return the new one, and whether it is new.

    Args:
        new_statement_id: made by the client; the same again is the same statement.
        receiving_account_id: whose it is; None: the file says it.
        mapping: columns given by hand; None: by the headings, or a saved mapping.
        is_saved: whether the account's files with these headings are read so from now on.
        may_discard: statements.accept: who may put a staged statement aside.

    Raises:
        InvalidRequest: a mapping is to be saved, and there is none, or no account.
        StatementNotFound, ReceivingAccountNotFound
        StatementError: the mapping gives no lines.
        StatementNotDiscardable: it was accepted.
        Forbidden: it is staged, and the caller may not put it aside.
        StatementReadingsReached
        StatementIdTaken: the id names a statement of another file, or one read otherwise.
        StatementFileKnown: it was put aside before, and its file sent again.
        StatementHeadingsMissing, StatementMappingsFull: the mapping cannot be saved.
    """
    check_mapping(mapping)
    if is_saved and (mapping is None or receiving_account_id is None):
        detail = "A mapping is saved for an account: name both."
        violation = Violation(field="is_saved", code="account_and_mapping_needed", detail=detail)
        raise InvalidRequest(detail, violations=[violation])
    old = await queries.lock_statement(session, org_id, statement_id)
    written = write_mapping(mapping)
    made = await queries.find_statement(session, org_id, new_statement_id)
    if made is not None:
        is_same = (made.file_sha256, made.mapping) == (old.file_sha256, written)
        if not is_same or made.id == old.id:
            raise StatementIdTaken(new_statement_id)
        return made, False
    if receiving_account_id is not None:
        number = await queries.find_account_number(session, org_id, receiving_account_id)
        if number is None:
            raise ReceivingAccountNotFound(receiving_account_id)
    if old.status in {StatementStatus.ACCEPTED, StatementStatus.VISIBLE}:
        raise StatementNotDiscardable
    if old.status is StatementStatus.STAGED and not may_discard:
        raise Forbidden("It is staged: putting it aside needs the permission statements.accept.")
    if is_saved and mapping and receiving_account_id:
        headings = await _find_headings(session, org_id, statement_id, mapping)
        await save_mapping(
            session, org_id, receiving_account_id, headings, mapping, actor=actor, now=now
        )
    if old.status is not StatementStatus.DISCARDED:
        await queries.set_status(
            session, org_id, statement_id, StatementStatus.DISCARDED, by=actor.id, now=now
        )
        await queue_job(session, org_id, PURGE, {"statement_id": str(statement_id)})
    is_new = await queries.insert_statement_once(
        session,
        org_id,
        new_statement_id,
        receiving_account_id=receiving_account_id,
        file_sha256=old.file_sha256,
        file_name=old.file_name,
        file_bytes=old.file_bytes,
        is_pasted=old.is_pasted,
        mapping=written,
        by=actor.id,
        now=now,
    )
    if not is_new:
        known = await queries.find_by_file(session, org_id, old.file_sha256)
        raise StatementFileKnown(known.id if known else new_statement_id)
    await check_readings(session, org_id, now=now)
    await queue_reading(session, org_id, new_statement_id)
    after = {"read_again_as": str(new_statement_id)}
    record_statement(session, org_id, statement_id, "statement.discarded", after, actor, now)
    again = {"sha256": old.file_sha256.hex(), "read_again_of": str(statement_id)}
    record_statement(session, org_id, new_statement_id, "statement.uploaded", again, actor, now)
    return await queries.get_statement(session, org_id, new_statement_id), True


async def _find_headings(
    session: AsyncSession, org_id: UUID, statement_id: UUID, mapping: ColumnMapping
) -> list[str]:
    """Return the row above the lines, as the top of the file has it.

    Raises:
        StatementHeadingsMissing: the lines begin with the file, or further down than is kept.
    """
    for row in await queries.read_sample(session, org_id, statement_id):
        if row["number"] == mapping.first_row - 1:
            return list(row["cells"])
    raise StatementHeadingsMissing
