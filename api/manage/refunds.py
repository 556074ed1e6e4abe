"""Refunds for managers: what waits and how long, requests, approval, payment files, results."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import ThePasswords, TheSignIns, requires
from api.http.i18n import translate
from api.http.paging import next_cursor, read_cursor
from api.manage.page_context import PAGE_ROWS, Errors, ManagerContext, TheManager, read_line
from api.manage.refund_words import (
    FileRow,
    RefundRow,
    ToInstruct,
    list_banks_to_choose,
    present_file,
    present_refund,
    present_to_instruct,
)
from api.pages.spreadsheets import XLSX_TYPE
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from identity.people.service import confirm_alone
from payments.refunds import queries
from payments.refunds.files import make_file
from payments.refunds.requesting import enter_destination
from payments.refunds.rules import OPEN, REFERENCE_CHARS_MAX, WORDS_MAX, RefundStatus, Step
from payments.refunds.steps import StepTaken, acts_for, review_alone, take_step

router = APIRouter(prefix="/manage/refunds", include_in_schema=False)

SHOWN: Final = ("open", "review", "ended", "all")
FILES_SHOWN: Final = 10
LAYOUT: Final = "plain"
Text = Annotated[str, Form(max_length=2_000)]


@dataclass(frozen=True, kw_only=True)
class RefundsPage:
    """Everything templates/manage_refunds.html may use, already worded."""

    rows: tuple[RefundRow, ...]
    show: str
    shows: tuple[tuple[str, str], ...]
    older: str
    to_instruct: tuple[ToInstruct, ...]
    files: tuple[FileRow, ...]
    file_id: UUID  # of the file that the button makes: pressed twice, it is one
    banks: tuple[tuple[str, str], ...]
    can_request: bool
    errors: Errors  # refund's id → what is wrong with its form


@router.get("", dependencies=[requires(Permission.BILLS_READ)])
async def show_refunds(
    manager: TheManager,
    show: Annotated[str, Query(max_length=10)] = "open",
    before: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """List refunds, newest first, each with the steps that may follow."""
    return await _render(manager, show=show, before=before)


@router.post("/{refund_id}/approve", dependencies=[requires(Permission.REFUNDS_APPROVE)])
async def approve(
    manager: TheManager,
    sign_ins: TheSignIns,
    passwords: ThePasswords,
    refund_id: UUID,
    destination_hash: Annotated[str, Form(max_length=64)] = "",
    password: Text = "",
) -> Response:
    """Approve a refund as a second person; alone in an organisation, with the password again.

    Raises:
        TooManyRequests: the password is tried too often.
    """
    if password:
        sign_ins.by_login.take(f"password {manager.caller.id}")

    async def act(tx: AsyncSession) -> None:
        found = await queries.get_refund(tx, manager.org_id, refund_id)
        is_alone = bool(password) and await confirm_alone(
            tx,
            manager.caller,
            passwords=passwords,
            present=password,
            since=found.requested_at,
        )
        taken = StepTaken(
            step=Step.APPROVE,
            destination_hash=destination_hash,
            is_alone=is_alone,
            acts_for=acts_for(manager.caller),
        )
        await _take_step(tx, manager, refund_id, taken)

    return await _do(manager, refund_id, act)


@router.post("/{refund_id}/reject", dependencies=[requires(Permission.REFUNDS_APPROVE)])
async def reject(manager: TheManager, refund_id: UUID, words: Text = "") -> Response:
    """Reject a refund, and say why."""
    return await _say(manager, refund_id, Step.REJECT, words)


@router.post("/{refund_id}/cancel", dependencies=[requires(Permission.REFUNDS_REQUEST)])
async def cancel(manager: TheManager, refund_id: UUID, words: Text = "") -> Response:
    """Take back a refund that one requested, and say why."""
    return await _say(manager, refund_id, Step.CANCEL, words)


@router.post("/{refund_id}/instruct", dependencies=[requires(Permission.REFUNDS_INSTRUCT)])
async def instruct(manager: TheManager, refund_id: UUID) -> Response:
    """Write that the bank was told by hand."""
    return await _do(manager, refund_id, lambda tx: _take(tx, manager, refund_id, Step.INSTRUCT))


@router.post("/{refund_id}/returned", dependencies=[requires(Permission.REFUNDS_INSTRUCT)])
async def confirm(manager: TheManager, refund_id: UUID, bank_reference: Text = "") -> Response:
    """Write that the payer has the money."""
    reference = read_line(bank_reference, REFERENCE_CHARS_MAX) or None

    async def act(tx: AsyncSession) -> None:
        await _take(tx, manager, refund_id, Step.CONFIRM, bank_reference=reference)

    return await _do(manager, refund_id, act)


@router.post("/{refund_id}/not-done", dependencies=[requires(Permission.REFUNDS_INSTRUCT)])
async def fail(manager: TheManager, refund_id: UUID, words: Text = "") -> Response:
    """Write that the bank did not make the transfer, or sent it back."""
    return await _say(manager, refund_id, Step.FAIL, words)


@router.post("/{refund_id}/unknown", dependencies=[requires(Permission.REFUNDS_INSTRUCT)])
async def doubt(manager: TheManager, refund_id: UUID, words: Text = "") -> Response:
    """Write that nobody knows what became of it."""
    return await _say(manager, refund_id, Step.DOUBT, words)


@router.post("/{refund_id}/review", dependencies=[requires(Permission.REFUNDS_APPROVE)])
async def review(manager: TheManager, refund_id: UUID) -> Response:
    """Write that one looked at what somebody approved alone."""

    async def act(tx: AsyncSession) -> None:
        await review_alone(
            tx, manager.org_id, refund_id, actor=manager.caller.actor, now=manager.now
        )

    return await _do(manager, refund_id, act)


@router.post("/{refund_id}/destination", dependencies=[requires(Permission.REFUNDS_REQUEST)])
async def set_destination(
    manager: TheManager,
    refund_id: UUID,
    bin_: Annotated[str, Form(alias="bin", max_length=6)] = "",
    account_number: Annotated[str, Form(max_length=40)] = "",
    name: Text = "",
    name_again: Text = "",
) -> Response:
    """Enter the account that the payer named."""

    async def act(tx: AsyncSession) -> None:
        await enter_destination(
            tx,
            manager.org_id,
            refund_id,
            bin_=bin_,
            account_number="".join(account_number.split()),
            name=read_line(name),
            name_again=read_line(name_again),
            actor=manager.caller.actor,
            now=manager.now,
        )

    return await _do(manager, refund_id, act)


@router.post("/files", dependencies=[requires(Permission.REFUNDS_INSTRUCT)])
async def write_payment_file(
    manager: TheManager,
    file_id: Annotated[UUID, Form()],
    account_id: Annotated[UUID, Form()],
) -> Response:
    """Instruct what is approved of an account by one payment file."""
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await make_file(
                tx,
                manager.org_id,
                file_id,
                account_id=account_id,
                layout=LAYOUT,
                actor=manager.caller.actor,
                now=manager.now,
            )
    except HubError as error:
        return await _render(manager, errors={"": manager.present_error(error)})
    return manager.go("/refunds", done="refund_file_made")


@router.get("/files/{file_id}", dependencies=[requires(Permission.REFUNDS_INSTRUCT)])
async def download(manager: TheManager, file_id: UUID) -> Response:
    """Send a payment file: the same bytes each time."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        made = await queries.get_file(tx, manager.org_id, file_id)
    name = f"hoan-tien-{made.created_at:%Y%m%d}-{made.id.hex[-6:]}.xlsx"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(made.content, media_type=XLSX_TYPE, headers=headers)


