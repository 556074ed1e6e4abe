"""Statements of banks: the list, and a file or pasted rows sent by a form."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, File, Form, Query, UploadFile
from starlette.responses import Response

from api.finance.page_context import Before, FinanceContext, TheFinance
from api.finance.statement_words import say_period, say_status
from api.http.deps import requires
from api.http.i18n import translate
from api.http.paging import next_cursor, read_cursor
from api.pages.staff_context import PAGE_ROWS, Errors, read_line
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.payees.views import list_accounts, name_accounts
from payments.statements import queries, service
from payments.statements.errors import StatementFileEmpty, StatementFileKnown
from payments.statements.files import receive_file
from payments.statements.reading.types import FILE_BYTES_MAX
from payments.statements.rules import FILE_NAME_CHARS_MAX, StatementFacts, StatementStatus

router = APIRouter(prefix="/finance/statements", include_in_schema=False)

PIECE_BYTES: Final = 256 * 1024
FORM_BYTES: Final = 1024 * 1024  # of a form beside its file
PASTED_CHARS_MAX: Final = 300_000  # a form's field has a mebibyte; more is sent as a file
ACCOUNTS_OFFERED: Final = 200
GIB: Final = 1024**3


@dataclass(frozen=True, kw_only=True)
class StatementRow:
    """One statement, already worded."""

    path: str
    name: str
    sent: str
    account: str
    period: str
    in_vnd: int
    out_vnd: int
    lines: str
    state: tuple[str, str, str]  # word, icon, tone


@dataclass(frozen=True, kw_only=True)
class StatementsPage:
    """Everything templates/statements.html may use, already worded."""

    rows: tuple[StatementRow, ...]
    older: str
    is_filtered: bool
    accounts: tuple[tuple[str, str], ...]
    account_id: str
    statuses: tuple[tuple[str, str], ...]
    status: str
    used_percent: int | None  # of the room for files; None: enough is left
    room_gib: int
    can_import: bool
    statement_id: UUID  # of the file that the form sends: pressed twice, it is one
    pasted: str
    pasted_chars_max: int
    known_path: str  # where the file is a statement already
    errors: Errors


@router.get("", dependencies=[requires(Permission.LEDGER_READ)])
async def show_statements(
    finance: TheFinance,
    account: Annotated[str, Query(max_length=40)] = "",
    status: Annotated[str, Query(max_length=20)] = "",
    before: Before = None,
) -> Response:
    """List statements, newest first, by account and status."""
    return await _render(finance, account=account, status=status, before=before)


@router.post(
    "",
    dependencies=[requires(Permission.STATEMENTS_IMPORT)],
    max_body_size=FILE_BYTES_MAX + FORM_BYTES,
)
async def send_statement(
    finance: TheFinance,
    statement_id: Annotated[UUID, Form()],
    file: Annotated[UploadFile | None, File()] = None,
    pasted: Annotated[str, Form(max_length=PASTED_CHARS_MAX)] = "",
    account_id: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Keep a file or pasted rows, and have them read."""
    is_pasted = bool(pasted.strip())
    name = "" if file is None else read_line(file.filename or "", FILE_NAME_CHARS_MAX)
    if is_pasted:
        name = finance.word("statement", "pasted", "")
    try:
        async with (
            receive_file(_list_pieces(file, pasted if is_pasted else "")) as received,
            open_org_transaction(finance.database, finance.org_id) as session,
        ):
            statement, is_new = await service.add_statement(
                session,
                finance.org_id,
                statement_id,
                received,
                receiving_account_id=_read_id(account_id),
                file_name=name,
                kept_bytes_max=finance.services.settings.statement_bytes_per_org,
                is_pasted=is_pasted,
                actor=finance.caller.actor,
                now=finance.now,
            )
    except StatementFileKnown as error:
        known = finance.path(f"/statements/{error.statement_id}")
        errors = {"": finance.present_error(error)}
        return await _render(finance, pasted=pasted, known_path=known, errors=errors)
    except HubError as error:
        field = "file" if isinstance(error, StatementFileEmpty) else ""
        return await _render(finance, pasted=pasted, errors={field: finance.present_error(error)})
    done = None if is_new else "statement_known"
    return finance.redirect(f"/statements/{statement.id}", done=done)


async def _list_pieces(file: UploadFile | None, pasted: str) -> AsyncIterator[bytes]:
    if pasted:
        yield pasted.encode()
    elif file is not None:
        while piece := await file.read(PIECE_BYTES):
            yield piece


async def _render(
    finance: FinanceContext,
    *,
    account: str = "",
    status: str = "",
    before: str | None = None,
    pasted: str = "",
    known_path: str = "",
    errors: Errors | None = None,
) -> Response:
    account_id = _read_id(account)
    bytes_max = finance.services.settings.statement_bytes_per_org
    wanted = status if status in set(StatementStatus) else ""
    async with open_org_transaction(finance.database, finance.org_id) as tx:
        found = await queries.list_statements(
            tx,
            finance.org_id,
            account_id=account_id,
            status=StatementStatus(wanted) if wanted else None,
            before_id=read_cursor(before),
            limit=PAGE_ROWS + 1,
        )
        offered = await list_accounts(tx, finance.org_id, limit=ACCOUNTS_OFFERED)
        ids = {one.receiving_account_id for one in found if one.receiving_account_id}
        named = await name_accounts(tx, finance.org_id, ids)
        kept = await queries.measure_kept(tx, finance.org_id, since=finance.now)
    names = {id_: finance.name_account(one) for id_, one in named.items()}
    cursor = next_cursor(found, PAGE_ROWS)
    page = StatementsPage(
        rows=tuple(_present_row(finance, one, names) for one in found[:PAGE_ROWS]),
        older=finance.path("/statements", account=account, status=wanted, before=cursor)
        if cursor
        else "",
        is_filtered=bool(account_id or wanted),
        accounts=tuple((str(one.id), finance.name_account(one)) for one in offered),
        account_id=str(account_id or ""),
        statuses=tuple((one.value, say_status(finance, one)[0]) for one in StatementStatus),
        status=wanted,
        used_percent=min(100, kept.total_bytes * 100 // bytes_max)
        if kept.is_nearly_full(bytes_max)
        else None,
        room_gib=bytes_max // GIB,
        can_import=finance.may(Permission.STATEMENTS_IMPORT),
        statement_id=new_id(),
        pasted=pasted,
        pasted_chars_max=PASTED_CHARS_MAX,
        known_path=known_path,
        errors=errors or {},
    )
    return finance.render("statements.html", page, here="statements", status=422 if errors else 200)


def _present_row(
    finance: FinanceContext, found: StatementFacts, names: dict[UUID, str]
) -> StatementRow:
    account_id = found.receiving_account_id
    return StatementRow(
        path=finance.path(f"/statements/{found.id}"),
        name=found.file_name or translate(finance.lang, "statements.unnamed"),
        sent=finance.present_instant(found.created_at),
        account=names.get(account_id, "") if account_id else "",
        period=say_period(found),
        in_vnd=found.in_vnd,
        out_vnd=found.out_vnd,
        lines=finance.present_count(found.line_count),
        state=say_status(finance, found.status),
    )


def _read_id(value: str) -> UUID | None:
    try:
        return UUID(value)
    except ValueError:
        return None
