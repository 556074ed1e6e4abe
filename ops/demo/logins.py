"""Logins of the demo city: people with passwords made here, and one API key, shown once."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from identity.organisations.rules import OrgFacts, OrgKind
from identity.people import keys, queries, service
from identity.people.callers import Caller, Org
from identity.people.models import Staff
from identity.people.passwords import Passwords
from identity.people.rules import (
    API_SCOPES,
    ROLE_PERMISSIONS,
    Permission,
    Role,
    Scope,
    permissions_of,
)
from ops.demo.places import CITY_CODE, CITY_NAME, CITY_SLUG, DONG_XA, PLACES
from payments.bills.references import ALPHABET
from registry import REGISTRY

# (start of the login, name, role)
CITY_STAFF: Final = (
    ("quantri", "Quản trị thành phố", Role.ADMIN),
    ("xem", "Lãnh đạo thành phố", Role.CITY_VIEWER),
)
STAFF: Final = (
    ("quanly", "Quản lý", Role.MANAGER),
    ("duyet", "Người duyệt", Role.APPROVER),
    ("taichinh", "Tài chính", Role.FINANCE),
)
ATTENDANT: Final = ("nhanvien", "Nhân viên bãi", Role.ATTENDANT)
VENDORS: Final = (
    ("chu", "Chủ quầy", Role.VENDOR_OWNER),
    ("thungan", "Thu ngân", Role.CASHIER),
)
KEY_NAME: Final = "Demo"
PASSWORD_GROUPS, PASSWORD_GROUP_CHARS = 3, 4  # 59 bits, and easy to type on a phone


@dataclass(frozen=True, kw_only=True)
class NewLogin:
    """What somebody signs in with, in clear this once."""

    org_code: str
    who: str
    login: str
    password: str


@dataclass(kw_only=True)
class Logins:
    """Makes logins and remembers what to print of them."""

    passwords: Passwords
    now: datetime
    made: list[NewLogin] = field(default_factory=list)
    api_keys: list[tuple[str, str]] = field(default_factory=list)  # (organisation code, text)

    async def add(
        self,
        session: AsyncSession,
        org: OrgFacts,
        *,
        login: str,
        who: str,
        role: Role,
        scope: Scope | None = None,
    ) -> Staff:
        """Let somebody sign in; `scope` is what they work for, if not for all of it."""
        password = make_password()
        staff = await service.add_staff(
            session,
            org.id,
            granter=service.HUB,
            passwords=self.passwords,
            login=login,
            display_name=who,
            password=password,
            roles=[role],
            scopes=[] if scope is None else [scope],
            hooks=REGISTRY.hooks,
            now=self.now,
        )
        self._remember(org, staff, password)
        return staff

    async def add_key(self, session: AsyncSession, org: OrgFacts, manager: Staff) -> None:
        """Make a key of the first market's for everything a machine may do."""
        # A barrier's key is of one lot.
        scopes = (API_SCOPES & ROLE_PERMISSIONS[Role.MANAGER]) - {Permission.LANES_SERVE}
        caller = as_caller(org, DONG_XA.kind, manager)
        made = await keys.add_key(session, caller, name=KEY_NAME, scopes=scopes, now=self.now)
        self.api_keys.append((org.code, made.text))

    async def renew(self, session: AsyncSession, org: OrgFacts) -> None:
        """Give everybody of an organisation a new password; the demo's key is replaced too."""
        people = [one for one in await queries.list_staff(session, org.id) if not one.disabled_at]
        for staff in people:
            password = make_password()
            await service.reset_password(
                session,
                org.id,
                staff.id,
                granter=service.HUB,
                passwords=self.passwords,
                password=password,
                reason="new passwords for the demo",
                now=self.now,
            )
            self._remember(org, staff, password)
        manager = next((one for one in people if Role.MANAGER in one.roles), None)
        if org.code != DONG_XA.code or manager is None:
            return
        caller = as_caller(org, DONG_XA.kind, manager)
        for key in await queries.list_keys(session, org.id):
            if key.name == KEY_NAME:
                reason = "a new key for the demo"
                await keys.revoke_key(session, caller, key.id, reason=reason, now=self.now)
        await self.add_key(session, org, manager)

    def describe(self) -> list[str]:
        """Write the logins that were made, organisation by organisation; none: no lines."""
        if not self.made:
            return []
        names = {place.code: place.name for place in PLACES} | {CITY_CODE: CITY_NAME}
        lines = ["Logins, shown this once:"]
        code = ""
        codes = list(dict.fromkeys(login.org_code for login in self.made))
        for login in sorted(self.made, key=lambda one: codes.index(one.org_code)):
            if login.org_code != code:
                code = login.org_code
                lines += ["", f"{code}  {names[code]}"]
            lines.append(f"  {login.login:<20} {login.password}   {login.who}")
        if not self.api_keys:  # the market that they begin with was there before
            return lines
        stall = f"{DONG_XA.slug}.{DONG_XA.stalls[0].label.lower()}"
        begin = f"Begin with chu.{stall} (a stall), quanly.{DONG_XA.slug} (its market)"
        shown_keys = [f"API key of {code}: {text}" for code, text in self.api_keys]
        return [*lines, "", *shown_keys, f"{begin} or quantri.{CITY_SLUG} (the city)."]

    def _remember(self, org: OrgFacts, staff: Staff, password: str) -> None:
        self.made.append(
            NewLogin(
                org_code=org.code, who=staff.display_name, login=staff.login, password=password
            )
        )


def make_password() -> str:
    """Return twelve letters and digits that are not mixed up, in groups."""
    letters = ALPHABET.lower()
    groups = (
        "".join(secrets.choice(letters) for _ in range(PASSWORD_GROUP_CHARS))
        for _ in range(PASSWORD_GROUPS)
    )
    return "-".join(groups)


def as_caller(org: OrgFacts, kind: OrgKind, staff: Staff) -> Caller:
    """Return a person as if signed in, for what only a caller may do."""
    home = Org(id=org.id, code=org.code, name=org.name, is_live=org.is_live, kind=kind.value)
    return Caller(
        org=home,
        home=home,
        kind="staff",
        id=staff.id,
        name=staff.display_name,
        roles=frozenset(staff.roles),
        permissions=permissions_of(staff.roles),
        scopes=staff.scopes,
        sign_in_id=None,
    )
