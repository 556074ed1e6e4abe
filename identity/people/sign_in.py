"""Signing in and out: the password, the lock after failures, the sign-in and its cookie."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from core.audit import Actor, record_change
from core.db import Database
from core.ids import hash_token, new_id
from core.rate_limit import RateLimit
from core.tenancy import open_org_transaction
from identity.organisations.queries import list_org_facts
from identity.people import queries
from identity.people.callers import Caller
from identity.people.errors import LoginFailed
from identity.people.models import SignIn, Staff
from identity.people.passwords import Passwords
from identity.people.rules import PASSWORD_CHARS_MAX, lock_for, normalise_login

SIGN_IN_TOKEN_BYTES: Final = 32
USER_AGENT_CHARS_MAX: Final = 200


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """A sign-in that was opened just now. The cookie's value is known only here."""

    org_id: UUID
    staff_id: UUID
    sign_in_id: UUID
    cookie: str
    expires_at: datetime


@dataclass(kw_only=True)
class SignIns:
    """Lets people in. One per process, so that its limits count."""

    database: Database
    passwords: Passwords
    sign_in_max: timedelta
    by_login: RateLimit = field(default_factory=lambda: RateLimit(10, per_s=60))
    # A whole market may come from one address.
    by_address: RateLimit = field(default_factory=lambda: RateLimit(120, per_s=60))

    async def sign_in(
        self,
        *,
        login: str,
        password: str,
        address: str,
        user_agent: str,
        replacing: Caller | None = None,
        request_id: str,
        now: datetime,
    ) -> SignedIn:
        """Open a sign-in with a new token; the one the browser had before is ended.

        The password is checked between two transactions, not inside one: it takes long on purpose.

        Raises:
            LoginFailed: the same answer whatever was wrong. A password is hashed for unknown and
                locked logins too, so the time tells little; but it is not equal: a wrong
                password of a known login also writes its failure.
            TooManyRequests: too many tries from this address, or for this login from it.
        """
        name = normalise_login(login)[:100]
        self.by_address.take(address)
        self.by_login.take(f"{address} {name}")
        staff, org_code = await self._find_staff(name)
        is_locked = (
            staff is not None and staff.locked_until is not None and now < staff.locked_until
        )
        stored = staff.password_hash if staff and not is_locked else None
        is_right = len(password) <= PASSWORD_CHARS_MAX and await self.passwords.verify(
            password, stored
        )
        if staff is None or is_locked:
            raise LoginFailed
        if not is_right:
            await self._note_failure(staff, address, request_id, now)
            raise LoginFailed
        return await self._open(staff, org_code, user_agent, replacing, request_id, now)

    async def _find_staff(self, name: str) -> tuple[Staff | None, str]:
        async with self.database.begin() as session:
            login = await queries.find_login(session, name) if "\0" not in name else None
            if login is None:
                return None, ""
            [org] = await list_org_facts(session, [login.org_id])
        async with open_org_transaction(self.database, login.org_id) as session:
            staff = await queries.get_staff(session, login.org_id, login.staff_id)
        return (None if staff.disabled_at else staff), org.code

    async def _note_failure(
        self, known: Staff, address: str, request_id: str, now: datetime
    ) -> None:
        async with open_org_transaction(self.database, known.org_id) as session:
            staff = await queries.lock_staff(session, known.org_id, known.id)
            staff.failed_attempts += 1
            if locked_for := lock_for(staff.failed_attempts):
                staff.locked_until = now + locked_for
                record_change(
                    session,
                    org_id=staff.org_id,
                    actor=_actor(staff, request_id),
                    action="staff.locked",
                    object_kind="staff",
                    object_id=staff.id,
                    after={
                        "failed_attempts": staff.failed_attempts,
                        "locked_until": staff.locked_until.isoformat(),
                        "address": address,
                    },
                    now=now,
                )

    async def _open(
        self,
        known: Staff,
        org_code: str,
        user_agent: str,
        replacing: Caller | None,
        request_id: str,
        now: datetime,
    ) -> SignedIn:
        token = secrets.token_urlsafe(SIGN_IN_TOKEN_BYTES)
        opened = SignIn(
            org_id=known.org_id,
            id=new_id(),
            staff_id=known.id,
            token_hash=hash_token(token),
            created_at=now,
            last_seen_at=now,
            expires_at=now + self.sign_in_max,
            user_agent="".join(c for c in user_agent if c.isprintable())[:USER_AGENT_CHARS_MAX],
        )
        async with open_org_transaction(self.database, known.org_id) as session:
            staff = await queries.lock_staff(session, known.org_id, known.id)
            # Guesses that were under way at once: the lock that one of them earned counts for all.
            is_locked = staff.locked_until is not None and now < staff.locked_until
            if is_locked or staff.disabled_at or staff.password_hash != known.password_hash:
                raise LoginFailed
            staff.failed_attempts, staff.locked_until = 0, None
            session.add(opened)
            record_change(
                session,
                org_id=staff.org_id,
                actor=_actor(staff, request_id),
                action="staff.signed_in",
                object_kind="sign_in",
                object_id=opened.id,
                now=now,
            )
        if replacing is not None:
            await self.sign_out(replacing, now=now)
        return SignedIn(
            org_id=known.org_id,
            staff_id=known.id,
            sign_in_id=opened.id,
            cookie=f"{org_code}.{token}",
            expires_at=opened.expires_at,
        )

    async def sign_out(self, caller: Caller, *, now: datetime) -> None:
        """End the caller's sign-in, on the server too."""
        if caller.sign_in_id is None:
            return
        async with open_org_transaction(self.database, caller.home.id) as session:
            await queries.revoke_sign_in(session, caller.home.id, caller.sign_in_id, now=now)
            record_change(
                session,
                org_id=caller.home.id,
                actor=caller.actor,
                action="staff.signed_out",
                object_kind="sign_in",
                object_id=caller.sign_in_id,
                now=now,
            )


def _actor(staff: Staff, request_id: str) -> Actor:
    return Actor(kind="staff", id=staff.id, name=staff.display_name, request_id=request_id)
