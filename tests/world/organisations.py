"""Organisations."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from identity.organisations.rules import OrgFacts, OrgKind
from identity.organisations.service import create_organisation
from tests.world.constants import MANAGER, NOON


async def an_organisation(
    session: AsyncSession, *, code: str = "HKXM", is_live: bool = True, now: datetime = NOON
) -> OrgFacts:
    """Make an organisation and enter it."""
    return await create_organisation(
        session,
        code=code,
        name=f"Ban quản lý {code}",
        kind=OrgKind.MARKET_BOARD,
        is_live=is_live,
        actor=MANAGER,
        now=now,
    )
