"""Requests and answers about people, sessions, keys and organisations."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from api.auth.callers import Caller
from api.auth.models import Role
from api.auth.rules import API_SCOPES, Permission
from api.schemas.fields import (
    Body,
    Instant,
    NameText,
    OrgCode,
    Read,
    ReasonText,
    refuse_unseen,
)
from payments.payees.models import OrgKind

Login = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    AfterValidator(refuse_unseen),
    Field(examples=["lan.dx"]),
]
# The rules proper (api/auth/rules.py) answer with reasons; this only bounds the work.
Password = Annotated[SecretStr, Field(min_length=1, max_length=1_000, examples=["phở bò Hà Nội 3"])]
Scopes = Annotated[
    list[Permission],
    Field(
        min_length=1,
        max_length=len(API_SCOPES),
        examples=[["bills.open", "bills.read"]],
        description="Of: " + ", ".join(sorted(API_SCOPES)),
    ),
]
Roles = Annotated[list[Role], Field(min_length=1, max_length=len(Role))]


class OrganisationCreate(Body):
    """A new tenant. Its code stands in every reference of its bills and cannot be given twice."""

    code: OrgCode
    name: NameText
    kind: OrgKind
    is_live: bool = Field(
        default=False, description="Live organisations refuse sandbox endpoints and test money."
    )


class OrganisationRead(Read):
    """A tenant."""

    id: UUID
    code: str
    name: str
    kind: OrgKind
    is_live: bool
    created_at: datetime


class SetupCreate(Body):
    """The first organisation, the city's, and its administrator."""

    token: Annotated[SecretStr, Field(min_length=1, max_length=100, examples=["…"])]
    organisation_code: OrgCode
    organisation_name: NameText
    is_live: bool = False
    login: Login
    display_name: NameText
    password: Password


class SessionCreate(Body):
    """Who signs in."""

    login: Login
    password: Password


class Me(Read):
    """Who is asking, and what they may do."""

    kind: str = Field(examples=["staff"])
    id: UUID
    name: str
    organisation: str = Field(description="The code of the caller's own organisation.")
    organisation_name: str
    is_live: bool
    roles: list[str]
    permissions: list[str]
    payee_id: UUID | None

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
            payee_id=caller.payee_id,
        )


class SessionRead(Read):
    """A session that was opened; its cookie is in the answer's header."""

    staff_id: UUID
    expires_at: datetime


class PasswordChange(Body):
    """One's own new password."""

    present_password: Password
    password: Password


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


class KeyCreate(Body):
    """An API key to make."""

    name: NameText
    scopes: Scopes
    expires_at: Instant | None = None


class KeyRotate(Body):
    """How long the old key holds beside the new one."""

    overlap_s: Annotated[int, Field(strict=True, ge=0, le=30 * 86_400)] = 86_400

    @property
    def overlap(self) -> timedelta:
        """As a timedelta."""
        return timedelta(seconds=self.overlap_s)


class KeyRead(Read):
    """An API key, without what makes it work."""

    id: UUID
    prefix: str
    name: str
    scopes: list[str]
    created_by: UUID
    created_at: datetime
    last_used_at: datetime | None = Field(description="To the minute.")
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyMade(KeyRead):
    """A new key with its text, which is shown this once."""

    key: str = Field(examples=["pp_live_DXA2_k3v9x0q2m7ab_…"])
