"""The people of an organisation: who signs in, what they may do, and new passwords."""

import secrets
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import ThePasswords, requires
from api.manage.history import Change, list_changes_of
from api.manage.page_context import Errors, ManagerContext, Secret, TheManager, read_line
from core.errors import HubError
from core.tenancy import open_org_transaction
from identity.people import queries, service
from identity.people.errors import (
    DutiesNotApart,
    LastAdministrator,
    LoginTaken,
    PasswordRefused,
    PayeeRequired,
    RoleNotGrantable,
)
from identity.people.models import Staff
from identity.people.rules import PAYEE_ROLES, Permission, Role, may_grant
from identity.people.service import Granter, StaffChange
from payments.payees.models import Payee
from payments.payees.queries import list_payees

router = APIRouter(prefix="/manage/staff", include_in_schema=False)

# Read aloud or written on paper, so without letters that look alike; 14 of 31 are 69 bits.
PASSWORD_LETTERS: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # noqa: S105
PASSWORD_GROUPS: Final = (5, 4, 5)
FIELD_OF: Final[dict[type[HubError], str]] = {
    LoginTaken: "login",
    PasswordRefused: "login",  # the password is ours, so it is the login that breaks a rule
    PayeeRequired: "payee",
    RoleNotGrantable: "roles",
    DutiesNotApart: "roles",
    LastAdministrator: "",
}
FORM_ERRORS: Final = tuple(FIELD_OF)


@dataclass(frozen=True, kw_only=True)
class PersonRow:
    """One person."""

    path: str
    name: str
    login: str
    roles: str
    stall: str
    is_disabled: bool
    is_locked: bool


@dataclass(frozen=True, kw_only=True)
class RoleBox:
    """A role that may be given."""

    value: str
    word: str
    hint: str
    is_ticked: bool


@dataclass(frozen=True, kw_only=True)
class StaffForm:
    """What a form about a person holds."""

    name: str = ""
    login: str = ""
    roles: tuple[str, ...] = ()
    payee: str = ""


@dataclass(frozen=True, kw_only=True)
class StaffPage:
    """Everything templates/manage_staff.html may use, already worded."""

    people: tuple[PersonRow, ...]
    can_manage: bool
    roles: tuple[RoleBox, ...]
    payees: tuple[tuple[str, str], ...]
    form: StaffForm
    errors: Errors


@dataclass(frozen=True, kw_only=True)
class PersonPage:
    """Everything templates/manage_person.html may use, already worded."""

    person: PersonRow
    password_path: str
    enable_path: str
    disable_path: str
    can_change: bool  # nobody touches who may do more, nor their own roles
    is_self: bool
    roles: tuple[RoleBox, ...]
    payees: tuple[tuple[str, str], ...]
    form: StaffForm
    errors: Errors
    history: tuple[Change, ...]


@router.get("", dependencies=[requires(Permission.STAFF_READ)])
async def show_staff(manager: TheManager) -> Response:
    """List the people of the organisation."""
    return await _draw_list(manager, StaffForm(), {})


@router.post("", dependencies=[requires(Permission.STAFF_MANAGE)])
async def add(
    manager: TheManager,
    passwords: ThePasswords,
    name: Annotated[str, Form(max_length=500)] = "",
    login: Annotated[str, Form(max_length=200)] = "",
    roles: Annotated[list[str] | None, Form(max_length=len(Role))] = None,
    payee: Annotated[str, Form(max_length=36)] = "",
) -> Response:
    """Let somebody sign in, with a password that is shown once."""
    form = StaffForm(name=read_line(name), login=login, roles=tuple(roles or ()), payee=payee)
    errors = _judge(manager, form)
    if not form.login.strip():
        errors["login"] = manager.say("error.needed")
    if errors:
        return await _draw_list(manager, form, errors)
    password = make_password()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            person = await service.add_staff(
                tx,
                manager.org_id,
                granter=Granter.of(manager.caller),
                passwords=passwords,
                login=form.login,
                display_name=form.name,
                password=password,
                roles=_read_roles(form.roles),
                payee_id=_read_id(form.payee),
                now=manager.now,
            )
    except FORM_ERRORS as error:
        return await _draw_list(manager, form, _place(manager, error))
    made = Secret(kind="password", name=person.display_name, text=password, username=person.login)
    return manager.go("/staff", made, done="staff_added")


@router.get("/{staff_id}", dependencies=[requires(Permission.STAFF_READ)])
async def show_person(manager: TheManager, staff_id: UUID) -> Response:
    """Show one person, what they may do, and what was changed about them."""
    return await _draw_one(manager, staff_id)


@router.post("/{staff_id}", dependencies=[requires(Permission.STAFF_MANAGE)])
async def change(
    manager: TheManager,
    staff_id: UUID,
    name: Annotated[str, Form(max_length=500)] = "",
    roles: Annotated[list[str] | None, Form(max_length=len(Role))] = None,
    payee: Annotated[str, Form(max_length=36)] = "",
) -> Response:
    """Change a person's name, roles or stall; losing a role ends their sessions."""
    form = StaffForm(name=read_line(name), roles=tuple(roles or ()), payee=payee)
    if errors := _judge(manager, form):
        return await _draw_one(manager, staff_id, form, errors)
    wanted = StaffChange(
        display_name=form.name, roles=_read_roles(form.roles), payee_id=_read_id(form.payee)
    )
    return await _change(manager, staff_id, wanted, "staff_changed", form)


@router.post("/{staff_id}/disable", dependencies=[requires(Permission.STAFF_MANAGE)])
async def disable(manager: TheManager, staff_id: UUID) -> Response:
    """Let somebody no longer sign in; their open sessions end at once."""
    return await _change(manager, staff_id, StaffChange(is_disabled=True), "staff_disabled")


