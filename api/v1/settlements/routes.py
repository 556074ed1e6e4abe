"""Settlement statements: drafted for a period, reviewed, approved by another person, sent."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import Now, ThePasswords, TheSignIns, Tx, requires
from api.http.errors import may_answer
from api.http.fields import Day, QueryInstant
from api.http.idempotency import REPLAYED, mark_replayed
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.settlements.schemas import (
    SettlementApprove,
    SettlementItemPage,
    SettlementItemRead,
    SettlementPage,
    SettlementRead,
    SettlementRunCreate,
    SettlementRunPage,
    SettlementRunRead,
    SettlementsApprove,
    SettlementSummary,
    SettlementVerdicts,
    SettlementWords,
)
from core.errors import InvalidRequest, Violation
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.errors import WrongPassword
from identity.people.rules import Permission, ScopeKind
from identity.people.service import confirm_alone
from payments.bills.rules import check_client_id
from payments.ledger.legs import LegPlace
from payments.payees.errors import PayeeNotFound
from payments.settlements import queries, queries_runs, steps, views
from payments.settlements.errors import (
    SettlementDayBeforeBooks,
    SettlementDayOpen,
    SettlementFollowed,
    SettlementNeedsAnother,
    SettlementNotFound,
    SettlementRunIdTaken,
    SettlementRunNotFound,
    SettlementStepNotPossible,
)
from payments.settlements.rules import FINAL, SettlementStatus
from payments.settlements.runs import start_run
from payments.settlements.types import Filters, SettlementFacts

router = APIRouter(prefix="/v1/settlements", tags=["settlements"])

Reader = Annotated[Caller, requires(Permission.SETTLEMENTS_READ)]
Drafter = Annotated[Caller, requires(Permission.SETTLEMENTS_DRAFT)]
Approver = Annotated[Caller, requires(Permission.SETTLEMENTS_APPROVE)]
MAY_FAIL: Final = (SettlementNotFound, SettlementStepNotPossible)
PDF_TYPE: Final = "application/pdf"
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def _file_of(media_type: str, says: str) -> dict[int | str, Any]:
    return {
        **may_answer(SettlementNotFound),
        200: {"content": {media_type: {}}, "description": says},
    }


@router.post(
    "/runs",
    status_code=201,
    responses={
        **may_answer(
            PayeeNotFound, SettlementRunIdTaken, SettlementDayOpen, SettlementDayBeforeBooks
        ),
        201: REPLAYED,
    },
)
async def create_run(
    body: SettlementRunCreate, response: Response, caller: Drafter, tx: Tx, now: Now
) -> SettlementRunRead:
    """Let a job draft the statements of a period, for all payees or one; the same id again is it.

    Each payee's begins where its last one ended. A payee without a posting gets none.
    """
    if fault := check_client_id(body.id, now=now):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])
    run, is_new = await start_run(
        tx,
        caller.org_id,
        body.id,
        first_day=body.first_day,
        last_day=body.last_day,
        payee_id=body.payee_id,
        actor=caller.actor,
        now=now,
    )
    if not is_new:
        mark_replayed(response)
    return SettlementRunRead.of(run)


@router.get("/runs", responses=may_answer(BadCursor))
async def list_runs(
    caller: Drafter, tx: Tx, cursor: Cursor = None, limit: Limit = 50
) -> SettlementRunPage:
    """List runs, newest first."""
    found = await queries_runs.list_runs(
        tx, caller.org_id, before_id=read_cursor(cursor), limit=limit + 1
    )
    return SettlementRunPage(
        runs=[SettlementRunRead.of(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.get("/runs/{run_id}", responses=may_answer(SettlementRunNotFound))
async def read_run(run_id: UUID, caller: Drafter, tx: Tx) -> SettlementRunRead:
    """Read a run, while it is under way, too."""
    return SettlementRunRead.of(await queries_runs.get_run(tx, caller.org_id, run_id))


@router.post("/approve")
async def approve_settlements(
    body: SettlementsApprove, caller: Approver, tx: Tx, now: Now
) -> SettlementVerdicts:
    """Approve up to 200 reviewed statements, as a second person; each answers for itself."""
    approved, refused = await steps.approve_many(
        tx, caller.org_id, body.ids, actor=caller.actor, now=now
    )
    return SettlementVerdicts.of(body.ids, approved, refused)


@router.get("", responses=may_answer(BadCursor))
async def list_settlements(
    caller: Reader,
    tx: Tx,
    payee_id: UUID | None = None,
    status: SettlementStatus | None = None,
    run_id: UUID | None = None,
    first_day: Annotated[Day | None, Query(description="Periods that end on it or later.")] = None,
    last_day: Annotated[Day | None, Query(description="Periods that end on it or earlier.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> SettlementPage:
    """List statements, newest first. People of a payee see its own, from the approval on."""
    own = caller.choices(ScopeKind.PAYEE)
    payee_ids: list[UUID] | None
    if payee_id is not None:
        payee_ids = [payee_id] if own is None or payee_id in own else []
    else:
        payee_ids = None if own is None else sorted(own)
    filters = Filters(
        payee_ids=payee_ids,
        status=status,
        run_id=run_id,
        first_day=first_day,
        last_day=last_day,
        is_final=caller.is_scoped,
    )
    found = await queries.list_settlements(
        tx, caller.org_id, filters, before_id=read_cursor(cursor), limit=limit + 1
    )
    return SettlementPage(
        settlements=[SettlementSummary.model_validate(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.get("/{settlement_id}", responses=may_answer(SettlementNotFound))
async def read_settlement(settlement_id: UUID, caller: Reader, tx: Tx) -> SettlementRead:
    """Read one statement."""
    return await _present(tx, caller, await _find_own(tx, caller, settlement_id))


@router.get("/{settlement_id}/items", responses=may_answer(SettlementNotFound))
async def list_items(
    settlement_id: UUID,
    caller: Reader,
    tx: Tx,
    after_at: Annotated[
        QueryInstant | None, Query(description="`next_at` of the page before.")
    ] = None,
    after_id: Annotated[UUID | None, Query(description="`next_id` of the page before.")] = None,
    limit: Limit = 50,
) -> SettlementItemPage:
    """List the postings of a statement in the order of writing."""
    settlement = await _find_own(tx, caller, settlement_id)
    after = None if after_at is None or after_id is None else LegPlace(after_at, after_id)
    found = await views.list_items(tx, caller.org_id, settlement, after=after, limit=limit + 1)
    last = found[limit - 1][0] if len(found) > limit else None
    return SettlementItemPage(
        items=[SettlementItemRead.of(leg, line) for leg, line in found[:limit]],
        next_at=None if last is None else last.posted_at,
        next_id=None if last is None else last.id,
    )


@router.get(
    "/{settlement_id}/pdf",
    response_class=Response,
    responses=_file_of(PDF_TYPE, "What was approved is always the same bytes."),
)
async def download_pdf(settlement_id: UUID, caller: Reader, tx: Tx) -> Response:
    """Download a statement as PDF, in Vietnamese; marked as a draft until it is approved."""
    settlement = await _find_own(tx, caller, settlement_id)
    content = await views.make_pdf(tx, caller.org_id, settlement)
    return _answer_file(content, PDF_TYPE, settlement, "pdf")


@router.get(
    "/{settlement_id}/xlsx",
    response_class=Response,
    responses=_file_of(XLSX_TYPE, "A sheet of totals, and one of at most 20,000 postings."),
)
async def download_workbook(settlement_id: UUID, caller: Reader, tx: Tx, now: Now) -> Response:
    """Download a statement as a workbook whose texts are never formulas."""
    settlement = await _find_own(tx, caller, settlement_id)
    content = await views.make_workbook(tx, caller.org_id, settlement, now=now)
    return _answer_file(content, XLSX_TYPE, settlement, "xlsx")


@router.post("/{settlement_id}/review", responses=may_answer(*MAY_FAIL))
async def review_settlement(
    settlement_id: UUID, caller: Drafter, tx: Tx, now: Now
) -> SettlementRead:
    """Say that you have looked at a draft."""
    done = await steps.review(tx, caller.org_id, settlement_id, actor=caller.actor, now=now)
    return await _present(tx, caller, done)


@router.post(
    "/{settlement_id}/approve",
    responses=may_answer(*MAY_FAIL, SettlementNeedsAnother, WrongPassword),
)
async def approve_settlement(
    settlement_id: UUID,
    body: SettlementApprove,
    caller: Approver,
    tx: Tx,
    sign_ins: TheSignIns,
    passwords: ThePasswords,
    now: Now,
) -> SettlementRead:
    """Approve a reviewed statement, as a second person: it gets its number and never changes.

    Who is the only person of an organisation gives the password again.
    """
    is_alone = False
    if body.password is not None:
        sign_ins.by_login.take(f"password {caller.id}")
        found = await queries.get_settlement(tx, caller.org_id, settlement_id)
        is_alone = await confirm_alone(
            tx,
            caller,
            passwords=passwords,
            present=body.password.get_secret_value(),
            since=found.started_at,
        )
    done = await steps.approve(
        tx, caller.org_id, settlement_id, is_alone=is_alone, actor=caller.actor, now=now
    )
    return await _present(tx, caller, done)


@router.post("/{settlement_id}/send", responses=may_answer(*MAY_FAIL))
async def send_settlement(settlement_id: UUID, caller: Drafter, tx: Tx, now: Now) -> SettlementRead:
    """Say that an approved statement was handed out: `settlement.sent` goes to who subscribed."""
    done = await steps.send(tx, caller.org_id, settlement_id, actor=caller.actor, now=now)
    return await _present(tx, caller, done)


@router.post(
    "/{settlement_id}/discard",
    responses=may_answer(*MAY_FAIL, SettlementFollowed),
)
async def discard_settlement(
    settlement_id: UUID, body: SettlementWords, caller: Drafter, tx: Tx, now: Now
) -> SettlementRead:
    """Put a statement aside that nobody has approved; its days can be drafted anew."""
    done = await steps.discard(
        tx, caller.org_id, settlement_id, words=body.reason, actor=caller.actor, now=now
    )
    return await _present(tx, caller, done)


async def _find_own(tx: AsyncSession, caller: Caller, settlement_id: UUID) -> SettlementFacts:
    """Return a statement that this caller may see.

    Raises:
        SettlementNotFound: there is none, it is another payee's, or its payee's people have to
            wait for the approval.
    """
    found = await queries.get_settlement(tx, caller.org_id, settlement_id)
    is_seen = caller.sees(ScopeKind.PAYEE, found.payee_id)
    if not is_seen or (caller.is_scoped and found.status not in FINAL):
        raise SettlementNotFound(settlement_id)
    return found


async def _present(tx: AsyncSession, caller: Caller, found: SettlementFacts) -> SettlementRead:
    lines = await queries.list_lines(tx, caller.org_id, found.id)
    return SettlementRead.of(found, lines)


def _answer_file(
    content: bytes, media_type: str, settlement: SettlementFacts, ending: str
) -> Response:
    name = f"settlement-{settlement.number or settlement.id}.{ending}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return Response(content, media_type=media_type, headers=headers)
