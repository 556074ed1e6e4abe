"""SQL of accounts that payers typed by a link."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# By ix_refunds_bill. What a person entered is theirs to say, and not shown by the link; more than
# links take in a whole day is not offered: people enter that account.
LIST_WAITING = text("""
    SELECT id, amount_vnd, destination_bank, destination_account FROM refunds
    WHERE org_id = :org_id AND bill_id = :bill_id AND status = 'requested' AND way = 'transfer'
      AND ((destination_kind IS NULL AND amount_vnd <= :vnd_max)
           OR (destination_kind = 'entered' AND destination_by IS NULL))
    ORDER BY id LIMIT 20
""")
LOCK_DAY = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
# By ix_refunds_entered. What came to nothing counts as well: it was typed.
SUM_ENTERED = text("""
    SELECT coalesce(sum(amount_vnd), 0)::bigint FROM refunds
    WHERE org_id = :org_id AND destination_kind = 'entered' AND destination_by IS NULL
      AND destination_at >= :since AND destination_at < :until
""")


class WaitingRefund(NamedTuple):
    """A refund of a bill that waits for its payer's account, or has one that a link entered."""

    id: UUID
    amount_vnd: int
    destination_bank: str | None
    destination_account: str | None


async def list_waiting(
    session: AsyncSession, org_id: UUID, bill_id: UUID, *, vnd_max: int
) -> list[WaitingRefund]:
    """List what waits for a payer's account, or for a decision about what a payer typed.

    Args:
        vnd_max: đồng that links may enter in a day: no larger refund waits for one.
    """
    values = {"org_id": org_id, "bill_id": bill_id, "vnd_max": vnd_max}
    rows = await session.execute(LIST_WAITING, values)
    return [WaitingRefund(*row) for row in rows]


async def lock_day(session: AsyncSession, org_id: UUID) -> None:
    """Let payers of an organisation enter accounts one after the other: the day's sum is exact."""
    await session.execute(LOCK_DAY, {"name": f"refund_links {org_id}"})


async def sum_entered(
    session: AsyncSession, org_id: UUID, *, since: datetime, until: datetime
) -> int:
    """Return how many đồng go to accounts that links entered in [since, until)."""
    values = {"org_id": org_id, "since": since, "until": until}
    return int((await session.execute(SUM_ENTERED, values)).scalar_one())
