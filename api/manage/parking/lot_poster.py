"""A lot's poster: its static code made, printed on A4, taken down, and what came in by it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import Response

from api.http.codes import render_inline
from api.http.deps import requires
from api.http.i18n import translate
from api.manage.page_context import Errors, ManagerContext, TheManager
from core.errors import HubError
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.overview.day import PosterSale, list_poster_sales
from parking.places import posters
from parking.places.queries import get_lot
from payments.bills.rules import printed_payload
from payments.payees.queries import find_routes, get_payee
from payments.vietqr.banks import name_bank

router = APIRouter(prefix="/manage/lots", include_in_schema=False)

SHOWN_FOR: Final = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class SaleLine:
    """A payment by the poster."""

    when: str  # the bank's time
    shift: str  # whose it is
    amount_vnd: int
    is_reversed: bool


@dataclass(frozen=True, kw_only=True)
class PosterCode:
    """The static code as it is printed."""

    svg: Markup
    holder: str
    bank: str
    account: str


@dataclass(frozen=True, kw_only=True)
class LotPosterPage:
    """Everything templates/lot_poster.html may use, already worded."""

    id: UUID
    name: str
    address: str
    licence: str
    payee: str
    is_made: bool
    is_closed: bool
    can_manage: bool
    code: PosterCode | None  # None: the payee has no account in force
    sales: tuple[SaleLine, ...]
    days: int
    errors: Errors


@router.get("/{lot_id}/poster", dependencies=[requires(Permission.PARKING_READ)])
async def show_poster(manager: TheManager, lot_id: UUID) -> Response:
    """Show whether the lot has a poster, its code, and what came in by it."""
    return await _render(manager, lot_id)


@router.post("/{lot_id}/poster", dependencies=[requires(Permission.PARKING_MANAGE)])
async def make(manager: TheManager, lot_id: UUID) -> Response:
    """Let what is paid by the static code be collections of the lot's shifts."""
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await posters.make_poster(
                tx, manager.org_id, lot_id, actor=manager.caller.actor, now=manager.now
            )
    except HubError as error:
        return await _render(manager, lot_id, errors={"": manager.present_error(error)})
    return manager.go(f"/lots/{lot_id}/poster", done="poster_made")


@router.post("/{lot_id}/poster/remove", dependencies=[requires(Permission.PARKING_MANAGE)])
async def take_down(manager: TheManager, lot_id: UUID) -> Response:
    """Let sales on the code be the payee's alone again; what was collected stays."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        await posters.take_down_poster(
            tx, manager.org_id, lot_id, actor=manager.caller.actor, now=manager.now
        )
    return manager.go(f"/lots/{lot_id}/poster", done="poster_taken_down")


async def _render(
    manager: ManagerContext, lot_id: UUID, *, errors: Errors | None = None
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        lot = await get_lot(tx, manager.org_id, lot_id)
        payee = await get_payee(tx, manager.org_id, lot.payee_id)
        route = (await find_routes(tx, manager.org_id, [lot.payee_id])).get(lot.payee_id)
        is_made = await posters.has_poster(tx, manager.org_id, lot_id)
        sales = await list_poster_sales(tx, manager.org_id, lot_id, since=manager.now - SHOWN_FOR)
    code = None
    if route is not None:
        code = PosterCode(
            svg=await render_inline(printed_payload(route)),
            holder=route.holder_name,
            bank=name_bank(route.bin),
            account=route.code_account,
        )
    page = LotPosterPage(
        id=lot_id,
        name=lot.name,
        address=lot.address,
        licence=" · ".join(part for part in (lot.licence_number, lot.licence_issuer) if part),
        payee=payee.name,
        is_made=is_made,
        is_closed=lot.closed_at is not None,
        can_manage=manager.may(Permission.PARKING_MANAGE),
        code=code,
        sales=tuple(_present(manager, one) for one in sales),
        days=SHOWN_FOR.days,
        errors=errors or {},
    )
    return manager.render("lot_poster.html", page, here="lots", status=422 if errors else 200)


def _present(manager: ManagerContext, one: PosterSale) -> SaleLine:
    whose = translate(manager.lang, "lot_poster.no_shift")
    if one.staff_name is not None:
        opened = manager.present_instant(one.shift_opened_at)
        whose = translate(manager.lang, "lot_poster.of_shift", name=one.staff_name, opened=opened)
    return SaleLine(
        when=manager.present_instant(one.collected_at),
        shift=whose,
        amount_vnd=one.amount_vnd,
        is_reversed=one.is_reversed,
    )
