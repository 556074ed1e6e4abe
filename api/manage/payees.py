"""The payees of an organisation: add them, say where they stand, close them."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from api.http.deps import requires
from api.http.paging import next_cursor, read_cursor
from api.manage.forms import FormId, take_form
from api.manage.page_context import PAGE_ROWS, Errors, ManagerContext, TheManager, read_line
from core.ids import new_id
from core.masking import mask_tail
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.payees.models import Payee
from payments.payees.queries import find_routes, list_payees_page
from payments.payees.rules import PayeeRoute
from payments.payees.service import add_payee, close_payee
from payments.vietqr.banks import name_bank

router = APIRouter(prefix="/manage/payees", include_in_schema=False)


@dataclass(frozen=True, kw_only=True)
class PayeeRow:
    """One payee."""

    id: UUID
    name: str
    place: str
    account: str  # "Vietcombank …6789"; "" while it cannot be paid
    is_closed: bool
    counter_path: str
    account_path: str  # to propose one


@dataclass(frozen=True, kw_only=True)
class PayeesPage:
    """Everything templates/manage_payees.html may use, already worded."""

    payees: tuple[PayeeRow, ...]
    can_manage: bool
    with_closed: bool
    older: str  # the address of the next page, "" on the last
    form: dict[str, str]
    errors: Errors


@router.get("", dependencies=[requires(Permission.PAYEES_READ)])
async def show_payees(
    manager: TheManager,
    closed: Annotated[str, Query(max_length=3)] = "",
    before: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """List the payees, newest first."""
    return await _render(manager, with_closed=closed == "yes", before=before)


@router.post("", dependencies=[requires(Permission.PAYEES_MANAGE)])
async def add(
    manager: TheManager,
    name: Annotated[str, Form(max_length=500)] = "",
    place: Annotated[str, Form(max_length=500)] = "",
    form_id: FormId = None,
) -> Response:
    """Add a payee; it can be paid once it has an account in force."""
    form = {"name": read_line(name), "place": read_line(place)}
    if not form["name"]:
        return await _render(manager, form=form, errors={"name": manager.say("error.needed")})
    payee_id = new_id()
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        first = await take_form(
            tx, manager, "/manage/payees", form_id, *form.values(), makes=payee_id
        )
        if first is None:
            await add_payee(
                tx,
                manager.org_id,
                id_=payee_id,
                **form,
                actor=manager.caller.actor,
                now=manager.now,
            )
    return manager.go("/payees", done="payee_added")


@router.post("/{payee_id}/close", dependencies=[requires(Permission.PAYEES_MANAGE)])
async def close(
    manager: TheManager, payee_id: UUID, reason: Annotated[str, Form(max_length=500)] = ""
) -> Response:
    """Close a payee: no new bills; money that still comes is recorded."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        await close_payee(
            tx,
            manager.org_id,
            payee_id,
            actor=manager.caller.actor,
            reason=read_line(reason) or None,
            now=manager.now,
        )
    return manager.go("/payees", done="payee_closed")


async def _render(
    manager: ManagerContext,
    *,
    with_closed: bool = False,
    before: str | None = None,
    form: dict[str, str] | None = None,
    errors: Errors | None = None,
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await list_payees_page(
            tx,
            manager.org_id,
            before_id=read_cursor(before),
            with_closed=with_closed,
            limit=PAGE_ROWS + 1,
        )
        routes = await find_routes(tx, manager.org_id, [one.id for one in found])
    cursor = next_cursor(found, PAGE_ROWS)
    page = PayeesPage(
        payees=tuple(_present_row(manager, one, routes.get(one.id)) for one in found[:PAGE_ROWS]),
        can_manage=manager.may(Permission.PAYEES_MANAGE),
        with_closed=with_closed,
        older=manager.path("/payees", closed="yes" if with_closed else "", before=cursor)
        if cursor
        else "",
        form=form or {"name": "", "place": ""},
        errors=errors or {},
    )
    return manager.render("manage_payees.html", page, here="payees", status=422 if errors else 200)


def _present_row(manager: ManagerContext, payee: Payee, route: PayeeRoute | None) -> PayeeRow:
    account = "" if route is None else f"{name_bank(route.bin)} {mask_tail(route.code_account)}"
    counter = manager.counter_path
    return PayeeRow(
        id=payee.id,
        name=payee.name,
        place=payee.place,
        account=account,
        is_closed=payee.closed_at is not None,
        counter_path=f"{counter}{'&' if '?' in counter else '?'}payee={payee.id}",
        account_path=manager.path("/accounts", payee=payee.id),
    )
