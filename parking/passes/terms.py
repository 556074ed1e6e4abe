"""Months of a pass: the days that they give it, and the word that they are paid or owed again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.clock import hanoi_day
from parking.passes.models import Pass, PassTerm
from parking.passes.rules import TermFacts, dates_of
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent

log = structlog.get_logger()


def facts_of(term: PassTerm) -> TermFacts:
    """Return a term for the rules."""
    return TermFacts(
        id=term.id,
        last_on=term.last_on,
        in_force_at=term.in_force_at,
        cancelled_at=term.cancelled_at,
    )


def write_dates(held: Pass, terms: Sequence[PassTerm], *, now: datetime) -> None:
    """Write from when and until when a locked pass holds by its terms."""
    dates = dates_of(
        [facts_of(term) for term in terms],
        valid_from=held.valid_from,
        valid_until=held.valid_until,
        today=hanoi_day(now),
    )
    held.in_force_at = dates.in_force_at
    if held.revoked_at is None:  # a revoked pass keeps the day it ended on
        held.valid_until = dates.valid_until
    if dates.is_revoked and held.revoked_at is None:
        held.revoked_at = now


async def tell(
    session: AsyncSession,
    held: Pass,
    term: PassTerm,
    *,
    payee_id: UUID,
    bill_id: UUID | None,
    is_paid: bool,
    named: Mapping[str, str],
    actor: Actor,
    now: datetime,
) -> None:
    """Tell audit log and screens that months were paid, or that their payment was taken back.

    Args:
        named: what paid them: a bill's reference, or a cash receipt's number.
    """
    facts = {
        "pass_id": str(held.id),
        "first_on": term.first_on.isoformat(),
        "last_on": term.last_on.isoformat(),
        "valid_until": held.valid_until.isoformat(),
    }
    record_change(
        session,
        org_id=held.org_id,
        actor=actor,
        action="pass.paid" if is_paid else "pass.payment_taken_back",
        object_kind="pass",
        object_id=held.id,
        after=facts | dict(named),
        now=now,
    )
    kind = EventKind.PARKING_PASS_PAID if is_paid else EventKind.PARKING_PASS_OWED_AGAIN
    event = NewEvent(kind=kind, payee_id=payee_id, bill_id=bill_id, data=facts)
    await outbox.record(session, held.org_id, [event], now=now)
    log.info(kind.value, **{"pass": str(held.id)}, last_on=facts["last_on"])
