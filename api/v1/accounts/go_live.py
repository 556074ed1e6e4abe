"""Proofs of an account's days, its opening balance by two people, and what it carries."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.idempotency import (
    REPLAYED,
    IdempotencyKey,
    find_first,
    hash_body,
    mark_replayed,
    take_key,
)
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.days.schemas import (
    CarriedPage,
    CarriedRead,
    OpeningEnd,
    OpeningPropose,
    OpeningRead,
    ProofRead,
    ProofSet,
    present_opening,
)
from core.clock import hanoi_day
from core.idempotency import IdempotencyKeyReused
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.closing import opening, queries_opening, views
from payments.closing.errors import (
    CreditNotUnderWay,
    DayNotOpen,
    OpeningBalanceDecided,
    OpeningBalanceKnown,
    OpeningBalanceNotFound,
    OpeningNeedsAnother,
    StatementProofNeedsOpening,
    StillCarried,
)
from payments.closing.opening import NewOpening
from payments.closing.rules import Proof
from payments.ledger.errors import DayAhead, DayNotNext
from payments.payees.errors import AccountLinkNotFound
from payments.payees.queries import get_link
from payments.reconciliation.errors import TooManyLinesBefore

router = APIRouter(prefix="/v1/accounts/{link_id}", tags=["days"])

Reader = Annotated[Caller, requires(Permission.LEDGER_READ)]
Closer = Annotated[Caller, requires(Permission.DAYS_CLOSE)]
PROPOSE: Final = "POST /v1/accounts/{link_id}/opening-balance"


@router.get("/proof", responses=may_answer(AccountLinkNotFound))
async def read_proof(link_id: UUID, caller: Reader, tx: Tx, now: Now) -> ProofRead:
    """Read what proves the account today, and its newest opening balance."""
    return await _show(tx, caller, await _find_account(tx, caller, link_id), now)


@router.put(
    "/proof",
    responses=may_answer(AccountLinkNotFound, DayNotOpen, StatementProofNeedsOpening),
)
async def set_proof(link_id: UUID, body: ProofSet, caller: Closer, tx: Tx, now: Now) -> ProofRead:
    """Set what proves the account, from an open day on. To statements it goes over with an opening
    balance of that day only. The same again changes nothing."""
    account_id = await _find_account(tx, caller, link_id)
    await opening.set_proof(
        tx,
        caller.org_id,
        account_id,
        proof=body.proof,
        from_day=body.from_day,
        actor=caller.actor,
        now=now,
    )
    return await _show(tx, caller, account_id, now)


@router.post(
    "/opening-balance",
    status_code=201,
    responses={
        **may_answer(
            AccountLinkNotFound,
            DayAhead,
            DayNotOpen,
            OpeningBalanceKnown,
            OpeningBalanceNotFound,
            CreditNotUnderWay,
            IdempotencyKeyReused,
        ),
        201: REPLAYED,
    },
)
async def propose_opening(
    link_id: UUID,
    body: OpeningPropose,
    response: Response,
    caller: Closer,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> OpeningRead:
    """Propose what the statement opens the account's first day with. Nothing is posted before
    another person confirms it."""
    asked = (caller.org_id, PROPOSE, idempotency_key, hash_body(body, link_id))
    if (first := await find_first(tx, *asked)) is not None:
        mark_replayed(response)
        return present_opening(await queries_opening.get_opening(tx, caller.org_id, first))
    found = await opening.propose_opening(
        tx,
        caller.org_id,
        NewOpening(
            receiving_account_id=await _find_account(tx, caller, link_id),
            day=body.day,
            amount_vnd=body.amount_vnd,
            under_way=body.under_way,
        ),
        actor=caller.actor,
        now=now,
    )
    await take_key(tx, *asked, makes=found.id, now=now)
    return present_opening(found)


@router.post(
    "/opening-balance/{opening_id}/confirm",
    responses=may_answer(
        AccountLinkNotFound,
        OpeningBalanceNotFound,
        OpeningBalanceDecided,
        OpeningNeedsAnother,
        DayNotNext,
        DayNotOpen,
        TooManyLinesBefore,
        StillCarried,
        CreditNotUnderWay,
    ),
)
async def confirm_opening(
    link_id: UUID, opening_id: UUID, caller: Closer, tx: Tx, now: Now
) -> OpeningRead:
    """Confirm it as the second person: it posts, and statements prove the account from its day on.
    The day before must be closed. The same again changes nothing."""
    account_id = await _find_account(tx, caller, link_id)
    found = await opening.confirm_opening(
        tx, caller.org_id, account_id, opening_id, actor=caller.actor, now=now
    )
    return present_opening(found)


@router.post(
    "/opening-balance/{opening_id}/end",
    responses=may_answer(AccountLinkNotFound, OpeningBalanceNotFound, DayNotOpen),
)
async def end_opening(
    link_id: UUID, opening_id: UUID, body: OpeningEnd, caller: Closer, tx: Tx, now: Now
) -> OpeningRead:
    """Withdraw it, or reverse it with all that it posted, while its day is open. The same again
    changes nothing."""
    account_id = await _find_account(tx, caller, link_id)
    found = await opening.end_opening(
        tx,
        caller.org_id,
        account_id,
        opening_id,
        reason=body.reason,
        actor=caller.actor,
        now=now,
    )
    return present_opening(found)


@router.get("/carried-items", responses=may_answer(AccountLinkNotFound, BadCursor))
async def list_carried(
    link_id: UUID, caller: Reader, tx: Tx, cursor: Cursor = None, limit: Limit = 50
) -> CarriedPage:
    """List what the account carries at the end of the last closed day, credit by credit (“tiền
    đang về”). An account that callbacks alone prove carries one sum, and no items."""
    account_id = await _find_account(tx, caller, link_id)
    found = await views.list_carried(
        tx, caller.org_id, account_id, after_id=read_cursor(cursor), limit=limit + 1
    )
    return CarriedPage(
        items=[CarriedRead.model_validate(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


async def _find_account(tx: AsyncSession, caller: Caller, link_id: UUID) -> UUID:
    """Return the receiving account of a link.

    Raises:
        AccountLinkNotFound
    """
    _, account, _ = await get_link(tx, caller.org_id, link_id)
    return account.id


async def _show(tx: AsyncSession, caller: Caller, account_id: UUID, now: Now) -> ProofRead:
    known = await queries_opening.find_proof(tx, caller.org_id, account_id, hanoi_day(now))
    newest = await queries_opening.find_opening(tx, caller.org_id, account_id)
    return ProofRead(
        receiving_account_id=account_id,
        proof=Proof.CALLBACKS_ONLY if known is None else Proof(known.proof),
        from_day=None if known is None else known.from_day,
        opening_balance=None if newest is None else present_opening(newest),
    )
