"""Schemas of signing in, and of one's own login."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.http.fields import Body, Login, Password, Read
from api.v1.staff.schemas import ScopeField
from identity.people.callers import Caller


class SignInCreate(Body):
    """Who signs in."""

    login: Login
    password: Password


class Me(Read):
    """The caller, and what they may do."""

    kind: str = Field(examples=["staff"])
    id: UUID
    name: str
    organisation: str = Field(description="The code of the caller's own organisation.")
    organisation_name: str
    is_live: bool
    roles: list[str]
    permissions: list[str]
    scopes: list[ScopeField] = Field(description="None: the whole organisation.")

    @classmethod
    def of(cls, caller: Caller) -> "Me":
        """Describe a caller."""
        return cls(
            kind=caller.kind,
            id=caller.id,
            name=caller.name,
            organisation=caller.home.code,
            organisation_name=caller.home.name,
            is_live=caller.home.is_live,
            roles=sorted(caller.roles),
            permissions=sorted(caller.permissions),
            scopes=[ScopeField(kind=one.kind, id=one.id) for one in sorted(caller.scopes)],
        )


class SignInRead(Read):
    """A sign-in that was opened; its cookie is in the answer's header."""

    staff_id: UUID
    expires_at: datetime


class PasswordChange(Body):
    """One's own new password."""

    present_password: Password
    password: Password
