"""The audit log: who changed what, from what to what, and why. Read only."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.auth.rules import Permission
from api.deps import requires
from api.schemas.pages import next_cursor, read_cursor
from api.screens.manage_frame import PAGE_ROWS, Desk, TheDesk, read_line
from core.audit import AuditRow
from core.clock import day_bounds
from core.db import open_org_transaction
from core.money import format_vnd

router = APIRouter(prefix="/manage/audit", include_in_schema=False)

CHANGES_OF_ONE_MAX: Final = 100
FACT_CHARS_MAX: Final = 200
# What can be filtered for; the words are in [object] of locales/*/manage.toml.
OBJECT_KINDS: Final = (
    "account_link",
    "api_key",
    "bill",
    "break",
    "credit",
    "endpoint",
    "organisation",
    "payee",
    "staff",
    "staff_session",
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One row of the audit log, already worded."""

    when: str
    who: str
    what: str  # "Duyệt tài khoản"
    about: str  # "Tài khoản nhận"
    facts: tuple[tuple[str, str, str], ...]  # (name, before, after)
    reason: str
    request_id: str


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    """Everything templates/manage_audit.html may use, already worded."""

    changes: tuple[Change, ...]
    kinds: tuple[tuple[str, str], ...]
    kind: str
    who: str
    day: str
    older: str
    is_filtered: bool


@router.get("", dependencies=[requires(Permission.AUDIT_READ)])
async def show_audit(
    desk: TheDesk,
    kind: Annotated[str, Query(max_length=20)] = "",
    who: Annotated[str, Query(max_length=120)] = "",
    day: Annotated[str, Query(max_length=10)] = "",
    before: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """List the changes, newest first; every filter that is given must hold."""
    query = select(AuditRow).where(AuditRow.org_id == desk.org_id)
    if kind in OBJECT_KINDS:
        query = query.where(AuditRow.object_kind == kind)
    if who := read_line(who):
        query = query.where(AuditRow.actor_name.icontains(who, autoescape=True))
    if bounds := _read_day(day):
        query = query.where(AuditRow.recorded_at >= bounds[0], AuditRow.recorded_at < bounds[1])
    if before_id := read_cursor(before):
        query = query.where(AuditRow.id < before_id)
    async with open_org_transaction(desk.sessions, desk.org_id) as tx:
        rows = (await tx.scalars(query.order_by(AuditRow.id.desc()).limit(PAGE_ROWS + 1))).all()
    cursor = next_cursor(rows, PAGE_ROWS)
    page = AuditPage(
        changes=tuple(_word_change(desk, row) for row in rows[:PAGE_ROWS]),
        kinds=(
            ("", desk.say("audit.all_kinds")),
            *((one, desk.word("object", one)) for one in OBJECT_KINDS),
        ),
        kind=kind,
        who=who,
        day=day if bounds else "",
        older=desk.path("/audit", kind=kind, who=who, day=day, before=cursor) if cursor else "",
        is_filtered=bool(kind or who or bounds),
    )
    return desk.render("manage_audit.html", page, here="audit")


async def list_changes_of(
    tx: AsyncSession, desk: Desk, object_kind: str, object_id: UUID
) -> tuple[Change, ...]:
    """List what happened to one thing, newest first, for who may read the audit log."""
    if not desk.may(Permission.AUDIT_READ):
        return ()
    query = (
        select(AuditRow)
        .filter_by(org_id=desk.org_id, object_kind=object_kind, object_id=object_id)
        .order_by(AuditRow.id.desc())
        .limit(CHANGES_OF_ONE_MAX)
    )
    return tuple(_word_change(desk, row) for row in await tx.scalars(query))


def _word_change(desk: Desk, row: AuditRow) -> Change:
    before, after = row.before or {}, row.after or {}
    names = [*before, *(name for name in after if name not in before)]
    return Change(
        when=desk.word_instant(row.recorded_at),
        who=row.actor_name,
        what=desk.word("action", row.action),
        about=desk.word("object", row.object_kind),
        facts=tuple(
            (
                desk.word("fact", name),
                _word_fact(desk, name, before.get(name)),
                _word_fact(desk, name, after.get(name)),
            )
            for name in names
            if before.get(name) != after.get(name) and not name.endswith("_id")
        ),
        reason=row.reason or "",
        request_id=row.request_id,
    )


def _word_fact(desk: Desk, name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return desk.say("fact.yes" if value else "fact.no")
    if isinstance(value, int) and name.endswith("_vnd"):
        return format_vnd(value)
    words = value if isinstance(value, list) else [value]
    group = {"status": "account.state", "roles": "role", "provider": "provider"}.get(name, "scope")
    return ", ".join(desk.word(group, str(word)) for word in words)[:FACT_CHARS_MAX]


def _read_day(day: str) -> tuple[Any, Any] | None:
    try:
        return day_bounds(date.fromisoformat(day))
    except (ValueError, OverflowError):
        return None
