"""Cash that a phone without network reported after its shift was closed.

It lay in the bag when the bag was counted, and was posted as a variance then: now that its tickets
are known, it moves from the variance to the takings.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.shifts.rules import ShiftFacts
from payments.ledger import service as ledger
from payments.ledger.rules import NewPosting, cash_variance, takings

CAUSE: Final = "late_collection"  # of a posting; its cause is the collection


async def post_late_cash(
    session: AsyncSession,
    org_id: UUID,
    shift: ShiftFacts,
    collection_id: UUID,
    amount_vnd: int,
    *,
    now: datetime,
) -> None:
    """Post one ticket of a closed shift. The close itself stays as it was counted."""
    assert shift.closed_at is not None
    if not amount_vnd:
        return
    posting = NewPosting(
        debit=cash_variance(shift.payee_id),
        credit=takings(shift.payee_id),
        amount_vnd=amount_vnd,
        cause_kind=CAUSE,
        cause_id=collection_id,
        step=0,
        effective_at=shift.closed_at,
    )
    await ledger.post(session, org_id, [posting], now=now)
