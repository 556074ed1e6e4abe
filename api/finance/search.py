"""The search: one box, and what it found, kind by kind."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.finance.page_context import FinanceContext, TheFinance
from api.http.deps import TheLimits, requires
from api.http.i18n import translate, words_in
from api.pages.staff_context import MANAGE
from city.search.rules import NEEDS, QUERY_CHARS_MAX, FoundKind, read_query
from city.search.views import Found, FoundOfKind, search
from core.clock import HANOI
from identity.people.rules import Permission

router = APIRouter(prefix="/finance/search", include_in_schema=False)


@dataclass(frozen=True, kw_only=True)
class FoundRow:
    """One thing that was found, already worded."""

    when: str
    reference: str
    words: str
    name: str
    amount_vnd: int | None
    is_out: bool
    status: str
    path: str  # "" where no page shows it


@dataclass(frozen=True, kw_only=True)
class FoundGroup:
    """What was found of one kind."""

    title: str
    rows: tuple[FoundRow, ...]
    has_more: bool
    is_cut: bool


@dataclass(frozen=True, kw_only=True)
class SearchPage:
    """Everything templates/finance_search.html may use, already worded."""

    q: str
    chars_max: int
    is_asked: bool
    groups: tuple[FoundGroup, ...]


@router.get("", dependencies=[requires(Permission.LEDGER_READ)])
async def show_search(
    finance: TheFinance,
    limits: TheLimits,
    q: Annotated[str, Query(max_length=QUERY_CHARS_MAX)] = "",
) -> Response:
    """Look for what was typed."""
    wanted = read_query(q)
    found: list[FoundOfKind] = []
    if not wanted.is_empty:
        limits.searches.take(str(finance.caller.id))
        found = await search(
            finance.database,
            finance.org_id,
            wanted,
            [kind for kind, permission in NEEDS.items() if finance.may(permission)],
            sees_plates=finance.may(Permission.PARKING_MANAGE),
        )
    page = SearchPage(
        q=q,
        chars_max=QUERY_CHARS_MAX,
        is_asked=not wanted.is_empty,
        groups=tuple(_present_group(finance, one) for one in found if one.rows or one.is_cut),
    )
    return finance.render("finance_search.html", page, here="search")


def _present_group(finance: FinanceContext, found: FoundOfKind) -> FoundGroup:
    return FoundGroup(
        title=translate(finance.lang, f"finance_search.kind.{found.kind.value}"),
        rows=tuple(_present_row(finance, one) for one in found.rows),
        has_more=found.has_more,
        is_cut=found.is_cut,
    )


def _present_row(finance: FinanceContext, one: Found) -> FoundRow:
    is_line = one.kind is FoundKind.STATEMENT_LINE
    local = one.at.astimezone(HANOI)
    return FoundRow(
        when=f"{local:%d/%m/%Y}" if is_line else f"{local:%H:%M · %d/%m/%Y}",
        reference=one.reference,
        words=one.words,
        name=one.name,
        amount_vnd=one.amount_vnd,
        is_out=one.is_out,
        status=_say_status(finance, one),
        path=_path_of(finance, one),
    )


def _say_status(finance: FinanceContext, one: Found) -> str:
    tables = {
        FoundKind.BILL: "parts.state",
        FoundKind.PARKING_SESSION: "stays.state",
        FoundKind.REFUND: "refunds.status",
    }
    key = f"{tables.get(one.kind, '')}.{one.status}"
    return translate(finance.lang, key) if key in words_in("vi").texts else one.status


def _path_of(finance: FinanceContext, one: Found) -> str:
    if one.kind is FoundKind.STATEMENT_LINE and one.line_no is not None:
        path = finance.path(f"/statements/{one.statement_id}", after=one.line_no - 1)
        return f"{path}#line-{one.line_no}"
    if one.kind is FoundKind.PARKING_SESSION:
        return finance.address(MANAGE, f"/stays/{one.id}")
    if one.kind is FoundKind.REFUND:
        return finance.address(MANAGE, "/refunds", show="all")
    return ""
