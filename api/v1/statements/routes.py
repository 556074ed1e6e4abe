"""Statements of banks: sent as files, looked at, and accepted for the days of an account."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.http.deps import Now, TheDatabase, TheSettings, Tx, requires
from api.http.errors import may_answer
from api.http.idempotency import REPLAYED, mark_replayed
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.statements.schemas import (
    FileMapping,
    StatementDiscard,
    StatementLinePage,
    StatementPage,
    StatementRead,
    StatementReadAgain,
    present_lines,
    present_statement,
    read_columns,
)
from core.errors import Busy
from core.paging import BadCursor
from core.tenancy import open_org_transaction
from core.text import check_lines
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.closing.queries_opening import find_opening_day
from payments.statements import queries, queries_lines, rereading, service
from payments.statements.errors import (
    ReceivingAccountNotFound,
    StatementBeforeOpening,
    StatementBeingWritten,
    StatementFileEmpty,
    StatementFileKnown,
    StatementFileTooLarge,
    StatementHeadingsMissing,
    StatementIdTaken,
    StatementMappingsFull,
    StatementNotAcceptable,
    StatementNotChained,
    StatementNotDiscardable,
    StatementNotFound,
    StatementOverlaps,
    StatementReadingsReached,
    StatementsADayReached,
    StatementSpaceReached,
    StatementsTooLong,
)
from payments.statements.files import receive_file
from payments.statements.reading.errors import StatementError
from payments.statements.reading.types import (
    FILE_BYTES_MAX,
    ROWS_MAX,
    ColumnMeaning,
)
from payments.statements.rules import FILE_NAME_CHARS_MAX, StatementStatus

router = APIRouter(prefix="/v1/statements", tags=["statements"])

Reader = Annotated[Caller, requires(Permission.LEDGER_READ)]
Importer = Annotated[Caller, requires(Permission.STATEMENTS_IMPORT)]
Accepter = Annotated[Caller, requires(Permission.STATEMENTS_ACCEPT)]
FileName = Annotated[
    str,
    Query(
        max_length=FILE_NAME_CHARS_MAX,
        description="For people; what the file is, its content says.",
        examples=["sao-ke-2026-11-28.xlsx"],
    ),
]
PAIR: Final = f"[A-Z]{{1,2}}=({'|'.join(one.value for one in ColumnMeaning)})"
Columns = Annotated[
    str,
    Query(
        max_length=2_000,
        pattern=f"^({PAIR}(,{PAIR})*)?$",
        description="Columns by hand, for headings that are not known.",
        examples=["A=transacted_at,C=amount,D=memo"],
    ),
]
FILE: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post(
    "",
    status_code=201,
    responses={
        **may_answer(
            ReceivingAccountNotFound,
            StatementIdTaken,
            StatementFileKnown,
            StatementFileEmpty,
            StatementFileTooLarge,
            StatementError,
            StatementsADayReached,
            StatementReadingsReached,
            StatementSpaceReached,
            Busy,
        ),
        201: REPLAYED,
    },
    max_body_size=FILE_BYTES_MAX + 1,
    openapi_extra=FILE,
)
async def add_statement(
    request: Request,
    response: Response,
    caller: Importer,
    database: TheDatabase,
    settings: TheSettings,
    now: Now,
    statement_id: Annotated[
        UUID, Query(alias="id", description="Made by the client: the same again changes nothing.")
    ],
    receiving_account_id: Annotated[
        UUID | None, Query(description="Whose it is; without it the file must say it.")
    ] = None,
    file_name: FileName = "",
    is_pasted: Annotated[
        bool, Query(description="The body is text that was copied from a table.")
    ] = False,
    columns: Columns = "",
    first_row: Annotated[
        int, Query(ge=1, le=ROWS_MAX, description="With `columns`: the first row of lines.")
    ] = 1,
) -> StatementRead:
    """Keep a file (the body) and have it read by a job. The same file again is the same statement.

    Read: CSV, XLSX, XLS, HTML saved as .xls, PDF with text, MT940, camt.053. A statement with
    faults is `refused` and says each by row and column.
    """
    check_lines(file_name=file_name)
    given = [pair.split("=") for pair in columns.split(",") if pair]
    mapping = (
        FileMapping(
            columns={name: ColumnMeaning(meaning) for name, meaning in given}, first_row=first_row
        )
        if given
        else None
    )
    async with (
        receive_file(request.stream()) as file,  # whole, before a connection is taken
        open_org_transaction(database, caller.org_id) as session,
    ):
        statement, is_new = await service.add_statement(
            session,
            caller.org_id,
            statement_id,
            file,
            receiving_account_id=receiving_account_id,
            file_name=file_name,
            kept_bytes_max=settings.statement_bytes_per_org,
            is_pasted=is_pasted,
            mapping=read_columns(mapping, first_row=first_row),
            actor=caller.actor,
            now=now,
        )
    if not is_new:
        mark_replayed(response)
    return present_statement(statement)


@router.get("", responses=may_answer(BadCursor))
async def list_statements(
    caller: Reader,
    tx: Tx,
    receiving_account_id: UUID | None = None,
    status: StatementStatus | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> StatementPage:
    """List statements, newest first."""
    found = await queries.list_statements(
        tx,
        caller.org_id,
        account_id=receiving_account_id,
        status=status,
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    return StatementPage(
        statements=[present_statement(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.get("/{statement_id}", responses=may_answer(StatementNotFound))
async def read_statement(statement_id: UUID, caller: Reader, tx: Tx) -> StatementRead:
    """Read one statement, while it is read and written, too."""
    return present_statement(await queries.get_statement(tx, caller.org_id, statement_id))


@router.get("/{statement_id}/lines", responses=may_answer(StatementNotFound))
async def list_lines(
    statement_id: UUID,
    caller: Reader,
    tx: Tx,
    after: Annotated[int, Query(ge=0, lt=2**31, description="Lines after this number.")] = 0,
    limit: Limit = 50,
) -> StatementLinePage:
    """List lines in the order of the file: those that are staged, or that were written.

    While an accepted statement is written, what is written so far.
    """
    statement = await queries.get_statement(tx, caller.org_id, statement_id)
    found = await queries_lines.list_lines(
        tx,
        caller.org_id,
        statement_id,
        is_written=statement.status in {StatementStatus.ACCEPTED, StatementStatus.VISIBLE},
        after_no=after,
        limit=limit + 1,
    )
    return present_lines(found, limit)


@router.post(
    "/{statement_id}/accept",
    responses=may_answer(
        StatementNotFound,
        StatementNotAcceptable,
        StatementBeingWritten,
        StatementBeforeOpening,
        StatementOverlaps,
        StatementsTooLong,
        StatementNotChained,
        Busy,
    ),
)
async def accept_statement(statement_id: UUID, caller: Accepter, tx: Tx, now: Now) -> StatementRead:
    """Make its days its own and have its lines written; the same again answers the same.

    Of days that an earlier statement has, both must say the same; it counts once.
    """
    statement = await service.accept_statement(
        tx,
        caller.org_id,
        statement_id,
        find_opening_day=find_opening_day,
        actor=caller.actor,
        now=now,
    )
    return present_statement(statement)


@router.post(
    "/{statement_id}/discard",
    responses=may_answer(StatementNotFound, StatementNotDiscardable, Busy),
)
async def discard_statement(
    statement_id: UUID, body: StatementDiscard, caller: Accepter, tx: Tx, now: Now
) -> StatementRead:
    """Put it aside; its file stays as evidence and may be sent again."""
    statement = await service.discard_statement(
        tx, caller.org_id, statement_id, reason=body.reason, actor=caller.actor, now=now
    )
    return present_statement(statement)


@router.post(
    "/{statement_id}/read-again",
    status_code=201,
    responses={
        **may_answer(
            StatementNotFound,
            ReceivingAccountNotFound,
            StatementError,
            StatementNotDiscardable,
            StatementIdTaken,
            StatementFileKnown,
            StatementHeadingsMissing,
            StatementMappingsFull,
            StatementReadingsReached,
            Busy,
        ),
        201: REPLAYED,
    },
)
async def read_again(
    statement_id: UUID,
    body: StatementReadAgain,
    response: Response,
    caller: Importer,
    tx: Tx,
    now: Now,
) -> StatementRead:
    """Read a kept file in another way: as another account's, or by columns given by hand.

    The statement is discarded (one that is staged by `statements.accept` only), and its file
    becomes the new one. The same new id again is the same statement.
    """
    mapping = body.mapping
    statement, is_new = await rereading.read_again(
        tx,
        caller.org_id,
        statement_id,
        body.id,
        receiving_account_id=body.receiving_account_id,
        mapping=read_columns(mapping, first_row=mapping.first_row if mapping else None),
        is_saved=body.is_saved,
        may_discard=caller.may(Permission.STATEMENTS_ACCEPT),
        actor=caller.actor,
        now=now,
    )
    if not is_new:
        mark_replayed(response)
    return present_statement(statement)
