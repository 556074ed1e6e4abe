"""Founding of organisations."""

from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.tenancy import enter_org
from core.text import check_lines
from identity.organisations.errors import OrganisationCodeTaken
from identity.organisations.models import Organisation, OrganisationCode
from identity.organisations.rules import OrgFacts, OrgKind


async def create_organisation(
    session: AsyncSession, *, code: str, name: str, kind: OrgKind, is_live: bool, now: datetime
) -> OrgFacts:
    """Make a tenant and enter it. The caller has checked the code's alphabet.

    Raises:
        OrganisationCodeTaken: the code was ever used.
    """
    check_lines(name=name)
    org_id = new_id()
    await enter_org(session, org_id)
    session.add(
        Organisation(
            id=org_id, code=code, name=name, kind=kind.value, is_live=is_live, created_at=now
        )
    )
    try:
        await session.flush()
        session.add(OrganisationCode(code=code, org_id=org_id))
        await session.flush()
    except IntegrityError as error:
        raise OrganisationCodeTaken(code) from error
    return OrgFacts(id=org_id, code=code, name=name, is_live=is_live)
