"""People: the first administrator, who works here, what they may do, and their passwords."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM, Actor, record_change
from core.ids import hash_token, new_id, new_token
from core.text import check_lines
from identity.people import queries
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
    SetupClosed,
    StaffNotFound,
    WrongPassword,
)
from identity.people.hooks import Hooks
from identity.people.losses import handle_losses
from identity.people.models import Login, SetupToken, Staff, StaffScope
from identity.people.passwords import Passwords
from identity.people.rules import (
    PAYEE_ROLES,
    Permission,
    Role,
    Scope,
    ScopeKind,
    apply_choice,
    can_be_scoped,
    check_login,
    check_password,
    combines_duties,
    may_grant,
    normalise_login,
)

SETUP_TOKEN_VALID_FOR: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Granter:
    """Who manages people: nobody grants, takes or touches more than they hold."""

    actor: Actor
    permissions: frozenset[Permission]
    scopes: frozenset[Scope] = frozenset()

    @classmethod
    def of(cls, caller: Caller) -> "Granter":
        """The rights of the caller."""
        return cls(actor=caller.actor, permissions=caller.permissions, scopes=caller.scopes)


# For seeding and set-up only, where nobody is signed in yet.
HUB: Final = Granter(actor=SYSTEM, permissions=frozenset(Permission))


async def issue_setup_token(session: AsyncSession, *, now: datetime) -> str | None:
    """Make the one-time token that the first start prints; older ones stop working.

    Returns:
        None when somebody can already sign in.
    """
    await queries.lock_setup(session)
    if await queries.has_any_login(session):
        return None
    await queries.close_setup_tokens(session, now=now)
    token = new_token()
    session.add(SetupToken(token_hash=hash_token(token), created_at=now, used_at=None))
    return token


async def use_setup_token(session: AsyncSession, token: str, *, now: datetime) -> None:
    """Use the one-time token up; the administrator is made in the same transaction.

    Raises:
        SetupClosed: unknown, used or too old, or somebody can already sign in.
    """
    await queries.lock_setup(session)
    is_good = await queries.use_setup_token(
        session, hash_token(token), made_after=now - SETUP_TOKEN_VALID_FOR, now=now
    )
    if not is_good or await queries.has_any_login(session):
        raise SetupClosed


async def add_staff(
    session: AsyncSession,
    org_id: UUID,
    *,
    id_: UUID | None = None,
    granter: Granter,
    passwords: Passwords,
    login: str,
    display_name: str,
    password: str,
    roles: Collection[Role],
    scopes: Collection[Scope] = (),
    hooks: Hooks,
    now: datetime,
) -> Staff:
    """Let a person sign in. The transaction must be bound to the organisation.

    Raises:
        RoleNotGrantable: a role can do more than the granter may.
        DutiesNotSeparated: together the roles propose and approve.
        PasswordRefused: the login or the password breaks a rule.
        PayeeRequired: an owner or cashier without a payee.
        RolesNotScoped: scopes beside a role that acts on the whole organisation.
        LoginTaken: the login is in use somewhere in the hub.
        ScopeNotFound: the organisation has no such payee.
    """
    check_lines(display_name=display_name)
    name = normalise_login(login)
    _check_grant(granter, roles, scopes)
    if combines_duties(roles):
        raise DutiesNotSeparated
    if violations := [*check_login(name), *check_password(password, name)]:
        raise PasswordRefused(violations)
    if scopes and not can_be_scoped(roles):
        raise RolesNotScoped
    await _check_scopes(session, org_id, roles, scopes, hooks)
    staff = Staff(
        org_id=org_id,
        id=id_ or new_id(),
        login=name,
        display_name=display_name,
        password_hash=await passwords.hash(password),
        roles=sorted({role.value for role in roles}),
        scope_rows=[_make_scope(org_id, scope) for scope in sorted(set(scopes))],
        failed_attempts=0,
        created_at=now,
    )
    if not await queries.insert_login_once(
        session, Login(name=name, org_id=org_id, staff_id=staff.id)
    ):
        raise LoginTaken(name)
    session.add(staff)
    await session.flush()
    _record(session, staff, granter, "staff.added", after=_describe(staff), now=now)
    return staff


@dataclass(frozen=True, kw_only=True)
class StaffChange:
    """What to change about a person; None leaves it."""

    display_name: str | None = None
    roles: Collection[Role] | None = None
    scopes: Collection[Scope] | None = None  # none of them: the whole organisation
    is_disabled: bool | None = None
    # What the roles and scopes were when they were chosen: only the difference is applied then,
    # so that of two people with a form open neither gives back what the other took. None replaces.
    roles_before: Collection[Role] | None = None
    scopes_before: Collection[Scope] | None = None


async def change_staff(
    session: AsyncSession,
    org_id: UUID,
    staff_id: UUID,
    change: StaffChange,
    *,
    granter: Granter,
    hooks: Hooks,
    reason: str | None,
    now: datetime,
) -> Staff:
    """Change what a person is called, may do, or whether they work here at all.

    Losing a role or the job, or changing the stall, signs them out at once, and those who relied
    on a right that is lost are notified. After the commit comes `losses.finish_loss`.

    Raises:
        StaffNotFound, RoleNotGrantable, DutiesNotSeparated, PayeeRequired, RolesNotScoped,
        ScopeNotFound
        LastAdministrator: nobody would be left to manage the organisation.
    """
    administrators = await queries.lock_administrators(session, org_id)
    staff = await lock_manageable(session, org_id, staff_id, granter)
    before = _describe(staff)
    if change.display_name is not None:
        check_lines(display_name=change.display_name)
        staff.display_name = change.display_name
    if change.scopes is not None:
        _set_scopes(staff, apply_choice(staff.scopes, change.scopes, change.scopes_before))
    if change.roles is not None:
        if granter.actor.id == staff.id:
            raise RoleNotGrantable("Nobody changes their own roles.")
        roles_now = {Role(role) for role in staff.roles}
        chosen = apply_choice(roles_now, change.roles, change.roles_before)
        roles_after = sorted(role.value for role in chosen)
        # Who holds both from before can still be renamed: a form sends the roles as they are.
        if combines_duties(roles_after) and roles_after != sorted(staff.roles):
            raise DutiesNotSeparated
        staff.roles = roles_after
    if change.is_disabled is not None:
        staff.disabled_at = (staff.disabled_at or now) if change.is_disabled else None
    roles = {Role(role) for role in staff.roles}
    _check_grant(granter, roles, staff.scopes)
    await _check_scopes(session, org_id, roles, staff.scopes, hooks)
    stays = Role.ADMIN in roles and staff.disabled_at is None
    if list(administrators) == [staff.id] and not stays:
        raise LastAdministrator
    after = _describe(staff)
    if after == before:
        return staff
    is_elsewhere = any(before[fact] != after[fact] for fact in ("roles", "scopes"))
    if is_elsewhere and staff.scopes and not can_be_scoped(roles):
        raise RolesNotScoped
    if is_elsewhere or staff.disabled_at is not None:
        await queries.revoke_sign_ins(session, org_id, staff.id, now=now)
        for end in hooks.on_signed_out:
            await end(session, org_id, staff.id, now=now)
    await handle_losses(
        session,
        staff,
        hooks,
        roles_before=() if before["is_disabled"] else before["roles"],
        actor=granter.actor,
        reason=reason,
        now=now,
    )
    await session.flush()
    _record(
        session, staff, granter, "staff.changed", before=before, after=after, reason=reason, now=now
    )
    return staff


async def reset_password(
    session: AsyncSession,
    org_id: UUID,
    staff_id: UUID,
    *,
    granter: Granter,
    passwords: Passwords,
    password: str,
    reason: str | None,
    now: datetime,
) -> None:
    """Give somebody a new password, open a lock, and sign them out everywhere.

    Raises:
        StaffNotFound, RoleNotGrantable, PasswordRefused
        OwnPassword: it is the granter's own: whoever finds a screen open must not take the login.
    """
    if granter.actor.id == staff_id:
        raise OwnPassword
    staff = await lock_manageable(session, org_id, staff_id, granter)
    await _set_password(staff, password, passwords)
    await queries.revoke_sign_ins(session, org_id, staff.id, now=now)
    _record(session, staff, granter, "staff.password_reset", reason=reason, now=now)


async def change_own_password(
    session: AsyncSession,
    caller: Caller,
    *,
    passwords: Passwords,
    present: str,
    password: str,
    now: datetime,
) -> None:
    """Change one's own password; the person is signed out everywhere else.

    Raises:
        WrongPassword: the present one is not right.
        PasswordRefused: the new one breaks a rule.
        StaffNotFound: the caller is a machine.
    """
    if caller.kind != "staff":
        raise StaffNotFound
    staff = await queries.lock_staff(session, caller.home.id, caller.id)
    if not await passwords.verify(present, staff.password_hash):
        raise WrongPassword
    await _set_password(staff, password, passwords)
    await queries.revoke_sign_ins(session, caller.home.id, staff.id, but=caller.sign_in_id, now=now)
    _record(session, staff, Granter.of(caller), "staff.password_changed", now=now)


async def confirm_alone(
    session: AsyncSession, caller: Caller, *, passwords: Passwords, present: str, since: datetime
) -> bool:
    """Whether a person was the only one of the organisation since then, and gives the password.

    The password of who is not alone is not looked at. The caller limits how often this is asked.

    Raises:
        WrongPassword: the password is not right.
    """
    if not await queries.is_only_person(session, caller.org_id, caller.id, since=since):
        return False
    staff = await queries.get_staff(session, caller.org_id, caller.id)
    if not await passwords.verify(present, staff.password_hash):
        raise WrongPassword
    return True


def _check_grant(granter: Granter, roles: Collection[Role], scopes: Collection[Scope]) -> None:
    if not roles or not may_grant(granter.permissions, roles):
        raise RoleNotGrantable
    if granter.scopes and not (
        scopes and set(scopes) <= granter.scopes and set(roles) <= PAYEE_ROLES
    ):
        raise RoleNotGrantable("You can only manage the people of your own stall.")


async def _check_scopes(
    session: AsyncSession,
    org_id: UUID,
    roles: Collection[Role],
    scopes: Collection[Scope],
    hooks: Hooks,
) -> None:
    if PAYEE_ROLES & set(roles) and all(scope.kind != ScopeKind.PAYEE for scope in scopes):
        raise PayeeRequired
    for kind in {scope.kind for scope in scopes}:
        ids = {scope.id for scope in scopes if scope.kind == kind}
        find = hooks.scope_kinds.get(kind)
        known = await find(session, org_id, ids) if find else ()
        if unknown := ids - set(known):
            raise ScopeNotFound(Scope(kind, min(unknown)))


def _set_scopes(staff: Staff, scopes: Collection[Scope]) -> None:
    wanted = set(scopes)
    # Those that stay keep their row: the same key cannot be deleted and inserted in one flush.
    kept = [row for row in staff.scope_rows if Scope(ScopeKind(row.kind), row.id) in wanted]
    added = wanted - staff.scopes
    staff.scope_rows = [*kept, *(_make_scope(staff.org_id, scope) for scope in sorted(added))]


def _make_scope(org_id: UUID, scope: Scope) -> StaffScope:
    return StaffScope(org_id=org_id, kind=scope.kind.value, id=scope.id)


async def lock_manageable(
    session: AsyncSession, org_id: UUID, staff_id: UUID, granter: Granter
) -> Staff:
    """Lock a person whom the granter may manage: one who may do no more than the granter."""
    staff = await queries.lock_staff(session, org_id, staff_id)
    if granter.scopes:
        if not granter.scopes & staff.scopes:
            raise StaffNotFound
        if not staff.scopes <= granter.scopes:
            raise RoleNotGrantable("This person works for others, too.")
    if not may_grant(granter.permissions, staff.roles):
        raise RoleNotGrantable
    return staff


async def _set_password(staff: Staff, password: str, passwords: Passwords) -> None:
    if violations := check_password(password, staff.login):
        raise PasswordRefused(violations)
    staff.password_hash = await passwords.hash(password)
    staff.failed_attempts, staff.locked_until = 0, None


def _describe(staff: Staff) -> dict[str, Any]:
    return {
        "login": staff.login,
        "display_name": staff.display_name,
        "roles": list(staff.roles),
        "scopes": [f"{scope.kind.value}:{scope.id}" for scope in sorted(staff.scopes)],
        "is_disabled": staff.disabled_at is not None,
    }


def _record(
    session: AsyncSession, staff: Staff, granter: Granter, action: str, **facts: Any
) -> None:
    record_change(
        session,
        org_id=staff.org_id,
        actor=granter.actor,
        action=action,
        object_kind="staff",
        object_id=staff.id,
        **facts,
    )
