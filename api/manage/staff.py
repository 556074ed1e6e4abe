"""The people of an organisation: who signs in, what they may do, and new passwords."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import TheHooks, ThePasswords, requires
from api.http.paging import next_cursor, read_cursor
from api.manage.forms import FormId, take_form
from api.manage.history import Change, list_changes_of
from api.manage.page_context import (
    CHOICES_MAX,
    PAGE_ROWS,
    Before,
    Errors,
    Find,
    ManagerContext,
    Secret,
    TheManager,
    read_line,
)
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people import queries, service
from identity.people.errors import (
    DutiesNotSeparated,
    LastAdministrator,
    LoginTaken,
    OwnPassword,
    PasswordRefused,
    PayeeRequired,
    RoleNotGrantable,
    RolesNotScoped,
    ScopeNotFound,
)
from identity.people.hooks import Hooks
from identity.people.losses import finish_loss
from identity.people.models import Staff
from identity.people.rules import (
    PAYEE_ROLES,
    SCOPES_MAX,
    Permission,
    Role,
    Scope,
    ScopeKind,
    may_grant,
)
from identity.people.service import Granter, StaffChange
from payments.payees.models import Payee
from payments.payees.queries import list_payees_by_id, search_payees

router = APIRouter(prefix="/manage/staff", include_in_schema=False)

# Read aloud or written on paper, so without letters that look alike; 14 of 31 are 69 bits.
PASSWORD_LETTERS: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # noqa: S105
PASSWORD_GROUPS: Final = (5, 4, 5)
FIELD_OF: Final[dict[type[HubError], str]] = {
    LoginTaken: "login",
    PasswordRefused: "login",  # the password is ours, so it is the login that breaks a rule
    PayeeRequired: "payee",
    ScopeNotFound: "payee",
    RoleNotGrantable: "roles",
    RolesNotScoped: "roles",
    DutiesNotSeparated: "roles",
    LastAdministrator: "",
    OwnPassword: "",
}
Payees = Annotated[list[str] | None, Form(max_length=SCOPES_MAX)]
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
    """A role, or a stall, that may be given."""

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
    payees: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StallChoices:
    """The stalls that a form about a person offers."""

    ticked: tuple[RoleBox, ...]  # theirs already
    others: tuple[tuple[str, str], ...]
    find: str
    are_more: bool  # than are listed: the name finds them


@dataclass(frozen=True, kw_only=True)
class StaffPage:
    """Everything templates/manage_staff.html may use, already worded."""

    people: tuple[PersonRow, ...]
    who: str
    can_find: bool  # there are more than one page
    older: str  # the address of the next page, "" on the last
    can_manage: bool
    roles: tuple[RoleBox, ...]
    stalls: StallChoices
    form: StaffForm
    errors: Errors


@dataclass(frozen=True, kw_only=True)
class KeyMade:
    """An API key that a person made and that is valid still."""

    name: str
    prefix: str
    made: str


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
    stalls: StallChoices
    form: StaffForm
    before: StaffForm  # as they were when the page was drawn
    errors: Errors
    keys: tuple[KeyMade, ...]  # they work on when the person has left: somebody has to decide
    keys_path: str  # "" for who may not end them
    history: tuple[Change, ...]


@router.get("", dependencies=[requires(Permission.STAFF_READ)])
async def show_staff(
    manager: TheManager, find: Find = "", who: Find = "", before: Before = None
) -> Response:
    """List the people of the organisation, newest first; `find` is for the stalls of the form."""
    return await _draw_list(manager, StaffForm(), {}, find=find, who=who, before=before)


@router.post("", dependencies=[requires(Permission.STAFF_MANAGE)])
async def add(
    manager: TheManager,
    passwords: ThePasswords,
    hooks: TheHooks,
    name: Annotated[str, Form(max_length=500)] = "",
    login: Annotated[str, Form(max_length=200)] = "",
    roles: Annotated[list[str] | None, Form(max_length=len(Role))] = None,
    payee: Payees = None,
    form_id: FormId = None,
) -> Response:
    """Let somebody sign in, with a password that is shown once."""
    form = StaffForm(
        name=read_line(name), login=login, roles=tuple(roles or ()), payees=_read_chosen(payee)
    )
    errors = _find_mistakes(manager, form)
    if not form.login.strip():
        errors["login"] = manager.say("error.needed")
    if errors:
        return await _draw_list(manager, form, errors)
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
                roles=_read_roles(form.roles),
                scopes=_read_scopes(form),
                hooks=hooks,
                now=manager.now,
            )
    except FORM_ERRORS as error:
        return await _draw_list(manager, form, _place(manager, error))
    made = Secret(kind="password", name=person.display_name, text=password, username=person.login)
    return manager.go("/staff", made, done="staff_added")


@router.get("/{staff_id}", dependencies=[requires(Permission.STAFF_READ)])
async def show_person(manager: TheManager, staff_id: UUID, find: Find = "") -> Response:
    """Show one person, what they may do, and what was changed about them."""
    return await _draw_one(manager, staff_id, find=find)


@router.post("/{staff_id}", dependencies=[requires(Permission.STAFF_MANAGE)])
async def change(
    manager: TheManager,
    hooks: TheHooks,
    staff_id: UUID,
    name: Annotated[str, Form(max_length=500)] = "",
    roles: Annotated[list[str] | None, Form(max_length=len(Role))] = None,
    payee: Payees = None,
    before_name: Annotated[str, Form(max_length=500)] = "",
    before_roles: Annotated[list[str] | None, Form(max_length=len(Role))] = None,
    before_payee: Payees = None,
) -> Response:
    """Apply what was changed of a person's name, roles or stalls; losing a role signs them out.

    Args:
        before_name, before_roles, before_payee: as they were when the page was drawn: others may
            have changed them since, and keep what this form did not touch.
    """
    if not before_roles:  # not drawn by this release: what it saw is not known
        return await _draw_one(manager, staff_id, None, {"": manager.say("error.form_outdated")})
    form = StaffForm(name=read_line(name), roles=tuple(roles or ()), payees=_read_chosen(payee))
    before = StaffForm(
        name=before_name,
        roles=tuple(before_roles),
        payees=_read_chosen(before_payee),
    )
    if errors := _find_mistakes(manager, form):
        return await _draw_one(manager, staff_id, form, errors, before=before)
    wanted = StaffChange(
        display_name=None if form.name == before.name else form.name,
        roles=_read_roles(form.roles),
        roles_before=_read_roles(before.roles),
        scopes=_read_scopes(form),
        scopes_before=_read_scopes(before),
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
        return await _draw_one(manager, staff_id, None, {"": manager.present_error(error)})
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
        return await _draw_one(manager, staff_id, form, _place(manager, error), before=before)
    await finish_loss(manager.database, hooks, manager.org_id, staff_id, now=manager.now)
    return manager.go(f"/staff/{staff_id}", done=done)


async def _draw_list(
    manager: ManagerContext,
    form: StaffForm,
    errors: Errors,
    *,
    find: str = "",
    who: str = "",
    before: str | None = None,
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        listed = await queries.list_staff(
            tx, manager.org_id, find=who, before_id=read_cursor(before), limit=PAGE_ROWS + 1
        )
        people, cursor = listed[:PAGE_ROWS], next_cursor(listed, PAGE_ROWS)
        stalls = await _read_stalls(tx, manager, people, form)
        found = await search_payees(tx, manager.org_id, find=find, limit=CHOICES_MAX + 1)
    page = StaffPage(
        people=tuple(_word_person(manager, one, stalls) for one in people),
        who=who,
        can_find=bool(who or before or cursor),
        older=manager.path("/staff", who=who, before=cursor) if cursor else "",
        can_manage=manager.may(Permission.STAFF_MANAGE),
        roles=_list_roles(manager, form.roles),
        stalls=_list_stalls(manager, stalls, found, form, find),
        form=form,
        errors=errors,
    )
    return manager.render("manage_staff.html", page, here="staff", status=422 if errors else 200)


async def _draw_one(
    manager: ManagerContext,
    staff_id: UUID,
    form: StaffForm | None = None,
    errors: Errors | None = None,
    *,
    before: StaffForm | None = None,
    find: str = "",
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        person = await queries.get_staff(tx, manager.org_id, staff_id)
        stored = StaffForm(
            name=person.display_name,
            roles=tuple(person.roles),
            payees=tuple(str(id_) for id_ in _stall_ids(person)),
        )
        shown = form or stored
        stalls = await _read_stalls(tx, manager, [person], shown)
        found = await search_payees(tx, manager.org_id, find=find, limit=CHOICES_MAX + 1)
        made = await queries.list_keys(
            tx, manager.org_id, created_by=staff_id, valid_at=manager.now, limit=PAGE_ROWS
        )
        history = await list_changes_of(tx, manager, "staff", staff_id)
    is_self = manager.caller.id == staff_id
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
        stalls=_list_stalls(manager, stalls, found, shown, find),
        form=shown,
        before=before or stored,
        errors=errors or {},
        keys=tuple(
            KeyMade(name=one.name, prefix=one.prefix, made=manager.present_instant(one.created_at))
            for one in made
        ),
        keys_path=manager.path("/keys", maker=staff_id)
        if manager.may(Permission.KEYS_MANAGE)
        else "",
        history=history,
    )
    return manager.render("manage_person.html", page, here="staff", status=422 if errors else 200)


async def _read_stalls(
    tx: AsyncSession, manager: ManagerContext, people: Sequence[Staff], form: StaffForm
) -> dict[UUID, Payee]:
    """Read the stalls that are named on a page, closed ones too."""
    ids = {scope.id for scope in _read_scopes(form)}
    ids |= {id_ for person in people for id_ in _stall_ids(person)}
    return {one.id: one for one in await list_payees_by_id(tx, manager.org_id, ids)}


def _list_stalls(
    manager: ManagerContext,
    stalls: dict[UUID, Payee],
    found: Sequence[Payee],
    form: StaffForm,
    find: str,
) -> StallChoices:
    ticked = [stalls[scope.id] for scope in _read_scopes(form) if scope.id in stalls]
    taken = {one.id for one in ticked}
    others = [
        (str(one.id), f"{one.name} · {one.place}")
        for one in found[:CHOICES_MAX]
        if one.id not in taken
    ]
    return StallChoices(
        ticked=tuple(
            RoleBox(
                value=str(one.id), word=_name_stall(manager, one), hint=one.place, is_ticked=True
            )
            for one in ticked
        ),
        others=(("", manager.say("staff.no_stall")), *others),
        find=find,
        are_more=len(found) > CHOICES_MAX or bool(find),
    )


def _name_stall(manager: ManagerContext, stall: Payee) -> str:
    return stall.name if stall.closed_at is None else manager.say("staff.closed", name=stall.name)


def _stall_ids(person: Staff) -> list[UUID]:
    return sorted(scope.id for scope in person.scopes if scope.kind == ScopeKind.PAYEE)


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
    named = [_name_stall(manager, stalls[id_]) for id_ in _stall_ids(person) if id_ in stalls]
    return PersonRow(
        path=manager.path(f"/staff/{person.id}"),
        name=person.display_name,
        login=person.login,
        roles=", ".join(manager.word("role", role) for role in person.roles),
        stall=", ".join(named),
        is_disabled=person.disabled_at is not None,
        is_locked=person.locked_until is not None and person.locked_until > manager.now,
    )


def _find_mistakes(manager: ManagerContext, form: StaffForm) -> dict[str, str]:
    errors = {}
    roles = _read_roles(form.roles)
    if not form.name:
        errors["name"] = manager.say("error.needed")
    if not roles:
        errors["roles"] = manager.say("error.role_needed")
    elif set(roles) & PAYEE_ROLES and not _read_scopes(form):
        errors["payee"] = manager.say("error.payee_required")
    return errors


def _place(manager: ManagerContext, error: HubError) -> dict[str, str]:
    return {FIELD_OF[type(error)]: manager.present_error(error)}


def _read_roles(values: tuple[str, ...]) -> list[Role]:
    return [role for role in Role if role.value in values]


def _read_chosen(values: list[str] | None) -> tuple[str, ...]:
    return tuple(value for value in values or () if value)


def _read_scopes(form: StaffForm) -> list[Scope]:
    return sorted({Scope(ScopeKind.PAYEE, id_) for id_ in map(_read_id, form.payees) if id_})


def _read_id(value: str) -> UUID | None:
    try:
        return UUID(value) if value else None
    except ValueError:
        return None
