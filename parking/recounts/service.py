"""Recording of recounts."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.clock import hanoi_day
from core.errors import InvalidRequest, Violation
from core.masking import mask_plates
from core.text import check_lines
from parking.places.queries import get_lot, list_occupancy
from parking.recounts import queries
from parking.recounts.errors import RecountIdTaken
from parking.recounts.rules import COUNTED_MAX, RecountFacts, draw_moment, is_at


async def record_recount(
    session: AsyncSession,
    org_id: UUID,
    recount_id: UUID,
    *,
    lot_id: UUID,
    counted: Mapping[str, int],
    note: str | None,
    moments_key: bytes,
    actor: Actor,
    now: datetime,
) -> RecountFacts:
    """Store what somebody counted inside a lot, beside the hub's own figure at this moment.

    The same id again answers as the first time.

    Args:
        recount_id: made by the client.
        counted: vehicles by class; each class that the lot takes is named.
        moments_key: draws the random moments of lots' days.

    Raises:
        LotNotFound, RecountIdTaken
        InvalidRequest: a class is missing, or not one of the lot's, or a count is out of range.
    """
    check_lines(note=note)
    note = None if note is None else mask_plates(note)
    assert actor.id is not None
    await get_lot(session, org_id, lot_id)
    known = await queries.find_recount(session, org_id, recount_id)
    if known is None:
        taken = (await list_occupancy(session, org_id, [lot_id]))[lot_id]
        _check_counts(counted, {one.vehicle_class.value for one in taken})
        moment = draw_moment(moments_key, org_id, lot_id, hanoi_day(now))
        is_new = await queries.insert_recount_once(
            session,
            org_id,
            recount_id,
            lot_id=lot_id,
            counted=dict(counted),
            is_random=is_at(moment, now),
            note=note,
            by=actor.id,
            now=now,
        )
        known = await queries.find_recount(session, org_id, recount_id)
        assert known is not None
        if is_new:
            _record(session, org_id, known, actor, now)
    if not known.is_same(lot_id, counted, note):
        raise RecountIdTaken(recount_id)
    return known


def _check_counts(counted: Mapping[str, int], classes: set[str]) -> None:
    wrong = sorted(classes ^ counted.keys())
    wrong += sorted(name for name, count in counted.items() if not 0 <= count <= COUNTED_MAX)
    if wrong:
        detail = f"Count each class that the lot takes, from 0 to {COUNTED_MAX:,}."
        raise InvalidRequest(
            detail,
            violations=[
                Violation(field=f"counted.{name}", code="out_of_range", detail=detail)
                for name in dict.fromkeys(wrong)
            ],
        )


def _record(
    session: AsyncSession, org_id: UUID, one: RecountFacts, actor: Actor, now: datetime
) -> None:
    after = {"lot_id": str(one.lot_id), "counted": one.counted, "expected": one.expected}
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="recount.made",
        object_kind="recount",
        object_id=one.id,
        after=after,
        reason=one.note,
        now=now,
    )
