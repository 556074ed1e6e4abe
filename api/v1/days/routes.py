"""Days of the books: the list, the day board, and closing a day for good."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import Now, TheDatabase, TheSettings, Tx, requires
from api.http.errors import may_answer
from api.http.fields import Day
from api.http.idempotency import (
    REPLAYED,
    IdempotencyKey,
    find_first,
    hash_body,
    mark_replayed,
    take_key,
)
from api.http.paging import Cursor, Limit, read_cursor, write_cursor
from api.v1.days.schemas import (
    CloseOver,
    CloseOverRead,
    DayBoardRead,
    DayPage,
    present_board,
    present_days,
    present_over,
)
from core.idempotency import IdempotencyKeyReused
from core.paging import BadCursor
from core.tenancy import open_org_transaction
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.closing import over, service, views
from payments.closing.errors import DayNotOpen, DayNotReady
from payments.ledger.errors import (
    BooksBusy,
    BooksNotFound,
    DayAhead,
    DayClosed,
    DayNotNext,
    EarlierReleasePosts,
)
from payments.ledger.rules import subject_of_day
from payments.ledger.types import ClosedDay
from payments.statements.errors import ReceivingAccountNotFound

router = APIRouter(prefix="/v1/days", tags=["days"])

Reader = Annotated[Caller, requires(Permission.LEDGER_READ)]
Closer = Annotated[Caller, requires(Permission.DAYS_CLOSE)]
CLOSE: Final = "POST /v1/days/{day}/close"
EMPTY: Final = CloseOver(reason="-")  # a close has no body; its day is what its key belongs to


@router.get("", responses=may_answer(BooksNotFound))
async def list_days(
    caller: Reader,
    tx: Tx,
    settings: TheSettings,
    now: Now,
    before: Annotated[Day | None, Query(description="Days before this one.")] = None,
    limit: Limit = 50,
) -> DayPage:
    """List days of the books, the last one first: those that are open, up to today, then the
    closed ones. Only the day that is closed next can be `ready`."""
    found = await views.list_days(
        tx,
        caller.org_id,
        before=before,
        limit=limit + 1,
        poll_every_s=settings.poll_every_s,
        now=now,
    )
    return present_days(found, limit)


@router.get("/{day}", responses=may_answer(BooksNotFound, DayAhead, BadCursor))
async def read_day(
    day: Day,
    caller: Reader,
    tx: Tx,
    settings: TheSettings,
    now: Now,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> DayBoardRead:
    """Read a day and its accounts, by id: billed, called back, on the statement, matched, carried;
    and what keeps it open."""
    return await _show(
        tx, caller, day, settings.poll_every_s, cursor=read_cursor(cursor), limit=limit, now=now
    )


@router.post(
    "/{day}/close",
    responses={
        **may_answer(
            DayNotReady,
            DayClosed,
            DayNotNext,
            DayAhead,
            BooksNotFound,
            BooksBusy,
            EarlierReleasePosts,
            IdempotencyKeyReused,
        ),
        200: REPLAYED,
    },
)
async def close_day(
    day: Day,
    response: Response,
    caller: Closer,
    database: TheDatabase,
    settings: TheSettings,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> DayBoardRead:
    """Close a day for good: there is no way to open it again, and what comes late falls in the
    open day. Days are closed in their order.

    Where something keeps it open, `violations` says what: `day`, or `accounts.ID`, with a code.
    """
    asked = (caller.org_id, CLOSE, idempotency_key, hash_body(EMPTY, day))

    async def keep_key(session: AsyncSession, closed: ClosedDay) -> None:
        await take_key(session, *asked, makes=subject_of_day(closed.day), now=now)

    async def is_repeated() -> bool:
        async with open_org_transaction(database, caller.org_id) as session:
            return await find_first(session, *asked) is not None

    if await is_repeated():
        mark_replayed(response)
    else:
        try:
            await service.close_day(
                database,
                caller.org_id,
                day,
                poll_every_s=settings.poll_every_s,
                actor=caller.actor,
                now=now,
                after=keep_key,
            )
        except DayClosed:  # by this very request, perhaps, which came twice at once
            if not await is_repeated():
                raise
            mark_replayed(response)
    async with open_org_transaction(database, caller.org_id) as session:
        return await _show(
            session, caller, day, settings.poll_every_s, cursor=None, limit=50, now=now
        )


@router.post(
    "/{day}/accounts/{receiving_account_id}/close-over",
    responses=may_answer(ReceivingAccountNotFound, DayAhead, DayNotOpen),
)
async def close_over(
    day: Day,
    receiving_account_id: UUID,
    body: CloseOver,
    caller: Closer,
    tx: Tx,
    now: Now,
) -> CloseOverRead:
    """Say, by name, that a day of an account is to be closed though it is not proved; the word of
    a second person does it. A break stands open until its statements are whole again."""
    found = await over.close_over(
        tx,
        caller.org_id,
        day,
        receiving_account_id,
        reason=body.reason,
        actor=caller.actor,
        now=now,
    )
    return present_over(found)


async def _show(
    session: AsyncSession,
    caller: Caller,
    day: Day,
    poll_every_s: int,
    *,
    cursor: UUID | None,
    limit: int,
    now: Now,
) -> DayBoardRead:
    board = await views.read_board(
        session,
        caller.org_id,
        day,
        after_id=cursor,
        limit=limit + 1,
        poll_every_s=poll_every_s,
        now=now,
    )
    more = len(board.accounts) > limit
    last = board.accounts[limit - 1].receiving_account_id if more else None
    return present_board(board, limit=limit, cursor=None if last is None else write_cursor(last))
