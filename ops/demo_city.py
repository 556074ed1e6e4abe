"""The demo city: made once through the hub's own services, told to the sandbox at every start.

Each organisation is one transaction, so a start that was killed half-way goes on where it stopped.
Passwords are made here and told once; the database holds their hashes.
"""

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import keys, queries, service
from api.auth.callers import Caller, Org
from api.auth.models import Role, Staff
from api.auth.passwords import Passwords
from api.auth.rules import API_SCOPES, ROLE_PERMISSIONS, permissions_of
from core.audit import Actor
from core.clock import read_clock
from core.db import Sessions, make_sessions, open_engine, open_org_transaction
from core.ids import new_id, new_token
from core.sealing import Sealer
from core.settings import Settings
from ops.demo_places import CITY_CODE, CITY_NAME, CITY_SLUG, DONG_XA, PLACES, Place, Stall
from ops.demo_sandbox import tell_sandbox
from ops.errors import CannotStart
from payments.bills.references import ALPHABET, make_reference
from payments.bills.serials import SERIAL_COUNT
from payments.callbacks.service import GENERATES_SECRET, create_endpoint
from payments.payees.models import OrgKind, PayeeAccount
from payments.payees.queries import find_organisation, list_organisations, take_serials
from payments.payees.rules import OrgFacts
from payments.payees.service import (
    add_payee,
    approve_account,
    create_organisation,
    note_test_transfer,
    propose_account,
)
from payments.vietqr.banks import find_bank

CAN_BE_ASKED: Final = frozenset({"sepay", "sepay_apikey"})
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
class Seeding:
    """What one seeding works with, and what it made."""

    sessions: Sessions
    sealer: Sealer
    passwords: Passwords
    sandbox_url: str
    now: datetime
    logins: list[NewLogin] = field(default_factory=list)
    api_keys: list[tuple[str, str]] = field(default_factory=list)  # (organisation code, text)


def seed(*, hub_url: str, sandbox_url: str, has_new_passwords: bool = False) -> list[str]:
    """Make the demo city where it is missing, and tell the sandbox of its accounts and endpoints.

    Reads the PHOPAY_… variables. Safe to repeat: what is there stays.

    Args:
        hub_url: where the sandbox reaches the hub.
        sandbox_url: where the hub, and this process, reach the sandbox.
        has_new_passwords: give everybody a new password, and the key's holder a new key.

    Returns:
        Lines for the person at the terminal: logins that were made now, or that there are some.

    Raises:
        CannotStart: the hub has a live organisation; pretend places do not belong beside it.
    """
    settings = Settings()  # type: ignore[call-arg]  # from PHOPAY_… variables
    return asyncio.run(
        _seed(
            settings,
            hub_url=hub_url.rstrip("/"),
            sandbox_url=sandbox_url.rstrip("/"),
            has_new_passwords=has_new_passwords,
        )
    )


async def _seed(
    settings: Settings, *, hub_url: str, sandbox_url: str, has_new_passwords: bool
) -> list[str]:
    engine = open_engine(settings.app_database_url.get_secret_value(), settings, pool_size=2)
    try:
        seeding = Seeding(
            sessions=make_sessions(engine),
            sealer=Sealer.from_settings(settings),
            passwords=Passwords(),
            sandbox_url=sandbox_url,
            now=read_clock(),
        )
        known = await _find_known(seeding)
        await _make_missing(seeding, known)
        if has_new_passwords:
            for org in known.values():
                await _renew_logins(seeding, org)
        lines = _describe(seeding, is_new=not known)
        lines += await tell_sandbox(
            seeding.sessions, seeding.sealer, hub_url=hub_url, sandbox_url=sandbox_url
        )
    finally:
        await engine.dispose()
    return lines


async def _find_known(seeding: Seeding) -> dict[str, OrgFacts]:
    """Return the demo's organisations that are there already, by code."""
    async with seeding.sessions.begin() as session:
        if any(org.is_live for org in await list_organisations(session)):
            raise CannotStart(
                "This hub has a live organisation, and the demo city is made of pretend ones.\n"
                "Give the demo a folder of its own: --data DIR (and no DATABASE_URL)"
            )
        codes = [CITY_CODE, *(place.code for place in PLACES)]
        found = [await find_organisation(session, code) for code in codes]
    return {org.code: org for org in found if org is not None}


