"""All SQL about people, sign-ins and keys."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, any_, exists, func, literal, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core.audit import Actor, AuditRow
from core.search import has_words
from identity.organisations.models import Organisation, OrganisationCode
from identity.organisations.rules import OrgKind
from identity.people.errors import ApiKeyNotFound, StaffNotFound
from identity.people.models import ApiKey, Login, SetupToken, SignIn, Staff, StaffScope
from identity.people.rules import (
    ROLE_PERMISSIONS,
    Permission,
    Role,
    Scope,
    ScopeKind,
    permissions_of,
)

LIST_MAX = 500
# Any number: setups from several addresses at once go one after another.
SETUP_LOCK = 0x5E70


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundSignIn:
    """A sign-in with what a request needs to know about its person."""

    sign_in_id: UUID
    staff_id: UUID
    display_name: str
    roles: Sequence[str]
    scopes: frozenset[Scope]
    last_seen_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    disabled_at: datetime | None


_SCOPES = (
    select(func.jsonb_agg(func.jsonb_build_array(StaffScope.kind, StaffScope.id)))
    .where(StaffScope.org_id == Staff.org_id, StaffScope.staff_id == Staff.id)
    .scalar_subquery()
)
_SIGN_IN = select(
    SignIn.id.label("sign_in_id"),
    SignIn.staff_id,
    Staff.display_name,
    Staff.roles,
    _SCOPES.label("scopes"),
    SignIn.last_seen_at,
    SignIn.expires_at,
    SignIn.revoked_at,
    Staff.disabled_at,
).join(Staff, (Staff.org_id == SignIn.org_id) & (Staff.id == SignIn.staff_id))


async def find_org(session: AsyncSession, code: str) -> Row[UUID, str, str, str, bool] | None:
    """Return (id, code, name, kind, is_live) of the organisation that has or had this code."""
    wanted = (
        select(
            Organisation.id,
            Organisation.code,
            Organisation.name,
            Organisation.kind,
            Organisation.is_live,
        )
        .join(OrganisationCode, OrganisationCode.org_id == Organisation.id)
        .where(OrganisationCode.code == code)
    )
    return (await session.execute(wanted)).one_or_none()


async def find_sign_in(
    session: AsyncSession, org_id: UUID, token_hash: bytes
) -> FoundSignIn | None:
    """Return the sign-in with this token, open or not."""
    wanted = _SIGN_IN.where(SignIn.org_id == org_id, SignIn.token_hash == token_hash)
    return _read_sign_in((await session.execute(wanted)).one_or_none())


async def find_sign_in_by_id(
    session: AsyncSession, org_id: UUID, sign_in_id: UUID
) -> FoundSignIn | None:
    """Return one sign-in, open or not."""
    wanted = _SIGN_IN.where(SignIn.org_id == org_id, SignIn.id == sign_in_id)
    return _read_sign_in((await session.execute(wanted)).one_or_none())


async def touch_sign_in(
    session: AsyncSession, org_id: UUID, sign_in_id: UUID, *, now: datetime
) -> None:
    """Say that a sign-in was in use."""
    await session.execute(
        update(SignIn)
        .where(SignIn.org_id == org_id, SignIn.id == sign_in_id)
        .values(last_seen_at=now)
    )


async def revoke_sign_ins(
    session: AsyncSession,
    org_id: UUID,
    staff_id: UUID,
    *,
    but: UUID | None = None,
    now: datetime,
) -> None:
    """End all of a person's sign-ins, except perhaps one."""
    ending = update(SignIn).where(
        SignIn.org_id == org_id,
        SignIn.staff_id == staff_id,
        SignIn.revoked_at.is_(None),
    )
    if but is not None:
        ending = ending.where(SignIn.id != but)
    await session.execute(ending.values(revoked_at=now))


