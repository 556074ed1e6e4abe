"""Saved mappings: which columns each account's files have, and a way to forget one."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.finance.page_context import Before, TheFinance
from api.finance.statement_words import say_meaning
from api.http.deps import requires
from api.http.paging import next_cursor, read_cursor
from api.pages.staff_context import PAGE_ROWS
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.payees.views import name_accounts
from payments.statements import mappings, queries_mappings
from payments.statements.errors import StatementMappingNotFound
from payments.statements.reading.cells import name_column

router = APIRouter(prefix="/finance/mappings", include_in_schema=False)


@dataclass(frozen=True, kw_only=True)
class MappingRow:
    """One saved mapping, already worded."""

    id: UUID
    account: str
    columns: tuple[tuple[str, str, str], ...]  # letter, heading, what it is
    saved: str


@dataclass(frozen=True, kw_only=True)
class MappingsPage:
    """Everything templates/statement_mappings.html may use, already worded."""

    rows: tuple[MappingRow, ...]
    older: str
    can_remove: bool


@router.get("", dependencies=[requires(Permission.LEDGER_READ)])
async def show_mappings(finance: TheFinance, before: Before = None) -> Response:
    """List saved mappings, newest first."""
    async with open_org_transaction(finance.database, finance.org_id) as tx:
        found = await queries_mappings.list_mappings(
            tx,
            finance.org_id,
            account_id=None,
            before_id=read_cursor(before),
            limit=PAGE_ROWS + 1,
        )
        named = await name_accounts(tx, finance.org_id, {one.receiving_account_id for one in found})
    cursor = next_cursor(found, PAGE_ROWS)
    page = MappingsPage(
        rows=tuple(
            MappingRow(
                id=one.id,
                account=finance.name_account(named[one.receiving_account_id]),
                columns=tuple(
                    (
                        name_column(index),
                        one.headings[index] if index < len(one.headings) else "",
                        say_meaning(finance, meaning),
                    )
                    for index, meaning in sorted(
                        (int(name), meaning) for name, meaning in one.columns.items()
                    )
                ),
                saved=finance.present_instant(one.changed_at),
            )
            for one in found[:PAGE_ROWS]
        ),
        older=finance.path("/mappings", before=cursor) if cursor else "",
        can_remove=finance.may(Permission.STATEMENTS_IMPORT),
    )
    return finance.render("statement_mappings.html", page, here="statements")


@router.post("/{mapping_id}/remove", dependencies=[requires(Permission.STATEMENTS_IMPORT)])
async def remove(finance: TheFinance, mapping_id: UUID) -> Response:
    """Forget a mapping; one that is gone already is fine."""
    try:
        async with open_org_transaction(finance.database, finance.org_id) as tx:
            await mappings.remove_mapping(
                tx, finance.org_id, mapping_id, actor=finance.caller.actor, now=finance.now
            )
    except StatementMappingNotFound:
        pass
    return finance.redirect("/mappings", done="mapping_removed")