async def _make_missing(seeding: Seeding, known: dict[str, OrgFacts]) -> None:
    if CITY_CODE not in known:
        await _make_city(seeding)
    for place in PLACES:
        if place.code not in known:
            await _make_place(seeding, place)


async def _make_city(seeding: Seeding) -> None:
    async with seeding.sessions.begin() as session:
        org = await create_organisation(
            session,
            code=CITY_CODE,
            name=CITY_NAME,
            kind=OrgKind.CITY,
            is_live=False,
            now=seeding.now,
        )
        made = [
            await _add_login(seeding, session, org, "quantri", "Quản trị thành phố", Role.ADMIN),
            await _add_login(seeding, session, org, "xem", "Lãnh đạo thành phố", Role.CITY_VIEWER),
        ]
    seeding.logins += [login for _, login in made]


async def _make_place(seeding: Seeding, place: Place) -> None:
    """Make one organisation with everything in it, in one transaction."""
    now = seeding.now
    logins: list[NewLogin] = []
    async with seeding.sessions.begin() as session:
        org = await create_organisation(
            session, code=place.code, name=place.name, kind=place.kind, is_live=False, now=now
        )
        manager, login = await _add_login(
            seeding, session, org, f"quanly.{place.slug}", "Quản lý", Role.MANAGER
        )
        logins.append(login)
        approver, login = await _add_login(
            seeding, session, org, f"duyet.{place.slug}", "Người duyệt", Role.APPROVER
        )
        logins.append(login)
        _, login = await _add_login(
            seeding, session, org, f"taichinh.{place.slug}", "Tài chính", Role.FINANCE
        )
        logins.append(login)
        if place.has_attendant:
            _, login = await _add_login(
                seeding, session, org, f"nhanvien.{place.slug}", "Nhân viên bãi", Role.ATTENDANT
            )
            logins.append(login)
        account_ids = set()
        for position, stall in enumerate(place.stalls):
            payee = await add_payee(
                session, org.id, name=stall.name, place=stall.place, actor=_actor(manager), now=now
            )
            link = await _give_account(session, org, place, position, payee.id, manager, now)
            await approve_account(session, org.id, link.id, actor=_actor(approver), now=now)
            # False for a shared account that another stall's link has put in force already.
            await note_test_transfer(session, org.id, link.receiving_account_id, new_id(), now=now)
            account_ids.add(link.receiving_account_id)
            logins += await _add_vendors(seeding, session, org, place, stall, payee.id)
        await _add_endpoint(seeding, session, org, place, account_ids, manager)
        text = await _add_key(session, org, place, manager, now)
    seeding.logins += logins
    seeding.api_keys += [(org.code, text)] if text else []


async def _give_account(
    session: AsyncSession,
    org: OrgFacts,
    place: Place,
    position: int,
    payee_id: UUID,
    manager: Staff,
    now: datetime,
) -> PayeeAccount:
    bin_, number, holder = place.account_of(position)
    taken = await take_serials(session, org.id, wanted=1, serials_max=SERIAL_COUNT)
    assert taken is not None
    return await propose_account(
        session,
        org.id,
        payee_id=payee_id,
        is_known_bank=find_bank(bin_) is not None,
        bin_=bin_,
        account_number=number,
        virtual_account=place.virtual_account_of(position),
        holder_name=holder,
        test_reference=make_reference(*taken),
        actor=_actor(manager),
        now=now,
    )


async def _add_vendors(
    seeding: Seeding,
    session: AsyncSession,
    org: OrgFacts,
    place: Place,
    stall: Stall,
    payee_id: UUID,
) -> list[NewLogin]:
    if not stall.has_logins:
        return []
    end = f"{place.slug}.{stall.label}"
    roles = (("chu", "Chủ quầy", Role.VENDOR_OWNER), ("thungan", "Thu ngân", Role.CASHIER))
    return [
        (
            await _add_login(
                seeding,
                session,
                org,
                f"{start}.{end}",
                f"{who} {stall.label}",
                role,
                payee_id=payee_id,
            )
        )[1]
        for start, who, role in roles
    ]


