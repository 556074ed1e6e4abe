"""Saved mappings: how an account's files with certain headings are read by themselves."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.statements.schemas import (
    StatementMappingPage,
    StatementMappingRead,
    StatementMappingWrite,
    present_mapping,
    read_columns,
)
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.statements import mappings, queries_mappings
from payments.statements.errors import (
    ReceivingAccountNotFound,
    StatementHeadingsMissing,
    StatementMappingNotFound,
    StatementMappingsFull,
)
from payments.statements.reading.errors import StatementError

router = APIRouter(prefix="/v1/statement-mappings", tags=["statements"])

Reader = Annotated[Caller, requires(Permission.LEDGER_READ)]
Importer = Annotated[Caller, requires(Permission.STATEMENTS_IMPORT)]


@router.get("", responses=may_answer(BadCursor))
async def list_mappings(
    caller: Reader,
    tx: Tx,
    receiving_account_id: UUID | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> StatementMappingPage:
    """List saved mappings, newest first."""
    found = await queries_mappings.list_mappings(
        tx,
        caller.org_id,
        account_id=receiving_account_id,
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    return StatementMappingPage(
        mappings=[present_mapping(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.put(
    "",
    responses=may_answer(
        ReceivingAccountNotFound, StatementHeadingsMissing, StatementMappingsFull, StatementError
    ),
)
async def save_mapping(
    body: StatementMappingWrite, caller: Importer, tx: Tx, now: Now
) -> StatementMappingRead:
    """Say what the columns below these headings are; the same headings again are written over."""
    mapping = read_columns(body)
    assert mapping is not None
    saved = await mappings.save_mapping(
        tx,
        caller.org_id,
        body.receiving_account_id,
        body.headings,
        mapping,
        actor=caller.actor,
        now=now,
    )
    return present_mapping(saved)


@router.delete("/{mapping_id}", status_code=204, responses=may_answer(StatementMappingNotFound))
async def remove_mapping(mapping_id: UUID, caller: Importer, tx: Tx, now: Now) -> None:
    """Forget a mapping: files are read by their headings again. Statements that it read stay."""
    await mappings.remove_mapping(tx, caller.org_id, mapping_id, actor=caller.actor, now=now)
