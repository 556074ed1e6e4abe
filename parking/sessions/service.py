"""Use cases around the way in that need a person's judgement: overrides."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from parking.sessions import queries
from parking.sessions.answers import make_answer
from parking.sessions.rules import EntryAnswer, EntryRequest, Verdict


async def override_entry(
    session: AsyncSession, request: EntryRequest, *, reason: str, actor: Actor, now: datetime
) -> EntryAnswer:
    """Let a vehicle in although the lot is full or the vehicle is inside already.

    The stay that is inside goes to review: it left unseen, or its plate was read wrong. Written to
    the audit log where it made a difference. In a transaction of the hub's role.

    Raises:
        LotOrClassNotFound
    """
    assert request.may_exceed
    await queries.lock_lot(session, request.org_id, request.lot_id)
    (row,) = await queries.enter_vehicles(session, [request], now=now)
    answer = _unwrap(request, row)
    reviewed = None
    if answer.verdict is Verdict.ALREADY_INSIDE:
        reviewed = answer.session_id
        await queries.send_to_review(session, request.org_id, request.lot_id, reviewed)
        (row,) = await queries.enter_vehicles(session, [request], now=now)
        answer = _unwrap(request, row)
    is_over = (answer.inside_count or 0) > (answer.capacity or 0)
    if answer.verdict is Verdict.OPENED and (reviewed or is_over):
        record_change(
            session,
            org_id=request.org_id,
            actor=actor,
            action="parking_session.let_in",
            object_kind="parking_session",
            object_id=request.id,
            after={
                "lot_id": str(request.lot_id),
                "sent_to_review": str(reviewed) if reviewed else None,
                "inside_count": answer.inside_count,
                "capacity": answer.capacity,
            },
            reason=reason,
            now=now,
        )
    return answer


def _unwrap(request: EntryRequest, row: queries.EntryRow) -> EntryAnswer:
    answer = make_answer(request, row)
    if isinstance(answer, Exception):
        raise answer
    return answer
