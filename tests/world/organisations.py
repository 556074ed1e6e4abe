"""Organisations."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from identity.organisations.rules import OrgFacts, OrgKind
from identity.organisations.service import create_organisation
from tests.world.constants import MANAGER, NOON

GIVEN_OUT = 1_000_000  # serials of an organisation's references; the hub goes on from there


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
    """Make an organisation and enter it; tests write its references themselves, below GIVEN_OUT."""
    org = await create_organisation(
        session,
        code=code,
        name=name or f"Ban quản lý {code}",
        kind=kind,
        is_live=is_live,
        actor=actor,
        now=now,
    )
    given_out = text(
        "UPDATE organisation_codes SET next_serial = greatest(next_serial, :serial)"
        " WHERE code = :code"
    )
    await session.execute(given_out, {"serial": GIVEN_OUT, "code": code})
    return org
