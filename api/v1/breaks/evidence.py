"""Notes and files beside breaks."""

from typing import Annotated, Final
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.http.deps import Now, TheDatabase, Tx, requires
from api.http.errors import may_answer
from api.v1.breaks.schemas import (
    BreakFileRead,
    BreakNoteCreate,
    BreakNoteRead,
    present_file,
    present_note,
)
from core.errors import InvalidRequest, Violation
from core.tenancy import open_org_transaction
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.bills.rules import check_client_id
from payments.breaks import evidence, queries_evidence
from payments.breaks.errors import (
    BreakFileIdTaken,
    BreakFileNotFound,
    BreakFileNotTaken,
    BreakFull,
    BreakNoteIdTaken,
    BreakNotFound,
)
from payments.breaks.rules import FILE_BYTES_MAX, FILE_NAME_CHARS_MAX, SIGNATURES

router = APIRouter(prefix="/v1/breaks", tags=["payments"])

Reader = Annotated[Caller, requires(Permission.BREAKS_READ)]
Resolver = Annotated[Caller, requires(Permission.BREAKS_RESOLVE)]
FILE: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post(
    "/{break_id}/notes",
    status_code=201,
    responses=may_answer(BreakNotFound, BreakNoteIdTaken, BreakFull),
)
async def add_note(
    break_id: UUID, body: BreakNoteCreate, caller: Resolver, tx: Tx, now: Now
) -> BreakNoteRead:
    """Write a note beside a break, be it open or closed; nobody changes it any more."""
    check_id(body.id, now)
    note = await evidence.add_note(
        tx,
        caller.org_id,
        break_id,
        note_id=body.id,
        words=body.words,
        actor=caller.actor,
        now=now,
    )
    return present_note(note)


@router.post(
    "/{break_id}/files",
    status_code=201,
    responses=may_answer(BreakNotFound, BreakFileIdTaken, BreakFileNotTaken, BreakFull),
    max_body_size=FILE_BYTES_MAX + 1,
    openapi_extra=FILE,
)
async def add_file(
    break_id: UUID,
    request: Request,
    caller: Resolver,
    database: TheDatabase,
    now: Now,
    file_id: Annotated[
        UUID, Query(alias="id", description="Made by you: the same again answers the first.")
    ],
    file_name: Annotated[
        str, Query(min_length=1, max_length=FILE_NAME_CHARS_MAX, examples=["uy-nhiem-chi.pdf"])
    ],
) -> BreakFileRead:
    """Keep a file (the body): PDF, PNG or JPEG of at most 5 MiB, ten beside a break."""
    check_id(file_id, now)
    content = await request.body()  # whole, before a connection is taken
    async with open_org_transaction(database, caller.org_id) as tx:
        file = await evidence.add_file(
            tx,
            caller.org_id,
            break_id,
            file_id=file_id,
            file_name=file_name,
            content=content,
            actor=caller.actor,
            now=now,
        )
        return present_file(file)


@router.get(
    "/{break_id}/files/{file_id}",
    responses={
        200: {
            "content": {type_: {} for type_ in sorted(SIGNATURES.values())},
            "description": "The file as it is.",
        },
        **may_answer(BreakFileNotFound),
    },
    response_class=Response,
)
async def download(break_id: UUID, file_id: UUID, caller: Reader, tx: Tx) -> Response:
    """Download a file; a browser saves it and shows nothing of it."""
    file = await queries_evidence.get_file(tx, caller.org_id, break_id, file_id)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.file_name, safe='')}",
        "Content-Security-Policy": "sandbox",
        "Cache-Control": "no-store",
    }
    return Response(file.content, media_type=file.content_type, headers=headers)


def check_id(id_: UUID, now: Now) -> None:
    """Refuse an id that no client made about now.

    Raises:
        InvalidRequest
    """
    if fault := check_client_id(id_, now=now):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])