async def _add_login(
    seeding: Seeding,
    session: AsyncSession,
    org: OrgFacts,
    login: str,
    who: str,
    role: Role,
    *,
    payee_id: UUID | None = None,
) -> tuple[Staff, NewLogin]:
    password = _make_password()
    staff = await service.add_staff(
        session,
        org.id,
        granter=service.HUB,
        passwords=seeding.passwords,
        login=login if "." in login else f"{login}.{CITY_SLUG}",
        display_name=who,
        password=password,
        roles=[role],
        payee_id=payee_id,
        now=seeding.now,
    )
    told = NewLogin(org_code=org.code, who=who, login=staff.login, password=password)
    return staff, told


async def _add_endpoint(
    seeding: Seeding,
    session: AsyncSession,
    org: OrgFacts,
    place: Place,
    account_ids: Iterable[UUID],
    manager: Staff,
) -> None:
    is_askable = place.provider in CAN_BE_ASKED
    await create_endpoint(
        session,
        org,
        provider=place.provider,
        name=f"Sandbox {place.provider}",
        secret=None if place.provider in GENERATES_SECRET else secrets.token_hex(32),
        is_sandbox=True,
        account_ids=list(account_ids),
        ask_url=seeding.sandbox_url if is_askable else None,
        ask_token=new_token() if is_askable else None,
        sealer=seeding.sealer,
        actor=_actor(manager),
        now=seeding.now,
    )


async def _add_key(
    session: AsyncSession, org: OrgFacts, place: Place, manager: Staff, now: datetime
) -> str | None:
    """Give the first market an API key for everything a machine may do."""
    if place is not DONG_XA:
        return None
    scopes = API_SCOPES & ROLE_PERMISSIONS[Role.MANAGER]
    made = await keys.add_key(
        session, _caller(org, place.kind, manager), name=KEY_NAME, scopes=scopes, now=now
    )
    return made.text


async def _renew_logins(seeding: Seeding, org: OrgFacts) -> None:
    """Give everybody of a demo organisation a new password, and its key's holder a new key."""
    async with open_org_transaction(seeding.sessions, org.id) as session:
        people = [one for one in await queries.list_staff(session, org.id) if not one.disabled_at]
        for person in people:
            password = _make_password()
            await service.reset_password(
                session,
                org.id,
                person.id,
                granter=service.HUB,
                passwords=seeding.passwords,
                password=password,
                reason="demo: new passwords asked for",
                now=seeding.now,
            )
            seeding.logins.append(
                NewLogin(
                    org_code=org.code,
                    who=person.display_name,
                    login=person.login,
                    password=password,
                )
            )
        managers = [person for person in people if Role.MANAGER in person.roles]
        if org.code == DONG_XA.code and managers:
            caller = _caller(org, DONG_XA.kind, managers[0])
            for key in await queries.list_keys(session, org.id):
                if key.name == KEY_NAME:
                    await keys.revoke_key(
                        session, caller, key.id, reason="demo: a new key", now=seeding.now
                    )
            text = await _add_key(session, org, DONG_XA, managers[0], seeding.now)
            assert text is not None
            seeding.api_keys.append((org.code, text))


def _actor(staff: Staff) -> Actor:
    return Actor(kind="staff", id=staff.id, name=staff.display_name)


def _caller(org: OrgFacts, kind: OrgKind, staff: Staff) -> Caller:
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
        payee_id=staff.payee_id,
        session_id=None,
    )


def _make_password() -> str:
    letters = ALPHABET.lower()
    groups = (
        "".join(secrets.choice(letters) for _ in range(PASSWORD_GROUP_CHARS))
        for _ in range(PASSWORD_GROUPS)
    )
    return "-".join(groups)


def _describe(seeding: Seeding, *, is_new: bool) -> list[str]:
    if not seeding.logins:
        return [
            "The demo city is there from an earlier start, with the logins told then.",
            "New passwords for all of them: ./phopay seed --new-passwords (with the same --data)",
        ]
    names = {place.code: place.name for place in PLACES} | {CITY_CODE: CITY_NAME}
    title = "Logins, told this once:" if is_new else "New logins, told this once:"
    lines = [title]
    code = ""
    for login in seeding.logins:
        if login.org_code != code:
            code = login.org_code
            lines += ["", f"{code}  {names[code]}"]
        lines.append(f"  {login.login:<20} {login.password}   {login.who}")
    lines += [""]
    lines += [f"API key of {code}: {text}" for code, text in seeding.api_keys]
    return lines
