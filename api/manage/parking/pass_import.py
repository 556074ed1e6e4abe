"""Passes from a table that a manager pastes from a spreadsheet."""

import re
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.responses import Response

from api.http.deps import requires
from api.manage.forms import FormId, take_form
from api.manage.page_context import Errors, ManagerContext, TheManager
from api.manage.parking.pass_form import place_error, read_choices, say
from core.errors import HubError, InvalidRequest, Violation
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.passes.importing import CSV_CHARS_MAX, NEEDED, OPTIONAL, import_passes

router = APIRouter(prefix="/manage/passes/import", include_in_schema=False)

FORM_BYTES_MAX: Final = 4 * 1024 * 1024
ROW: Final = re.compile(r"rows\[(?P<row>\d+)\](?:\.(?P<column>\w+))?")
LOTS: Final = ("lot_id", "seller_lot_id")


@dataclass(frozen=True, kw_only=True)
class PassImportPage:
    """Everything templates/pass_import.html may use, already worded."""

    columns: tuple[tuple[str, str], ...]  # (name, what it holds)
    lots: tuple[tuple[str, str], ...]
    lot_id: str
    table: str
    faults: tuple[str, ...]
    errors: Errors


@router.get("", dependencies=[requires(Permission.PARKING_MANAGE)])
async def show_import(manager: TheManager) -> Response:
    """Show where a table is pasted."""
    return await _render(manager)


@router.post("", dependencies=[requires(Permission.PARKING_MANAGE)], max_body_size=FORM_BYTES_MAX)
async def take_table(
    manager: TheManager,
    table: Annotated[str, Form(max_length=CSV_CHARS_MAX)] = "",
    lot_id: Annotated[str, Form(max_length=40)] = "",
    form_id: FormId = None,
) -> Response:
    """Store all rows, or say which are wrong."""
    try:
        at = UUID(lot_id) if lot_id else None
    except ValueError:
        return await _render(manager, table, "", {"lot_id": say(manager, "wrong.lot_id")})
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            route, makes = "/manage/passes/import", new_id()
            if await take_form(tx, manager, route, form_id, table, lot_id, makes=makes) is None:
                await import_passes(
                    tx,
                    manager.org_id,
                    table,
                    lot_id=at,
                    actor=manager.caller.actor,
                    now=manager.now,
                )
    except InvalidRequest as error:
        faults = tuple(_say_fault(manager, one) for one in error.violations)
        return await _render(manager, table, lot_id, {"": say(manager, "import_wrong")}, faults)
    except HubError as error:
        return await _render(manager, table, lot_id, place_error(manager, error))
    return manager.go("/passes", done="passes_imported")


async def _render(
    manager: ManagerContext,
    table: str = "",
    lot_id: str = "",
    errors: Errors | None = None,
    faults: tuple[str, ...] = (),
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        choices = await read_choices(tx, manager)
    page = PassImportPage(
        columns=tuple(
            (name, say(manager, f"column.{name}"))
            for name in (*NEEDED, *OPTIONAL)
            if name not in LOTS
        ),
        lots=choices.lots,
        lot_id=lot_id,
        table=table,
        faults=faults,
        errors=errors or {},
    )
    return manager.render("pass_import.html", page, here="passes", status=422 if errors else 200)


def _say_fault(manager: ManagerContext, fault: Violation) -> str:
    """Say one fault with its row and column."""
    found = ROW.match(fault.field)
    if found is None:
        return fault.detail
    row, column = found["row"], found["column"]
    if column is None:
        return say(manager, "row_wrong", row=row, why=fault.detail)
    return say(manager, "cell_wrong", row=row, column=column)
