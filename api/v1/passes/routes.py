"""Passes: sell, give, list, bill, renew, revoke, change plates."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import Now, TheBillWriter, TheSettings, Tx, requires
from api.http.errors import may_answer
from api.http.idempotency import REPLAYED, IdempotencyKey, hash_body, mark_replayed, take_key
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.http.responses import answer_json
from api.v1.bills.routes import show
from api.v1.bills.schemas import BillRead
from api.v1.lots.routes import check_own_lot
from api.v1.parking_sessions.schemas import CollectionRead, CollectionReverse
from api.v1.passes.schemas import (
    PassCash,
    PassCreate,
    PassImport,
    PassImported,
    PassPage,
    PassRead,
    PassRenew,
    PassRevoke,
    PlatesPut,
    write_pass,
)
from core.clock import hanoi_day
from core.idempotency import IdempotencyKeyReused
from core.ids import new_id
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.errors import WholeOrganisationNeeded
from identity.people.rules import Permission
from parking.collections.errors import (
    ApprovalNeeded,
    CollectionIdTaken,
    CollectionNotFound,
    CollectionNotReversible,
)
from parking.collections.queries import find_collection
from parking.collections.rules import CollectionFacts
from parking.passes import importing, queries, service
from parking.passes.errors import (
    NoMonthlyPrice,
    NothingToPay,
    PassNotFound,
    PassNotRenewable,
    PassPriceDiffers,
    PassRevoked,
)
from parking.passes.rules import (
    WARN_BEFORE,
    PassKind,
    PassState,
    read_plates,
)
from parking.passes.types import BillWanted
from parking.places.errors import LotClosed, LotNotFound
from parking.plates import PLATE_CHARS_MAX
from parking.shifts import selling
from parking.shifts.errors import NoOpenShift
from parking.vehicles import VehicleClass
from payments.bills.errors import ReferencesUsedUp
from payments.payees.errors import PayeeHasNoAccount

router = APIRouter(prefix="/v1/passes", tags=["parking"])

Reader = Annotated[Caller, requires(Permission.PARKING_READ)]
Manager = Annotated[Caller, requires(Permission.PARKING_MANAGE)]
Gate = Annotated[Caller, requires(Permission.PARKING_GATE)]
IMPORT_BYTES_MAX: Final = 4 * 1024 * 1024


@router.post(
    "",
    status_code=201,
    responses={
        **may_answer(LotNotFound, LotClosed, NoMonthlyPrice, IdempotencyKeyReused),
        201: REPLAYED,
    },
)
async def add_pass(
    body: PassCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> PassRead:
    """Sell a monthly pass, which holds once its bill is paid, or give an exemption."""
    pass_id = new_id()
    first = await take_key(
        tx,
        caller.org_id,
        "POST /v1/passes",
        idempotency_key,
        hash_body(body),
        makes=pass_id,
        now=now,
    )
    if first is not None:
        mark_replayed(response)
        return await _show(tx, caller, first, now)
    await service.add_pass(
        tx, caller.org_id, body.wanted(), id_=pass_id, actor=caller.actor, now=now
    )
    return await _show(tx, caller, pass_id, now)


@router.post(
    "/imports",
    responses=may_answer(IdempotencyKeyReused),
    max_body_size=IMPORT_BYTES_MAX,
)
async def import_passes(
    body: PassImport,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> PassImported:
    """Sell and give passes by a table of up to 2,000 rows, all of them or none.

    `violations` names each row that is wrong by its number in the table: `rows[17].plates`.
    Repeated with its key it makes nothing again, and answers no ids.
    """
    first = await take_key(
        tx,
        caller.org_id,
        "POST /v1/passes/imports",
        idempotency_key,
        hash_body(body),
        makes=new_id(),
        now=now,
    )
    if first is not None:
        mark_replayed(response)
        return PassImported(pass_ids=[])
    ids = await importing.import_passes(tx, caller.org_id, body.csv, actor=caller.actor, now=now)
    return PassImported(pass_ids=ids)


@router.get("", responses=may_answer(BadCursor, WholeOrganisationNeeded))
async def list_passes(
    caller: Reader,
    tx: Tx,
    now: Now,
    kind: PassKind | None = None,
    state: PassState | None = None,
    lot_id: Annotated[UUID | None, Query(description="Those that hold there.")] = None,
    plate: Annotated[str | None, Query(max_length=4 * PLATE_CHARS_MAX)] = None,
    is_ending: Annotated[
        bool, Query(description="Monthly passes in force that end within 7 days.")
    ] = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> PassPage:
    """List passes, newest first. Plates are whole only for who manages them."""
    refuse_scoped(caller)
    today = hanoi_day(now)
    found = await queries.list_passes(
        tx,
        caller.org_id,
        today=today,
        kind=kind,
        state=state,
        lot_id=lot_id,
        plate=read_plates([plate], VehicleClass.OTHER)[0] if plate else None,
        ends_by=today + WARN_BEFORE if is_ending else None,
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    return PassPage(
        passes=[write_pass(one, caller, today) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.get("/{pass_id}", responses=may_answer(PassNotFound, WholeOrganisationNeeded))
async def show_pass(pass_id: UUID, caller: Reader, tx: Tx, now: Now) -> PassRead:
    """Show a pass with its months and plates."""
    refuse_scoped(caller)
    return await _show(tx, caller, pass_id, now)


@router.post(
    "/{pass_id}/bill",
    response_model=BillRead,
    responses=may_answer(
        PassNotFound, PassRevoked, NothingToPay, LotClosed, PayeeHasNoAccount, ReferencesUsedUp
    ),
)
async def bill_pass(
    request: Request,
    pass_id: UUID,
    caller: Manager,
    tx: Tx,
    bill_writer: TheBillWriter,
    settings: TheSettings,
    now: Now,
) -> Response:
    """Show the bill of the months that wait to be paid; past its three days, a fresh one."""
    wanted = BillWanted(
        id=new_id(),
        reference=await bill_writer.take_reference(caller.org),
        monitored_for_s=settings.bill_monitored_for_s,
    )
    opened = await service.open_bill(
        tx, caller.org_id, pass_id, wanted, actor=caller.actor, now=now
    )
    return answer_json(show(request, caller, opened, now), status=200)


@router.post(
    "/{pass_id}/renewals",
    status_code=201,
    responses={
        **may_answer(
            PassNotFound,
            PassRevoked,
            PassNotRenewable,
            NothingToPay,
            NoMonthlyPrice,
            IdempotencyKeyReused,
        ),
        201: REPLAYED,
    },
)
async def renew_pass(
    pass_id: UUID,
    body: PassRenew,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> PassRead:
    """Sell more months; they replace other months that wait to be paid. Then show their bill."""
    term_id = new_id()
    first = await take_key(
        tx,
        caller.org_id,
        "POST /v1/passes/{pass_id}/renewals",
        idempotency_key,
        hash_body(body, pass_id),
        makes=term_id,
        now=now,
    )
    if first is not None:
        mark_replayed(response)
        return await _show(tx, caller, pass_id, now)
    await service.renew_pass(
        tx,
        caller.org_id,
        pass_id,
        months=body.months,
        id_=term_id,
        actor=caller.actor,
        now=now,
    )
    return await _show(tx, caller, pass_id, now)


@router.post("/{pass_id}/revoke", responses=may_answer(PassNotFound))
async def revoke_pass(
    pass_id: UUID, body: PassRevoke, caller: Manager, tx: Tx, now: Now
) -> PassRead:
    """Revoke a pass: no entry is on it any more, and who is inside pays from midnight on."""
    await service.revoke_pass(
        tx, caller.org_id, pass_id, actor=caller.actor, reason=body.reason, now=now
    )
    return await _show(tx, caller, pass_id, now)


@router.put("/{pass_id}/plates", responses=may_answer(PassNotFound, PassRevoked))
async def change_plates(
    pass_id: UUID, body: PlatesPut, caller: Manager, tx: Tx, now: Now
) -> PassRead:
    """Let a pass be for these vehicles. One that is inside on it stays on it until it leaves."""
    await service.change_plates(
        tx,
        caller.org_id,
        pass_id,
        plates=tuple(body.plates),
        actor=caller.actor,
        reason=body.reason,
        now=now,
    )
    return await _show(tx, caller, pass_id, now)


@router.post(
    "/{pass_id}/cash",
    status_code=201,
    response_model=CollectionRead,
    responses=may_answer(
        *(PassNotFound, PassRevoked, NothingToPay, PassPriceDiffers),
        *(CollectionIdTaken, NoOpenShift, LotNotFound),
    ),
)
async def sell_in_cash(
    pass_id: UUID, body: PassCash, caller: Gate, tx: Tx, now: Now
) -> CollectionFacts:
    """Take cash for the months that wait, in your running shift; they count at once.

    The cash is counted with the shift and has a numbered receipt.
    """
    held = await queries.get_pass(tx, caller.org_id, pass_id)
    if held.seller_lot_id is not None:
        check_own_lot(caller, held.seller_lot_id)
    return await selling.sell_in_cash(
        tx,
        caller.org_id,
        pass_id,
        collection_id=body.id,
        amount_vnd=body.amount_vnd,
        actor=caller.actor,
        now=now,
    )


@router.post(
    "/{pass_id}/cash/{collection_id}/reverse",
    response_model=CollectionRead,
    responses=may_answer(CollectionNotFound, CollectionNotReversible, ApprovalNeeded, LotNotFound),
)
async def take_back_sale(
    pass_id: UUID, collection_id: UUID, body: CollectionReverse, caller: Gate, tx: Tx, now: Now
) -> CollectionFacts:
    """Give the cash back while its shift runs: the months are owed again. Twice is once."""
    known = await find_collection(tx, caller.org_id, collection_id)
    if known is None or known.pass_id != pass_id:
        raise CollectionNotFound(collection_id)
    check_own_lot(caller, known.lot_id)
    return await selling.take_back_sale(
        tx,
        caller.org_id,
        collection_id,
        may_override=caller.may(Permission.PARKING_OVERRIDE),
        reason=body.reason,
        actor=caller.actor,
        now=now,
    )


def refuse_scoped(caller: Caller) -> None:
    """Refuse people of some lots: passes and watch lists are the whole organisation's.

    Raises:
        WholeOrganisationNeeded
    """
    if caller.is_scoped:
        raise WholeOrganisationNeeded


async def _show(tx: AsyncSession, caller: Caller, pass_id: UUID, now: datetime) -> PassRead:
    found = await queries.view_pass(tx, caller.org_id, pass_id)
    return write_pass(found, caller, hanoi_day(now))
