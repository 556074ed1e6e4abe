"""Log of notices: every message at an endpoint, accepted or not, and what became of it."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.http.deps import requires
from api.http.paging import read_cursor, write_cursor
from api.manage.page_context import PAGE_ROWS, ManagerContext, TheManager
from api.pages.reasons import present_refusal
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.callbacks import views
from payments.callbacks.errors import NoticeNotFound
from payments.callbacks.message_text import show_message
from payments.callbacks.views import NoticeView
from payments.connections import queries

router = APIRouter(prefix="/manage/endpoints/{endpoint_id}/notices", include_in_schema=False)

READ_MAX: Final = 300  # looked through for one page of a filter
SHOWS: Final = ("all", "good", "attention", "refused", "waiting")


@dataclass(frozen=True, kw_only=True)
class NoticeRow:
    """One message, already worded."""

    id: UUID
    path: str
    when: str
    tone: str
    icon: str
    word: str  # the outcome or the refusal in plain words
    next_step: str
    detail: str
    skew: str
    attempts: int
    body_bytes: int
    was_pulled: bool  # the hub polled, nobody called


@dataclass(frozen=True, kw_only=True)
class NoticesPage:
    """Everything templates/manage_notices.html may use, already worded."""

    name: str
    endpoint_path: str
    rows: tuple[NoticeRow, ...]
    show: str
    shows: tuple[tuple[str, str], ...]
    older: str


@dataclass(frozen=True, kw_only=True)
class NoticePage:
    """Everything templates/manage_notice.html may use, already worded."""

    name: str
    row: NoticeRow
    body: str  # account numbers by their ends, no signatures: for everybody
    log_path: str


@router.get("", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_READ)])
async def show_notices(
    manager: TheManager,
    endpoint_id: UUID,
    show: Annotated[str, Query(max_length=10)] = "all",
    before: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """List the messages, newest first."""
    show = show if show in SHOWS else "all"
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        endpoint = await queries.get_endpoint(tx, manager.org_id, endpoint_id)
        found = await views.list_notices(
            tx, manager.org_id, endpoint_id, before_id=read_cursor(before), limit=READ_MAX
        )
    fitting = [one for one in found if show in ("all", class_of(one))]
    shown = fitting[:PAGE_ROWS]
    has_more = len(fitting) > PAGE_ROWS or len(found) == READ_MAX
    last = shown[-1] if len(fitting) > PAGE_ROWS else found[-1] if found else None
    base = f"/endpoints/{endpoint_id}/notices"
    page = NoticesPage(
        name=endpoint.name,
        endpoint_path=manager.path(f"/endpoints/{endpoint_id}"),
        rows=tuple(present_notice(manager, endpoint_id, one) for one in shown),
        show=show,
        shows=tuple((one, manager.say(f"notice.show.{one}")) for one in SHOWS),
        older=manager.path(base, show=show, before=write_cursor(last.id))
        if has_more and last
        else "",
    )
    return manager.render("manage_notices.html", page, here="endpoints")


@router.get("/{notice_id}", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_READ)])
async def show_notice(manager: TheManager, endpoint_id: UUID, notice_id: UUID) -> Response:
    """Show what a message said, with account numbers and signatures hidden.

    Raises:
        CallbackEndpointNotFound, NoticeNotFound
    """
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        endpoint = await queries.get_endpoint(tx, manager.org_id, endpoint_id)
        # Ids of time: the one just above it is where a list begins that starts with it.
        above = UUID(int=min(notice_id.int + 1, (1 << 128) - 1))
        found = await views.list_notices(tx, manager.org_id, endpoint_id, before_id=above, limit=1)
        body = await views.find_body(tx, manager.org_id, endpoint_id, notice_id)
    if body is None or not found or found[0].id != notice_id:
        raise NoticeNotFound(notice_id)
    page = NoticePage(
        name=endpoint.name,
        row=present_notice(manager, endpoint_id, found[0]),
        body=show_message(body),
        log_path=manager.path(f"/endpoints/{endpoint_id}/notices"),
    )
    return manager.render("manage_notice.html", page, here="endpoints")


def class_of(one: NoticeView) -> str:
    """Return which filter a message belongs to: good, attention, refused or waiting."""
    if not one.is_accepted:
        return "refused"
    if one.handled_at is None:
        return "waiting"
    return "good" if one.outcome is not None and one.outcome.is_good else "attention"


def present_notice(manager: ManagerContext, endpoint_id: UUID, one: NoticeView) -> NoticeRow:
    """Say what a message was and what to do about it."""
    tone, icon = {
        "refused": ("bad", "cross"),
        "waiting": ("plain", "clock"),
        "good": ("good", "check"),
        "attention": ("attention", "warning"),
    }[class_of(one)]
    if one.is_accepted:
        group, name = "outcome", one.outcome or "waiting"
    else:
        group, name = "refusal", one.refusal or ""
    return NoticeRow(
        id=one.id,
        path=manager.path(f"/endpoints/{endpoint_id}/notices/{one.id}"),
        when=manager.present_instant(one.received_at),
        tone=tone,
        icon=icon,
        word=manager.word(group, name),
        next_step=manager.word(f"{group}_next", name, "") if tone != "good" else "",
        detail=present_refusal(manager.lang, one.detail) if one.detail else "",
        skew="" if one.skew_s is None else manager.say("notice.skew", seconds=one.skew_s),
        attempts=one.attempts,
        body_bytes=one.body_bytes,
        was_pulled=one.source != "callback",
    )
