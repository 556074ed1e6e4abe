"""Requests and answers about people, sessions, keys and organisations."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.http.fields import (
    Body,
    Login,
    NameText,
    Password,
    Read,
    ReasonText,
)
from identity.people.rules import Role

Roles = Annotated[list[Role], Field(min_length=1, max_length=len(Role))]


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
    payee_id: UUID | None = Field(default=None, description="Needed for owners and cashiers.")


class StaffPatch(Body):
    """What to change; what is left out stays. A `payee_id` of null takes the payee away."""

    display_name: NameText | None = None
    roles: Roles | None = None
    payee_id: UUID | None = None
    is_disabled: bool | None = None
    reason: ReasonText | None = None


class StaffRead(Read):
    """A person who signs in."""

    id: UUID
    login: str
    display_name: str
    roles: list[str]
    payee_id: UUID | None
    locked_until: datetime | None
    created_at: datetime
    disabled_at: datetime | None
