"""Pictures of codes, as every surface answers them: SVG, PNG, framed card, or inside a page.

A picture is drawn when it is asked for, in a thread: 7 ms of drawing would hold up every other
request of the process. Its ETag is the hash of everything that it shows, so that a picture the
client has already need not be drawn at all.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final, Literal

from anyio import to_thread
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from payments.bills.rules import BillFacts, printed_payload
from payments.payees.rules import PayeeRoute
from payments.vietqr.banks import name_bank
from payments.vietqr.cards import QrCard, render_card_png
from payments.vietqr.images import render_png, render_svg

SVG: Final = "image/svg+xml"
PNG: Final = "image/png"
# A printed code changes with its account only; screens may keep it for a while.
PRINTED_AGE_S: Final = 300

_NOT_MODIFIED: Final = {"description": "The client has this picture already (If-None-Match)."}
# `responses=PICTURE_RESPONSES[PNG]` declares a picture for OpenAPI.
PICTURE_RESPONSES: Final[dict[str, dict[int | str, dict[str, Any]]]] = {
    media_type: {
        200: {"description": "The picture.", "content": {media_type: {}}},
        304: _NOT_MODIFIED,
    }
    for media_type in (SVG, PNG)
}


async def answer_svg(request: Request, payload: str, *, max_age_s: int = 0) -> Response:
    """Answer the plain code as SVG.

    Args:
        max_age_s: how long a browser may keep it without asking; a bill's code changes when the
            bill is paid in part.
    """
    return await _answer(request, lambda: render_svg(payload), payload, SVG, max_age_s)


async def answer_png(request: Request, payload: str, *, max_age_s: int = 0) -> Response:
    """Answer the plain code as PNG."""
    return await _answer(request, lambda: render_png(payload), payload, PNG, max_age_s)


async def answer_card(
    request: Request, card: QrCard, *, max_age_s: int = 0, save_as: str | None = None
) -> Response:
    """Answer the code in a frame with bank, holder and account.

    Args:
        save_as: the file's name, where a browser shall save the picture instead of showing it.
    """
    answer = await _answer(request, lambda: render_card_png(card), repr(card), PNG, max_age_s)
    if save_as is not None:
        answer.headers["Content-Disposition"] = f'attachment; filename="{save_as}"'
    return answer


async def render_inline(payload: str) -> Markup:
    """Draw a code as a part of a page: a picture of its own could fail where the page came."""
    svg = await to_thread.run_sync(render_svg, payload)
    return Markup(svg.decode())  # noqa: S704 (digits and our own tags: render_svg)


def bill_card(bill: BillFacts, *, language: Literal["vi", "en"] = "vi") -> QrCard:
    """Return what the card of a bill shows.

    Raises:
        BillNotPayable, BillCodePending, BillCodeFailed: it has no code, any more or yet.
    """
    return QrCard(
        payload=bill.vietqr,
        bank_name=name_bank(bill.code_bin),
        account_name=bill.holder_name,
        account_number=bill.code_account,
        amount_vnd=bill.code_amount_vnd,
        reference=bill.reference,
        expires_at=bill.expires_at,
        language=language,
    )


def printed_card(
    route: PayeeRoute, *, amount_vnd: int | None = None, language: Literal["vi", "en"] = "vi"
) -> QrCard:
    """Return what the card of a payee's printed code shows."""
    return QrCard(
        payload=printed_payload(route, amount_vnd=amount_vnd),
        bank_name=name_bank(route.bin),
        account_name=route.holder_name,
        account_number=route.code_account,
        amount_vnd=amount_vnd,
        language=language,
    )


async def _answer(
    request: Request, draw: Callable[[], bytes], facts: str, media_type: str, max_age_s: int
) -> Response:
    etag = f'"{sha256(facts.encode()).hexdigest()[:32]}"'
    headers = {
        "ETag": etag,
        "Cache-Control": f"private, max-age={max_age_s}" if max_age_s else "private, no-cache",
    }
    if etag in (request.headers.get("if-none-match") or ""):
        return Response(status_code=304, headers=headers)
    return Response(await to_thread.run_sync(draw), headers=headers, media_type=media_type)
