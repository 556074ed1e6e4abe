"""The first start: a one-time token becomes the city's organisation and its administrator."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM
from identity.organisations.rules import OrgFacts, OrgKind
from identity.organisations.service import create_organisation
from identity.people import service
from identity.people.hooks import Hooks
from identity.people.passwords import Passwords
from identity.people.rules import Role


async def set_up_city(
    session: AsyncSession,
    *,
    token: str,
    code: str,
    name: str,
    is_live: bool,
    login: str,
    display_name: str,
    password: str,
    passwords: Passwords,
    hooks: Hooks,
    now: datetime,
) -> OrgFacts:
    """Make the city's organisation and its first administrator, once.

    Raises:
        SetupClosed: the token is not the hub's, or somebody can sign in already.
        BadOrganisationCode, OrganisationCodeTaken, PasswordRefused
    """
    await service.use_setup_token(session, token, now=now)
    org = await create_organisation(
        session, code=code, name=name, kind=OrgKind.CITY, is_live=is_live, actor=SYSTEM, now=now
    )
    await service.add_staff(
        session,
        org.id,
        granter=service.HUB,
        passwords=passwords,
        login=login,
        display_name=display_name,
        password=password,
        roles=[Role.ADMIN],
        hooks=hooks,
        now=now,
    )
    return org
