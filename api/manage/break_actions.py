"""Actions on the page of one break: its owner, notes, files, and decisions about its money."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, File, Form, UploadFile
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import ThePasswords, TheSignIns, requires
from api.manage.break_page import render_page
from api.manage.page_context import ManagerContext, TheManager, read_line
from core.errors import HubError
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from identity.people.service import confirm_alone
from payments.breaks import evidence, queries_evidence
from payments.breaks.rules import FILE_BYTES_MAX, FILE_NAME_CHARS_MAX, NOTE_CHARS_MAX, WORDS_MAX
from payments.breaks.service import set_owner
from payments.decisions import deciding, proposing, queries
from payments.decisions.models import BreakDecision
from payments.decisions.proposing import NewDecision
from payments.decisions.rules import Action, Target, needs_payee

router = APIRouter(prefix="/manage/breaks", include_in_schema=False)

FORM_BYTES_MAX: Final = FILE_BYTES_MAX + 64 * 1024  # with what lies around the file in the form
Text = Annotated[str, Form(max_length=8_000)]


@router.get("/{break_id}", dependencies=[requires(Permission.BREAKS_READ)])
async def show_break(manager: TheManager, break_id: UUID) -> Response:
    """Show a break with all that people put beside it."""
    return await render_page(manager, break_id)


@router.post("/{break_id}/owner", dependencies=[requires(Permission.BREAKS_RESOLVE)])
async def give(
    manager: TheManager,
    break_id: UUID,
    do: Annotated[str, Form(max_length=10)] = "",
    owner: Annotated[str, Form(max_length=36)] = "",
) -> Response:
    """Take a break, give it to somebody, or let it go."""
    is_taken = do == "take"
    owner_id = manager.caller.id if is_taken else UUID(owner) if _is_uuid(owner) else None

    async def act(tx: AsyncSession) -> None:
        await set_owner(
            tx,
            manager.org_id,
            break_id,
            owner_id=owner_id,
            is_taken_free=is_taken,
            actor=manager.caller.actor,
            now=manager.now,
        )

    return await _do(manager, break_id, act)


@router.post("/{break_id}/notes", dependencies=[requires(Permission.BREAKS_RESOLVE)])
async def add_note(
    manager: TheManager, break_id: UUID, id_: Annotated[UUID, Form(alias="id")], words: Text = ""
) -> Response:
    """Write a note."""
    said = read_line(words, NOTE_CHARS_MAX)
    if not said:
        return await render_page(manager, break_id, errors={"note": manager.say("error.needed")})

    async def act(tx: AsyncSession) -> None:
        await evidence.add_note(
            tx,
            manager.org_id,
            break_id,
            note_id=id_,
            words=said,
            actor=manager.caller.actor,
            now=manager.now,
        )

    return await _do(manager, break_id, act)


@router.post(
    "/{break_id}/files",
    dependencies=[requires(Permission.BREAKS_RESOLVE)],
    max_body_size=FORM_BYTES_MAX,
)
async def add_file(
    manager: TheManager,
    break_id: UUID,
    id_: Annotated[UUID, Form(alias="id")],
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Put a file beside it."""
    content = b"" if file is None else await file.read(FILE_BYTES_MAX + 1)
    name = read_line((file.filename if file is not None else "") or "", FILE_NAME_CHARS_MAX)

    async def act(tx: AsyncSession) -> None:
        await evidence.add_file(
            tx,
            manager.org_id,
            break_id,
            file_id=id_,
            file_name=name or "tep",
            content=content,
            actor=manager.caller.actor,
            now=manager.now,
        )

    return await _do(manager, break_id, act, field="file")


