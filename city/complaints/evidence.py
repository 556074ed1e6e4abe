"""Evidence of a complaint: what the hub knows of the stay, the bills and the money behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from city.complaints.models import Complaint
from identity.people.queries import find_names
from parking.exits.errors import ParkingSessionNotFound
from parking.exits.queries_tickets import Sighting, list_sightings
from parking.exits.standing import get_stay
from parking.exits.tickets import WholeStay, read_whole_stay
from payments.bills.queries import find_bills
from payments.bills.rules import BillFacts
from payments.credits.views import CreditView, list_bill_credits


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What to hold a complaint against."""

    whole: WholeStay | None  # None: it is about no stay, or the stay was erased
    sightings: Sequence[Sighting]
    bills: Sequence[BillFacts]
    credits: Sequence[CreditView]  # what came for these bills
    people: dict[UUID, str]  # who let the vehicle in and out, and who collected


async def gather_evidence(
    session: AsyncSession, org_id: UUID, complaint: Complaint, *, now: datetime
) -> Evidence:
    """Read what is known about what a complaint is about; all of it is bounded."""
    whole, sightings = None, []
    if complaint.session_id is not None:
        try:
            stay = await get_stay(session, org_id, complaint.session_id)
        except ParkingSessionNotFound:  # erased after its retention
            pass
        else:
            whole = await read_whole_stay(session, org_id, stay, at=now)
            sightings = await list_sightings(session, org_id, stay.id)
    bills = [] if whole is None else list(whole.bills)
    if complaint.bill_id is not None and complaint.bill_id not in {bill.id for bill in bills}:
        bills += (await find_bills(session, org_id, [complaint.bill_id])).values()
    paid = [
        credit
        for bill in bills
        if bill.received_vnd
        for credit in await list_bill_credits(session, org_id, bill.id)
    ]
    wanted = {complaint.resolved_by, *(one.seen_by for one in sightings)}
    if whole is not None:
        wanted |= {whole.stay.entry_by, whole.stay.exit_by}
        wanted |= {one.collected_by for one in whole.collections}
    people = await find_names(session, org_id, {id_ for id_ in wanted if id_ is not None})
    return Evidence(whole=whole, sightings=sightings, bills=bills, credits=paid, people=people)
