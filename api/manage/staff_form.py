"""The form about a person: what it holds and offers, how it is read, and its mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.manage.page_context import CHOICES_MAX, ManagerContext
from core.errors import HubError
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
from identity.people.models import Staff
from identity.people.rules import PAYEE_ROLES, Role, Scope, ScopeKind, may_grant
from parking.places.models import Lot
from payments.payees.models import Payee
from payments.payees.queries import list_payees_by_id

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
FORM_ERRORS: Final = tuple(FIELD_OF)


@dataclass(frozen=True, kw_only=True)
class StaffForm:
    """What a form about a person holds."""

    name: str = ""
    login: str = ""
    roles: tuple[str, ...] = ()
    payees: tuple[str, ...] = ()
    lots: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RoleBox:
    """A role, a stall or a lot that may be given."""

    value: str
    word: str
    hint: str
    is_ticked: bool


@dataclass(frozen=True, kw_only=True)
class StallChoices:
    """The stalls that a form about a person offers."""

    ticked: tuple[RoleBox, ...]  # theirs already
    others: tuple[tuple[str, str], ...]
    find: str
    are_more: bool  # than are listed: the name finds them


def read_roles(values: tuple[str, ...]) -> list[Role]:
    """Read the ticked roles, in the order of Role; unknown ones are left out."""
    return [role for role in Role if role.value in values]


def read_chosen(values: list[str] | None) -> tuple[str, ...]:
    """Read the chosen stalls; the choice of none is left out."""
    return tuple(value for value in values or () if value)


def read_scopes(form: StaffForm) -> list[Scope]:
    """Read the scopes that a form's stalls and lots give; what is no id is left out."""
    stalls = {Scope(ScopeKind.PAYEE, id_) for id_ in map(_read_id, form.payees) if id_}
    lots = {Scope(ScopeKind.LOT, id_) for id_ in map(_read_id, form.lots) if id_}
    return sorted(stalls | lots)


def find_mistakes(manager: ManagerContext, form: StaffForm) -> dict[str, str]:
    """Say beside each field what is missing, before anything is stored."""
    errors = {}
    roles = read_roles(form.roles)
    if not form.name:
        errors["name"] = manager.say("error.needed")
    if not roles:
        errors["roles"] = manager.say("error.role_needed")
    elif set(roles) & PAYEE_ROLES and all(one.kind != ScopeKind.PAYEE for one in read_scopes(form)):
        errors["payee"] = manager.say("error.payee_required")
    return errors


def place_error(manager: ManagerContext, error: HubError) -> dict[str, str]:
    """Say one of FORM_ERRORS beside its field; above the form where no field is at fault."""
    return {FIELD_OF[type(error)]: manager.present_error(error)}


def list_roles(manager: ManagerContext, ticked: tuple[str, ...]) -> tuple[RoleBox, ...]:
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


async def read_stalls(
    tx: AsyncSession, manager: ManagerContext, people: Sequence[Staff], form: StaffForm
) -> dict[UUID, Payee]:
    """Read the stalls that are named on a page, closed ones too."""
    ids = {scope.id for scope in read_scopes(form) if scope.kind == ScopeKind.PAYEE}
    ids |= {id_ for person in people for id_ in list_stall_ids(person)}
    return {one.id: one for one in await list_payees_by_id(tx, manager.org_id, ids)}


def list_stalls(
    manager: ManagerContext,
    stalls: dict[UUID, Payee],
    found: Sequence[Payee],
    form: StaffForm,
    find: str,
) -> StallChoices:
    """List the stalls that a form has ticked, and those found that it may add.

    Args:
        stalls: what read_stalls returned.
        found: one more than CHOICES_MAX where there are more.
    """
    ticked = [stalls[scope.id] for scope in read_scopes(form) if scope.id in stalls]
    taken = {one.id for one in ticked}
    others = [
        (str(one.id), f"{one.name} · {one.place}")
        for one in found[:CHOICES_MAX]
        if one.id not in taken
    ]
    return StallChoices(
        ticked=tuple(
            RoleBox(
                value=str(one.id), word=name_stall(manager, one), hint=one.place, is_ticked=True
            )
            for one in ticked
        ),
        others=(("", manager.say("staff.no_stall")), *others),
        find=find,
        are_more=len(found) > CHOICES_MAX or bool(find),
    )


def list_lot_boxes(
    manager: ManagerContext, lots: Sequence[Lot], ticked: tuple[str, ...]
) -> tuple[RoleBox, ...]:
    """List the lots that a form offers: the open ones, and closed ones that are ticked."""
    return tuple(
        RoleBox(
            value=str(lot.id),
            word=name_lot(manager, lot),
            hint=lot.address,
            is_ticked=str(lot.id) in ticked,
        )
        for lot in lots
        if lot.closed_at is None or str(lot.id) in ticked
    )


def name_lot(manager: ManagerContext, lot: Lot) -> str:
    """Name a lot, and say so if it is closed."""
    return lot.name if lot.closed_at is None else manager.say("staff.closed", name=lot.name)


def list_lot_ids(person: Staff) -> list[UUID]:
    """List the lots that a person's rights are limited to."""
    return sorted(scope.id for scope in person.scopes if scope.kind == ScopeKind.LOT)


def name_stall(manager: ManagerContext, stall: Payee) -> str:
    """Name a stall, and say so if it is closed."""
    return stall.name if stall.closed_at is None else manager.say("staff.closed", name=stall.name)


def list_stall_ids(person: Staff) -> list[UUID]:
    """List the stalls that a person's rights are limited to."""
    return sorted(scope.id for scope in person.scopes if scope.kind == ScopeKind.PAYEE)


def _read_id(value: str) -> UUID | None:
    try:
        return UUID(value) if value else None
    except ValueError:
        return None
