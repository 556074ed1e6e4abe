"""Callers: staff by cookie, machines by API key, phones of a lot, and the organisation of each."""

import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Generic, Literal, TypeVar
from uuid import UUID

from core.audit import Actor
from core.db import Database
from core.errors import Forbidden
from core.ids import hash_token
from core.tenancy import open_org_transaction
from identity.organisations.errors import OrganisationNotFound
from identity.organisations.rules import ORG_CODE_PATTERN, OrgFacts, OrgKind
from identity.people import queries
from identity.people.errors import ApiKeyNotValid, ScopeNeeded, SignInEnded
from identity.people.rules import (
    API_SCOPES,
    CITY_ONLY,
    NARROWED,
    Permission,
    Role,
    Scope,
    ScopeKind,
    permissions_of,
)

# Verified keys are remembered, since keys come thousands of times a second. A revoked key
# therefore works for up to this long in each process (docs/permissions.md says so).
KEY_CACHE_S: Final = 5.0
ORG_CACHE_S: Final = 60.0
CACHE_ENTRIES_MAX: Final = 10_000
USE_WRITTEN_EVERY: Final = timedelta(minutes=1)

K = TypeVar("K")
V = TypeVar("V")

API_KEY: Final = re.compile(
    rf"pp_(live|test)_({ORG_CODE_PATTERN})_([a-z0-9]{{12}})_([A-Za-z0-9_-]{{43}})"
)
COOKIE_VALUE: Final = re.compile(rf"({ORG_CODE_PATTERN})\.([A-Za-z0-9_-]{{43}})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Org(OrgFacts):
    """The facts about an organisation that every request needs."""

    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks, and for which organisation: `org` is the one acted for, `home` where they belong.

    The two differ only for administrators of the city.
    """

    org: Org
    home: Org
    kind: Literal["staff", "api_key", "device"]
    id: UUID  # of a device: the person whom a PIN named on it, or itself
    name: str
    roles: frozenset[str]  # empty for API keys and devices
    permissions: frozenset[Permission]  # of the roles, or the key's scopes, or the device's token
    scopes: frozenset[Scope]  # what they are held to; nothing: the whole organisation
    sign_in_id: UUID | None  # of staff
    device_id: UUID | None = None
    request_id: str = ""

    @property
    def org_id(self) -> UUID:
        """The organisation acted for."""
        return self.org.id

    @property
    def org_code(self) -> str:
        """The code of the organisation acted for, as new references carry it."""
        return self.org.code

    @property
    def actor(self) -> Actor:
        """Who did it, for the audit log of the organisation that was acted on."""
        name = self.name if self.org_id == self.home.id else f"{self.name} ({self.home.code})"
        is_named = self.kind == "device" and self.id != self.device_id
        kind = "staff" if is_named else self.kind
        return Actor(kind=kind, id=self.id, name=name, request_id=self.request_id)

    def may(self, permission: Permission) -> bool:
        """Whether this caller holds a permission."""
        return permission in self.permissions

    @property
    def is_scoped(self) -> bool:
        """Whether this caller works for a part of the organisation only."""
        return bool(self.scopes)

    def choices(self, kind: ScopeKind) -> frozenset[UUID] | None:
        """What of this kind the caller may see, to choose from; None: all there is."""
        if not self.scopes:
            return None
        return frozenset(scope.id for scope in self.scopes if scope.kind == kind)

    def sees(self, kind: ScopeKind, id_: UUID) -> bool:
        """Whether the caller may see this one."""
        choices = self.choices(kind)
        return choices is None or id_ in choices

    def narrow(self, kind: ScopeKind, wanted: UUID | None) -> UUID | None:
        """Return the one to show: the wanted one, or the only one that this caller may see.

        Returns:
            None if nothing narrows: the caller works for the whole organisation and named none.

        Raises:
            Forbidden: it is not among the caller's, or they have none of this kind.
            ScopeNeeded: the caller has several, and must name one; see `choices`.
        """
        choices = self.choices(kind)
        if choices is None:
            return wanted
        if wanted is None and len(choices) > 1:
            raise ScopeNeeded(kind)
        if not choices or (wanted is not None and wanted not in choices):
            raise Forbidden(f"You work for another {kind.value}.")
        return wanted or next(iter(choices))


class Remembered(Generic[K, V]):
    """A small cache whose entries go stale after some seconds; the oldest give way."""

    def __init__(self, keep_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep_s = keep_s
        self._clock = clock
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return a fresh value or None."""
        found = self._entries.get(key)
        if found is None or found[0] < self._clock():
            return None
        return found[1]

    def put(self, key: K, value: V) -> V:
        """Keep a value from now on."""
        self._entries.pop(key, None)
        while len(self._entries) >= CACHE_ENTRIES_MAX:
            self._entries.popitem(last=False)
        self._entries[key] = (self._clock() + self._keep_s, value)
        return value

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()


@dataclass(kw_only=True)
class Directory:
    """Finds callers and organisations, with what one process remembers about them."""

    database: Database
    sign_in_idle: timedelta
    orgs: Remembered[str, Org] = field(default_factory=lambda: Remembered(ORG_CACHE_S))
    keys: Remembered[bytes, Caller] = field(default_factory=lambda: Remembered(KEY_CACHE_S))
    # Keys that were used and when: written to the database by `write_key_uses`, off the way.
    used_keys: dict[tuple[UUID, UUID], datetime] = field(default_factory=dict)
    _written: dict[tuple[UUID, UUID], datetime] = field(default_factory=dict)

    async def find_org(self, code: str) -> Org | None:
        """Return the organisation that a code names, or None. Any code it ever had will do."""
        if known := self.orgs.get(code):
            return known
        async with self.database.begin() as session:
            row = await queries.find_org(session, code)
        if row is None:
            return None
        found = Org(id=row.id, code=row.code, name=row.name, kind=row.kind, is_live=row.is_live)
        return self.orgs.put(code, found)

    async def identify_key(self, presented: str, *, now: datetime) -> Caller:
        """Return the machine that an API key belongs to.

        Raises:
            ApiKeyNotValid: malformed, unknown, revoked, expired, or of the other mode.
        """
        parts = API_KEY.fullmatch(presented)
        if parts is None:
            raise ApiKeyNotValid
        mode, code, prefix, secret = parts.groups()
        cache_key = hash_token(presented)
        caller = self.keys.get(cache_key)
        if caller is None:
            caller = await self._verify_key(mode, code, prefix, secret, now=now)
            self.keys.put(cache_key, caller)
        self._note_use(caller, now)
        return caller

    async def _verify_key(
        self, mode: str, code: str, prefix: str, secret: str, *, now: datetime
    ) -> Caller:
        org = await self.find_org(code)
        if org is None or (mode == "live") != org.is_live:
            raise ApiKeyNotValid
        async with open_org_transaction(self.database, org.id) as session:
            key = await queries.find_key_by_prefix(session, org.id, prefix)
        # Compared even when there is none, so that the time does not tell prefixes apart.
        expected = key.secret_hash if key else bytes(32)
        is_right = hmac.compare_digest(expected, hash_token(secret))
        is_open = key is not None and key.revoked_at is None
        if key is None or not is_right or not is_open or (key.expires_at or now) < now:
            raise ApiKeyNotValid
        scopes = frozenset(Permission(s) for s in key.scopes if s in API_SCOPES)
        held_to = frozenset[Scope]()
        if key.lot_id is not None:
            held_to = frozenset({Scope(ScopeKind.LOT, key.lot_id)})
        return Caller(
            org=org,
            home=org,
            kind="api_key",
            id=key.id,
            name=key.name,
            roles=frozenset(),
            permissions=scopes,
            scopes=held_to,
            sign_in_id=None,
        )

    def _note_use(self, caller: Caller, now: datetime) -> None:
        name = (caller.org_id, caller.id)
        last = self._written.get(name)
        if last is None or now - last >= USE_WRITTEN_EVERY:
            self.used_keys[name] = now

    async def write_key_uses(self) -> int:
        """Write `last_used_at` of the keys used lately; returns how many. At most once a minute
        for each key, and never on a request's way."""
        used, self.used_keys = self.used_keys, {}
        for (org_id, key_id), at in used.items():
            async with open_org_transaction(self.database, org_id) as session:
                await queries.write_key_use(session, org_id, key_id, at=at)
            self._written[(org_id, key_id)] = at
        return len(used)

    async def identify_cookie(self, value: str, *, now: datetime) -> Caller:
        """Return the person whose sign-in a cookie names.

        Raises:
            SignInEnded: unknown, revoked, idle too long, or the person was disabled.
        """
        parts = COOKIE_VALUE.fullmatch(value)
        org = await self.find_org(parts[1]) if parts else None
        if parts is None or org is None:
            raise SignInEnded("Sign in again.")
        async with open_org_transaction(self.database, org.id) as session:
            found = await queries.find_sign_in(session, org.id, hash_token(parts[2]))
            if found is None or not self._is_open(found, now):
                raise SignInEnded("You were signed out. Sign in again.")
            if now - found.last_seen_at >= USE_WRITTEN_EVERY:
                await queries.touch_sign_in(session, org.id, found.sign_in_id, now=now)
        return Caller(
            org=org,
            home=org,
            kind="staff",
            id=found.staff_id,
            name=found.display_name,
            roles=frozenset(found.roles),
            permissions=permissions_of(found.roles) - _withheld(org, found.scopes),
            scopes=found.scopes,
            sign_in_id=found.sign_in_id,
        )

    def _is_open(self, found: queries.FoundSignIn, now: datetime) -> bool:
        return (
            found.revoked_at is None
            and found.disabled_at is None
            and now < found.expires_at
            and now - found.last_seen_at < self.sign_in_idle
        )

    async def is_still_open(self, caller: Caller, *, now: datetime) -> bool:
        """Whether a caller who opened a long stream would still be let in."""
        async with open_org_transaction(self.database, caller.home.id) as session:
            if caller.sign_in_id is None:
                key = await queries.find_key(session, caller.home.id, caller.id)
                return (
                    key is not None
                    and key.revoked_at is None
                    and (key.expires_at is None or key.expires_at > now)
                )
            found = await queries.find_sign_in_by_id(session, caller.home.id, caller.sign_in_id)
            if found is None or not self._is_open(found, now):
                return False
            # An open stream is use: a counter's screen is not signed out in the middle of the day.
            if now - found.last_seen_at >= USE_WRITTEN_EVERY:
                await queries.touch_sign_in(session, caller.home.id, found.sign_in_id, now=now)
        return True

    async def act_for(self, caller: Caller, code: str | None) -> Caller:
        """Return the caller as acting for an organisation: their own, or any for the city's admin.

        Raises:
            Forbidden: another organisation, and the caller is no administrator of the city.
            OrganisationNotFound: the city's administrator named one that does not exist.
        """
        if code is None or code == caller.home.code:
            return caller
        may_act = caller.home.kind == OrgKind.CITY and Role.ADMIN in caller.roles
        if not may_act:
            # A former code of one's own organisation is no stranger's.
            org = await self.find_org(code)
            if org is not None and org.id == caller.home.id:
                return caller
            raise Forbidden("You do not work for this organisation.")
        org = await self.find_org(code)
        if org is None:
            raise OrganisationNotFound(code)
        return replace(caller, org=org)


def _withheld(org: Org, scopes: frozenset[Scope]) -> frozenset[Permission]:
    """Return what no role gives here: only the city manages organisations, and who is held to
    scopes does nothing that acts on the whole organisation."""
    of_the_city = frozenset[Permission]() if org.kind == OrgKind.CITY else CITY_ONLY
    return of_the_city | (frozenset(Permission) - NARROWED if scopes else frozenset())
