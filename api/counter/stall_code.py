"""The code that hangs at a stall: shown, printed on A5 or A6, saved as a picture."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.counter.page_context import Stall, TheStall, read_frame, render
from api.http.deps import Now, Tx, requires
from api.http.responses import answer_picture, draw_inline
from api.http.templating import language_of
from identity.people.rules import Permission
from payments.bills.rules import printed_payload
from payments.payees.errors import PayeeHasNoAccount
from payments.payees.queries import find_routes
from payments.payees.rules import PayeeRoute
from payments.vietqr.banks import name_bank
from payments.vietqr.cards import QrCard, render_card_png

router = APIRouter(prefix="/counter/code", include_in_schema=False)


@dataclass(frozen=True, kw_only=True)
class CodePage:
    """What templates/stall_code.html may use; None in `frame.route` means there is no code."""

    bank: str
    account: str
    holder_name: str
    code_svg: Markup


@router.get("", dependencies=[requires(Permission.PAYEES_READ)])
async def show_code(request: Request, stall: TheStall, tx: Tx, now: Now) -> Response:
    """Show the stall's printed code."""
    frame = await read_frame(tx, stall, here="code", now=now)
    if frame.route is None:
        return render(request, "stall_code.html", frame, None)
    page = CodePage(
        bank=name_bank(frame.route.bin),
        account=frame.route.code_account,
        holder_name=frame.route.holder_name,
        code_svg=await draw_inline(printed_payload(frame.route)),
    )
    return render(request, "stall_code.html", frame, page)


@router.get("/card.png", dependencies=[requires(Permission.PAYEES_READ)])
async def show_code_card(request: Request, stall: TheStall, tx: Tx) -> Response:
    """Draw the code with bank, account and holder, to save and to send.

    Raises:
        PayeeHasNoAccount
    """
    route = await _get_route(tx, stall)
    card = QrCard(
        payload=printed_payload(route),
        bank_name=name_bank(route.bin),
        account_name=route.holder_name,
        account_number=route.code_account,
        language=language_of(request),
    )
    answer = await answer_picture(
        request, lambda: render_card_png(card), facts=repr(card), media_type="image/png"
    )
    answer.headers["Content-Disposition"] = 'attachment; filename="vietqr.png"'
    return answer


async def _get_route(session: AsyncSession, stall: Stall) -> PayeeRoute:
    routes = await find_routes(session, stall.org_id, [stall.payee_id])
    if stall.payee_id not in routes:
        raise PayeeHasNoAccount(stall.payee_id)
    return routes[stall.payee_id]
