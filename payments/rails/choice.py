"""The rail on which a payee's counter opens bills, by the connections of its account.

payOS reports its own orders alone, so a stall whose account has payOS's keys opens orders there.
Where another provider reports on the account, too, the management may choose VietQR direct.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from payments.payees.errors import AccountLinkNotInForce
from payments.payees.queries import lock_link
from payments.payees.rules import LinkStatus
from payments.rails import RAILS, queries
from payments.rails.errors import DirectNotReported
from payments.vietqr import bill_codes


@dataclass(frozen=True, kw_only=True, slots=True)
class RailChoice:
    """How a payee's counter opens bills, and what else it could do."""

    link_id: UUID | None = None  # of the account in force; None: there is none
    order_rail: str = ""  # the rail that its connections can open orders on, or ""
    is_direct_only: bool = False  # the management said so
    is_reported_otherwise: bool = False  # a provider without such orders reports on the account

    @property
    def rail(self) -> str:
        """The rail of the next bill; never one whose money nobody reports, where there is one."""
        if self.order_rail and not (self.is_direct_only and self.is_reported_otherwise):
            return self.order_rail
        return bill_codes.NAME

    @property
    def is_direct_reported(self) -> bool:
        """Whether somebody reports what is paid by the account's own VietQR."""
        return not self.order_rail or self.is_reported_otherwise


async def read_rail_choice(session: AsyncSession, org_id: UUID, payee_id: UUID) -> RailChoice:
    """Read how a payee's counter opens bills now."""
    rails = {rail.remote.provider: rail.name for rail in RAILS.values() if rail.remote is not None}
    rows = await queries.list_reporters(session, org_id, payee_id)
    if not rows:
        return RailChoice()
    order_rails = [rails[row.provider] for row in rows if row.provider in rails and row.is_sole]
    return RailChoice(
        link_id=rows[0].link_id,
        order_rail=order_rails[0] if order_rails else "",
        is_direct_only=rows[0].is_direct_only,
        is_reported_otherwise=any(row.provider and row.provider not in rails for row in rows),
    )


async def choose_direct(
    session: AsyncSession,
    org_id: UUID,
    link_id: UUID,
    *,
    is_direct_only: bool,
    actor: Actor,
    now: datetime,
) -> None:
    """Say whether a payee's counter opens bills by VietQR direct alone. Idempotent.

    Bills that are open keep their rail.

    Raises:
        AccountLinkNotFound, AccountLinkNotInForce
        DirectNotReported: nobody would report what is paid by VietQR direct.
    """
    link = await lock_link(session, org_id, link_id)
    if link.status != LinkStatus.ACTIVE:
        raise AccountLinkNotInForce(link.status)
    before = await read_rail_choice(session, org_id, link.payee_id)
    if is_direct_only and not before.is_direct_reported:
        raise DirectNotReported
    if link.is_direct_only == is_direct_only:
        return
    link.is_direct_only = is_direct_only
    await session.flush()
    after = await read_rail_choice(session, org_id, link.payee_id)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="account.rail_chosen",
        object_kind="account_link",
        object_id=link_id,
        before={"rail": before.rail},
        after={"rail": after.rail},
        now=now,
    )
