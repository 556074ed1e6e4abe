"""The money behind a complaint: what was paid for its stay or bill, under lock.

No more than that is ever given back, whatever is complained of and by how many.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from city.complaints.models import Complaint
from parking.collections.queries import lock_money_of_session
from parking.exits.joined import lock_one_vehicle
from parking.exits.rules import OWNER_KIND
from payments.bills import settling
from payments.bills.queries_owners import list_of_owner
from payments.bills.queries_payments import sum_written_off


@dataclass(frozen=True, kw_only=True, slots=True)
class PaidFor:
    """What was paid, and for what: a stay, what is joined with it, their bills; or a bill alone."""

    matter_ids: Sequence[UUID]
    paid_vnd: int


async def lock_paid(session: AsyncSession, org_id: UUID, complaint: Complaint) -> PaidFor:
    """Lock what a complaint is about, and add up what was paid for it and not taken back.

    Stays that were joined are one: what was paid for the other paid for the kept one. What was
    given up of a bill was paid by nobody.

    Order of locks: the stays, their bills, their collections (docs/adr/0013). Of an erased stay the
    last two are left.

    Raises:
        Busy: it is being joined at this moment.
    """
    matter_ids, bill_ids, collected_vnd = [], [], 0
    if complaint.bill_id is not None:
        bill_ids.append(complaint.bill_id)
    if complaint.session_id is not None:
        joined = await lock_one_vehicle(session, org_id, complaint.session_id)
        matter_ids += [complaint.session_id, *(joined - {complaint.session_id})]
        for stay_id in matter_ids:
            owned = await list_of_owner(session, org_id, OWNER_KIND, stay_id)
            bill_ids += [bill.id for bill in owned if bill.id != complaint.bill_id]
    bills = await settling.lock_bills(session, org_id, bill_ids)
    for stay_id in sorted(matter_ids):
        collected_vnd += await lock_money_of_session(session, org_id, stay_id)
    written_off_vnd = await sum_written_off(session, org_id, bills)
    return PaidFor(
        matter_ids=[*matter_ids, *bills],
        paid_vnd=collected_vnd + sum(bill.paid_vnd for bill in bills.values()) - written_off_vnd,
    )
