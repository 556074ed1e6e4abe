"""Decisions about the money of breaks: proposed by one person, approved by another."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http.deps import Now, ThePasswords, TheSignIns, Tx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.breaks.evidence import check_id
from api.v1.breaks.schemas import (
    DecisionApprove,
    DecisionCreate,
    DecisionPage,
    DecisionRead,
    DecisionUndo,
    DecisionWords,
)
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.errors import WrongPassword
from identity.people.rules import Permission
from identity.people.service import confirm_alone
from payments.breaks.errors import BreakClosed, BreakHeld, BreakNotDecidable, BreakNotFound
from payments.credits.errors import CreditNotFound
from payments.decisions import deciding, proposing, queries
from payments.decisions.errors import (
    DecisionIdTaken,
    DecisionNeedsAnother,
    DecisionNotFound,
    DecisionNotPossible,
    DecisionNotUndoable,
    DecisionTaken,
    DecisionWaits,
)
from payments.decisions.proposing import NewDecision
from payments.payees.errors import PayeeNotFound

router = APIRouter(prefix="/v1", tags=["payments"])

Reader = Annotated[Caller, requires(Permission.BREAKS_READ)]
Proposer = Annotated[Caller, requires(Permission.BREAKS_RESOLVE)]
Approver = Annotated[Caller, requires(Permission.BREAKS_APPROVE)]


@router.post(
    "/breaks/{break_id}/decisions",
    status_code=201,
    responses=may_answer(
        BreakNotFound,
        BreakClosed,
        BreakHeld,
        BreakNotDecidable,
        DecisionIdTaken,
        DecisionWaits,
        DecisionNotPossible,
        PayeeNotFound,
        CreditNotFound,
    ),
)
async def propose(
    break_id: UUID, body: DecisionCreate, caller: Proposer, tx: Tx, now: Now
) -> DecisionRead:
    """Propose what becomes of the money of a break. Nothing moves until another person approves.

    Until then no words close the break.
    """
    check_id(body.id, now)
    new = NewDecision(
        id=body.id,
        action=body.action,
        amount_vnd=body.amount_vnd,
        reason=body.reason,
        target=body.target,
        payee_id=body.payee_id,
    )
    decision = await proposing.propose(
        tx, caller.org_id, break_id, new, actor=caller.actor, now=now
    )
    return DecisionRead.model_validate(decision)


@router.get("/break-decisions", responses=may_answer(BadCursor))
async def list_decisions(
    caller: Reader,
    tx: Tx,
    to_review: Annotated[
        bool,
        Query(description="What one person decided alone; else what waits for a second person."),
    ] = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> DecisionPage:
    """List decisions that somebody has to look at, newest first."""
    found = await queries.list_waiting(
        tx,
        caller.org_id,
        to_review=to_review,
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    return DecisionPage.of(found[:limit], next_cursor(found, limit))


@router.get("/break-decisions/{decision_id}", responses=may_answer(DecisionNotFound))
async def show(decision_id: UUID, caller: Reader, tx: Tx) -> DecisionRead:
    """Show one decision."""
    found = await queries.get_decision(tx, caller.org_id, decision_id)
    return DecisionRead.model_validate(found)


@router.post(
    "/break-decisions/{decision_id}/approve",
    responses=may_answer(
        DecisionNotFound,
        DecisionTaken,
        DecisionNeedsAnother,
        DecisionNotPossible,
        DecisionNotUndoable,
        BreakNotFound,
        BreakClosed,
        WrongPassword,
    ),
)
async def approve(
    decision_id: UUID,
    body: DecisionApprove,
    caller: Approver,
    tx: Tx,
    sign_ins: TheSignIns,
    passwords: ThePasswords,
    now: Now,
) -> DecisionRead:
    """Approve a decision as a second person: it posts. Your own approval again answers the same.

    Who is the only person of an organisation gives the password again; it stands on a list then.
    """
    is_alone = False
    if body.password is not None:
        found = await queries.get_decision(tx, caller.org_id, decision_id)
        sign_ins.by_login.take(f"password {caller.id}")
        is_alone = await confirm_alone(
            tx,
            caller,
            passwords=passwords,
            present=body.password.get_secret_value(),
            since=found.proposed_at,
        )
    decision = await deciding.approve(
        tx,
        caller.org_id,
        decision_id,
        words=body.words,
        is_alone=is_alone,
        actor=caller.actor,
        now=now,
    )
    return DecisionRead.model_validate(decision)


@router.post(
    "/break-decisions/{decision_id}/refuse", responses=may_answer(DecisionNotFound, DecisionTaken)
)
async def refuse(
    decision_id: UUID, body: DecisionWords, caller: Approver, tx: Tx, now: Now
) -> DecisionRead:
    """Refuse a decision; nothing has moved."""
    decision = await deciding.refuse(
        tx, caller.org_id, decision_id, words=body.reason, actor=caller.actor, now=now
    )
    return DecisionRead.model_validate(decision)


@router.post(
    "/break-decisions/{decision_id}/withdraw",
    responses=may_answer(DecisionNotFound, DecisionTaken, DecisionNeedsAnother),
)
async def withdraw(
    decision_id: UUID, body: DecisionWords, caller: Proposer, tx: Tx, now: Now
) -> DecisionRead:
    """Take back what you proposed; nothing has moved."""
    decision = await deciding.withdraw(
        tx, caller.org_id, decision_id, words=body.reason, actor=caller.actor, now=now
    )
    return DecisionRead.model_validate(decision)


@router.post(
    "/break-decisions/{decision_id}/undo",
    status_code=201,
    responses=may_answer(
        DecisionNotFound, DecisionIdTaken, DecisionWaits, DecisionNotUndoable, BreakNotFound
    ),
)
async def undo(
    decision_id: UUID, body: DecisionUndo, caller: Proposer, tx: Tx, now: Now
) -> DecisionRead:
    """Propose to undo what was decided, by a reversing entry; another person approves that."""
    check_id(body.id, now)
    decision = await proposing.propose_undo(
        tx,
        caller.org_id,
        decision_id,
        id_=body.id,
        reason=body.reason,
        actor=caller.actor,
        now=now,
    )
    return DecisionRead.model_validate(decision)


@router.post(
    "/break-decisions/{decision_id}/review",
    responses=may_answer(DecisionNotFound, DecisionTaken, DecisionNeedsAnother),
)
async def review(decision_id: UUID, caller: Approver, tx: Tx, now: Now) -> DecisionRead:
    """Write that you looked at what one person decided alone."""
    decision = await deciding.review(tx, caller.org_id, decision_id, actor=caller.actor, now=now)
    return DecisionRead.model_validate(decision)