@router.get("/{break_id}/files/{file_id}", dependencies=[requires(Permission.BREAKS_READ)])
async def download(manager: TheManager, break_id: UUID, file_id: UUID) -> Response:
    """Download a file; the browser saves it and shows nothing of it."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        file = await queries_evidence.get_file(tx, manager.org_id, break_id, file_id)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.file_name, safe='')}",
        "Content-Security-Policy": "sandbox",
        "Cache-Control": "no-store",
    }
    return Response(file.content, media_type=file.content_type, headers=headers)


@router.post("/{break_id}/decisions", dependencies=[requires(Permission.BREAKS_RESOLVE)])
async def propose(
    manager: TheManager,
    break_id: UUID,
    id_: Annotated[UUID, Form(alias="id")],
    amount_vnd: Annotated[int, Form(ge=1)],
    choice: Annotated[str, Form(max_length=40)] = "",
    payee_id: Annotated[str, Form(max_length=36)] = "",
    reason: Text = "",
) -> Response:
    """Propose what becomes of the money; the choice is a write-off, or where it belongs."""
    said = read_line(reason, WORDS_MAX)
    target = Target(choice) if choice in set(Target) else None
    payee = UUID(payee_id) if _is_uuid(payee_id) and target and needs_payee(target) else None
    if not said or (target is None and choice != Action.WRITE_OFF):
        return await render_page(manager, break_id, errors={"reason": manager.say("error.needed")})
    if target is not None and needs_payee(target) and payee is None:
        problem = manager.say("error.payee_needed")
        return await render_page(manager, break_id, errors={"reason": problem})
    new = NewDecision(
        id=id_,
        action=Action.WRITE_OFF if target is None else Action.CORRECT,
        amount_vnd=amount_vnd,
        reason=said,
        target=target,
        payee_id=payee,
    )

    async def act(tx: AsyncSession) -> None:
        await proposing.propose(
            tx, manager.org_id, break_id, new, actor=manager.caller.actor, now=manager.now
        )

    return await _do(manager, break_id, act, done="break_proposed")


@router.post(
    "/{break_id}/decisions/{decision_id}/approve",
    dependencies=[requires(Permission.BREAKS_APPROVE)],
)
async def approve(
    manager: TheManager,
    break_id: UUID,
    decision_id: UUID,
    sign_ins: TheSignIns,
    passwords: ThePasswords,
    password: Text = "",
) -> Response:
    """Approve as a second person; alone in an organisation, with the password again.

    Raises:
        TooManyRequests: the password is tried too often.
    """
    if password:
        sign_ins.by_login.take(f"password {manager.caller.id}")

    async def act(tx: AsyncSession) -> None:
        found = await queries.get_decision(tx, manager.org_id, decision_id)
        is_alone = bool(password) and await confirm_alone(
            tx, manager.caller, passwords=passwords, present=password, since=found.proposed_at
        )
        await deciding.approve(
            tx,
            manager.org_id,
            decision_id,
            is_alone=is_alone,
            actor=manager.caller.actor,
            now=manager.now,
        )

    return await _do(manager, break_id, act, field=str(decision_id))


@router.post(
    "/{break_id}/decisions/{decision_id}/refuse", dependencies=[requires(Permission.BREAKS_APPROVE)]
)
async def refuse(
    manager: TheManager, break_id: UUID, decision_id: UUID, reason: Text = ""
) -> Response:
    """Refuse what was proposed, and say why."""
    return await _say(manager, break_id, decision_id, reason, deciding.refuse)


@router.post(
    "/{break_id}/decisions/{decision_id}/withdraw",
    dependencies=[requires(Permission.BREAKS_RESOLVE)],
)
async def withdraw(
    manager: TheManager, break_id: UUID, decision_id: UUID, reason: Text = ""
) -> Response:
    """Take back what one proposed, and say why."""
    return await _say(manager, break_id, decision_id, reason, deciding.withdraw)


@router.post(
    "/{break_id}/decisions/{decision_id}/undo", dependencies=[requires(Permission.BREAKS_RESOLVE)]
)
async def undo(
    manager: TheManager,
    break_id: UUID,
    decision_id: UUID,
    id_: Annotated[UUID, Form(alias="id")],
    reason: Text = "",
) -> Response:
    """Propose to undo what was decided, and say why."""
    said = read_line(reason, WORDS_MAX)
    if not said:
        needed = {str(decision_id): manager.say("error.needed")}
        return await render_page(manager, break_id, errors=needed)

    async def act(tx: AsyncSession) -> None:
        await proposing.propose_undo(
            tx,
            manager.org_id,
            decision_id,
            id_=id_,
            reason=said,
            actor=manager.caller.actor,
            now=manager.now,
        )

    return await _do(manager, break_id, act, field=str(decision_id), done="break_proposed")


@router.post(
    "/{break_id}/decisions/{decision_id}/review", dependencies=[requires(Permission.BREAKS_APPROVE)]
)
async def review(manager: TheManager, break_id: UUID, decision_id: UUID) -> Response:
    """Write that one looked at what somebody decided alone."""

    async def act(tx: AsyncSession) -> None:
        await deciding.review(
            tx, manager.org_id, decision_id, actor=manager.caller.actor, now=manager.now
        )

    return await _do(manager, break_id, act, field=str(decision_id))


async def _say(
    manager: ManagerContext,
    break_id: UUID,
    decision_id: UUID,
    reason: str,
    turn_down: Callable[..., Awaitable[BreakDecision]],
) -> Response:
    """Refuse or withdraw a decision, which needs a reason."""
    said = read_line(reason, WORDS_MAX)
    if not said:
        needed = {str(decision_id): manager.say("error.needed")}
        return await render_page(manager, break_id, errors=needed)

    async def act(tx: AsyncSession) -> None:
        await turn_down(
            tx,
            manager.org_id,
            decision_id,
            words=said,
            actor=manager.caller.actor,
            now=manager.now,
        )

    return await _do(manager, break_id, act, field=str(decision_id))


async def _do(
    manager: ManagerContext,
    break_id: UUID,
    act: Callable[[AsyncSession], Awaitable[None]],
    *,
    field: str = "",
    done: str = "break_changed",
) -> Response:
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await act(tx)
    except HubError as error:
        problem = {field: manager.present_error(error)}
        return await render_page(manager, break_id, errors=problem)
    return manager.go(f"/breaks/{break_id}", done=done)


def _is_uuid(typed: str) -> bool:
    try:
        UUID(typed)
    except ValueError:
        return False
    return True
