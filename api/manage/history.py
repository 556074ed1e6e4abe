"""Pages of the audit log: who changed what, from what to what, and why. Read only."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import requires
from api.http.i18n import translate
from api.http.paging import next_cursor, read_cursor
from api.manage.page_context import PAGE_ROWS, ManagerContext, TheManager, read_line
from api.pages.reasons import present_fact
from core.audit import AuditRow, list_changes
from core.clock import day_bounds
from core.money import format_vnd
from core.tenancy import open_org_transaction
from identity.people.rules import Permission

router = APIRouter(prefix="/manage/audit", include_in_schema=False)

CHANGES_OF_ONE_MAX: Final = 100
FACT_CHARS_MAX: Final = 200
# Facts that are codes → the table of manage.toml with their words.
GROUP_OF_FACT: Final = {
    "status": "account.state",
    "roles": "role",
    "provider": "provider",
    "verdict": "outcome",
    "rail": "account.rail",
    "decision": "review_decision",
    "proof": "proof",
    "action": "break_action",
    "debit": "ledger_account",
    "credit": "ledger_account",
}
# What can be filtered for; the words are in [object] of api/manage/words/*/manage.toml.
OBJECT_KINDS: Final = (
    "account_link",
    "api_key",
    "bill",
    "break",
    "callback_endpoint",
    "collection",
    "complaint",
    "credit",
    "device",
    "device_enrolment",
    "ledger_day",
    "statement",
    "statement_line",
    "statement_mapping",
    "lot",
    "movement",
    "organisation",
    "opening_balance",
    "outage",
    "parking_access",
    "parking_operator",
    "parking_session",
    "pass",
    "payee",
    "refund",
    "refund_file",
    "settlement",
    "settlement_run",
    "shift",
    "sign_in",
    "staff",
    "tariff",
    "tax_export",
    "ticket_book",
    "receiving_account",
    "recount",
    "toll_charge",
    "toll_contract",
    "webhook_endpoint",
    "watched_plate",
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
    manager: TheManager,
    kind: Annotated[str, Query(max_length=20)] = "",
    who: Annotated[str, Query(max_length=120)] = "",
    day: Annotated[str, Query(max_length=10)] = "",
    before: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """List the changes, newest first; every filter that is given must hold."""
    who, bounds = read_line(who), _read_day(day)
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        rows = await list_changes(
            tx,
            manager.org_id,
            object_kind=kind if kind in OBJECT_KINDS else None,
            actor_name=who,
            between=bounds,
            before_id=read_cursor(before),
            limit=PAGE_ROWS + 1,
        )
    cursor = next_cursor(rows, PAGE_ROWS)
    page = AuditPage(
        changes=tuple(_present_change(manager, row) for row in rows[:PAGE_ROWS]),
        kinds=(
            ("", manager.say("audit.all_kinds")),
            *((one, manager.word("object", one)) for one in OBJECT_KINDS),
        ),
        kind=kind,
        who=who,
        day=day if bounds else "",
        older=manager.path("/audit", kind=kind, who=who, day=day, before=cursor) if cursor else "",
        is_filtered=bool(kind or who or bounds),
    )
    return manager.render("manage_audit.html", page, here="audit")


async def list_changes_of(
    tx: AsyncSession, manager: ManagerContext, object_kind: str, object_id: UUID
) -> tuple[Change, ...]:
    """List what happened to one thing, newest first, for who may read the audit log."""
    if not manager.may(Permission.AUDIT_READ):
        return ()
    rows = await list_changes(
        tx,
        manager.org_id,
        object_kind=object_kind,
        object_id=object_id,
        limit=CHANGES_OF_ONE_MAX,
    )
    return tuple(_present_change(manager, row) for row in rows)


def _present_change(manager: ManagerContext, row: AuditRow) -> Change:
    before, after = row.before or {}, row.after or {}
    names = [*before, *(name for name in after if name not in before)]
    return Change(
        when=manager.present_instant(row.recorded_at),
        who=row.actor_name,
        what=manager.word("action", row.action),
        about=manager.word("object", row.object_kind),
        facts=tuple(
            (
                manager.word("fact", name),
                _present_fact(manager, row.object_kind, name, before.get(name)),
                _present_fact(manager, row.object_kind, name, after.get(name)),
            )
            for name in names
            if before.get(name) != after.get(name) and not name.endswith("_id")
        ),
        reason=row.reason or "",
        request_id=row.request_id,
    )


def _present_fact(manager: ManagerContext, kind: str, name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):  # what a payment paid: bill → đồng
        return " + ".join(format_vnd(amount_vnd) for amount_vnd in value.values())
    if isinstance(value, bool):
        return manager.say("fact.yes" if value else "fact.no")
    if isinstance(value, int) and name.endswith("_vnd"):
        return format_vnd(value)
    if kind == "bill" and name == "status":
        return present_fact(manager.lang, "bill_status", value)
    if name.endswith(("_at", "_until")):
        return manager.present_instant(datetime.fromisoformat(value))
    if kind == "complaint" and name in ("category", "outcome"):
        return translate(manager.lang, f"complaints.{name}.{value}")
    if name in ("rule", "resolution"):
        return present_fact(manager.lang, name, value)[:FACT_CHARS_MAX]
    words = value if isinstance(value, list) else [value]
    group = GROUP_OF_FACT.get(name, "scope")
    return ", ".join(manager.word(group, str(word)) for word in words)[:FACT_CHARS_MAX]


def _read_day(day: str) -> tuple[datetime, datetime] | None:
    try:
        return day_bounds(date.fromisoformat(day))
    except (ValueError, OverflowError):
        return None
