"""The pages of an organisation's people: all of them, and one with keys and history."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from starlette.responses import Response

from api.http.paging import next_cursor, read_cursor
from api.manage.history import Change, list_changes_of
from api.manage.page_context import CHOICES_MAX, PAGE_ROWS, Errors, ManagerContext
from api.manage.staff_form import (
    RoleBox,
    StaffForm,
    StallChoices,
    list_lot_boxes,
    list_lot_ids,
    list_roles,
    list_stall_ids,
    list_stalls,
    name_lot,
    name_stall,
    read_stalls,
)
from core.tenancy import open_org_transaction
from identity.people import queries
from identity.people.models import Staff
from identity.people.rules import Permission, may_grant
from parking.places.models import Lot
from parking.places.queries import list_lots
from payments.payees.models import Payee
from payments.payees.queries import search_payees


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
class StaffPage:
    """Everything templates/manage_staff.html may use, already worded."""

    people: tuple[PersonRow, ...]
    who: str
    can_find: bool  # there are more than one page
    older: str  # the address of the next page, "" on the last
    can_manage: bool
    roles: tuple[RoleBox, ...]
    stalls: StallChoices
    lots: tuple[RoleBox, ...]
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
    lots: tuple[RoleBox, ...]
    form: StaffForm
    before: StaffForm  # as they were when the page was drawn
    errors: Errors
    keys: tuple[KeyMade, ...]  # they work on when the person has left: somebody has to decide
    keys_path: str  # "" for who may not end them
    history: tuple[Change, ...]


async def draw_list(
    manager: ManagerContext,
    form: StaffForm,
    errors: Errors,
    *,
    find: str = "",
    who: str = "",
    before: str | None = None,
) -> Response:
    """Draw all people, newest first, and the form that adds one."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        listed = await queries.list_staff(
            tx, manager.org_id, find=who, before_id=read_cursor(before), limit=PAGE_ROWS + 1
        )
        people, cursor = listed[:PAGE_ROWS], next_cursor(listed, PAGE_ROWS)
        stalls = await read_stalls(tx, manager, people, form)
        found = await search_payees(tx, manager.org_id, find=find, limit=CHOICES_MAX + 1)
        lots = await list_lots(tx, manager.org_id)
    page = StaffPage(
        people=tuple(_word_person(manager, one, stalls, lots) for one in people),
        who=who,
        can_find=bool(who or before or cursor),
        older=manager.path("/staff", who=who, before=cursor) if cursor else "",
        can_manage=manager.may(Permission.STAFF_MANAGE),
        roles=list_roles(manager, form.roles),
        stalls=list_stalls(manager, stalls, found, form, find),
        lots=list_lot_boxes(manager, lots, form.lots),
        form=form,
        errors=errors,
    )
    return manager.render("manage_staff.html", page, here="staff", status=422 if errors else 200)


async def draw_one(
    manager: ManagerContext,
    staff_id: UUID,
    form: StaffForm | None = None,
    errors: Errors | None = None,
    *,
    before: StaffForm | None = None,
    find: str = "",
) -> Response:
    """Draw one person, with the form as it was sent or, without one, as it is stored."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        person = await queries.get_staff(tx, manager.org_id, staff_id)
        stored = StaffForm(
            name=person.display_name,
            roles=tuple(person.roles),
            payees=tuple(str(id_) for id_ in list_stall_ids(person)),
            lots=tuple(str(id_) for id_ in list_lot_ids(person)),
        )
        shown = form or stored
        stalls = await read_stalls(tx, manager, [person], shown)
        found = await search_payees(tx, manager.org_id, find=find, limit=CHOICES_MAX + 1)
        lots = await list_lots(tx, manager.org_id)
        made = await queries.list_keys(
            tx, manager.org_id, created_by=staff_id, valid_at=manager.now, limit=PAGE_ROWS
        )
        history = await list_changes_of(tx, manager, "staff", staff_id)
    is_self = manager.caller.id == staff_id
    may_touch = manager.may(Permission.STAFF_MANAGE) and may_grant(
        manager.caller.permissions, person.roles
    )
    page = PersonPage(
        person=_word_person(manager, person, stalls, lots),
        password_path=manager.path(f"/staff/{staff_id}/password"),
        enable_path=manager.path(f"/staff/{staff_id}/enable"),
        disable_path=manager.path(f"/staff/{staff_id}/disable"),
        can_change=may_touch and not is_self,
        is_self=is_self,
        roles=list_roles(manager, shown.roles),
        stalls=list_stalls(manager, stalls, found, shown, find),
        lots=list_lot_boxes(manager, lots, shown.lots),
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


def _word_person(
    manager: ManagerContext, person: Staff, stalls: dict[UUID, Payee], lots: Sequence[Lot]
) -> PersonRow:
    named = [name_stall(manager, stalls[id_]) for id_ in list_stall_ids(person) if id_ in stalls]
    theirs = set(list_lot_ids(person))
    named += [name_lot(manager, lot) for lot in lots if lot.id in theirs]
    return PersonRow(
        path=manager.path(f"/staff/{person.id}"),
        name=person.display_name,
        login=person.login,
        roles=", ".join(manager.word("role", role) for role in person.roles),
        stall=", ".join(named),
        is_disabled=person.disabled_at is not None,
        is_locked=person.locked_until is not None and person.locked_until > manager.now,
    )