async def revoke_sign_in(
    session: AsyncSession, org_id: UUID, sign_in_id: UUID, *, now: datetime
) -> None:
    """End one sign-in; ending it again changes nothing."""
    await session.execute(
        update(SignIn)
        .where(
            SignIn.org_id == org_id,
            SignIn.id == sign_in_id,
            SignIn.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )


async def find_login(session: AsyncSession, name: str) -> Login | None:
    """Return whose login a normalised name is."""
    return await session.get(Login, name)


async def insert_login_once(session: AsyncSession, login: Login) -> bool:
    """Take a login name; False when somebody in the hub has it."""
    taken = await session.execute(
        insert(Login)
        .values(name=login.name, org_id=login.org_id, staff_id=login.staff_id)
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(Login.name)
    )
    return taken.scalar_one_or_none() is not None


async def get_staff(session: AsyncSession, org_id: UUID, staff_id: UUID) -> Staff:
    """Return one person or raise StaffNotFound."""
    found = await session.get(Staff, (org_id, staff_id))
    if found is None:
        raise StaffNotFound
    return found


async def lock_staff(session: AsyncSession, org_id: UUID, staff_id: UUID) -> Staff:
    """Return one person, locked until the transaction ends, or raise StaffNotFound."""
    wanted = (
        select(Staff)
        .where(Staff.org_id == org_id, Staff.id == staff_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    found = await session.scalar(wanted)
    if found is None:
        raise StaffNotFound
    return found


async def is_login_in_other_hands(
    session: AsyncSession,
    org_id: UUID,
    staff_id: UUID,
    *,
    since: datetime,
    involved: Sequence[UUID | None],
) -> bool:
    """Whether somebody else may sign in as this person: they gave them the password or the stall.

    Args:
        since: from then on it counts whoever did it.
        involved: a password that one of these gave counts until the person chose their own.
    """
    own = aliased(AuditRow)
    has_chosen = exists().where(
        own.org_id == org_id,
        own.object_id == staff_id,
        own.action == "staff.password_changed",
        own.recorded_at > AuditRow.recorded_at,
    )
    is_given = AuditRow.action.in_(("staff.added", "staff.password_reset"))
    is_moved = and_(
        AuditRow.action == "staff.changed",
        AuditRow.before["scopes"] != AuditRow.after["scopes"],
    )
    is_known_to_them = and_(
        is_given,
        AuditRow.actor_id.in_([one for one in involved if one is not None]),
        ~has_chosen,
    )
    wanted = select(AuditRow.id).where(
        AuditRow.org_id == org_id,
        AuditRow.object_kind == "staff",
        AuditRow.object_id == staff_id,
        AuditRow.actor_id.is_distinct_from(staff_id),
        or_(and_(AuditRow.recorded_at > since, or_(is_given, is_moved)), is_known_to_them),
    )
    return await session.scalar(wanted.limit(1)) is not None


async def list_staff(
    session: AsyncSession,
    org_id: UUID,
    *,
    scopes: Collection[Scope] = (),
    find: str = "",
    before_id: UUID | None = None,
    limit: int = LIST_MAX,
) -> Sequence[Staff]:
    """Return people, the newest first.

    Args:
        scopes: if some are named, only who has one of them.
        find: words that name and login have.
    """
    wanted = select(Staff).where(Staff.org_id == org_id)
    if before_id is not None:
        wanted = wanted.where(Staff.id < before_id)
    wanted = wanted.where(*has_words(Staff.display_name + " " + Staff.login, find))
    if scopes:
        wanted = wanted.where(
            exists().where(
                StaffScope.org_id == Staff.org_id,
                StaffScope.staff_id == Staff.id,
                tuple_(StaffScope.kind, StaffScope.id).in_(
                    [(scope.kind.value, scope.id) for scope in scopes]
                ),
            )
        )
    return (await session.scalars(wanted.order_by(Staff.id.desc()).limit(limit))).all()


async def find_names(
    session: AsyncSession, org_id: UUID, staff_ids: Collection[UUID]
) -> dict[UUID, str]:
    """Return the names of people; whoever is not of the organisation is left out."""
    wanted = select(Staff.id, Staff.display_name).where(
        Staff.org_id == org_id, Staff.id.in_(staff_ids)
    )
    return {row[0]: row[1] for row in await session.execute(wanted)}


async def is_only_person(
    session: AsyncSession, org_id: UUID, staff_id: UUID | None, *, since: datetime
) -> bool:
    """Whether nobody but this person could sign in to an organisation at any time since then.

    Who was disabled meanwhile counts: nobody becomes alone by sending the others away.
    """
    wanted = select(Staff.id).where(
        Staff.org_id == org_id,
        or_(Staff.disabled_at.is_(None), Staff.disabled_at > since),
    )
    return list(await session.scalars(wanted.limit(2))) == [staff_id]


async def may_do(
    session: AsyncSession, org_id: UUID, staff_id: UUID, permission: Permission
) -> bool:
    """Whether somebody of an organisation can sign in and may do this for all of it."""
    roles = await session.scalar(
        select(Staff.roles).where(
            Staff.org_id == org_id, Staff.id == staff_id, Staff.disabled_at.is_(None)
        )
    )
    return roles is not None and permission in permissions_of(roles)


async def list_who_may(
    session: AsyncSession, org_id: UUID, permission: Permission, *, limit: int
) -> dict[UUID, str]:
    """List by name who can sign in to an organisation and may do this: {id: name}."""
    roles = [role.value for role, held in ROLE_PERMISSIONS.items() if permission in held]
    holds_one = or_(*(literal(role) == any_(Staff.roles) for role in roles))
    wanted = (
        select(Staff.id, Staff.display_name)
        .where(Staff.org_id == org_id, Staff.disabled_at.is_(None), holds_one)
        .order_by(Staff.display_name, Staff.id)
        .limit(limit)
    )
    return {row[0]: row[1] for row in await session.execute(wanted)}


async def find_key_makers(
    session: AsyncSession, org_id: UUID, ids: Collection[UUID]
) -> frozenset[UUID]:
    """Return who made those of these that are API keys: what a key does, its maker does."""
    wanted = select(ApiKey.created_by).where(ApiKey.org_id == org_id, ApiKey.id.in_(ids))
    return frozenset(await session.scalars(wanted))


async def lock_administrators(session: AsyncSession, org_id: UUID) -> Sequence[UUID]:
    """Return the active administrators, locked: of two who leave at once, one stays."""
    wanted = (
        select(Staff.id)
        .where(Staff.org_id == org_id, Staff.disabled_at.is_(None))
        .where(literal(Role.ADMIN.value) == any_(Staff.roles))
        .order_by(Staff.id)
        .with_for_update(key_share=True)
    )
    return (await session.scalars(wanted)).all()


async def find_change(
    session: AsyncSession, org_id: UUID, staff_id: UUID, *, at: datetime
) -> tuple[Actor, str | None] | None:
    """Return who changed a person at this instant, and why."""
    row = await session.scalar(
        select(AuditRow).where(
            AuditRow.org_id == org_id,
            AuditRow.object_id == staff_id,
            AuditRow.action == "staff.changed",
            AuditRow.recorded_at == at,
        )
    )
    if row is None:
        return None
    actor = Actor(
        kind=row.actor_kind, id=row.actor_id, name=row.actor_name, request_id=row.request_id
    )
    return actor, row.reason


async def list_losses(session: AsyncSession, *, limit: int) -> list[tuple[UUID, UUID]]:
    """Return (organisation, person) whose loss is not handled everywhere yet, the oldest first."""
    wanted = (
        select(Staff.org_id, Staff.id)
        .where(Staff.lost_elsewhere_at.is_not(None))
        .order_by(Staff.lost_elsewhere_at)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in await session.execute(wanted)]


async def clear_loss(
    session: AsyncSession, org_id: UUID, staff_id: UUID, *, lost_at: datetime
) -> None:
    """Say that this loss is handled everywhere; a later one stays."""
    await session.execute(
        update(Staff)
        .where(Staff.org_id == org_id, Staff.id == staff_id, Staff.lost_elsewhere_at == lost_at)
        .values(lost_elsewhere_at=None)
    )


async def find_key_by_prefix(session: AsyncSession, org_id: UUID, prefix: str) -> ApiKey | None:
    """Return the key with this prefix, valid or not."""
    return await session.scalar(
        select(ApiKey).where(ApiKey.org_id == org_id, ApiKey.prefix == prefix)
    )


async def find_key(session: AsyncSession, org_id: UUID, key_id: UUID) -> ApiKey | None:
    """Return one key, valid or not."""
    return await session.get(ApiKey, (org_id, key_id))


async def lock_key(session: AsyncSession, org_id: UUID, key_id: UUID) -> ApiKey:
    """Return one key, locked until the transaction ends, or raise ApiKeyNotFound."""
    found = await session.scalar(
        select(ApiKey)
        .where(ApiKey.org_id == org_id, ApiKey.id == key_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise ApiKeyNotFound
    return found


async def list_keys(
    session: AsyncSession,
    org_id: UUID,
    *,
    created_by: UUID | None = None,
    valid_at: datetime | None = None,
    before_id: UUID | None = None,
    limit: int = LIST_MAX,
) -> Sequence[ApiKey]:
    """Return keys, the newest first; perhaps only those of one maker, or those valid at a time."""
    wanted = select(ApiKey).where(ApiKey.org_id == org_id).order_by(ApiKey.id.desc())
    if valid_at is not None:
        is_over = ApiKey.expires_at <= valid_at
        wanted = wanted.where(ApiKey.revoked_at.is_(None), is_over.is_not(True))
    if created_by is not None:
        wanted = wanted.where(ApiKey.created_by == created_by)
    if before_id is not None:
        wanted = wanted.where(ApiKey.id < before_id)
    return (await session.scalars(wanted.limit(limit))).all()


async def write_key_use(session: AsyncSession, org_id: UUID, key_id: UUID, *, at: datetime) -> None:
    """Say when a key was last used; several processes may write, the latest counts."""
    await session.execute(
        update(ApiKey)
        .where(ApiKey.org_id == org_id, ApiKey.id == key_id)
        .values(last_used_at=func.greatest(func.coalesce(ApiKey.last_used_at, at), at))
    )


async def lock_setup(session: AsyncSession) -> None:
    """Let one set-up at a time look and write, over all processes."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SETUP_LOCK})


async def has_any_login(session: AsyncSession) -> bool:
    """Whether anybody can sign in to this hub."""
    return await session.scalar(select(Login.name).limit(1)) is not None


async def has_owner(session: AsyncSession, org_id: UUID) -> bool:
    """Whether an owner of some stall can sign in."""
    query = select(Staff.id).where(
        Staff.org_id == org_id,
        literal(Role.VENDOR_OWNER.value) == any_(Staff.roles),
        Staff.disabled_at.is_(None),
    )
    return await session.scalar(query.limit(1)) is not None


async def use_setup_token(
    session: AsyncSession, token_hash: bytes, *, made_after: datetime, now: datetime
) -> bool:
    """Use a token up; False when it is unknown, too old, or was used."""
    used = await session.execute(
        update(SetupToken)
        .where(
            SetupToken.token_hash == token_hash,
            SetupToken.used_at.is_(None),
            SetupToken.created_at > made_after,
        )
        .values(used_at=now)
        .returning(SetupToken.created_at)
    )
    return used.scalar_one_or_none() is not None


async def close_setup_tokens(session: AsyncSession, *, now: datetime) -> None:
    """Use up every token that is still open."""
    await session.execute(
        update(SetupToken).where(SetupToken.used_at.is_(None)).values(used_at=now)
    )


async def list_orgs_acted_for(session: AsyncSession, org_id: UUID) -> Sequence[UUID]:
    """Return every other organisation if this is the city's, whose administrators act for all."""
    home = aliased(Organisation)
    is_city = exists().where(home.id == org_id, home.kind == OrgKind.CITY)
    wanted = select(Organisation.id).where(Organisation.id != org_id, is_city)
    return (await session.scalars(wanted.order_by(Organisation.id))).all()


async def list_organisations(
    session: AsyncSession,
    *,
    only: UUID | None = None,
    find: str = "",
    before_id: UUID | None = None,
    limit: int = LIST_MAX,
) -> Sequence[Organisation]:
    """Return organisations, the newest first, or only one; `find` has words of name and code."""
    wanted = select(Organisation).order_by(Organisation.id.desc()).limit(limit)
    if only is not None:
        wanted = wanted.where(Organisation.id == only)
    if before_id is not None:
        wanted = wanted.where(Organisation.id < before_id)
    wanted = wanted.where(*has_words(Organisation.name + " " + Organisation.code, find))
    return (await session.scalars(wanted)).all()


def _read_sign_in(row: Row[Any] | None) -> FoundSignIn | None:
    if row is None:
        return None
    facts = row._asdict()
    scopes = frozenset(Scope(ScopeKind(kind), UUID(id_)) for kind, id_ in facts["scopes"] or ())
    return FoundSignIn(**{**facts, "scopes": scopes})
