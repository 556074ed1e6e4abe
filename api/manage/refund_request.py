"""The page that requests a refund: from a bill that somebody names, or from a proposal."""

from dataclasses import dataclass, replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import requires
from api.http.i18n import translate
from api.manage.page_context import Errors, ManagerContext, TheManager, read_line
from api.pages.amounts import read_amount
from core.errors import HubError, InvalidRequest
from core.ids import new_id
from core.money import format_vnd
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.bills.errors import BillNotFound
from payments.bills.queries import get_bill, get_bill_id
from payments.bills.references import find_references
from payments.bills.rules import check_client_id
from payments.breaks.queries import get_break
from payments.refunds import queries
from payments.refunds.requesting import request_refund
from payments.refunds.rules import WORDS_MAX
from payments.refunds.types import NewRefund

router = APIRouter(prefix="/manage/refunds", include_in_schema=False)

Given = Annotated[UUID | None, Form()]


@dataclass(frozen=True, kw_only=True)
class Against:
    """What a refund may be against."""

    name: str  # of its radio button: "payment:<id>" or "credit:<id>"
    words: str


@dataclass(frozen=True, kw_only=True)
class TypedRequest:
    """What somebody typed."""

    bill: str = ""
    break_id: UUID | None = None
    amount: str = ""
    reason: str = ""
    chosen: str = ""


@dataclass(frozen=True, kw_only=True)
class RefundRequestPage:
    """Everything templates/refund_request.html may use, already worded."""

    typed: TypedRequest
    reference: str  # "" until a bill is found
    against: tuple[Against, ...]
    refund_id: UUID  # pressed twice, it is one
    errors: Errors


@router.get("/new", dependencies=[requires(Permission.REFUNDS_REQUEST)])
async def show_request(
    manager: TheManager,
    bill: Annotated[str, Query(max_length=60)] = "",
    break_id: Annotated[UUID | None, Query(alias="break")] = None,
) -> Response:
    """Show what can be given back of a bill, or of what a proposal is about."""
    return await _render(manager, TypedRequest(bill=bill, break_id=break_id))


@router.post("", dependencies=[requires(Permission.REFUNDS_REQUEST)])
async def create(
    manager: TheManager,
    refund_id: Annotated[UUID, Form()],
    against: Annotated[str, Form(max_length=60)] = "",
    bill: Annotated[str, Form(max_length=60)] = "",
    break_id: Given = None,
    amount: Annotated[str, Form(max_length=40)] = "",
    reason: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    """Request a refund; sent twice, it is one."""
    said, amount_vnd = read_line(reason, WORDS_MAX), read_amount(amount)
    kind, _, source = against.partition(":")
    errors = {}
    if kind not in ("payment", "credit") or not _is_id(source):
        errors["against"] = manager.say("error.needed")
    if not amount_vnd:
        errors["amount"] = manager.say("error.bad_amount")
    if not said:
        errors["reason"] = manager.say("error.needed")
    typed = TypedRequest(bill=bill, break_id=break_id, amount=amount, reason=reason, chosen=against)
    if errors or not amount_vnd:
        return await _render(manager, typed, errors=errors)
    if fault := check_client_id(refund_id, now=manager.now):
        raise InvalidRequest(fault)
    new = NewRefund(
        id=refund_id,
        payment_id=UUID(source) if kind == "payment" else None,
        credit_id=UUID(source) if kind == "credit" else None,
        break_id=break_id,
        amount_vnd=amount_vnd,
        reason=said,
    )
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await request_refund(
                tx, manager.org_id, new, actor=manager.caller.actor, now=manager.now
            )
    except HubError as error:
        wrong = {"": manager.present_error(error)}
        return await _render(manager, typed, errors=wrong)
    return manager.go("/refunds", done="refund_requested")


async def _render(
    manager: ManagerContext, typed: TypedRequest, *, errors: Errors | None = None
) -> Response:
    wrong = dict(errors or {})
    reference, against = "", []
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        try:
            bill_id: UUID | None = None
            if typed.bill:
                bill_id = await _find_bill(tx, manager.org_id, typed.bill)
            elif typed.break_id is not None:
                found = await get_break(tx, manager.org_id, typed.break_id)
                typed = replace(typed, amount=typed.amount or str(found.amount_vnd or ""))
                if found.credit_id is None:
                    bill_id = found.bill_id
                else:
                    left_vnd = await queries.read_open(tx, manager.org_id, found.credit_id)
                    words = _say(manager, "of_credit_left", left=format_vnd(left_vnd))
                    against.append(Against(name=f"credit:{found.credit_id}", words=words))
            if bill_id is not None:
                reference = (await get_bill(tx, manager.org_id, bill_id)).reference
                against += await _list_payments(tx, manager, bill_id)
        except HubError as error:
            wrong["bill"] = manager.present_error(error)
    if not typed.chosen and len(against) == 1:
        typed = replace(typed, chosen=against[0].name)
    page = RefundRequestPage(
        typed=typed,
        reference=reference,
        against=tuple(against),
        refund_id=new_id(),
        errors=wrong,
    )
    status = 422 if wrong else 200
    return manager.render("refund_request.html", page, here="refunds", status=status)


async def _list_payments(tx: AsyncSession, manager: ManagerContext, bill_id: UUID) -> list[Against]:
    found = await queries.list_payments_of_bill(tx, manager.org_id, bill_id)
    return [
        Against(
            name=f"payment:{one.id}",
            words=_say(
                manager,
                "of_payment",
                amount=format_vnd(one.amount_vnd),
                left=format_vnd(one.refundable_vnd),
                when=manager.present_instant(one.occurred_at),
            ),
        )
        for one in found
    ]


async def _find_bill(tx: AsyncSession, org_id: UUID, typed: str) -> UUID:
    """Return the bill that a reference names, as people and banks write it.

    Raises:
        BillNotFound
    """
    for one in find_references(typed):
        return await get_bill_id(tx, org_id, one.reference)
    raise BillNotFound(typed)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _say(manager: ManagerContext, key: str, **values: object) -> str:
    return translate(manager.lang, f"refunds.{key}", **values)
