"""The people of an organisation: who signs in, what they may do, and new passwords."""

import secrets
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.responses import Response

from api.http.deps import TheHooks, ThePasswords, requires
from api.manage.forms import FormId, take_form
from api.manage.page_context import Before, Find, ManagerContext, Secret, TheManager, read_line
from api.manage.staff_form import (
    FORM_ERRORS,
    StaffForm,
    find_mistakes,
    place_error,
    read_chosen,
    read_roles,
    read_scopes,
)
from api.manage.staff_pages import draw_list, draw_one
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people import queries, service
from identity.people.hooks import Hooks
from identity.people.losses import finish_loss
from identity.people.rules import SCOPES_MAX, Permission, Role
from identity.people.service import Granter, StaffChange

router = APIRouter(prefix="/manage/staff", include_in_schema=False)

# Read aloud or written on paper, so without letters that look alike; 14 of 31 are 69 bits.
PASSWORD_LETTERS: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # noqa: S105
PASSWORD_GROUPS: Final = (5, 4, 5)
Places = Annotated[list[str] | None, Form(max_length=SCOPES_MAX)]


@router.get("", dependencies=[requires(Permission.STAFF_READ)])
async def show_staff(
    manager: TheManager, find: Find = "", who: Find = "", before: Before = None
) -> Response:
    """List the people of the organisation, newest first; `find` is for the stalls of the form."""
    return await draw_list(manager, StaffForm(), {}, find=find, who=who, before=before)


@router.post("", dependencies=[requires(Permission.STAFF_MANAGE)])
async def add(
    manager: TheManager,
    passwords: ThePasswords,
    hooks: TheHooks,
    name: Annotated[str, Form(max_length=500)] = "",
    login: Annotated[str, Form(max_length=200)] = "",
    roles: Annotated[list[str] | None, Form(max_length=len(Role))] = None,
    payee: Places = None,
    lot: Places = None,
    form_id: FormId = None,
) -> Response:
    """Let somebody sign in, with a password that is shown once."""
    form = StaffForm(
        name=read_line(name),
        login=login,
        roles=tuple(roles or ()),
        payees=read_chosen(payee),
        lots=read_chosen(lot),
    )
    errors = find_mistakes(manager, form)
    if not form.login.strip():
        errors["login"] = manager.say("error.needed")
    if errors:
        return await draw_list(manager, form, errors)
    password, person_id = make_password(), new_id()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            first = await take_form(tx, manager, "/manage/staff", form_id, form, makes=person_id)
            if first is not None:
                return manager.go(f"/staff/{first}", done="staff_made_before")
            person = await service.add_staff(
                tx,
                manager.org_id,
                id_=person_id,
                granter=Granter.of(manager.caller),
                passwords=passwords,
                login=form.login,
                display_name=form.name,
                password=password,
                roles=read_roles(form.roles),
                scopes=read_scopes(form),
                hooks=hooks,
                now=manager.now,
            )
    except FORM_ERRORS as error:
        return await draw_list(manager, form, place_error(manager, error))
    made = Secret(kind="password", name=person.display_name, text=password, username=person.login)
    return manager.go("/staff", made, done="staff_added")


@router.get("/{staff_id}", dependencies=[requires(Permission.STAFF_READ)])
async def show_person(manager: TheManager, staff_id: UUID, find: Find = "") -> Response:
    """Show one person, what they may do, and what was changed about them."""
    return await draw_one(manager, staff_id, find=find)


