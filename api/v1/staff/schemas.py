"""Schemas of the people who sign in."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field

from api.http.fields import (
    Body,
    Login,
    NameText,
    Password,
    Read,
    ReasonText,
)
from identity.people.rules import SCOPES_MAX, Role, Scope, ScopeKind

Roles = Annotated[list[Role], Field(min_length=1, max_length=len(Role))]


class ScopeField(Read):
    """One thing that a person works for, such as their stall."""

    kind: ScopeKind
    id: UUID

    @property
    def value(self) -> Scope:
        """As the rules have it."""
        return Scope(self.kind, self.id)


Scopes = Annotated[list[ScopeField], Field(max_length=SCOPES_MAX)]
SCOPES_DESCRIPTION = (
    "What the person is held to; none: the whole organisation. Owners and cashiers need a payee."
)


class PasswordReset(Body):
    """Somebody's new password, given by who manages them."""

    password: Password
    reason: ReasonText | None = None


class StaffCreate(Body):
    """A person who will sign in."""

    login: Login
    display_name: NameText
    password: Password
    roles: Roles
    scopes: Scopes = Field(default=[], description=SCOPES_DESCRIPTION)


class StaffPatch(Body):
    """What to change; what is left out stays."""

    display_name: NameText | None = None
    roles: Roles | None = None
    scopes: Scopes | None = Field(default=None, description=SCOPES_DESCRIPTION)
    is_disabled: bool | None = None
    reason: ReasonText | None = None


class StaffRead(Read):
    """A person who signs in."""

    id: UUID
    login: str
    display_name: str
    roles: list[str]
    scopes: Annotated[list[ScopeField], BeforeValidator(sorted)]  # a set has no order
    locked_until: datetime | None
    created_at: datetime
    disabled_at: datetime | None


class StaffPage(Read):
    """A page of people, newest first."""

    staff: list[StaffRead]
    next_cursor: str | None
