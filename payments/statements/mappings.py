"""Mappings of columns by hand: as they are stored, saved for an account, and removed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.ids import new_id
from core.text import tidy_line
from payments.statements import queries, queries_mappings
from payments.statements.errors import (
    ReceivingAccountNotFound,
    StatementHeadingsMissing,
    StatementMappingNotFound,
    StatementMappingsFull,
)
from payments.statements.reading.header import check_mapping
from payments.statements.reading.sample import SAMPLE_CHARS, fingerprint
from payments.statements.reading.types import ColumnMapping
from payments.statements.rules import HEADINGS_MAX, MAPPINGS_MAX, MappingFacts


def write_mapping(mapping: ColumnMapping | None) -> dict[str, Any] | None:
    """Return a mapping as it is stored with a statement."""
    if mapping is None:
        return None
    written: dict[str, Any] = msgspec.to_builtins(mapping, str_keys=True)
    return written


def read_mapping(written: Mapping[str, Any] | None) -> ColumnMapping | None:
    """Return a stored mapping."""
    if written is None:
        return None
    return msgspec.convert(dict(written), ColumnMapping, strict=False)


async def save_mapping(
    session: AsyncSession,
    org_id: UUID,
    receiving_account_id: UUID,
    headings: Sequence[str],
    mapping: ColumnMapping,
    *,
    actor: Actor,
    now: datetime,
) -> MappingFacts:
    """Have an account's files with these headings read so from now on. Idempotent.

    Args:
        headings: the row above the lines, cell by cell.
        mapping: its first_row does not count: lines begin below the headings.

    Raises:
        ReceivingAccountNotFound, StatementHeadingsMissing, StatementMappingsFull
        StatementError: the mapping gives no lines.
    """
    check_mapping(mapping)
    if await queries.find_account_number(session, org_id, receiving_account_id) is None:
        raise ReceivingAccountNotFound(receiving_account_id)
    shown = [tidy_line(one)[:SAMPLE_CHARS] for one in headings[:HEADINGS_MAX]]
    if not (mark := fingerprint(shown)):
        raise StatementHeadingsMissing
    columns = {str(index): meaning.value for index, meaning in sorted(mapping.columns.items())}
    mapping_id = await queries_mappings.upsert_mapping(
        session,
        org_id,
        new_id(),
        receiving_account_id=receiving_account_id,
        headings_sha256=bytes.fromhex(mark),
        headings=shown,
        columns=columns,
        thousands_separator=mapping.thousands_separator,
        by=actor.id,
        now=now,
    )
    if await queries_mappings.count_mappings(session, org_id, receiving_account_id) > MAPPINGS_MAX:
        raise StatementMappingsFull(MAPPINGS_MAX)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="statement_mapping.saved",
        object_kind="statement_mapping",
        object_id=mapping_id,
        after={"account_id": str(receiving_account_id), "columns": columns},
        now=now,
    )
    return await get_mapping(session, org_id, mapping_id)


async def get_mapping(session: AsyncSession, org_id: UUID, mapping_id: UUID) -> MappingFacts:
    """Return a saved mapping.

    Raises:
        StatementMappingNotFound
    """
    found = await queries_mappings.find_mapping(session, org_id, mapping_id)
    if found is None:
        raise StatementMappingNotFound(mapping_id)
    return found


async def remove_mapping(
    session: AsyncSession, org_id: UUID, mapping_id: UUID, *, actor: Actor, now: datetime
) -> None:
    """Forget a saved mapping: files are read by their headings again.

    Raises:
        StatementMappingNotFound
    """
    headings = await queries_mappings.delete_mapping(session, org_id, mapping_id)
    if headings is None:
        raise StatementMappingNotFound(mapping_id)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="statement_mapping.removed",
        object_kind="statement_mapping",
        object_id=mapping_id,
        before={"headings": headings},
        now=now,
    )
