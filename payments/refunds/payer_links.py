"""The account that a payer types by the link of a bill: not proven, typed once, and bounded.

Links are passed on, so whoever has one may type an account of their own: the approver sees that it
is not proven and that a link entered it, and each organisation has a limit of what is entered in a
day. What was typed is not changed by the link again; who requested the refund may correct it.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.clock import day_bounds, hanoi_day
from payments.refunds import queries_links
from payments.refunds.errors import RefundDestinationFixed, RefundLinkLimit, RefundNotFound
from payments.refunds.models import Refund
from payments.refunds.queries import lock_refund
from payments.refunds.requesting import check_destination, write_destination
from payments.refunds.rules import DestinationKind

PAYER: Final = Actor(kind="public", id=None, name="payer")


async def enter_by_payer(
    session: AsyncSession,
    org_id: UUID,
    bill_id: UUID,
    refund_id: UUID,
    *,
    bin_: str,
    account_number: str,
    name: str,
    name_again: str,
    vnd_per_day_max: int,
    now: datetime,
) -> Refund:
    """Write the account that a payer typed for a refund of the bill that their link opens.

    The same account again answers as the first time.

    Raises:
        RefundNotFound: the bill has no such refund.
        BadAccount, RefundNamesDiffer
        RefundDestinationFixed: it was decided, or an account is there already.
        RefundLinkLimit: more than the organisation takes by links in a day.
    """
    typed = check_destination(
        bin_=bin_, account_number=account_number, name=name, name_again=name_again
    )
    await queries_links.lock_day(session, org_id)
    refund = await lock_refund(session, org_id, refund_id)
    if refund.bill_id != bill_id:
        raise RefundNotFound(refund_id)
    known = (refund.destination_bank, refund.destination_account, refund.destination_name)
    is_by_link = (
        refund.destination_kind == DestinationKind.ENTERED and refund.destination_by is None
    )
    if is_by_link and known == typed:
        return refund
    if refund.destination_kind is not None:
        raise RefundDestinationFixed
    since, until = day_bounds(hanoi_day(now))
    entered_vnd = await queries_links.sum_entered(session, org_id, since=since, until=until)
    if entered_vnd + refund.amount_vnd > vnd_per_day_max:
        raise RefundLinkLimit
    await write_destination(session, refund, typed, actor=PAYER, now=now)
    return refund
