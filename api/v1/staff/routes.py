"""The people of an organisation."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, status

from api.http.deps import Now, TheDatabase, TheHooks, ThePasswords, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.staff.schemas import PasswordReset, StaffCreate, StaffPage, StaffPatch, StaffRead
from core.paging import BadCursor
from core.tenancy import open_org_transaction
from identity.people import queries, service
from identity.people.callers import Caller
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
    StaffNotFound,
)
from identity.people.losses import finish_loss
from identity.people.models import Staff
from identity.people.rules import Permission
from identity.people.service import Granter, StaffChange

router = APIRouter(prefix="/v1/staff", tags=["identity"])
Reader = Annotated[Caller, requires(Permission.STAFF_READ)]
Manager = Annotated[Caller, requires(Permission.STAFF_MANAGE)]


@router.get("", responses=may_answer(BadCursor))
async def list_staff(
    caller: Reader,
    tx: Tx,
    find: Annotated[str, Query(max_length=100, description="Words of name and login.")] = "",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> StaffPage:
    """List the people, newest first; owners see those of their own stalls."""
    found = await queries.list_staff(
        tx,
        caller.org_id,
        scopes=caller.scopes,
        find=find,
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    return StaffPage(
        staff=[StaffRead.model_validate(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=StaffRead,
    responses=may_answer(
        RoleNotGrantable,
        DutiesNotSeparated,
        PasswordRefused,
        PayeeRequired,
        RolesNotScoped,
        ScopeNotFound,
        LoginTaken,
    ),
)
async def add_staff(
    body: StaffCreate,
    caller: Manager,
    tx: Tx,
    passwords: ThePasswords,
    hooks: TheHooks,
    now: Now,
) -> Staff:
    """Let a person sign in. Nobody grants what they lack; owners add cashiers of their stall."""
    return await service.add_staff(
        tx,
        caller.org_id,
        granter=Granter.of(caller),
        passwords=passwords,
        login=body.login,
        display_name=body.display_name,
        password=body.password.get_secret_value(),
        roles=body.roles,
        scopes=[scope.value for scope in body.scopes],
        hooks=hooks,
        now=now,
    )


@router.get("/{staff_id}", response_model=StaffRead, responses=may_answer(StaffNotFound))
async def show_staff(staff_id: UUID, caller: Reader, tx: Tx) -> Staff:
    """Show one person."""
    staff = await queries.get_staff(tx, caller.org_id, staff_id)
    if caller.is_scoped and not caller.scopes & staff.scopes:
        raise StaffNotFound
    return staff


@router.patch(
    "/{staff_id}",
    response_model=StaffRead,
    responses=may_answer(
        StaffNotFound,
        RoleNotGrantable,
        DutiesNotSeparated,
        PayeeRequired,
        RolesNotScoped,
        ScopeNotFound,
        LastAdministrator,
    ),
)
async def change_staff(
    staff_id: UUID,
    body: StaffPatch,
    caller: Manager,
    database: TheDatabase,
    hooks: TheHooks,
    now: Now,
) -> Staff:
    """Change a person's name or roles, or let them no longer (or again) sign in."""
    async with open_org_transaction(database, caller.org_id) as tx:
        staff = await service.change_staff(
            tx,
            caller.org_id,
            staff_id,
            StaffChange(
                display_name=body.display_name,
                roles=body.roles,
                scopes=None if body.scopes is None else [scope.value for scope in body.scopes],
                is_disabled=body.is_disabled,
            ),
            granter=Granter.of(caller),
            hooks=hooks,
            reason=body.reason,
            now=now,
        )
    await finish_loss(database, hooks, caller.org_id, staff_id, now=now)
    return staff


@router.post(
    "/{staff_id}/password",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=may_answer(StaffNotFound, RoleNotGrantable, PasswordRefused, OwnPassword),
)
async def reset_password(
    staff_id: UUID,
    body: PasswordReset,
    caller: Manager,
    tx: Tx,
    passwords: ThePasswords,
    now: Now,
) -> None:
    """Give somebody a new password; it opens a lock and signs them out everywhere."""
    await service.reset_password(
        tx,
        caller.org_id,
        staff_id,
        granter=Granter.of(caller),
        passwords=passwords,
        password=body.password.get_secret_value(),
        reason=body.reason,
        now=now,
    )
