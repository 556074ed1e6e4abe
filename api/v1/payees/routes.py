"""Payees and the static codes that hang at their stalls."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.codes import (
    PICTURE_RESPONSES,
    PNG,
    PRINTED_AGE_S,
    SVG,
    answer_card,
    answer_png,
    answer_svg,
    printed_card,
)
from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.idempotency import REPLAYED, IdempotencyKey, hash_body, mark_replayed, take_key
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.payees.schemas import CodeLinks, CodeRead, PayeeCreate, PayeePage, PayeePatch, PayeeRead
from core.idempotency import IdempotencyKeyReused
from core.ids import new_id
from core.money import TRANSFER_VND_MAX
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission, ScopeKind
from payments.bills.rules import printed_payload
from payments.payees import queries, service
from payments.payees.errors import PayeeClosed, PayeeHasNoAccount, PayeeNotFound
from payments.payees.models import Payee
from payments.payees.rules import PayeeRoute
from payments.vietqr.banks import find_bank

router = APIRouter(prefix="/v1/payees", tags=["payees"])

Reader = Annotated[Caller, requires(Permission.PAYEES_READ)]
Manager = Annotated[Caller, requires(Permission.PAYEES_MANAGE)]
PrintedAmount = Annotated[
    int | None,
    Query(ge=1, le=TRANSFER_VND_MAX, description="A fixed price on the printed code."),
]
HAS_NO_CODE = may_answer(PayeeNotFound, PayeeHasNoAccount)


@router.post(
    "",
    status_code=201,
    response_model=PayeeRead,
    responses={**may_answer(IdempotencyKeyReused), 201: REPLAYED},
)
async def add_payee(
    body: PayeeCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> Payee:
    """Add a payee. It can be paid once an account of its own is approved and tested."""
    payee_id = new_id()
    first = await take_key(
        tx,
        caller.org_id,
        "POST /v1/payees",
        idempotency_key,
        hash_body(body),
        makes=payee_id,
        now=now,
    )
    if first is not None:
        mark_replayed(response)
        return await queries.get_payee(tx, caller.org_id, first)
    return await service.add_payee(
        tx,
        caller.org_id,
        id_=payee_id,
        name=body.name,
        place=body.place,
        actor=caller.actor,
        now=now,
    )


@router.get("", responses=may_answer(BadCursor))
async def list_payees(
    caller: Reader,
    tx: Tx,
    with_closed: bool = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> PayeePage:
    """List payees, newest first. People of a payee see theirs only."""
    found = await queries.list_payees_page(
        tx,
        caller.org_id,
        only=caller.choices(ScopeKind.PAYEE),
        with_closed=with_closed,
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    return PayeePage(
        payees=[PayeeRead.model_validate(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.get("/{payee_id}", response_model=PayeeRead, responses=may_answer(PayeeNotFound))
async def show_payee(payee_id: UUID, caller: Reader, tx: Tx) -> Payee:
    """Show a payee."""
    check_own_payee(caller, payee_id)
    return await queries.get_payee(tx, caller.org_id, payee_id)


@router.patch(
    "/{payee_id}",
    response_model=PayeeRead,
    responses=may_answer(PayeeNotFound, PayeeClosed),
)
async def change_payee(
    payee_id: UUID, body: PayeePatch, caller: Manager, tx: Tx, now: Now
) -> Payee:
    """Rename, move or close a payee. A closed one stays closed; its money is still recorded."""
    if body.name is not None or body.place is not None or body.is_closed is False:
        await service.change_payee(
            tx,
            caller.org_id,
            payee_id,
            name=body.name,
            place=body.place,
            actor=caller.actor,
            reason=body.reason,
            now=now,
        )
    if body.is_closed:
        await service.close_payee(
            tx, caller.org_id, payee_id, actor=caller.actor, reason=body.reason, now=now
        )
    return await queries.get_payee(tx, caller.org_id, payee_id)


@router.get("/{payee_id}/static-code", responses=HAS_NO_CODE)
async def show_static_code(
    payee_id: UUID, caller: Reader, tx: Tx, amount_vnd: PrintedAmount = None
) -> CodeRead:
    """Show the code to print for a stall: what is paid to it without a memo is a counter sale."""
    route = await _find_route(tx, caller, payee_id)
    bank = find_bank(route.bin)
    path = f"/v1/payees/{payee_id}/static-code"
    query = "" if amount_vnd is None else f"?amount_vnd={amount_vnd}"
    return CodeRead(
        vietqr=printed_payload(route, amount_vnd=amount_vnd),
        bin=route.bin,
        bank=None if bank is None else bank.short_name,
        account_number=route.code_account,
        holder_name=route.holder_name,
        amount_vnd=amount_vnd,
        links=CodeLinks(
            qr_svg=f"{path}/qr.svg{query}",
            qr_png=f"{path}/qr.png{query}",
            card_png=f"{path}/card.png{query}",
        ),
    )


@router.get(
    "/{payee_id}/static-code/qr.svg",
    response_class=Response,
    responses={**HAS_NO_CODE, **PICTURE_RESPONSES[SVG]},
)
async def show_static_svg(
    request: Request, payee_id: UUID, caller: Reader, tx: Tx, amount_vnd: PrintedAmount = None
) -> Response:
    """Draw the static code as SVG."""
    payload = printed_payload(await _find_route(tx, caller, payee_id), amount_vnd=amount_vnd)
    return await answer_svg(request, payload, max_age_s=PRINTED_AGE_S)


@router.get(
    "/{payee_id}/static-code/qr.png",
    response_class=Response,
    responses={**HAS_NO_CODE, **PICTURE_RESPONSES[PNG]},
)
async def show_static_png(
    request: Request, payee_id: UUID, caller: Reader, tx: Tx, amount_vnd: PrintedAmount = None
) -> Response:
    """Draw the static code as PNG."""
    payload = printed_payload(await _find_route(tx, caller, payee_id), amount_vnd=amount_vnd)
    return await answer_png(request, payload, max_age_s=PRINTED_AGE_S)


@router.get(
    "/{payee_id}/static-code/card.png",
    response_class=Response,
    responses={**HAS_NO_CODE, **PICTURE_RESPONSES[PNG]},
)
async def show_static_card(
    request: Request, payee_id: UUID, caller: Reader, tx: Tx, amount_vnd: PrintedAmount = None
) -> Response:
    """Draw the static code in a frame, with bank, holder and account, to be printed."""
    card = printed_card(await _find_route(tx, caller, payee_id), amount_vnd=amount_vnd)
    return await answer_card(request, card, max_age_s=PRINTED_AGE_S)


def check_own_payee(caller: Caller, payee_id: UUID) -> None:
    """Hide other payees from people who work for some.

    Raises:
        PayeeNotFound
    """
    if not caller.sees(ScopeKind.PAYEE, payee_id):
        raise PayeeNotFound(payee_id)


async def _find_route(tx: AsyncSession, caller: Caller, payee_id: UUID) -> PayeeRoute:
    check_own_payee(caller, payee_id)
    return await queries.get_route(tx, caller.org_id, payee_id)
