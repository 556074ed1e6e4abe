"""The watch list: propose, approve as the second person, remove, and list."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.idempotency import REPLAYED, IdempotencyKey, hash_body, mark_replayed, take_key
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.passes.routes import refuse_scoped
from api.v1.watched_plates.schemas import (
    WatchCreate,
    WatchPage,
    WatchRead,
    WatchRemove,
    write_watched,
)
from core.clock import hanoi_day
from core.idempotency import IdempotencyKeyReused
from core.ids import new_id
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.errors import WholeOrganisationNeeded
from identity.people.rules import Permission
from parking.passes import queries_watched as queries
from parking.passes import watching
from parking.passes.errors import (
    WatchedPlateNotFound,
    WatchNeedsSecondPerson,
    WatchNotApprovable,
)
from parking.passes.rules import WatchState

router = APIRouter(prefix="/v1/watched-plates", tags=["parking"])

Reader = Annotated[Caller, requires(Permission.PARKING_READ)]
Manager = Annotated[Caller, requires(Permission.PARKING_MANAGE)]
Approver = Annotated[Caller, requires(Permission.WATCH_LISTS_APPROVE)]


@router.post(
    "",
    status_code=201,
    responses={**may_answer(IdempotencyKeyReused), 201: REPLAYED},
)
async def propose(
    body: WatchCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> WatchRead:
    """Propose to watch a plate. It is watched once another person approves it."""
    watched_id = new_id()
    first = await take_key(
        tx,
        caller.org_id,
        "POST /v1/watched-plates",
        idempotency_key,
        hash_body(body),
        makes=watched_id,
        now=now,
    )
    if first is not None:
        mark_replayed(response)
        return await _show(tx, caller, first, now)
    await watching.propose_watch(
        tx, caller.org_id, body.wanted(), id_=watched_id, actor=caller.actor, now=now
    )
    return await _show(tx, caller, watched_id, now)


@router.get("", responses=may_answer(BadCursor, WholeOrganisationNeeded))
async def list_watched(
    caller: Reader,
    tx: Tx,
    now: Now,
    state: WatchState | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> WatchPage:
    """List the watch list, newest first. Plates are whole for who proposes or approves."""
    refuse_scoped(caller)
    today = hanoi_day(now)
    found = await queries.list_watched(
        tx,
        caller.org_id,
        today=today,
        state=state,
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    return WatchPage(
        watched_plates=[write_watched(one, caller, today) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.post(
    "/{watched_id}/approve",
    responses=may_answer(WatchedPlateNotFound, WatchNeedsSecondPerson, WatchNotApprovable),
)
async def approve(watched_id: UUID, caller: Approver, tx: Tx, now: Now) -> WatchRead:
    """Agree as the second person: from its first day on, the plate raises an alert at entry."""
    await watching.approve_watch(tx, caller.org_id, watched_id, actor=caller.actor, now=now)
    return await _show(tx, caller, watched_id, now)


@router.post("/{watched_id}/remove", responses=may_answer(WatchedPlateNotFound))
async def remove(
    watched_id: UUID, body: WatchRemove, caller: Manager, tx: Tx, now: Now
) -> WatchRead:
    """Watch a plate no longer, or refuse a proposal."""
    await watching.remove_watch(
        tx, caller.org_id, watched_id, actor=caller.actor, reason=body.reason, now=now
    )
    return await _show(tx, caller, watched_id, now)


async def _show(tx: AsyncSession, caller: Caller, watched_id: UUID, now: datetime) -> WatchRead:
    today = hanoi_day(now)
    found = await queries.view_watched(tx, caller.org_id, watched_id, today=today)
    return write_watched(found, caller, today)
