"""Settlement statements for managers: a period's list, drafting, one statement, its steps."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import ThePasswords, TheSignIns, requires
from api.http.paging import next_cursor, read_cursor
from api.manage.history import Change, list_changes_of
from api.manage.page_context import (
    PAGE_ROWS,
    Before,
    Errors,
    ManagerContext,
    TheManager,
    read_line,
)
from api.manage.settlement_words import (
    AmountRow,
    ChannelRow,
    RunRow,
    SettlementRow,
    last_month,
    list_steps,
    present_amounts,
    present_channels,
    present_row,
    present_run,
    say,
)
from api.pages.spreadsheets import XLSX_TYPE
from core.clock import hanoi_day
from core.errors import HubError, InvalidRequest
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.queries import find_names
from identity.people.rules import Permission
from identity.people.service import confirm_alone
from payments.settlements import queries, queries_runs, steps, views
from payments.settlements.rules import BULK_MAX, SettlementStatus, Step
from payments.settlements.runs import is_stalled, start_run
from payments.settlements.types import Filters, SettlementFacts

router = APIRouter(prefix="/manage/settlements", include_in_schema=False)

WORDS_MAX: Final = 500
Text = Annotated[str, Form(max_length=2_000)]
DayText = Annotated[str, Query(max_length=10)]
READS: Final = [requires(Permission.SETTLEMENTS_READ)]
DRAFTS: Final = [requires(Permission.SETTLEMENTS_DRAFT)]
APPROVES: Final = [requires(Permission.SETTLEMENTS_APPROVE)]


@dataclass(frozen=True, kw_only=True)
class SettlementsPage:
    """Everything templates/settlements.html may use, already worded."""

    rows: tuple[SettlementRow, ...]
    statuses: tuple[tuple[str, str], ...]
    filters: dict[str, str]
    older: str
    run: RunRow | None
    run_id: UUID  # of the run that the button orders: pressed twice, it is one
    form: dict[str, str]
    can_draft: bool
    can_approve: bool  # several at once
    errors: Errors


@dataclass(frozen=True, kw_only=True)
class CarriedRow:
    """One open break of the payee's money."""

    name: str
    since: str
    amount_vnd: int | None


@dataclass(frozen=True, kw_only=True)
class SettlementPage:
    """Everything templates/settlement.html may use, already worded."""

    row: SettlementRow
    place: str
    cut_off: str
    channels: tuple[ChannelRow, ...]
    amounts: tuple[AmountRow, ...]
    carried: tuple[CarriedRow, ...]
    carried_count: int
    people: tuple[tuple[str, str], ...]  # (what was done, by whom and when)
    words: str  # why it was discarded
    steps: frozenset[str]
    list_path: str
    terms_path: str
    history: tuple[Change, ...]
    errors: Errors


@router.get("", dependencies=READS)
async def show_settlements(
    manager: TheManager,
    first_day: DayText = "",
    last_day: DayText = "",
    status: Annotated[str, Query(max_length=12)] = "",
    before: Before = None,
) -> Response:
    """List statements, newest first; the filters stand in the address."""
    filters = {"first_day": first_day, "last_day": last_day, "status": status}
    return await _render_list(manager, filters=filters, before=before)


@router.post("/runs", dependencies=DRAFTS)
async def draft(
    manager: TheManager,
    run_id: Annotated[UUID, Form()],
    first_day: Text = "",
    last_day: Text = "",
) -> Response:
    """Order the statements of a period for all payees."""
    form = {"first_day": first_day, "last_day": last_day}
    first, last = _read_day(first_day), _read_day(last_day)
    if first is None or last is None:
        wrong = "last_day" if first is not None else "first_day"
        return await _render_list(manager, form=form, errors={wrong: say(manager, "bad_day")})
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await start_run(
                tx,
                manager.org_id,
                run_id,
                first_day=first,
                last_day=last,
                payee_id=None,
                actor=manager.caller.actor,
                now=manager.now,
            )
    except InvalidRequest:
        return await _render_list(
            manager, form=form, errors={"last_day": say(manager, "bad_period")}
        )
    except HubError as error:
        return await _render_list(
            manager, form=form, errors={"last_day": manager.present_error(error)}
        )
    return manager.go("/settlements", done="settlements_ordered")


