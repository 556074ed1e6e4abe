"""Schemas of organisations."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.http.fields import Body, NameText, OrgCode, Read
from identity.organisations.rules import OrgKind


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


class OrganisationPage(Read):
    """A page of organisations, newest first."""

    organisations: list[OrganisationRead]
    next_cursor: str | None
