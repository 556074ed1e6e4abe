"""The refund of an upheld complaint: how far it has come, and whether it is in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from city.complaints.models import Complaint
from city.complaints.rules import RefundState, judge_refund
from payments.refunds.queries_agreed import AgreedProgress, read_progress

NOTHING = AgreedProgress(is_waiting=False, under_way_vnd=0, returned_vnd=0, returned_at=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class ComplaintRefund:
    """What a complainant gets back, and what became of it."""

    agreed_vnd: int
    returned_vnd: int
    state: RefundState
    due_on: date | None  # the last day in Hà Nội; None: it was agreed before there were deadlines
    is_overdue: bool
    returned_at: datetime | None


async def read_refunds(
    session: AsyncSession, org_id: UUID, complaints: Sequence[Complaint], *, today: date
) -> dict[UUID, ComplaintRefund]:
    """Return the refunds of those of these complaints that have one, by the complaint."""
    given_back = [one for one in complaints if one.refund_vnd is not None]
    agreed = [
        (one.id, matter_id)
        for one in given_back
        if (matter_id := one.session_id or one.bill_id) is not None
    ]
    progress = await read_progress(session, org_id, agreed)
    return {one.id: _judge(one, progress.get(one.id, NOTHING), today) for one in given_back}


def _judge(complaint: Complaint, found: AgreedProgress, today: date) -> ComplaintRefund:
    assert complaint.refund_vnd is not None
    state = judge_refund(
        complaint.refund_vnd,
        is_waiting=found.is_waiting,
        under_way_vnd=found.under_way_vnd,
        returned_vnd=found.returned_vnd,
    )
    due_on = complaint.refund_due_on
    is_open = state in (RefundState.WAITING, RefundState.UNDER_WAY)
    return ComplaintRefund(
        agreed_vnd=complaint.refund_vnd,
        returned_vnd=found.returned_vnd,
        state=state,
        due_on=due_on,
        is_overdue=is_open and due_on is not None and today > due_on,
        returned_at=found.returned_at,
    )
