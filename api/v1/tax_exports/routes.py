"""Tax exports: every parking transaction of a seller's month, as a file ("dữ liệu cho 01/TTGD")."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Response
from starlette.responses import StreamingResponse

from api.http.deps import Now, TheDatabase, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.tax_exports.schemas import (
    TaxExportCreate,
    TaxExportPage,
    TaxExportRead,
    TaxLayout,
    TaxLayoutRead,
)
from core.errors import Busy, InvalidRequest, Violation
from core.paging import BadCursor
from core.spreadsheets import CSV_TYPE, XLSX_TYPE
from core.tenancy import open_org_transaction
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.places.errors import OperatorNotFound
from parking.tax_exports import queries, service
from parking.tax_exports.errors import (
    TaxExportGone,
    TaxExportIdTaken,
    TaxExportNotFound,
    TaxExportNotReady,
    TaxExportsTooMany,
)
from parking.tax_exports.files import check_readable, read_file
from parking.tax_exports.rules import (
    FACTS,
    FileFormat,
    check_columns,
    check_month,
    standard_columns,
)
from payments.bills.rules import check_client_id

router = APIRouter(prefix="/v1", tags=["tax exports"])

Reader = Annotated[Caller, requires(Permission.LEDGER_READ)]
Keeper = Annotated[Caller, requires(Permission.PARKING_INSPECT)]
TYPES: Final = {FileFormat.CSV: CSV_TYPE, FileFormat.XLSX: XLSX_TYPE}


@router.post(
    "/tax-exports",
    status_code=201,
    responses=may_answer(OperatorNotFound, TaxExportIdTaken, TaxExportsTooMany, Busy),
)
async def create_export(body: TaxExportCreate, caller: Reader, tx: Tx, now: Now) -> TaxExportRead:
    """Have a seller's month written by a job; the same id again answers the first.

    Each parking transaction that moved takings in the month is there once; corrections and refunds
    are rows below zero in their own month. Plates are masked.
    """
    if fault := check_client_id(body.id, now=now):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])
    export = await service.request_export(
        tx,
        caller.org_id,
        body.id,
        operator_id=body.operator_id,
        month=check_month(body.month, now=now),
        format_=body.format,
        actor=caller.actor,
        now=now,
    )
    return TaxExportRead.of(export)


@router.get("/tax-exports", responses=may_answer(BadCursor))
async def list_exports(
    caller: Reader, tx: Tx, cursor: Cursor = None, limit: Limit = 50
) -> TaxExportPage:
    """List exports, newest first."""
    before_id = read_cursor(cursor)
    found = await queries.list_exports(tx, caller.org_id, before_id=before_id, limit=limit + 1)
    return TaxExportPage(
        exports=[TaxExportRead.of(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.get("/tax-exports/{export_id}", responses=may_answer(TaxExportNotFound))
async def read_export(export_id: UUID, caller: Reader, tx: Tx) -> TaxExportRead:
    """Read one export; `made_at` is null until its file is written."""
    return TaxExportRead.of(await queries.get_export(tx, caller.org_id, export_id))


@router.get(
    "/tax-exports/{export_id}/content",
    response_class=Response,
    responses={
        **may_answer(TaxExportNotFound, TaxExportNotReady, TaxExportGone),
        200: {
            "content": {"text/csv": {}, XLSX_TYPE: {}},
            "description": "The file, always the same bytes.",
        },
    },
)
async def download_export(
    export_id: UUID, caller: Reader, database: TheDatabase, now: Now
) -> Response:
    """Download the file of an export, for 30 days after it was written."""
    async with open_org_transaction(database, caller.org_id) as session:
        export = await queries.get_export(session, caller.org_id, export_id)
        check_readable(export, now=now)
    pieces = read_file(database, caller.org_id, export_id)
    answer = StreamingResponse(pieces, media_type=TYPES[FileFormat(export.format)])
    answer.headers["Content-Disposition"] = f'attachment; filename="{export.file_name}"'
    answer.headers["Content-Length"] = str(export.content_bytes)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@router.get("/tax-export-layout")
async def read_layout(caller: Reader, tx: Tx) -> TaxLayoutRead:
    """Read the columns that exports have, and the facts that a column may show."""
    own = await queries.find_layout(tx, caller.org_id)
    columns = TaxLayout.of(own or standard_columns()).columns
    return TaxLayoutRead(columns=columns, is_own=own is not None, facts=list(FACTS))


@router.put("/tax-export-layout")
async def save_layout(body: TaxLayout, caller: Keeper, tx: Tx, now: Now) -> TaxLayoutRead:
    """Save columns, in the place of those before: order, heads, and what is left out."""
    columns = check_columns([(one.head, one.fact) for one in body.columns])
    await service.save_layout(tx, caller.org_id, columns, actor=caller.actor, now=now)
    return TaxLayoutRead(columns=body.columns, is_own=True, facts=list(FACTS))
