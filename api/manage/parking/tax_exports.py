"""The tax exports of parking: asked for by seller and month, downloaded, with columns of one's own.

The page says what the file is and what it is not: data for form 01/TTGD, whose columns nobody of us
has seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response, StreamingResponse

from api.http.deps import requires
from api.http.i18n import translate
from api.http.middleware import no_store
from api.http.paging import next_cursor, read_cursor
from api.manage.forms import FormId, take_form
from api.manage.page_context import Before, Errors, ManagerContext, TheManager, read_line
from api.pages.spreadsheets import CSV_TYPE, XLSX_TYPE
from core.clock import hanoi_day
from core.errors import HubError, InvalidRequest
from core.ids import new_id
from core.jobs.errors import JobNotFound
from core.jobs.rules import JobStatus
from core.jobs.views import JobView, get_job
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.places.models import ParkingOperator
from parking.places.queries import list_operators
from parking.tax_exports import queries, service
from parking.tax_exports.files import check_readable, read_file
from parking.tax_exports.models import TaxExport
from parking.tax_exports.rules import (
    FACTS,
    HEAD_CHARS_MAX,
    KEPT_FOR,
    Columns,
    FileFormat,
    check_columns,
    check_month,
    standard_columns,
)

router = APIRouter(prefix="/manage/tax-exports", include_in_schema=False)

ROWS: Final = 20
MONTHS: Final = 24  # to choose from
LAYOUT_BYTES_MAX: Final = 65_536
Text = Annotated[str, Form(max_length=100)]
TYPES: Final = {FileFormat.CSV: CSV_TYPE, FileFormat.XLSX: XLSX_TYPE}
TONES: Final = {
    "ready": ("good", "check"),
    "waiting": ("plain", "clock"),
    "running": ("plain", "clock"),
    "failed": ("bad", "warning"),
    "gone": ("plain", "stop"),
}


@dataclass(frozen=True, kw_only=True)
class ExportRow:
    """One export of the list."""

    title: str  # "10/2026 · Bãi xe …"
    word: str
    tone: str
    icon: str
    asked: str
    rows: str  # how many so far, or in all
    exported_vnd: int | None
    elsewhere_vnd: int  # takings of the same payees that are in no row
    path: str  # "" while there is no file
    format: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ColumnRow:
    """One fact of the form of columns."""

    fact: str
    word: str
    place: str  # "" where it is left out
    head: str


@dataclass(frozen=True, kw_only=True)
class TaxExportsPage:
    """Everything templates/tax_exports.html may use, already worded."""

    sellers: tuple[tuple[str, str], ...]
    months: tuple[tuple[str, str], ...]
    formats: tuple[tuple[str, str], ...]
    form: dict[str, str]
    rows: tuple[ExportRow, ...]
    is_under_way: bool
    columns: tuple[ColumnRow, ...]
    can_save: bool
    is_layout_open: bool
    errors: Errors
    older: str


@router.get("", dependencies=[requires(Permission.LEDGER_READ)])
async def show_exports(manager: TheManager, before: Before = None) -> Response:
    """List exports, newest first, with the form for another."""
    return await _render(manager, before=before)


@router.post("", dependencies=[requires(Permission.LEDGER_READ)])
async def ask(
    manager: TheManager,
    seller: Annotated[UUID, Form()],
    month: Text = "",
    format_: Annotated[FileFormat, Form(alias="format")] = FileFormat.XLSX,
    form_id: FormId = None,
) -> Response:
    """Have a month written by a job."""
    form = {"seller": str(seller), "month": month, "format": format_.value}
    export_id = new_id()
    try:
        first_on = check_month(month.strip(), now=manager.now)
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            facts = (seller, first_on, format_.value)
            made = await take_form(
                tx, manager, "/manage/tax-exports", form_id, *facts, makes=export_id
            )
            if made is None:
                await service.request_export(
                    tx,
                    manager.org_id,
                    export_id,
                    operator_id=seller,
                    month=first_on,
                    format_=format_,
                    actor=manager.caller.actor,
                    now=manager.now,
                )
    except InvalidRequest:
        errors = {"month": translate(manager.lang, "tax_exports.month_not_over")}
        return await _render(manager, form=form, errors=errors)
    except HubError as error:
        return await _render(manager, form=form, errors={"": manager.present_error(error)})
    return manager.go("/tax-exports", done="tax_export_requested")


@router.post(
    "/columns",
    dependencies=[requires(Permission.PARKING_INSPECT)],
    max_body_size=LAYOUT_BYTES_MAX,
)
async def save_columns(manager: TheManager, request: Request) -> Response:
    """Save the columns: those with a place, in its order; the others are left out."""
    async with request.form(max_files=0, max_fields=3 * len(FACTS)) as typed:
        rows = [
            ColumnRow(
                fact=fact,
                word=translate(manager.lang, f"tax_exports.fact.{fact}"),
                place=str(typed.get(f"place_{fact}", "")).strip()[:4],
                head=read_line(str(typed.get(f"head_{fact}", "")), HEAD_CHARS_MAX),
            )
            for fact in FACTS
        ]
    placed = [row for row in rows if row.place]
    if not all(row.place.isascii() and row.place.isdigit() for row in placed):
        return await _refuse_columns(manager, rows)
    placed.sort(key=lambda row: int(row.place))
    try:
        columns = check_columns([(row.head, row.fact) for row in placed])
    except InvalidRequest:
        return await _refuse_columns(manager, rows)
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        await service.save_layout(
            tx, manager.org_id, columns, actor=manager.caller.actor, now=manager.now
        )
    return manager.go("/tax-exports", done="tax_layout_saved")


@router.get("/{export_id}/content", dependencies=[requires(Permission.LEDGER_READ)])
async def download(manager: TheManager, export_id: UUID) -> Response:
    """Download the file of an export."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        export = await queries.get_export(tx, manager.org_id, export_id)
        check_readable(export, now=manager.now)
    pieces = read_file(manager.database, manager.org_id, export_id)
    answer = StreamingResponse(pieces, media_type=TYPES[FileFormat(export.format)])
    answer.headers["Content-Disposition"] = f'attachment; filename="{export.file_name}"'
    answer.headers["Content-Length"] = str(export.content_bytes)
    return no_store(answer)


