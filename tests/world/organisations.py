"""Organisations."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from identity.organisations.rules import OrgFacts, OrgKind
from identity.organisations.service import create_organisation
from tests.world.constants import MANAGER, NOON


async def an_organisation(
    session: AsyncSession,
    *,
    code: str = "HKXM",
    name: str | None = None,
    kind: OrgKind = OrgKind.MARKET_BOARD,
    is_live: bool = True,
    actor: Actor = MANAGER,
    now: datetime = NOON,
) -> OrgFacts:
    """Make an organisation and enter it."""
    return await create_organisation(
        session,
        code=code,
        name=name or f"Ban quản lý {code}",
        kind=kind,
        is_live=is_live,
        actor=actor,
        now=now,
    )