@router.post("/approve", dependencies=APPROVES)
async def approve_many(
    manager: TheManager,
    settlement_id: Annotated[list[UUID] | None, Form(max_length=BULK_MAX)] = None,
) -> Response:
    """Approve the reviewed statements that were ticked; those that may not be are named."""
    if not settlement_id:
        return await _render_list(manager, errors={"": say(manager, "none_ticked")})
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        _, refused = await steps.approve_many(
            tx, manager.org_id, settlement_id, actor=manager.caller.actor, now=manager.now
        )
    if refused:
        (first, *_) = refused.values()
        words = say(manager, "some_refused", count=len(refused), why=manager.present_error(first))
        return await _render_list(manager, errors={"": words})
    return manager.go("/settlements", done="settlements_approved")


@router.get("/{settlement_id}", dependencies=READS)
async def show_settlement(manager: TheManager, settlement_id: UUID) -> Response:
    """Show one statement with the steps that may follow."""
    return await _render_one(manager, settlement_id)


@router.get("/{settlement_id}/pdf", dependencies=READS)
async def download_pdf(manager: TheManager, settlement_id: UUID) -> Response:
    """Send a statement as PDF."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await queries.get_settlement(tx, manager.org_id, settlement_id)
        content = await views.make_pdf(tx, manager.org_id, found)
    return _answer_file(content, "application/pdf", found, "pdf")


@router.get("/{settlement_id}/xlsx", dependencies=READS)
async def download_workbook(manager: TheManager, settlement_id: UUID) -> Response:
    """Send a statement as a workbook."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await queries.get_settlement(tx, manager.org_id, settlement_id)
        content = await views.make_workbook(tx, manager.org_id, found, now=manager.now)
    return _answer_file(content, XLSX_TYPE, found, "xlsx")


@router.post("/{settlement_id}/review", dependencies=DRAFTS)
async def review(manager: TheManager, settlement_id: UUID) -> Response:
    """Say that one has looked at a draft."""
    return await _do(manager, settlement_id, steps.review)


@router.post("/{settlement_id}/approve", dependencies=APPROVES)
async def approve(
    manager: TheManager,
    sign_ins: TheSignIns,
    passwords: ThePasswords,
    settlement_id: UUID,
    password: Text = "",
) -> Response:
    """Approve a statement as a second person; alone in an organisation, with the password again.

    Raises:
        TooManyRequests: the password is tried too often.
    """
    if password:
        sign_ins.by_login.take(f"password {manager.caller.id}")

    async def act(tx: AsyncSession, org_id: UUID, id_: UUID, **said: Any) -> SettlementFacts:
        found = await queries.get_settlement(tx, org_id, id_)
        is_alone = bool(password) and await confirm_alone(
            tx, manager.caller, passwords=passwords, present=password, since=found.started_at
        )
        return await steps.approve(tx, org_id, id_, is_alone=is_alone, **said)

    return await _do(manager, settlement_id, act)


@router.post("/{settlement_id}/send", dependencies=DRAFTS)
async def send(manager: TheManager, settlement_id: UUID) -> Response:
    """Say that a statement was handed out."""
    return await _do(manager, settlement_id, steps.send)


@router.post("/{settlement_id}/discard", dependencies=DRAFTS)
async def discard(manager: TheManager, settlement_id: UUID, words: Text = "") -> Response:
    """Put a statement aside, and say why."""
    said = read_line(words, WORDS_MAX)
    if not said:
        return await _render_one(
            manager, settlement_id, errors={"words": manager.say("error.needed")}
        )
    return await _do(manager, settlement_id, steps.discard, words=said)


async def _do(
    manager: ManagerContext,
    settlement_id: UUID,
    step: Callable[..., Awaitable[SettlementFacts]],
    **said: Any,
) -> Response:
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await step(
                tx,
                manager.org_id,
                settlement_id,
                actor=manager.caller.actor,
                now=manager.now,
                **said,
            )
    except HubError as error:
        return await _render_one(manager, settlement_id, errors={"": manager.present_error(error)})
    return manager.go(f"/settlements/{settlement_id}", done="settlement_changed")


