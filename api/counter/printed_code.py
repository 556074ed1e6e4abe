"""The code that hangs at a payee: shown, printed on A5 or A6, saved as a picture."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from api.counter.page_context import ThePayee, read_context, render
from api.http.codes import answer_card, printed_card, render_inline
from api.http.deps import Now, Tx, requires
from api.http.templating import language_of
from identity.people.rules import Permission
from payments.bills.rules import printed_payload
from payments.payees.queries import get_route
from payments.vietqr.banks import name_bank

router = APIRouter(prefix="/counter/code", include_in_schema=False)


@dataclass(frozen=True, kw_only=True)
class CodePage:
    """What templates/printed_code.html may use; None in `context.route` means there is no code."""

    bank: str
    account: str
    holder_name: str
    code_svg: Markup


@router.get("", dependencies=[requires(Permission.PAYEES_READ)])
async def show_code(request: Request, payee: ThePayee, tx: Tx, now: Now) -> Response:
    """Show the payee's printed code."""
    context = await read_context(tx, payee, here="code", now=now)
    if context.route is None:
        return render(request, "printed_code.html", context, None)
    page = CodePage(
        bank=name_bank(context.route.bin),
        account=context.route.code_account,
        holder_name=context.route.holder_name,
        code_svg=await render_inline(printed_payload(context.route)),
    )
    return render(request, "printed_code.html", context, page)


@router.get("/card.png", dependencies=[requires(Permission.PAYEES_READ)])
async def show_code_card(request: Request, payee: ThePayee, tx: Tx) -> Response:
    """Draw the code with bank, account and holder, to save and to send.

    Raises:
        PayeeHasNoAccount
    """
    route = await get_route(tx, payee.org_id, payee.id)
    card = printed_card(route, language=language_of(request))
    return await answer_card(request, card, save_as="vietqr.png")