@router.post("/{staff_id}", dependencies=[requires(Permission.STAFF_MANAGE)])
async def change(
    manager: TheManager,
    hooks: TheHooks,
    staff_id: UUID,
    name: Annotated[str, Form(max_length=500)] = "",
    roles: Annotated[list[str] | None, Form(max_length=len(Role))] = None,
    payee: Places = None,
    lot: Places = None,
    before_name: Annotated[str, Form(max_length=500)] = "",
    before_roles: Annotated[list[str] | None, Form(max_length=len(Role))] = None,
    before_payee: Places = None,
    before_lot: Places = None,
) -> Response:
    """Apply what was changed of a person's name, roles or places; losing a role signs them out.

    Args:
        before_name, before_roles, before_payee, before_lot: as they were when the page was drawn:
            others may have changed them since, and keep what this form did not touch.
    """
    if not before_roles:  # not drawn by this release: what it saw is not known
        return await draw_one(manager, staff_id, None, {"": manager.say("error.form_outdated")})
    form = StaffForm(
        name=read_line(name),
        roles=tuple(roles or ()),
        payees=read_chosen(payee),
        lots=read_chosen(lot),
    )
    before = StaffForm(
        name=before_name,
        roles=tuple(before_roles),
        payees=read_chosen(before_payee),
        lots=read_chosen(before_lot),
    )
    if errors := find_mistakes(manager, form):
        return await draw_one(manager, staff_id, form, errors, before=before)
    wanted = StaffChange(
        display_name=None if form.name == before.name else form.name,
        roles=read_roles(form.roles),
        roles_before=read_roles(before.roles),
        scopes=read_scopes(form),
        scopes_before=read_scopes(before),
    )
    return await _change(manager, hooks, staff_id, wanted, "staff_changed", form, before)


@router.post("/{staff_id}/disable", dependencies=[requires(Permission.STAFF_MANAGE)])
async def disable(manager: TheManager, hooks: TheHooks, staff_id: UUID) -> Response:
    """Let somebody no longer sign in; they are signed out at once."""
    return await _change(manager, hooks, staff_id, StaffChange(is_disabled=True), "staff_disabled")


@router.post("/{staff_id}/enable", dependencies=[requires(Permission.STAFF_MANAGE)])
async def enable(manager: TheManager, hooks: TheHooks, staff_id: UUID) -> Response:
    """Let somebody sign in again."""
    return await _change(manager, hooks, staff_id, StaffChange(is_disabled=False), "staff_enabled")


@router.post("/{staff_id}/password", dependencies=[requires(Permission.STAFF_MANAGE)])
async def reset_password(manager: TheManager, passwords: ThePasswords, staff_id: UUID) -> Response:
    """Give somebody a new password, shown once; they are signed out, a lock opens."""
    password = make_password()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await service.reset_password(
                tx,
                manager.org_id,
                staff_id,
                granter=Granter.of(manager.caller),
                passwords=passwords,
                password=password,
                reason=None,
                now=manager.now,
            )
            person = await queries.get_staff(tx, manager.org_id, staff_id)
    except FORM_ERRORS as error:
        return await draw_one(manager, staff_id, None, {"": manager.present_error(error)})
    made = Secret(kind="password", name=person.display_name, text=password, username=person.login)
    return manager.go(f"/staff/{staff_id}", made, done="password_reset")


def make_password() -> str:
    """Make a password that can be read out: "h7kq2-m4tx-9wbvd"."""
    groups = ("".join(secrets.choice(PASSWORD_LETTERS) for _ in range(n)) for n in PASSWORD_GROUPS)
    return "-".join(groups)


async def _change(
    manager: ManagerContext,
    hooks: Hooks,
    staff_id: UUID,
    wanted: StaffChange,
    done: str,
    form: StaffForm | None = None,
    before: StaffForm | None = None,
) -> Response:
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await service.change_staff(
                tx,
                manager.org_id,
                staff_id,
                wanted,
                granter=Granter.of(manager.caller),
                hooks=hooks,
                reason=None,
                now=manager.now,
            )
    except FORM_ERRORS as error:
        return await draw_one(manager, staff_id, form, place_error(manager, error), before=before)
    await finish_loss(manager.database, hooks, manager.org_id, staff_id, now=manager.now)
    return manager.go(f"/staff/{staff_id}", done=done)
