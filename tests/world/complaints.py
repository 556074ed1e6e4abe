"""Complaints about a stay, as a driver's page sends them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from city.complaints.models import Complaint
from city.complaints.rules import Category, Subject, SubjectKind
from city.complaints.service import make_complaint
from city.complaints.types import NewComplaint
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from tests.world.constants import NOON
from tests.world.parking_sessions import Gate

WORKING_DAYS = 3


def about(gate: Gate, stay_id: UUID) -> Subject:
    """Say that a complaint is about a stay."""
    return Subject(
        kind=SubjectKind.PARKING_SESSION,
        id=stay_id,
        payee_id=gate.lot.payee_id,
        lot_id=gate.lot.id,
        session_id=stay_id,
    )


def a_new_complaint(gate: Gate, stay_id: UUID, **facts: Any) -> NewComplaint:
    """Return what a driver sends who was overcharged."""
    known: dict[str, Any] = {
        "id": new_id(),
        "category": Category.OVERCHARGED,
        "subject": about(gate, stay_id),
        **facts,
    }
    return NewComplaint(**known)


async def complain(
    database: Database, gate: Gate, new: NewComplaint, *, now: datetime = NOON
) -> Complaint:
    """Send a complaint."""
    async with open_org_transaction(database, gate.org_id) as session:
        return await make_complaint(session, gate.org_id, new, working_days=WORKING_DAYS, now=now)