@router.post("/{staff_id}/enable", dependencies=[requires(Permission.STAFF_MANAGE)])
async def enable(manager: TheManager, staff_id: UUID) -> Response:
    """Let somebody sign in again."""
    return await _change(manager, staff_id, StaffChange(is_disabled=False), "staff_enabled")


@router.post("/{staff_id}/password", dependencies=[requires(Permission.STAFF_MANAGE)])
async def reset_password(manager: TheManager, passwords: ThePasswords, staff_id: UUID) -> Response:
    """Give somebody a new password, shown once; their sessions end, a lock opens."""
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
        return await _draw_one(manager, staff_id, None, {"": manager.present_error(error)})
    made = Secret(kind="password", name=person.display_name, text=password, username=person.login)
    return manager.go(f"/staff/{staff_id}", made, done="password_reset")


def make_password() -> str:
    """Make a password that can be read out: "h7kq2-m4tx-9wbvd"."""
    groups = ("".join(secrets.choice(PASSWORD_LETTERS) for _ in range(n)) for n in PASSWORD_GROUPS)
    return "-".join(groups)


async def _change(
    manager: ManagerContext,
    staff_id: UUID,
    wanted: StaffChange,
    done: str,
    form: StaffForm | None = None,
) -> Response:
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await service.change_staff(
                tx,
                manager.org_id,
                staff_id,
                wanted,
                granter=Granter.of(manager.caller),
                reason=None,
                now=manager.now,
            )
    except FORM_ERRORS as error:
        return await _draw_one(manager, staff_id, form, _place(manager, error))
    return manager.go(f"/staff/{staff_id}", done=done)


async def _draw_list(manager: ManagerContext, form: StaffForm, errors: Errors) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        people = await queries.list_staff(tx, manager.org_id)
        stalls = await _read_stalls(tx, manager)
    page = StaffPage(
        people=tuple(_word_person(manager, one, stalls) for one in people),
        can_manage=manager.may(Permission.STAFF_MANAGE),
        roles=_list_roles(manager, form.roles),
        payees=_list_payees(manager, stalls),
        form=form,
        errors=errors,
    )
    return manager.render("manage_staff.html", page, here="staff", status=422 if errors else 200)


async def _draw_one(
    manager: ManagerContext,
    staff_id: UUID,
    form: StaffForm | None = None,
    errors: Errors | None = None,
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        person = await queries.get_staff(tx, manager.org_id, staff_id)
        stalls = await _read_stalls(tx, manager)
        history = await list_changes_of(tx, manager, "staff", staff_id)
    is_self = manager.caller.id == staff_id
    shown = form or StaffForm(
        name=person.display_name, roles=tuple(person.roles), payee=str(person.payee_id or "")
    )
    may_touch = manager.may(Permission.STAFF_MANAGE) and may_grant(
        manager.caller.permissions, person.roles
    )
    page = PersonPage(
        person=_word_person(manager, person, stalls),
        password_path=manager.path(f"/staff/{staff_id}/password"),
        enable_path=manager.path(f"/staff/{staff_id}/enable"),
        disable_path=manager.path(f"/staff/{staff_id}/disable"),
        can_change=may_touch and not is_self,
        is_self=is_self,
        roles=_list_roles(manager, shown.roles),
        payees=_list_payees(manager, stalls),
        form=shown,
        errors=errors or {},
        history=history,
    )
    return manager.render("manage_person.html", page, here="staff", status=422 if errors else 200)


async def _read_stalls(tx: AsyncSession, manager: ManagerContext) -> dict[UUID, Payee]:
    return {one.id: one for one in await list_payees(tx, manager.org_id)}


def _list_payees(manager: ManagerContext, stalls: dict[UUID, Payee]) -> tuple[tuple[str, str], ...]:
    named = ((str(one.id), f"{one.name} · {one.place}") for one in stalls.values())
    return ("", manager.say("staff.no_stall")), *named


def _list_roles(manager: ManagerContext, ticked: tuple[str, ...]) -> tuple[RoleBox, ...]:
    """List the roles that this person may give: nobody grants what they lack."""
    return tuple(
        RoleBox(
            value=role.value,
            word=manager.word("role", role.value),
            hint=manager.word("role_hint", role.value),
            is_ticked=role.value in ticked,
        )
        for role in Role
        if may_grant(manager.caller.permissions, [role.value])
    )


def _word_person(manager: ManagerContext, person: Staff, stalls: dict[UUID, Payee]) -> PersonRow:
    stall = stalls.get(person.payee_id) if person.payee_id else None
    return PersonRow(
        path=manager.path(f"/staff/{person.id}"),
        name=person.display_name,
        login=person.login,
        roles=", ".join(manager.word("role", role) for role in person.roles),
        stall=stall.name if stall else "",
        is_disabled=person.disabled_at is not None,
        is_locked=person.locked_until is not None and person.locked_until > manager.now,
    )


def _judge(manager: ManagerContext, form: StaffForm) -> dict[str, str]:
    errors = {}
    roles = _read_roles(form.roles)
    if not form.name:
        errors["name"] = manager.say("error.needed")
    if not roles:
        errors["roles"] = manager.say("error.role_needed")
    elif set(roles) & PAYEE_ROLES and _read_id(form.payee) is None:
        errors["payee"] = manager.say("error.payee_required")
    return errors


def _place(manager: ManagerContext, error: HubError) -> dict[str, str]:
    return {FIELD_OF[type(error)]: manager.present_error(error)}


def _read_roles(values: tuple[str, ...]) -> list[Role]:
    return [role for role in Role if role.value in values]


def _read_id(value: str) -> UUID | None:
    try:
        return UUID(value) if value else None
    except ValueError:
        return None