async def _render_list(
    manager: ManagerContext,
    *,
    filters: dict[str, str] | None = None,
    before: str | None = None,
    form: dict[str, str] | None = None,
    errors: Errors | None = None,
) -> Response:
    filters = filters or {"first_day": "", "last_day": "", "status": ""}
    known = {one.value for one in SettlementStatus}
    status = filters["status"] if filters["status"] in known else ""
    can_draft = manager.may(Permission.SETTLEMENTS_DRAFT)
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await queries.list_settlements(
            tx,
            manager.org_id,
            Filters(
                first_day=_read_day(filters["first_day"]),
                last_day=_read_day(filters["last_day"]),
                status=SettlementStatus(status) if status else None,
            ),
            before_id=read_cursor(before),
            limit=PAGE_ROWS + 1,
        )
        runs = await queries_runs.list_runs(tx, manager.org_id, limit=1) if can_draft else []
        stalled = [await is_stalled(tx, manager.org_id, one) for one in runs]
    cursor = next_cursor(found, PAGE_ROWS)
    rows = tuple(present_row(manager, one) for one in found[:PAGE_ROWS])
    first, last = last_month(hanoi_day(manager.now))
    page = SettlementsPage(
        rows=rows,
        statuses=(
            ("", say(manager, "status.all")),
            *((one.value, say(manager, f"status.{one.value}")) for one in SettlementStatus),
        ),
        filters={**filters, "status": status},
        older=manager.path("/settlements", **filters, before=cursor) if cursor else "",
        run=present_run(manager, runs[0], is_stalled=stalled[0]) if runs else None,
        run_id=new_id(),
        form=form or {"first_day": first.isoformat(), "last_day": last.isoformat()},
        can_draft=can_draft,
        can_approve=any(row.can_approve for row in rows),
        errors=errors or {},
    )
    return manager.render(
        "settlements.html", page, here="settlements", status=422 if errors else 200
    )


async def _render_one(
    manager: ManagerContext, settlement_id: UUID, *, errors: Errors | None = None
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await queries.get_settlement(tx, manager.org_id, settlement_id)
        lines = await queries.list_lines(tx, manager.org_id, settlement_id)
        people = await _list_people(tx, manager, found)
        history = await list_changes_of(tx, manager, "settlement", settlement_id)
    page = SettlementPage(
        row=present_row(manager, found),
        place=found.payee_place,
        cut_off=manager.present_instant(found.cut_off_at),
        channels=present_channels(manager, lines),
        amounts=present_amounts(manager, found) if found.is_ready else (),
        carried=tuple(
            CarriedRow(
                name=manager.word("break.kind", one["kind"]),
                since=f"{hanoi_day(datetime.fromisoformat(one['opened_at'])):%d/%m/%Y}",
                amount_vnd=one["amount_vnd"],
            )
            for one in found.carried
        ),
        carried_count=found.carried_count,
        people=people,
        words=found.discarded_words or "",
        steps=frozenset(step.value for step in list_steps(manager, found)),
        list_path=manager.path("/settlements"),
        terms_path=manager.path(f"/settlements/terms/{found.payee_id}"),
        history=history,
        errors=errors or {},
    )
    return manager.render(
        "settlement.html", page, here="settlements", status=422 if errors else 200
    )


async def _list_people(
    tx: AsyncSession, manager: ManagerContext, found: SettlementFacts
) -> tuple[tuple[str, str], ...]:
    """Name who did which step of a statement, and when."""
    done = (
        (Step.REVIEW.value, found.reviewed_by, found.reviewed_at),
        (Step.APPROVE.value, found.approved_by, found.approved_at),
        (Step.SEND.value, found.sent_by, found.sent_at),
        (Step.DISCARD.value, found.discarded_by, found.discarded_at),
    )
    taken = [("draft", found.drafted_by, found.drafted_at), *done]
    ids = {by for _, by, _ in taken if by is not None}
    names = await find_names(tx, manager.org_id, ids)
    return tuple(
        (
            say(manager, f"done.{what}"),
            f"{names.get(by, '')} · {manager.present_instant(at)}".removeprefix(" · "),
        )
        for what, by, at in taken
        if by is not None and at is not None
    )


def _answer_file(content: bytes, media_type: str, one: SettlementFacts, ending: str) -> Response:
    name = f"quyet-toan-{one.number or one.id.hex[-12:]}.{ending}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type=media_type, headers=headers)


def _read_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None
