"""Payment files: what is approved of an account, instructed together and downloaded."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.refunds.schemas import RefundFileCreate, RefundFilePage, RefundFileRead
from core.errors import Forbidden, InvalidRequest, Violation
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.bills.rules import check_client_id
from payments.refunds import queries
from payments.refunds.errors import (
    RefundFileEmpty,
    RefundFileIdTaken,
    RefundFileNotFound,
    RefundHasNoDestination,
    RefundLayoutUnknown,
    RefundNeedsAnother,
    RefundNotFound,
    RefundNotYours,
    RefundReferenceNeeded,
    RefundStepNotPossible,
)
from payments.refunds.files import list_layouts, make_file

router = APIRouter(prefix="/v1/refund-files", tags=["refunds"])

Instructor = Annotated[Caller, requires(Permission.REFUNDS_INSTRUCT)]
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@router.post(
    "",
    status_code=201,
    responses=may_answer(
        RefundFileIdTaken,
        RefundFileEmpty,
        RefundLayoutUnknown,
        RefundNotFound,
        RefundNotYours,
        RefundStepNotPossible,
        RefundNeedsAnother,
        RefundHasNoDestination,
        RefundReferenceNeeded,
    ),
)
async def create_file(
    body: RefundFileCreate, caller: Instructor, tx: Tx, now: Now
) -> RefundFileRead:
    """Instruct what is approved of an account, at most 500 refunds, by one file for its bank."""
    if caller.is_scoped:
        raise Forbidden("Payment files are for who works for the whole organisation.")
    if fault := check_client_id(body.id, now=now):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])
    made = await make_file(
        tx,
        caller.org_id,
        body.id,
        account_id=body.receiving_account_id,
        layout=body.layout,
        actor=caller.actor,
        now=now,
    )
    return RefundFileRead.of(made)


@router.get("", responses=may_answer(BadCursor))
async def list_files(
    caller: Instructor, tx: Tx, cursor: Cursor = None, limit: Limit = 50
) -> RefundFilePage:
    """List payment files, newest first. People of a payee have none."""
    before_id = read_cursor(cursor)
    found = (
        []
        if caller.is_scoped
        else await queries.list_files(tx, caller.org_id, before_id=before_id, limit=limit + 1)
    )
    return RefundFilePage(
        files=[RefundFileRead.of(one) for one in found[:limit]],
        layouts=sorted(list_layouts()),
        next_cursor=next_cursor(found, limit),
    )


@router.get(
    "/{file_id}/content",
    response_class=Response,
    responses={
        **may_answer(RefundFileNotFound),
        200: {"content": {XLSX_TYPE: {}}, "description": "The file, always the same bytes."},
    },
)
async def download_file(file_id: UUID, caller: Instructor, tx: Tx) -> Response:
    """Download a payment file: XLSX with text cells."""
    if caller.is_scoped:
        raise RefundFileNotFound(file_id)
    made = await queries.get_file(tx, caller.org_id, file_id)
    name = f"refunds-{made.created_at:%Y%m%d}-{made.id.hex[-6:]}.xlsx"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return Response(made.content, media_type=XLSX_TYPE, headers=headers)