async def _take(
    tx: AsyncSession,
    manager: ManagerContext,
    refund_id: UUID,
    step: Step,
    *,
    words: str | None = None,
    bank_reference: str | None = None,
) -> None:
    taken = StepTaken(
        step=step,
        words=words,
        bank_reference=bank_reference,
        may_decline=manager.may(Permission.REFUNDS_INSTRUCT),
        acts_for=acts_for(manager.caller),
    )
    await _take_step(tx, manager, refund_id, taken)


async def _take_step(
    tx: AsyncSession, manager: ManagerContext, refund_id: UUID, taken: StepTaken
) -> None:
    await take_step(
        tx, manager.org_id, refund_id, taken, actor=manager.caller.actor, now=manager.now
    )


async def _say(manager: ManagerContext, refund_id: UUID, step: Step, words: str) -> Response:
    """Take a step that needs a reason."""
    said = read_line(words, WORDS_MAX)
    if not said:
        return await _render(manager, errors={str(refund_id): manager.say("error.needed")})
    return await _do(manager, refund_id, lambda tx: _take(tx, manager, refund_id, step, words=said))


async def _do(
    manager: ManagerContext, refund_id: UUID, act: Callable[[AsyncSession], Awaitable[None]]
) -> Response:
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await act(tx)
    except HubError as error:
        return await _render(manager, errors={str(refund_id): manager.present_error(error)})
    return manager.go("/refunds", done="refund_changed")


async def _render(
    manager: ManagerContext,
    *,
    show: str = "open",
    before: str | None = None,
    errors: Errors | None = None,
) -> Response:
    show = show if show in SHOWN else "open"
    wanted = {"open": OPEN, "ended": frozenset(RefundStatus) - OPEN}.get(show)
    may_instruct = manager.may(Permission.REFUNDS_INSTRUCT)
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await queries.list_refunds(
            tx,
            manager.org_id,
            statuses=None if wanted is None else [one.value for one in wanted],
            to_review=show == "review",
            before_id=read_cursor(before),
            limit=PAGE_ROWS + 1,
        )
        waiting = await queries.list_to_instruct(tx, manager.org_id) if may_instruct else []
        files = (
            await queries.list_files(tx, manager.org_id, before_id=None, limit=FILES_SHOWN)
            if may_instruct
            else []
        )
    cursor = next_cursor(found, PAGE_ROWS)
    page = RefundsPage(
        rows=tuple(present_refund(manager, one) for one in found[:PAGE_ROWS]),
        show=show,
        shows=tuple((one, translate(manager.lang, f"refunds.show.{one}")) for one in SHOWN),
        older=manager.path("/refunds", show=show, before=cursor) if cursor else "",
        to_instruct=tuple(present_to_instruct(one) for one in waiting),
        files=tuple(present_file(manager, one) for one in files),
        file_id=new_id(),
        banks=list_banks_to_choose(),
        can_request=manager.may(Permission.REFUNDS_REQUEST),
        errors=errors or {},
    )
    return manager.render("refunds.html", page, here="refunds", status=422 if errors else 200)
