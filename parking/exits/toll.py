"""Paying for a stay from the driver's toll account, and what to do where that does not work.

The stay's bill carries the charge, and shows its QR at once: declined, undecided or lost, the
driver pays that code, or in cash, and nobody waits at a closed barrier. A charge that succeeds all
the same, after the bill was paid or cancelled, is a refund due (payments/rails/toll/settling.py).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.errors import InvalidRequest, Violation
from core.masking import mask_tail
from parking.exits.errors import NothingDue
from parking.exits.paying import BillWanted, open_bill
from parking.exits.standing import lock_stay
from parking.plates.masking import mask_plate
from payments.rails.toll import service as tolls
from payments.rails.toll.rules import AccountKind, NewToll, TollFacts, TollStatus

TAG_CHARS_MAX: Final = 40


class NextStep(StrEnum):
    """What the attendant does now."""

    LEAVE = "leave"
    OTHER_PAYMENT = "other_payment"  # the bill's QR, or cash


@dataclass(frozen=True, kw_only=True, slots=True)
class TollWanted:
    """A charge that is to be tried."""

    id: UUID  # made by the client
    kind: AccountKind
    tag: str | None  # of kind tag


def next_step(toll: TollFacts) -> NextStep:
    """Say what follows: whatever is not charged for certain is paid otherwise."""
    is_paid = toll.status == TollStatus.CHARGED and toll.kept_vnd > 0
    return NextStep.LEAVE if is_paid else NextStep.OTHER_PAYMENT


async def write_toll(
    session: AsyncSession,
    org_id: UUID,
    session_id: UUID,
    wanted: TollWanted,
    bill: BillWanted,
    *,
    priced_at: datetime,
    is_ticket_lost: bool = False,
    actor: Actor,
    now: datetime,
) -> str | None:
    """Write a charge down with the bill that it is to pay; nobody is called yet.

    Returns:
        The account to charge, which is not stored; None: the same request wrote it before.

    Raises:
        ParkingSessionNotFound, NothingDue, AmountNotDue, PayeeHasNoAccount
        TollIdTaken, TollNotAvailable, TollUnderWay
        InvalidRequest: it is to be found by a plate, and the vehicle has none.
    """
    assert actor.id is not None
    stay = await lock_stay(session, org_id, session_id)
    known = await tolls.find_repeat(
        session,
        org_id,
        wanted.id,
        owner_id=session_id,
        amount_vnd=bill.amount_vnd,
        kind=wanted.kind.value,
    )
    if known is not None:
        return None
    account = stay.plate if wanted.kind is AccountKind.PLATE else wanted.tag
    if account is None:
        fault = "The vehicle has no plate: name its tag."
        violation = Violation(field="account_kind", code="no_plate", detail=fault)
        raise InvalidRequest(fault, violations=[violation])
    opened = await open_bill(
        session,
        org_id,
        session_id,
        bill,
        priced_at=priced_at,
        is_ticket_lost=is_ticket_lost,
        actor=actor,
        now=now,
    )
    amount_vnd = opened.code_amount_vnd
    if amount_vnd is None:
        raise NothingDue
    is_plate = wanted.kind is AccountKind.PLATE
    new = NewToll(
        id=wanted.id,
        bill_id=opened.id,
        owner_id=session_id,
        account_kind=wanted.kind,
        account_label=mask_plate(account) if is_plate else mask_tail(account),
        amount_vnd=amount_vnd,
    )
    await tolls.write_request(session, org_id, new, by=actor.id, now=now)
    return account
