"""SQL of organisations."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from identity.organisations.models import Organisation, OrganisationCode
from identity.organisations.rules import OrgFacts

LIST_MAX: Final = 500


async def find_organisation(session: AsyncSession, code: str) -> OrgFacts | None:
    """Find the organisation that has, or ever had, this code."""
    row = (
        await session.execute(
            select(Organisation.id, Organisation.code, Organisation.name, Organisation.is_live)
            .join(OrganisationCode, OrganisationCode.org_id == Organisation.id)
            .where(OrganisationCode.code == code)
        )
    ).one_or_none()
    if row is None:
        return None
    return OrgFacts(id=row.id, code=row.code, name=row.name, is_live=row.is_live)


async def list_organisations(session: AsyncSession) -> Sequence[Organisation]:
    """List organisations by code, at most LIST_MAX."""
    query = select(Organisation).order_by(Organisation.code).limit(LIST_MAX)
    return (await session.scalars(query)).all()


async def list_org_facts(session: AsyncSession, org_ids: Collection[UUID]) -> list[OrgFacts]:
    """Return the facts of these organisations; who is not found is left out."""
    query = select(
        Organisation.id, Organisation.code, Organisation.name, Organisation.is_live
    ).where(Organisation.id.in_(org_ids))
    return [
        OrgFacts(id=row.id, code=row.code, name=row.name, is_live=row.is_live)
        for row in await session.execute(query)
    ]