async def _refuse_columns(manager: ManagerContext, rows: Sequence[ColumnRow]) -> Response:
    errors = {"columns": translate(manager.lang, "tax_exports.bad_columns")}
    return await _render(manager, columns=rows, errors=errors)


async def _render(
    manager: ManagerContext,
    *,
    before: str | None = None,
    form: dict[str, str] | None = None,
    columns: Sequence[ColumnRow] | None = None,
    errors: Errors | None = None,
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        sellers = await list_operators(tx, manager.org_id)
        found = await queries.list_exports(
            tx, manager.org_id, before_id=read_cursor(before), limit=ROWS + 1
        )
        own = await queries.find_layout(tx, manager.org_id)
        jobs: dict[UUID, JobView | None] = {}
        for one in found[:ROWS]:
            if one.made_at is None:
                try:
                    jobs[one.id] = await get_job(tx, manager.org_id, one.job_id)
                except JobNotFound:
                    jobs[one.id] = None
    names = {one.id: one.name for one in sellers}
    rows = tuple(_present(manager, one, names, jobs.get(one.id)) for one in found[:ROWS])
    months = _list_months(hanoi_day(manager.now))
    cursor = next_cursor(found, ROWS)
    page = TaxExportsPage(
        sellers=_list_sellers(sellers),
        months=months,
        formats=(("xlsx", "Excel (XLSX)"), ("csv", "CSV")),
        form={"seller": "", "month": months[0][0], "format": "xlsx"} | (form or {}),
        rows=rows,
        is_under_way=any(row.word and row.icon == "clock" for row in rows),
        columns=tuple(columns or _list_columns(manager, own or standard_columns())),
        can_save=manager.may(Permission.PARKING_INSPECT),
        is_layout_open=columns is not None,
        errors=errors or {},
        older=manager.path("/tax-exports", before=cursor) if cursor else "",
    )
    status = 422 if errors else 200
    return manager.render("tax_exports.html", page, here="tax_exports", status=status)


def _present(
    manager: ManagerContext, one: TaxExport, names: dict[UUID, str], job: JobView | None
) -> ExportRow:
    state = _state_of(one, job, manager)
    tone, icon = TONES[state]
    done = one.row_count if one.row_count is not None else job and job.progress_done
    return ExportRow(
        title=f"{one.month:%m/%Y} · {names.get(one.operator_id, '')}",
        word=translate(manager.lang, f"tax_exports.state.{state}"),
        tone=tone,
        icon=icon,
        asked=manager.present_instant(one.requested_at),
        rows=translate(manager.lang, "tax_exports.rows", count=f"{done:,}".replace(",", "."))
        if done is not None
        else "",
        exported_vnd=one.exported_vnd,
        elsewhere_vnd=(one.takings_vnd or 0) - (one.exported_vnd or 0),
        path=manager.path(f"/tax-exports/{one.id}/content") if state == "ready" else "",
        format=one.format.upper(),
        sha256="" if one.content_sha256 is None else one.content_sha256.hex()[:12],
    )


def _state_of(one: TaxExport, job: JobView | None, manager: ManagerContext) -> str:
    if one.made_at is not None:
        return "gone" if one.made_at < manager.now - KEPT_FOR else "ready"
    if job is None or job.status in (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.DONE):
        return "failed"
    return "running" if job.status == JobStatus.RUNNING else "waiting"


def _list_sellers(sellers: Sequence[ParkingOperator]) -> tuple[tuple[str, str], ...]:
    return tuple((str(one.id), f"{one.name} · {one.tax_code}") for one in sellers)


def _list_months(today: date) -> tuple[tuple[str, str], ...]:
    """List the months that are over, the last one first."""
    months, first_on = [], today.replace(day=1)
    for _ in range(MONTHS):
        first_on = (first_on - timedelta(days=1)).replace(day=1)
        months.append((f"{first_on:%Y-%m}", f"{first_on:%m/%Y}"))
    return tuple(months)


def _list_columns(manager: ManagerContext, columns: Columns) -> list[ColumnRow]:
    """List the columns in their order, then the facts that are left out."""
    heads = {fact: head for head, fact in columns}
    standard = {fact: head for head, fact in standard_columns()}
    facts = [*heads, *(fact for fact in FACTS if fact not in heads)]
    return [
        ColumnRow(
            fact=fact,
            word=translate(manager.lang, f"tax_exports.fact.{fact}"),
            place=str(place) if fact in heads else "",
            head=heads.get(fact) or standard.get(fact, ""),
        )
        for place, fact in enumerate(facts, 1)
    ]
