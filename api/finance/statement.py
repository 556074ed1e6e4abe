"""One statement: what was read, what is wrong and what to do, its lines, and the decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.finance.page_context import FinanceContext, TheFinance
from api.finance.statement_words import (
    ConflictWords,
    ProblemWords,
    RowErrorWords,
    say_conflicts,
    say_meaning,
    say_period,
    say_problem,
    say_refusal,
    say_row_error,
    say_status,
)
from api.http.deps import requires
from api.http.i18n import translate
from api.pages.staff_context import PAGE_ROWS, Errors, read_line
from core.clock import HANOI
from core.errors import HubError
from core.ids import new_id
from core.jobs.errors import JobNotFound
from core.jobs.rules import JobStatus
from core.jobs.views import JobView, get_job
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.closing.queries_opening import find_opening_day
from payments.payees.views import name_accounts
from payments.statements import queries, queries_lines, rereading, service
from payments.statements.mappings import read_mapping
from payments.statements.reading.cells import name_column
from payments.statements.rules import StatementFacts, StatementStatus
from payments.statements.views import Conflicts, find_conflicts

router = APIRouter(prefix="/finance/statements", include_in_schema=False)

REASON_CHARS_MAX: Final = 500
WRITTEN: Final = frozenset({StatementStatus.ACCEPTED, StatementStatus.VISIBLE})
DECIDABLE: Final = frozenset(
    {StatementStatus.UPLOADED, StatementStatus.STAGED, StatementStatus.REFUSED}
)


@dataclass(frozen=True, kw_only=True)
class LineRow:
    """One line, already worded."""

    line_no: int
    no: str
    day: str
    time: str
    in_vnd: int | None
    out_vnd: int | None
    balance_vnd: int | None
    memo: str
    reference: str
    other: str
    is_reversal: bool


@dataclass(frozen=True, kw_only=True)
class JobWords:
    """How far the job has come that reads or writes the statement."""

    title: str
    next_step: str
    is_over: bool  # it ended without its end


@dataclass(frozen=True, kw_only=True)
class StatementPage:
    """Everything templates/statement.html may use, already worded."""

    id: UUID
    name: str
    state: tuple[str, str, str]  # word, icon, tone
    account: str
    period: str
    sent: str
    form: str
    sha256: str
    opening_vnd: int | None
    closing_vnd: int | None
    in_vnd: int
    out_vnd: int
    is_read: bool
    lines: str
    repeats: str  # "" where no line is in an earlier statement, too
    columns: tuple[tuple[str, str], ...]  # by hand: letter, what it is
    is_mapping_saved: bool
    job: JobWords | None
    problems: tuple[ProblemWords, ...]
    row_errors: tuple[RowErrorWords, ...]
    errors_hidden: str  # how many are not shown; "" for none
    conflicts: tuple[ConflictWords, ...]
    rows: tuple[LineRow, ...]
    next_lines: str
    can_accept: bool
    can_discard: bool
    can_map: bool
    new_statement_id: UUID  # of reading the file anew
    errors: Errors


@router.get("/{statement_id}", dependencies=[requires(Permission.LEDGER_READ)])
async def show_statement(
    finance: TheFinance,
    statement_id: UUID,
    after: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> Response:
    """Show a statement, while it is read and written, too."""
    return await _render(finance, statement_id, after=after)


@router.post("/{statement_id}/accept", dependencies=[requires(Permission.STATEMENTS_ACCEPT)])
async def accept(finance: TheFinance, statement_id: UUID) -> Response:
    """Make its days its own, and have its lines written."""
    try:
        async with open_org_transaction(finance.database, finance.org_id) as tx:
            await service.accept_statement(
                tx,
                finance.org_id,
                statement_id,
                find_opening_day=find_opening_day,
                actor=finance.caller.actor,
                now=finance.now,
            )
    except HubError as error:
        said = say_refusal(finance, error) or finance.present_error(error)
        return await _render(finance, statement_id, errors={"accept": said})
    return finance.redirect(f"/statements/{statement_id}", done="statement_accepted")


@router.post("/{statement_id}/discard", dependencies=[requires(Permission.STATEMENTS_ACCEPT)])
async def discard(
    finance: TheFinance,
    statement_id: UUID,
    reason: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    """Put it aside; its file stays as evidence."""
    said = read_line(reason, REASON_CHARS_MAX)
    if not said:
        errors = {"discard": finance.say("error.needed")}
        return await _render(finance, statement_id, errors=errors)
    try:
        async with open_org_transaction(finance.database, finance.org_id) as tx:
            await service.discard_statement(
                tx,
                finance.org_id,
                statement_id,
                reason=said,
                actor=finance.caller.actor,
                now=finance.now,
            )
    except HubError as error:
        return await _render(
            finance, statement_id, errors={"discard": finance.present_error(error)}
        )
    return finance.redirect(f"/statements/{statement_id}", done="statement_discarded")


@router.post("/{statement_id}/read", dependencies=[requires(Permission.STATEMENTS_IMPORT)])
async def read_anew(
    finance: TheFinance, statement_id: UUID, new_statement_id: Annotated[UUID, Form()]
) -> Response:
    """Have a file read once more whose job failed, in the same way."""
    try:
        async with open_org_transaction(finance.database, finance.org_id) as tx:
            found = await queries.get_statement(tx, finance.org_id, statement_id)
            made, _ = await rereading.read_again(
                tx,
                finance.org_id,
                statement_id,
                new_statement_id,
                receiving_account_id=found.receiving_account_id,
                mapping=read_mapping(found.mapping),
                may_discard=finance.may(Permission.STATEMENTS_ACCEPT),
                actor=finance.caller.actor,
                now=finance.now,
            )
    except HubError as error:
        return await _render(finance, statement_id, errors={"": finance.present_error(error)})
    return finance.redirect(f"/statements/{made.id}")


async def _render(
    finance: FinanceContext,
    statement_id: UUID,
    *,
    after: int = 0,
    errors: Errors | None = None,
) -> Response:
    async with open_org_transaction(finance.database, finance.org_id) as tx:
        found = await queries.get_statement(tx, finance.org_id, statement_id)
        ids = [found.receiving_account_id] if found.receiving_account_id else []
        named = await name_accounts(tx, finance.org_id, ids)
        job = await _find_job(tx, finance, found)
        is_staged = found.status is StatementStatus.STAGED
        conflicts = await find_conflicts(tx, finance.org_id, found) if is_staged else Conflicts()
        lines = await queries_lines.list_lines(
            tx,
            finance.org_id,
            statement_id,
            is_written=found.status in WRITTEN,
            after_no=after,
            limit=PAGE_ROWS + 1,
        )
        has_sample = bool(await queries.read_sample(tx, finance.org_id, statement_id))
    page = StatementPage(
        **_present_whole(finance, found),
        account="".join(finance.name_account(one) for one in named.values()),
        job=_present_job(finance, found, job),
        conflicts=tuple(say_conflicts(finance, conflicts)),
        rows=tuple(present_line(finance, one) for one in lines[:PAGE_ROWS]),
        next_lines=finance.path(
            f"/statements/{statement_id}", after=lines[PAGE_ROWS - 1]["line_no"]
        )
        if len(lines) > PAGE_ROWS
        else "",
        can_accept=is_staged and finance.may(Permission.STATEMENTS_ACCEPT),
        can_discard=found.status in DECIDABLE and finance.may(Permission.STATEMENTS_ACCEPT),
        can_map=found.status in {StatementStatus.STAGED, StatementStatus.REFUSED}
        and has_sample
        and finance.may(Permission.STATEMENTS_IMPORT)
        and (not is_staged or finance.may(Permission.STATEMENTS_ACCEPT)),
        new_statement_id=new_id(),
        errors=errors or {},
    )
    return finance.render("statement.html", page, here="statements", status=422 if errors else 200)


def _present_whole(finance: FinanceContext, found: StatementFacts) -> dict[str, Any]:
    mapping = read_mapping(found.applied_mapping or found.mapping)
    hidden = found.error_count - len(found.row_errors)
    return {
        "id": found.id,
        "name": found.file_name or translate(finance.lang, "statements.unnamed"),
        "state": say_status(finance, found.status),
        "period": say_period(found),
        "sent": finance.present_instant(found.created_at),
        "form": (found.format or "").upper(),
        "sha256": found.file_sha256.hex()[:16],
        "opening_vnd": found.opening_vnd,
        "closing_vnd": found.closing_vnd,
        "in_vnd": found.in_vnd,
        "out_vnd": found.out_vnd,
        "is_read": found.summary is not None,
        "lines": finance.present_count(found.line_count),
        "repeats": finance.present_count(found.repeat_count) if found.repeat_count else "",
        "columns": tuple(
            (name_column(index), say_meaning(finance, one.value))
            for index, one in sorted(mapping.columns.items() if mapping else ())
        ),
        "is_mapping_saved": found.applied_mapping is not None,
        "problems": tuple(say_problem(finance, one) for one in found.problems),
        "row_errors": tuple(say_row_error(finance, one) for one in found.row_errors),
        "errors_hidden": finance.present_count(hidden) if hidden > 0 else "",
    }


async def _find_job(
    tx: AsyncSession, finance: FinanceContext, found: StatementFacts
) -> JobView | None:
    """Return the job of a statement that waits for one."""
    is_waiting = found.status in {StatementStatus.UPLOADED, StatementStatus.ACCEPTED}
    if not is_waiting or found.job_id is None:
        return None
    try:
        return await get_job(tx, finance.org_id, found.job_id)
    except JobNotFound:
        return None


def _present_job(
    finance: FinanceContext, found: StatementFacts, job: JobView | None
) -> JobWords | None:
    if found.status not in {StatementStatus.UPLOADED, StatementStatus.ACCEPTED}:
        return None
    kind = "read" if found.status is StatementStatus.UPLOADED else "write"
    is_over = job is None or (job.finished_at is not None and job.status != JobStatus.DONE)
    if is_over:
        kind, step = f"{kind}_failed", f"{kind}_failed_next"
    elif job is not None and job.progress_done:
        step = f"{kind}_progress"
    else:
        step = f"{kind}_waits"
    count = finance.present_count(job.progress_done or 0) if job else "0"
    whole = finance.present_count(found.line_count)
    return JobWords(
        title=translate(finance.lang, f"statements.job.{kind}"),
        next_step=translate(finance.lang, f"statements.job.{step}", lines=count, whole=whole),
        is_over=is_over,
    )


def present_line(finance: FinanceContext, line: Mapping[str, Any]) -> LineRow:
    """Word one line, staged or written."""
    at: datetime | None = line["transacted_at"]
    others: Sequence[str | None] = (
        line["counterparty_name"],
        line["counterparty_account"],
        line["counterparty_bank"],
    )
    is_in = line["direction"] == "in"
    return LineRow(
        line_no=line["line_no"],
        no=finance.present_count(line["line_no"]),
        day=f"{line['booked_on']:%d/%m/%Y}",
        time="" if at is None or line["is_date_only"] else f"{at.astimezone(HANOI):%H:%M}",
        in_vnd=line["amount_vnd"] if is_in else None,
        out_vnd=None if is_in else line["amount_vnd"],
        balance_vnd=line["balance_after_vnd"],
        memo=line["memo"],
        reference=line["bank_reference"],
        other=" · ".join(one for one in others if one),
        is_reversal=line["is_reversal"],
    )
